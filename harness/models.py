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
from harness.errors import BadInput, HarnessError, is_out_of_memory, suggestion

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelEntry:
    """Where a registered lifter comes from: ``module`` and ``preset`` build it, the rest is shown in lists.

    frames      the T that were published (or, for sizes of ours, are meant), the preset's own first
    parameters  of the preset as published
    answers     ``every`` frame of a clip, or the ``centre`` or ``last`` one alone
    recipe      name of the recipe that the authors trained it with, None where none is published
    """

    module: str
    preset: str
    kind: str
    year: int
    paper: str
    frames: tuple[int, ...]
    parameters: int
    answers: str = "every"
    recipe: str | None = None
    note: str = ""


def _posemamba(preset: str, parameters: int, note: str = "") -> ModelEntry:
    recipe = "posemamba" if preset in ("s", "b", "l", "x") else None
    return ModelEntry(
        "posemamba", preset, "state space model", 2025, "arXiv 2408.03540", (243,), parameters, recipe=recipe, note=note
    )


def _motionagformer(preset: str, frames: tuple[int, ...], parameters: int, note: str = "") -> ModelEntry:
    module, kind, recipe = "baselines.motionagformer", "transformer + graph", "motionagformer"
    return ModelEntry(
        module, preset, kind, 2024, "arXiv 2310.16288", frames, parameters,
        recipe=None if preset == "xxs" else recipe, note=note,
    )  # fmt: skip


def _posemagic(preset: str, parameters: int, note: str) -> ModelEntry:
    module, kind = "baselines.posemagic", "state space model + graph"
    frames = (27,) if preset.startswith("xs") else (243,)
    return ModelEntry(module, preset, kind, 2025, "arXiv 2408.02922", frames, parameters, note=note)


@dataclass(frozen=True)
class ClassifierEntry:
    """A registered classifier of point clouds, ``(B, P, 3) -> (B, classes)``; as ModelEntry.

    points      the P that were published (or, for sizes of ours, are meant), the preset's own first
    parameters  of the preset, with its number of classes
    published   what was printed about it, and where
    """

    module: str
    preset: str
    kind: str
    year: int
    paper: str
    points: tuple[int, ...]
    parameters: int
    note: str = ""
    published: tuple[str, ...] = ()


#: What a third party's lifter is built for where nobody says it: T, and x, y and confidence.
THIRD_PARTY_FRAMES, THIRD_PARTY_CHANNELS = 27, 3

OURS = "ours, for demos and short budgets; not a published size"
NO_FUTURE = "ours; sees no later frame, for streams"
READING = "our reading; the authors released no code"
ADAPTED = "our adaptation of a classifier of point clouds"

MODELS: dict[str, ModelEntry] = {
    "posemamba": _posemamba("s", 1_470_211, "the same as posemamba-s"),
    "posemamba-xs": _posemamba("xs", 198_531, OURS),
    "posemamba-s": _posemamba("s", 1_470_211),
    "posemamba-b": _posemamba("b", 4_742_659),
    "posemamba-l": _posemamba("l", 9_450_499),
    "posemamba-x": _posemamba("x", 33_318_915, "the 40x256 row of Table 6; the authors released no such model"),
    "posemamba-causal": _posemamba("causal", 1_454_659, NO_FUTURE),
    "posemamba-causal-xs": _posemamba("causal-xs", 186_867, NO_FUTURE),
    "motionagformer-xxs": _motionagformer("xxs", (27,), 98_583, OURS),
    "motionagformer-xs": _motionagformer("xs", (27,), 2_241_531),
    "motionagformer-s": _motionagformer("s", (81,), 4_817_119),
    "motionagformer-b": _motionagformer("b", (243, 81), 11_723_811),
    "motionagformer-l": _motionagformer("l", (243, 81), 19_007_111),
    "motionbert": ModelEntry(
        "baselines.motionbert", "full", "transformer", 2023, "arXiv 2210.06551", (243,), 42_466_317,
        recipe="motionbert", note="DSTformer; any T up to the one it was built for",
    ),
    "motionbert-lite": ModelEntry(
        "baselines.motionbert", "lite", "transformer", 2023, "arXiv 2210.06551", (243,), 16_001_549,
        recipe="motionbert", note="DSTformer; any T up to the one it was built for",
    ),
    "mixste": ModelEntry(
        "baselines.mixste", "published", "transformer", 2022, "arXiv 2203.00859", (243, 81, 27), 33_783_811,
        recipe="mixste",
    ),
    "stcformer": ModelEntry(
        "baselines.stcformer", "base", "transformer", 2023, "CVPR 2023", (243, 81, 27), 4_748_000,
        recipe="stcformer", note="any T; the authors score the centre frame",
    ),
    "stcformer-l": ModelEntry(
        "baselines.stcformer", "l", "transformer", 2023, "CVPR 2023", (243,), 18_933_184,
        recipe="stcformer", note="any T; not in the authors' repository, size by the paper",
    ),
    "poseformer": ModelEntry(
        "baselines.poseformer", "published", "transformer", 2021, "arXiv 2103.10455", (81, 27, 9), 9_602_885,
        answers="centre", recipe="poseformer",
    ),
    "poseformerv2": ModelEntry(
        "baselines.poseformerv2", "published", "transformer", 2023, "arXiv 2303.17472", (243, 81, 27), 14_381_899,
        answers="centre", recipe="poseformerv2", note="options kept_frames, kept_coefficients",
    ),
    "mhformer": ModelEntry(
        "baselines.mhformer", "base", "transformer", 2022, "arXiv 2111.12707", (351, 243, 81, 27), 31_516_125,
        recipe="mhformer", note="T a multiple of 9; the authors score the centre frame",
    ),
    "stridedtransformer": ModelEntry(
        "baselines.stridedtransformer", "base", "transformer", 2022, "arXiv 2103.14304", (351, 27), 4_346_214,
        answers="centre", recipe="stridedtransformer", note="the strides at other T, 81 and 243 among them, are ours",
    ),
    "pstmo": ModelEntry(
        "baselines.pstmo", "s", "transformer", 2022, "arXiv 2203.07628", (243, 81, 27), 6_482_278,
        answers="centre", recipe="pstmo", note="P-STMO-S; published with pre-training on masked poses",
    ),
    "pstmo-base": ModelEntry(
        "baselines.pstmo", "base", "transformer", 2022, "arXiv 2203.07628", (243,), 7_009_382,
        answers="centre", recipe="pstmo", note="P-STMO; published with pre-training on masked poses",
    ),
    "ktpformer": ModelEntry(
        "baselines.ktpformer", "published", "transformer + graph", 2024, "arXiv 2404.00658", (243, 81, 27), 35_213_430,
        recipe="ktpformer", note="MixSTE behind graph convolutions along bones and along time",
    ),
    "tcpformer": ModelEntry(
        "baselines.tcpformer", "published", "transformer", 2025, "arXiv 2501.01770", (243, 81), 35_118_259,
        recipe="tcpformer", note="learned pose proxies; any T, proxies for the T it was built for",
    ),
    "videopose3d": ModelEntry(
        "baselines.videopose3d", "base", "convolution", 2019, "arXiv 1811.11742", (243, 81, 27), 16_952_371,
        answers="centre", recipe="videopose3d", note="T odd, the product of the filter widths",
    ),
    "videopose3d-causal": ModelEntry(
        "baselines.videopose3d", "causal", "convolution", 2019, "arXiv 1811.11742", (243, 81, 27), 16_952_371,
        answers="last", recipe="videopose3d", note="sees no later frame",
    ),
    "martinez": ModelEntry(
        "baselines.martinez", "base", "perceptron", 2017, "arXiv 1705.03098", (1,), 4_296_755,
        recipe="martinez", note="each frame by itself: the floor of learned lifters",
    ),
    "martinez-original": ModelEntry(
        "baselines.martinez", "original", "perceptron", 2017, "arXiv 1705.03098", (1,), 4_296_755,
        recipe="martinez", note="the same with the TensorFlow original's max-norm and batch norm",
    ),
    "posemagic": _posemagic("base", 5_335_531, f"{READING}; any T"),
    "posemagic-causal": _posemagic("causal", 5_099_243, f"{READING}; sees no later frame, for streams"),
    "posemagic-xs": _posemagic("xs", 166_479, OURS),
    "posemagic-causal-xs": _posemagic("xs-causal", 158_991, NO_FUTURE),
    "mamba3d-lift": ModelEntry(
        "baselines.mamba3d_lift", "base", "state space model", 2024, "arXiv 2404.14966", (243,), 2_032_259,
        note=f"{ADAPTED}; any T",
    ),
    "mamba3d-lift-xs": ModelEntry(
        "baselines.mamba3d_lift", "xs", "state space model", 2024, "arXiv 2404.14966", (243,), 155_043,
        note=f"{ADAPTED}, for short budgets",
    ),
    "pointabm-lift": ModelEntry(
        "baselines.pointabm_lift", "base", "transformer + state space model", 2024, "arXiv 2406.06069",
        (243,), 3_672_643, note=f"{ADAPTED}; any T",
    ),
    "pointabm-lift-xs": ModelEntry(
        "baselines.pointabm_lift", "xs", "transformer + state space model", 2024, "arXiv 2406.06069", (27,), 150_147,
        note=f"{ADAPTED}, for short budgets",
    ),
}  # fmt: skip


_MAMBA3D_PUBLISHED = (
    "16.9 M parameters, 3.9 G FLOPs (README of xhanxu/Mamba3D; paperswithcode): all parameters; multiply-accumulates "
    "by fvcore, which counts nothing inside mamba-ssm's fused function: on the authors' code 3.861 G, at 1,024 points "
    "and at 2,048",
    "ScanObjectNN PB_T50_RS 91.81 % from scratch, 92.05 % with Point-MAE's pre-training; ModelNet40 93.4 % and 94.7 % "
    "(README)",
)
_POINTABM_PUBLISHED = (
    "15.1 M parameters, 9.6 G FLOPs (ICITES 2024, DOI 10.1109/ICITES62688.2024.10777444): all parameters; no counter "
    "is known that gives 9.6 G",
    "ModelNet40 92.6 % from scratch, 93.1 % after masked-autoencoder pre-training; ScanObjectNN PB_T50_RS 86.19 % and "
    "88.29 % (the same)",
)
#: Classifiers of point clouds: the systems that some lifters here are adapted from. See ``harness classify``.
CLASSIFIERS: dict[str, ClassifierEntry] = {
    "mamba3d": ClassifierEntry(
        "baselines.mamba3d", "published", "state space model", 2024, "arXiv 2404.14966", (2048, 1024), 16_927_759,
        "ScanObjectNN's; with --data modelnet40:PATH add -o drop_path=0.2", _MAMBA3D_PUBLISHED,
    ),
    "mamba3d-xs": ClassifierEntry(
        "baselines.mamba3d", "xs", "state space model", 2024, "arXiv 2404.14966", (512,), 467_146, OURS
    ),
    "pointabm": ClassifierEntry(
        "baselines.pointabm", "published", "transformer + state space model", 2024, "arXiv 2406.06069", (1024, 2048),
        15_051_176, READING, _POINTABM_PUBLISHED,
    ),
    "pointabm-xs": ClassifierEntry(
        "baselines.pointabm", "xs", "transformer + state space model", 2024, "arXiv 2406.06069", (512,), 341_802, OURS
    ),
}  # fmt: skip


def _import(module: str) -> ModuleType:
    """Raises BadInput where it cannot be imported: a third party's may raise anything, or leave by ``sys.exit``."""
    # No name of a file: importlib finds what Python's own grammar would not, such as a module with a hyphen.
    if "/" in module or not all(module.split(".")):
        raise BadInput(f"{module!r} is no name of a module. Expected 'package.module:attribute'")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(f"Cannot import {module!r}: {error}. Expected 'package.module:attribute'") from error
    except HarnessError:  # an interruption, for one
        raise
    except (Exception, SystemExit) as error:
        what = f"it raises {type(error).__name__}: {error}"
        raise BadInput(f"Cannot import {module!r}: {what}. Mend that module") from error


def entry(name: str) -> ModelEntry:
    """The lifter registered as ``name``. Raises BadInput with the nearest names for an unknown one."""
    if name in CLASSIFIERS:
        raise BadInput(f"{name} is no lifter: it classifies point clouds. Use: harness classify --model {name}")
    if name not in MODELS:
        raise BadInput(f"Unknown model {name!r}. {suggestion(name, MODELS)}All: harness list models")
    return MODELS[name]


def classifier(name: str) -> ClassifierEntry:
    """The classifier of point clouds registered as ``name``. Raises BadInput as :func:`entry`."""
    if name in MODELS:
        raise BadInput(f"{name} is no classifier: it lifts poses. Use: harness run --model {name}")
    if name not in CLASSIFIERS:
        raise BadInput(f"Unknown model {name!r}. {suggestion(name, CLASSIFIERS)}All: harness list models")
    return CLASSIFIERS[name]


def registered(name: str) -> ModelEntry | ClassifierEntry:
    """Either of them. Raises BadInput for an unknown name."""
    return CLASSIFIERS[name] if name in CLASSIFIERS else entry(name)


def module_of(name: str) -> str:
    """The module that lifter ``name`` is in, registered or a third party's. Raises BadInput for an unknown one."""
    module, colon, _ = name.partition(":")
    return module if colon else registered(name).module


def preset(name: str) -> Any:
    """The frozen config of a registered model as published."""
    found = registered(name)
    return _import(found.module).PRESETS[found.preset]


def reading(name: str) -> Mapping[str, str]:
    """Where a registered model is our reading of a paper: each inferred choice, with its ground. Else nothing."""
    found: Mapping[str, str] = getattr(_import(registered(name).module), "READING", {})
    return found


def configure(
    name: str, frames: int | None = None, in_channels: int | None = None, overrides: Mapping[str, Any] | None = None
) -> Any:
    """The config of a registered model at ``frames`` and ``in_channels`` (None: as published) with ``overrides``.

    A classifier of point clouds has neither frames nor channels, but ``points`` and ``classes`` among its options.
    An override may be a value or the text of one (``depth=8`` or ``depth="8"``), under our name or the authors'.
    Raises BadInput for an unknown option, one of the wrong type, or one out of range.
    """
    if frames is not None or in_channels is not None:
        entry(name)  # a classifier has neither
    base = preset(name)
    field_of: Mapping[str, str | None] = getattr(_import(registered(name).module), "OFFICIAL_OPTIONS", {})
    ours = {field.name for field in dataclasses.fields(base)}
    authors = {key: value for key, value in (overrides or {}).items() if key not in ours and key in field_of}
    rest = {key: value for key, value in (overrides or {}).items() if key not in authors}
    changes = options.parse(base, rest, owner=name)
    for option, value in (("frames", frames), ("in_channels", in_channels)):
        if value is not None and changes.setdefault(option, value) != value:
            raise BadInput(f"{name}: {option} is given twice, as {value} and as the option {changes[option]}")
    for field, value in _from_authors(name, base, changes, options.guess(authors)).items():
        if changes.setdefault(field, value) != value:
            raise BadInput(
                f"{name}: {field} is given twice, as {changes[field]} and by the authors' options as {value}"
            )
    return _replaced(name, base, changes)


def _replaced(name: str, base: Any, changes: Mapping[str, Any]) -> Any:
    try:
        return dataclasses.replace(base, **changes)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name}: {error}") from error


def _from_authors(name: str, base: Any, changes: Mapping[str, Any], authors: Mapping[str, Any]) -> dict[str, Any]:
    """Our options as the authors' ones (``embed_dim_ratio``, ``n_layers``) change them; ``changes`` are already made.

    Several of theirs may decide one of ours, and one of theirs several: so their whole configuration is translated
    without and with what is given, and what differs is taken.
    """
    if not authors:
        return {}
    module = _import(registered(name).module)
    try:
        current = dataclasses.replace(base, **changes)
    except (ValueError, TypeError):  # sizes that fit together only with those of the authors' options
        current = base
    theirs = _their_options(module, current)
    try:
        before, after = module.official_config(theirs), module.official_config({**theirs, **authors})
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name}: {error}") from error
    fields = [field.name for field in dataclasses.fields(base)]
    return {field: getattr(after, field) for field in fields if getattr(after, field) != getattr(before, field)}


def _their_options(module: ModuleType, config: Any) -> dict[str, Any]:
    """``config`` in the authors' terms, by the family's ``official_options`` or name by name."""
    if hasattr(module, "official_options"):
        return dict(module.official_options(config))
    # Where several of their options decide one of ours, ours does not tell what theirs were; their defaults stand.
    shared = Counter(module.OFFICIAL_OPTIONS.values())
    return {
        key: getattr(config, field) for key, field in module.OFFICIAL_OPTIONS.items() if field and shared[field] == 1
    }


def build(name: str, frames: int | None = None, in_channels: int | None = None, **overrides: Any) -> nn.Module:
    """A lifter ``(B, T, J, in_channels) -> (B, T, J, 3)`` by registered name or ``package.module:attribute``.

    Or a registered classifier of point clouds, without ``frames`` and ``in_channels``.

    ``frames`` is T, ``in_channels`` 2 (x, y) or 3 (with confidence); None takes the published value.
    Raises BadInput for an unknown name or option, and for what cannot be imported or built.
    """
    if ":" in name:
        return _build_third_party(name, frames, in_channels, overrides)
    config = configure(name, frames, in_channels, overrides)
    try:
        return _import(registered(name).module).build(config)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from error


def factory_of(name: str) -> Callable[..., Any]:
    """What ``package.module:attribute`` names. Raises BadInput where it cannot be imported or is not callable."""
    module, _, attribute = name.partition(":")
    factory: Callable[..., Any] | None = getattr(_import(module), attribute, None)
    if factory is None or not callable(factory):
        state = "is not callable" if factory is not None else f"is not in {module}"
        raise BadInput(f"{name}: {attribute!r} {state}. Expected a callable (frames=T, in_channels=C) -> nn.Module")
    return factory


def _build_third_party(
    name: str, frames: int | None, in_channels: int | None, overrides: Mapping[str, Any]
) -> nn.Module:
    from torch import nn

    factory = factory_of(name)
    frames = THIRD_PARTY_FRAMES if frames is None else frames
    in_channels = THIRD_PARTY_CHANNELS if in_channels is None else in_channels
    for option, value in (("frames", frames), ("in_channels", in_channels)):
        if value < 1:
            raise BadInput(f"{name}: {option} {value} is out of range; it must be at least 1")
    try:
        model = factory(frames=frames, in_channels=in_channels, **options.guess(overrides))
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error) or isinstance(error, HarnessError):
            raise
        what = f"{type(error).__name__}: {error}"
        raise BadInput(f"{name}(frames={frames}, in_channels={in_channels}) failed: {what}") from error
    if not isinstance(model, nn.Module):
        raise BadInput(f"{name} returned {type(model).__name__}; expected a torch.nn.Module")
    return model


def scan_backend(model: nn.Module, device: str) -> str | None:
    """The selective-scan backend ``model`` runs on ``device`` (``auto`` resolved), or None if it has no scan.

    The one that the config asks for, or the part of the model that scans.
    """
    holders = (getattr(model, "config", None), *model.modules())
    asked = next((word for one in holders if (word := getattr(one, "scan_backend", None)) is not None), None)
    if asked is None:
        return None
    import torch

    return str(_import("posemamba.scan").resolve(asked, torch.empty(0, device=device)))
