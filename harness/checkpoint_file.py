"""Checkpoints in: ours and every authors' format, by name, with a clear account of what does not fit.

The weights lie under a key that the field's training scripts use (``model_pos``, ``model``, ``state_dict``), under
another if there is no doubt, or bare; with or without the ``module.`` of DataParallel. Files are read with
``weights_only`` loading: tensors, numbers, text and containers of them, and what ``harness.foreign`` stands in for.

Each entry of the model must be given and fit, and each entry given must be the model's. Two things alone are excused,
and said in ``Loaded.notes``: the counters that thop leaves in a model, and the number of batches that batch norms
count since PyTorch 0.4.1 and nothing here reads.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness import zip_members
from harness.errors import BadInput
from harness.foreign import STAND_INS

WRAPPERS = ("model_pos", "model", "state_dict", "model_state_dict", "base_model")
#: What DataParallel and torch.compile put before each name.
PREFIXES = ("module.", "_orig_mod.")
#: The last part of a checkpoint's name in the field; best.pth.tar and best_epoch.pth.tr end so as well.
ENDINGS = (".pt", ".pth", ".bin", ".tr", ".tar", ".model")
THOP_COUNTERS = ("total_ops", "total_params")
BATCH_COUNT = "num_batches_tracked"


@dataclass(frozen=True)
class Loaded:
    """What ``load`` found: the file's digest, its wrapper key, whether names were the authors', what else it held.

    ``notes`` say in a sentence each what of the file was not used, and what it lacked.
    """

    path: Path
    sha256: str
    wrapper: str
    official: bool
    extra: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class DoesNotFit(BadInput):
    """A sound checkpoint of another model; ``entries`` are its weights, without wrapper and prefix."""

    def __init__(self, message: str, entries: Mapping[str, Tensor]) -> None:
        super().__init__(message)
        self.entries = entries


def load(model: nn.Module, path: str | Path) -> Loaded:
    """Fill ``model`` from the checkpoint at ``path``, every entry or none.

    Raises BadInput when the file is absent, damaged or holds foreign classes, and DoesNotFit, which says which keys
    and shapes differ, when it was made for another model, number of frames, width or number of input channels.
    """
    path = Path(path)
    content = read(path)
    wrapper, entries = _unwrap(content, path)
    entries, left_out = _without_thop_counters(entries)
    ours = translate(model, entries)
    batch_counts = {key: value for key, value in model.state_dict().items() if key not in ours and is_batch_count(key)}
    _require_fit(model, {**ours, **batch_counts}, entries, path)
    model.load_state_dict({**ours, **batch_counts})
    extra = {key: value for key, value in content.items() if key != wrapper} if wrapper else {}
    notes = [*_notes_on_counters(left_out, batch_counts), *_notes_on_others(extra)]
    return Loaded(path, file_digest(path), wrapper, ours.keys() != entries.keys(), extra, tuple(notes))


def read(path: Path) -> dict[str, Any]:
    """The checkpoint's content on the CPU.

    Raises BadInput if absent, damaged, not a plain checkpoint, or unpacking to far more than the file is.
    """
    if not path.is_file():
        raise BadInput(f"{_absent(path)} Nothing evaluated")
    _require_digest(path)
    try:
        _require_bounded(path)
        content = _content(path)
    except BadInput:
        raise
    except PermissionError as error:
        raise BadInput(f"checkpoint {path} cannot be read: {error.strerror}") from error
    except Exception as error:  # the unpickler meets arbitrary bytes and raises whatever they lead it to
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise BadInput(f"{path} holds a {type(content).__name__}; expected a dictionary of tensors")
    return content


def translate(model: nn.Module, entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``entries`` under the model's own names: as they are, or from the authors' by its ``official_state``."""
    official_state = getattr(model, "official_state", None)
    if official_state is None or entries.keys() <= model.state_dict().keys():
        return dict(entries)
    try:
        return dict(official_state(entries))
    except (LookupError, ValueError, RuntimeError):  # it may rely on entries that another model's file lacks
        return dict(entries)


def is_batch_count(name: str) -> bool:
    """Whether this is the entry of a batch norm that files from before PyTorch 0.4.1 lack."""
    return name.rpartition(".")[2] == BATCH_COUNT


def file_digest(path: Path) -> str:
    """sha256 of the file's bytes."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _absent(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        return f"no checkpoint at {path}: there is no folder {folder}."
    here = sorted(found.name for found in folder.iterdir() if found.name.lower().endswith(ENDINGS))
    similar = difflib.get_close_matches(path.name, here, n=len(here) or 1, cutoff=0)
    found = f"(nearest: {_first(similar, 6) or 'none'})"
    return f"{path} is a folder {found}. Name a file." if path.is_dir() else f"no checkpoint at {path} {found}."


def _require_digest(path: Path) -> None:
    beside = path.with_name(path.name + ".sha256")
    wanted = beside.read_text(errors="replace").split()[:1] if beside.is_file() else []
    if wanted and wanted[0] != (found := file_digest(path)):
        raise BadInput(
            f"checkpoint {path} is damaged: its sha256 is {found[:12]}…, {beside.name} says "
            f"{wanted[0][:12]}…. Restore the file or train again"
        )


def _require_bounded(path: Path) -> None:
    """Of a zip, which torch unpacks to whatever length it says; the older format says no more than it holds."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return
        with zipfile.ZipFile(file) as archive:
            zip_members.listed(archive, path.stat().st_size, str(path))


def _content(path: Path) -> Any:
    with torch.serialization.safe_globals(STAND_INS):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except UnicodeDecodeError:
            # In files that Python 2 wrote, the bytes of numbers are strings; latin1 keeps every byte. torch heeds the
            # encoding, although it warns that it would not.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True, encoding="latin1")


def _unreadable(path: Path, error: Exception) -> BadInput:
    reason = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
    foreign = re.search(r"GLOBAL (\S+) (?:was|whose)", reason)
    if foreign or re.search(r"Can only (?:build|create)|Trying to call reduce|Only persistent_load", reason):
        what = foreign[1] if foreign else f"more than data ({reason.splitlines()[0].strip()})"
        return BadInput(
            f"{path} is refused: it holds {what}; a checkpoint may hold tensors, numbers and text only. Where it was "
            "made, save the model's state_dict() alone"
        )
    with path.open("rb") as file:
        start = file.read(24)
    line = next(iter(reason.splitlines()), "").strip()
    return BadInput(
        f"checkpoint {path} is damaged or not a checkpoint ({type(error).__name__}: {line[:120]}; it begins with "
        f"{start!r}). Get the file again"
    )


def _unwrap(content: Mapping[str, Any], path: Path) -> tuple[str, dict[str, Tensor]]:
    wrapper = _wrapper(content, path)
    state = content[wrapper] if wrapper else content
    if others := [f"{key} ({type(value).__name__})" for key, value in state.items() if not isinstance(value, Tensor)]:
        raise BadInput(f"{path} holds more than tensors{f' under {wrapper!r}' * bool(wrapper)}: {_first(others)}")
    if unusual := [key for key, value in state.items() if not _is_plain(value)]:
        raise BadInput(
            f"{path} holds weights that are sparse, quantized, complex or without contents: {_first(unusual)}; save"
            " them as plain tensors"
        )
    return wrapper, {str(key): value for key, value in state.items()}


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_complex() or tensor.is_meta)


def _wrapper(content: Mapping[str, Any], path: Path) -> str:
    """The key that the weights lie under, "" for none. Raises BadInput where there are no weights, or several sets."""
    sets = [key for key, value in content.items() if isinstance(value, Mapping) and _has_tensors(value)]
    known = [key for key in WRAPPERS if key in sets]
    if known or (len(sets) == 1 and not _has_tensors(content)):
        return str([*known, *sets][0])
    if _has_tensors(content):
        return ""
    if len(plain := [key for key in sets if _is_state(content[key])]) == 1:
        return str(plain[0])
    if plain:
        raise BadInput(f"{path} holds several sets of weights: {_first(plain)}; keep one of them, under 'model'")
    raise BadInput(f"{path} holds no tensors under {', '.join(WRAPPERS)} or at the top; keys: {_first(content)}")


def _has_tensors(state: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, Tensor) for value in state.values())


def _is_state(state: Any) -> bool:
    """Whether these may be a network's weights: tensors all, and not numbers alone, as figures of a training are."""
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        return False
    return any(value.ndim for value in state.values())


def _without_thop_counters(entries: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The entries without thop's and without prefixes, and the names of thop's."""
    counters = [key for key in entries if key.rpartition(".")[2] in THOP_COUNTERS]
    # The outermost counters stand before DataParallel's prefix or without it, so that they go first.
    rest = {key: value for key, value in entries.items() if key not in counters}
    while prefix := next((prefix for prefix in PREFIXES if rest and all(key.startswith(prefix) for key in rest)), ""):
        rest = {key.removeprefix(prefix): value for key, value in rest.items()}
    return rest, counters


def _notes_on_counters(left_out: list[str], batch_counts: Mapping[str, Tensor]) -> Iterable[str]:
    if left_out:
        yield f"thop's counters, no weights, are left out ({len(left_out)}): {_first(left_out)}"
    if batch_counts:
        yield f"{len(batch_counts)} of {BATCH_COUNT} are not in the file, as before PyTorch 0.4.1; nothing reads them"


def _notes_on_others(extra: Mapping[str, Any]) -> Iterable[str]:
    for key, value in extra.items():
        if _is_state(value):
            yield f"{key}, another set of {len(value)} weights in the file, is not used"


def _require_fit(model: nn.Module, given: Mapping[str, Tensor], entries: Mapping[str, Tensor], path: Path) -> None:
    own = model.state_dict()
    missing = [key for key in own if key not in given]
    unexpected = [key for key in given if key not in own]
    shapes = [
        f"{key} {tuple(given[key].shape)} against {tuple(own[key].shape)}"
        for key in own
        if key in given and own[key].shape != given[key].shape
    ]
    if not (missing or unexpected or shapes):
        _require_fractions(own, given, path)
        return
    lines = [
        f"{path} does not fit: {len(missing)} keys missing, {len(unexpected)} unexpected, {len(shapes)} wrong shape",
        *([f"missing: {_first(missing)}"] if missing else []),
        *([f"unexpected: {_first(unexpected)}"] if unexpected else []),
        *([f"shapes, the file's against the model's: {_first(shapes)}"] if shapes else []),
    ]
    raise DoesNotFit("; ".join(lines), entries)


def _require_fractions(own: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    """Either kind would be taken for the other without a word.

    Whole numbers in place of weights are something else, of a quantized model for one; of fractions in place of whole
    numbers, or of what is out of their range, another number would be left.
    """
    whole = [key for key in own if own[key].is_floating_point() and not given[key].is_floating_point()]
    if whole:
        raise BadInput(
            f"{path} holds whole numbers ({given[whole[0]].dtype}) in place of weights: {_first(whole)}; save them as"
            " floating-point numbers"
        )
    if changed := [key for key in own if not _keeps_its_numbers(given[key], own[key].dtype)]:
        raise BadInput(
            f"{path} holds numbers ({given[changed[0]].dtype}) that the model's {own[changed[0]].dtype} cannot:"
            f" {_first(changed)}; they are of another model, or damaged"
        )


def _keeps_its_numbers(given: Tensor, kind: torch.dtype) -> bool:
    """Whether ``given`` holds nothing that a tensor of whole numbers or truth values would change."""
    if kind.is_floating_point or kind.is_complex or given.dtype == kind:
        return True
    return torch.equal(given.to(kind).to(given.dtype), given)


def _first(names: Iterable[Any], count: int = 3) -> str:
    """The first few, and how many more there are."""
    names = [str(name) for name in names]
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
