"""Checkpoints in: ours and every authors' format, by name, with a clear account of what does not fit.

Accepted wrappers are the keys the field's training scripts use (``model_pos``, ``model``, ``state_dict``) or none,
with or without DataParallel's ``module.`` prefix. Files are read with ``weights_only`` loading; numpy scalars, which
published checkpoints hold as their best error, are the only foreign classes let through.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import BadInput

WRAPPERS = ("model_pos", "model", "state_dict")
PREFIX = "module."


@dataclass(frozen=True)
class Loaded:
    """What ``load`` found: the file's digest, its wrapper key, whether names were the authors', what else it held."""

    path: Path
    sha256: str
    wrapper: str
    official: bool
    extra: Mapping[str, Any]


def load(model: nn.Module, path: str | Path) -> Loaded:
    """Fill ``model`` from the checkpoint at ``path``, every entry or none.

    Raises BadInput when the file is absent, damaged, holds foreign classes, or was made for another model, number
    of frames, width or number of input channels: the message says which keys and what to pass instead.
    """
    path = Path(path)
    content = read(path)
    wrapper, state = _unwrap(content, path)
    ours = _translate(model, state)
    _require_fit(model, ours, path)
    model.load_state_dict(ours)
    extra = {key: value for key, value in content.items() if key != wrapper} if wrapper else {}
    return Loaded(path, file_digest(path), wrapper, ours.keys() != state.keys(), extra)


def read(path: Path) -> dict[str, Any]:
    """The checkpoint's content on the CPU. Raises BadInput if absent, damaged or not a plain checkpoint."""
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.pt")) if path.parent.is_dir() else []
        raise BadInput(f"no checkpoint at {path} (nearest: {', '.join(near) or 'none'}). Nothing evaluated")
    _require_digest(path)
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler meets arbitrary bytes and raises whatever they lead it to
        if foreign := re.search(r"GLOBAL (\S+\.\S+)", str(error)):
            raise BadInput(
                f"{path} is refused: it holds {foreign[1]}; a checkpoint may hold tensors and numbers only"
            ) from error
        raise BadInput(
            f"checkpoint {path} is damaged or not a checkpoint ({type(error).__name__}). Get the file again"
        ) from error
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds a {type(content).__name__}; expected a dictionary of tensors")
    return content


def file_digest(path: Path) -> str:
    """sha256 of the file's bytes."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _require_digest(path: Path) -> None:
    beside = path.with_name(path.name + ".sha256")
    if beside.is_file() and beside.read_text().split()[0] != (found := file_digest(path)):
        raise BadInput(
            f"checkpoint {path} is damaged: its sha256 is {found[:12]}…, {beside.name} says "
            f"{beside.read_text().split()[0][:12]}…. Restore the file or train again"
        )


def _numpy_scalars() -> list[Any]:
    scalar = np.float64(0).__reduce__()[0]
    kinds = [np.dtype, scalar, *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "b1"))]
    # Files written under numpy 1 name the module numpy.core, later ones numpy._core.
    return [*kinds, (scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]


def _unwrap(content: dict[str, Any], path: Path) -> tuple[str, dict[str, Tensor]]:
    wrapper = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), "")
    state = content[wrapper] if wrapper else content
    entries = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if not entries:
        raise BadInput(f"{path} holds no tensors under {', '.join(WRAPPERS)} or at the top; keys: {list(content)[:8]}")
    if all(key.startswith(PREFIX) for key in entries):
        entries = {key.removeprefix(PREFIX): value for key, value in entries.items()}
    return wrapper, entries


def _translate(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    if state.keys() <= model.state_dict().keys():
        return state
    translate = getattr(model, "official_state", None)
    return translate(state) if translate is not None else state


def _require_fit(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    own = model.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    shapes = [key for key in own if key in state and own[key].shape != state[key].shape]
    if not (missing or unexpected or shapes):
        return
    lines = [
        f"{path} does not fit: {len(missing)} keys missing, {len(unexpected)} unexpected, {len(shapes)} wrong shape"
    ]
    lines += [f"missing: {', '.join(missing[:4])}"] if missing else []
    lines += [f"unexpected: {', '.join(unexpected[:4])}"] if unexpected else []
    lines += [f"{key} {tuple(state[key].shape)} against {tuple(own[key].shape)}" for key in shapes[:4]]
    raise BadInput("; ".join(lines) + _remedy(model, own, state, shapes, bool(missing or unexpected)))


def _remedy(
    model: nn.Module, own: Mapping[str, Tensor], state: Mapping[str, Tensor], shapes: list[str], other_names: bool
) -> str:
    config = getattr(model, "config", None)
    for option, flag in (("frames", "--frames"), ("in_channels", "--in-channels")):
        asked = getattr(config, option, None)
        made_for = [{given for given, now in _changed(state[key], own[key]) if now == asked} for key in shapes]
        shared = set.intersection(*made_for) if made_for else set()
        if shared and not other_names:
            value = shared.pop()
            return f": it was made for {option}={value}; add {flag} {value}"
    return ": it was made for another model or another width; name the model it belongs to"


def _changed(given: Tensor, now: Tensor) -> list[tuple[int, int]]:
    if given.dim() != now.dim():
        return []
    return [(a, b) for a, b in zip(given.shape, now.shape, strict=True) if a != b]
