"""The registry of lifters: a plain dictionary of import strings, resolved when a model is built.

A family is a module with ``PRESETS`` (name -> frozen config dataclass) and ``build(config)``. A third party's
model needs no entry: ``package.module:attribute`` names a callable ``(frames=T, in_channels=C, **options)``.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness import options
from harness.errors import BadInput, suggestion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelEntry:
    """Where a registered lifter comes from: ``module`` and ``preset`` build it, the rest is shown in lists."""

    module: str
    preset: str
    kind: str
    year: int
    paper: str
    note: str = ""


def _posemamba(preset: str, note: str) -> ModelEntry:
    return ModelEntry("posemamba", preset, "state space model", 2025, "arXiv 2408.03540", note)


def _motionagformer(preset: str, note: str) -> ModelEntry:
    return ModelEntry("baselines.motionagformer", preset, "transformer + graph", 2024, "arXiv 2310.16288", note)


MODELS: dict[str, ModelEntry] = {
    "posemamba": _posemamba("s", "the same as posemamba-s"),
    "posemamba-xs": _posemamba("xs", "ours, for demos and short budgets; not a published size"),
    "posemamba-s": _posemamba("s", "published at T = 243"),
    "posemamba-b": _posemamba("b", "published at T = 243"),
    "posemamba-l": _posemamba("l", "published at T = 243"),
    "posemamba-x": _posemamba("x", "the 40x256 row of the paper's Table 6; the authors released no such model"),
    "motionagformer-xxs": _motionagformer("xxs", "ours, for demos and short budgets; not a published size"),
    "motionagformer-xs": _motionagformer("xs", "published at T = 27"),
    "motionagformer-s": _motionagformer("s", "published at T = 81"),
    "motionagformer-b": _motionagformer("b", "published at T = 243"),
    "motionagformer-l": _motionagformer("l", "published at T = 243"),
}


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(f"Cannot import {module!r}: {error}. Expected 'package.module:attribute'") from error


def entry(name: str) -> ModelEntry:
    """The registry entry of ``name``. Raises BadInput with the nearest names for an unknown one."""
    if name not in MODELS:
        raise BadInput(f"Unknown model {name!r}. {suggestion(name, MODELS)}All: harness list models")
    return MODELS[name]


def preset(name: str) -> Any:
    """The frozen config of a registered model as published."""
    found = entry(name)
    return _import(found.module).PRESETS[found.preset]


def configure(
    name: str, frames: int | None = None, in_channels: int | None = None, overrides: Mapping[str, Any] | None = None
) -> Any:
    """The config of a registered model at ``frames`` and ``in_channels`` (None: as published) with ``overrides``.

    An override may be a value or the text of one (``depth=8`` or ``depth="8"``), under our name or the authors'.
    Raises BadInput for an unknown option, one of the wrong type, or one out of range.
    """
    base = preset(name)
    changes = options.parse(base, _under_our_names(name, base, overrides or {}), owner=name)
    for option, value in (("frames", frames), ("in_channels", in_channels)):
        if value is not None and changes.setdefault(option, value) != value:
            raise BadInput(f"{name}: {option} is given twice, as {value} and as the option {changes[option]}")
    try:
        return dataclasses.replace(base, **changes)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name}: {error}") from error


def _under_our_names(name: str, base: Any, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """``overrides`` with the authors' option names (``embed_dim_ratio``, ``n_layers``) translated into ours."""
    module = _import(entry(name).module)
    field_of: Mapping[str, str | None] = module.OFFICIAL_OPTIONS
    ours = {field.name for field in dataclasses.fields(base)}
    authors = {key: value for key, value in overrides.items() if key not in ours and key in field_of}
    if not authors:
        return dict(overrides)
    # Where several of their options decide one of ours, ours does not tell what theirs were; their defaults stand.
    shared = Counter(field_of.values())
    settings = {key: getattr(base, field) for key, field in field_of.items() if field and shared[field] == 1}
    try:
        translated = module.official_config({**settings, **authors})
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from error
    rest = {key: value for key, value in overrides.items() if key not in authors}
    return {**{field: getattr(translated, field) for key in authors if (field := field_of[key])}, **rest}


def build(name: str, frames: int | None = None, in_channels: int | None = None, **overrides: Any) -> nn.Module:
    """A lifter ``(B, T, J, in_channels) -> (B, T, J, 3)`` by registered name or ``package.module:attribute``.

    ``frames`` is T, ``in_channels`` 2 (x, y) or 3 (with confidence); None takes the published value.
    Raises BadInput for an unknown name or option, and for what cannot be imported or built.
    """
    if ":" in name:
        return _build_third_party(name, frames, in_channels, overrides)
    config = configure(name, frames, in_channels, overrides)
    try:
        return _import(entry(name).module).build(config)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from error


def _build_third_party(
    name: str, frames: int | None, in_channels: int | None, overrides: Mapping[str, Any]
) -> nn.Module:
    from torch import nn

    module, _, attribute = name.partition(":")
    factory: Callable[..., Any] | None = getattr(_import(module), attribute, None)
    if factory is None or not callable(factory):
        state = "is not callable" if factory is not None else f"is not in {module}"
        raise BadInput(f"{name}: {attribute!r} {state}. Expected a callable (frames=T, in_channels=C) -> nn.Module")
    try:
        model = factory(frames=frames or 27, in_channels=in_channels or 3, **options.guess(overrides))
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name}(frames={frames or 27}, in_channels={in_channels or 3}) failed: {error}") from error
    if not isinstance(model, nn.Module):
        raise BadInput(f"{name} returned {type(model).__name__}; expected a torch.nn.Module")
    return model


def scan_backend(model: nn.Module, device: str) -> str | None:
    """The selective-scan backend ``model`` runs on ``device`` (``auto`` resolved), or None if it has no scan."""
    asked = getattr(getattr(model, "config", None), "scan_backend", None)
    if asked is None:
        return None
    import torch

    return str(_import("posemamba.scan").resolve(asked, torch.empty(0, device=device)))
