"""Which registered model a checkpoint belongs to, and with which options: the advice where one does not fit.

Models are built without storage (on the meta device), so that only names and shapes count. A preset that fits as
published is found by comparison. For other numbers of frames, input channels, channels or layers, the options are
worked out: each is changed, what follows in names and shapes shows its part in them, and the checkpoint's own sizes
then give its value. Nothing is advised unless the model so built has every name and shape of the checkpoint.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import types
import typing
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from harness import checkpoint_file, models
from harness.errors import BadInput

#: Rounds of working out options; each settles one or more, and no family needs more than three.
ROUNDS = 5
#: A checkpoint with a smaller share of a model's names is another family's.
RELATED = 0.5
CLIP_OPTIONS = ("frames", "in_channels")


@dataclass(frozen=True)
class Fit:
    """A registered model, and a config with which a checkpoint fits it."""

    name: str
    config: Any


def name_of(model: nn.Module) -> str | None:
    """The registered name whose preset is the nearest to the model's config; None if the model is not registered."""
    config = getattr(model, "config", None)
    presets = {name: preset for name in models.MODELS if type(preset := _preset(name)) is type(config)}
    return min(presets, key=lambda name: len(_changes(config, presets[name])), default=None)


def advice(entries: Mapping[str, Tensor], name: str, config: Any) -> str:
    """What to pass instead of the model ``name``, built by ``config``, for a checkpoint with ``entries``."""
    search = _Search(entries)
    found = search.fits(name, config)
    if not found:
        return f"{search.nearest()}. Name the model it belongs to, and its options"
    if found[0].name == name:
        return f"it was made for {_values(found[0], config)}; add {_flags(found[0], config)}"
    return f"it fits {' or '.join(_command(fit, config) for fit in found[:3])}"


@dataclass(frozen=True)
class _Comparison:
    """A model against a checkpoint: the names that only one of them has, and the sizes that differ (theirs)."""

    shapes: Mapping[str, torch.Size]
    missing: frozenset[str]
    unexpected: frozenset[str]
    sizes: Mapping[tuple[str, int], int]

    @property
    def distance(self) -> tuple[int, int]:
        """How many names differ, then how many sizes."""
        return len(self.missing) + len(self.unexpected), len(self.sizes)

    @property
    def fits(self) -> bool:
        return self.distance == (0, 0)

    @cached_property
    def shared(self) -> float:
        """The share of the model's names that the checkpoint has, the layers' numbers aside."""
        own = [key for key in self.shapes if not checkpoint_file.is_batch_count(key)]
        kinds = {_unnumbered(key) for key in own}
        return len({_unnumbered(key) for key in own if key not in self.missing}) / max(len(kinds), 1)


def _unnumbered(key: str) -> str:
    return re.sub(r"\d+", "#", key)


#: Two values of an option, all else being equal, and what the model is like with each.
_Pair = list[tuple[float, _Comparison]]


class _Search:
    """One checkpoint against the registry; no model is built twice."""

    def __init__(self, entries: Mapping[str, Tensor]) -> None:
        self.entries = {key: value.to("meta") for key, value in entries.items()}
        self.compared: dict[tuple[str, Any], _Comparison | None] = {}
        self.most_alike: tuple[float, str] = (0.0, "")

    def fits(self, name: str, config: Any) -> list[Fit]:
        """What the checkpoint fits: the asked model on another clip, presets, else models with the fewest changes."""
        asked = self._with_options([Fit(name, config)]) if name in models.MODELS else None
        groups = [group for group in _groups() if self._is_related(group)]
        presets = [fit for group in groups for fit in group if self._fits(fit)]
        if asked and _changes(asked.config, config).keys() <= set(CLIP_OPTIONS):
            return [asked, *(fit for fit in presets if fit.name != name)]
        if presets:
            return presets
        solved = {fit.name: fit for fit in (*map(self._with_options, groups), asked) if fit}
        return _with_fewest_changes(list(solved.values()), Fit(name, config))

    def nearest(self) -> str:
        """The registered model whose names are the most alike, in words."""
        share, name = self.most_alike
        if share < 0.1:
            return "no registered model has such names"
        return f"no registered model has these names and shapes; the nearest is {name}, with {share:.0%} of its names"

    def _is_related(self, group: list[Fit]) -> bool:
        first = self._compare(_module(group[0]), group[0].config)
        if first is None:
            return False
        self.most_alike = max(self.most_alike, (first.shared, group[0].name))
        return first.shared >= RELATED

    def _fits(self, fit: Fit) -> bool:
        compared = self._compare(_module(fit), fit.config)
        return compared is not None and compared.fits

    def _with_options(self, group: list[Fit]) -> Fit | None:
        """The model of the group that the checkpoint is nearest to, with the options that make it fit."""
        distances = [(compared.distance, fit) for fit in group if (compared := self._compare(_module(fit), fit.config))]
        for _, fit in sorted(distances, key=lambda pair: pair[0])[:1]:
            config = self._solve(_module(fit), fit.config)
            return Fit(fit.name, config) if config is not None else None
        return None

    def _solve(self, module: str, config: Any) -> Any:
        """``config`` with those numbers changed that make the checkpoint fit, or None."""
        for _ in range(ROUNDS):
            here = self._compare(module, config)
            if here is None or here.fits:
                break
            config = self._nearer(module, config, here) if here.shared >= RELATED else None
        compared = self._compare(module, config)
        return config if compared is not None and compared.fits else None

    def _nearer(self, module: str, config: Any, here: _Comparison) -> Any:
        """The nearest of the configs that the differences speak for, None if none is nearer than ``config``."""
        pairs = self._pairs(module, config)
        if here.distance[0]:
            ways = [_other_layers(config, pairs, self.entries), _other_frames(config)]
        else:
            ways = [_uneven_frames(config, here, pairs), _other_sizes(config, here, pairs)]
        for proposals in ways:
            best, distance = None, here.distance
            for proposal in proposals:
                there = self._compare(module, proposal)
                if there is not None and there.distance < distance:
                    best, distance = proposal, there.distance
                if distance == (0, 0):
                    break
            if best is not None:
                return best
        return None

    def _pairs(self, module: str, config: Any) -> dict[str, _Pair]:
        """For each number among the options a pair of models that differ in it alone."""
        pairs = {}
        for option in _numbers(config):
            pair: _Pair = []
            for value in _trial_values(getattr(config, option)):
                if len(pair) < 2 and (compared := self._compare(module, _replaced(config, {option: value}))):
                    pair.append((value, compared))
            if len(pair) == 2:
                pairs[option] = pair
                if _has_fewer_names(pair):  # the models to come are built faster with few layers
                    config = _replaced(config, {option: pair[1][0]})
        return pairs

    def _compare(self, module: str, config: Any) -> _Comparison | None:
        """The model of ``config`` against the checkpoint; None if there is no such model."""
        key = (module, config)
        if config is not None and key not in self.compared:
            self.compared[key] = self._compare_afresh(module, config)
        return self.compared.get(key)

    def _compare_afresh(self, module: str, config: Any) -> _Comparison | None:
        try:
            with torch.device("meta"):
                model = importlib.import_module(module).build(config)
        except (ValueError, TypeError, RuntimeError):  # options that exclude each other, or need true numbers
            return None
        own = {key: value.shape for key, value in model.state_dict().items()}
        given = {key: value.shape for key, value in checkpoint_file.translate(model, self.entries).items()}
        return _Comparison(
            shapes=own,
            missing=frozenset(key for key in own if key not in given and not checkpoint_file.is_batch_count(key)),
            unexpected=frozenset(key for key in given if key not in own),
            sizes={place: size for key in own if key in given for place, size in _differing(key, given[key], own[key])},
        )


def _differing(key: str, given: torch.Size, own: torch.Size) -> Iterator[tuple[tuple[str, int], int]]:
    """The places, names with axes, where the sizes differ, and the given ones."""
    for axis in range(max(len(given), len(own))):
        if given[axis : axis + 1] != own[axis : axis + 1]:
            yield (key, axis), given[axis] if axis < len(given) else 0


def _module(fit: Fit) -> str:
    return models.MODELS[fit.name].module


def _groups() -> list[list[Fit]]:
    """The registry's presets, together those that differ in numbers alone; of equal ones the first."""
    groups: dict[Any, dict[Any, Fit]] = defaultdict(dict)
    for name in models.MODELS:
        if (config := _preset(name)) is None:
            continue
        words = [pair for pair in vars(config).items() if pair[0] not in _numbers(config)]
        groups[type(config), str(words)].setdefault(config, Fit(name, config))
    return [list(group.values()) for group in groups.values()]


def _preset(name: str) -> Any:
    """None for a family whose packages are not installed: it cannot be advised."""
    try:
        return models.preset(name)
    except BadInput:
        return None


def _numbers(config: Any) -> list[str]:
    """The options that are counts, and ratios from 1 on."""
    hints = typing.get_type_hints(type(config))
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return [
        name
        for name, value in values.items()
        if int in _kinds(hints[name]) or (isinstance(value, float) and value >= 1)
    ]


def _kinds(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _trial_values(value: float | None) -> tuple[float, ...]:
    """The value and others near it, small ones first; None stands for what other options decide."""
    near = (1, 3, 2, 4) if value is None else (value, 1, value // 2, value + 1, value - 1, 2 * value, 3 * value)
    return tuple(dict.fromkeys(near))


def _has_fewer_names(pair: _Pair) -> bool:
    (_, before), (_, after) = pair
    return after.shapes.keys() < before.shapes.keys()


def _other_layers(config: Any, pairs: Mapping[str, _Pair], entries: Mapping[str, Tensor]) -> Iterator[Any]:
    """Configs with as many layers as the checkpoint's number of entries, or the lists among them, speak for."""
    names = sum(not checkpoint_file.is_batch_count(key) for key in entries)
    for option, pair in pairs.items():
        counts = [sum(not checkpoint_file.is_batch_count(key) for key in compared.shapes) for _, compared in pair]
        if counts[0] != counts[1]:
            in_lists = [_grown_to(names, pair, counts), *_list_lengths(entries)]
            values = _published_frames() if option == "frames" else in_lists
            yield from (_replaced(config, {option: value}) for value in values if value)


def _list_lengths(entries: Mapping[str, Tensor]) -> list[int]:
    last: Counter[str] = Counter()
    for key in entries:
        for number in re.finditer(r"(?<=\.)\d+(?=\.)", key):
            last[key[: number.start()]] = max(last[key[: number.start()]], int(number[0]))
    return sorted({index + 1 for index in last.values()}, reverse=True)


def _other_frames(config: Any) -> Iterator[Any]:
    yield from (_replaced(config, {"frames": frames}) for frames in _published_frames())


def _published_frames() -> list[int]:
    """Every T that some registered model was published with."""
    return sorted({frames for entry in models.MODELS.values() for frames in entry.frames})


def _uneven_frames(config: Any, here: _Comparison, pairs: Mapping[str, _Pair]) -> Iterator[Any]:
    """As ``_other_frames``, if sizes that differ depend on T in another way than evenly."""
    pair = pairs.get("frames", [])
    if pair and any(_depends(place, pair) and not _solved(place, size, pair) for place, size in here.sizes.items()):
        yield from _other_frames(config)


def _other_sizes(config: Any, here: _Comparison, pairs: Mapping[str, _Pair]) -> Iterator[Any]:
    """Configs with the values that the sizes that differ speak for, first those of sizes that only one can explain."""
    alone: dict[str, Counter[float]] = defaultdict(Counter)
    shared: dict[str, Counter[float]] = defaultdict(Counter)
    for place, size in here.sizes.items():
        values = {option: value for option, pair in pairs.items() if (value := _solved(place, size, pair))}
        for option, value in values.items():
            (alone if len(values) == 1 else shared)[option][value] += 1
    for votes in (alone, shared):
        together = {option: counter.most_common(1)[0][0] for option, counter in votes.items()}
        yield _replaced(config, together)
        yield from (_replaced(config, {option: value}) for option, value in together.items())


def _depends(place: tuple[str, int], pair: _Pair) -> bool:
    return len({_size(place, compared) for _, compared in pair}) == 2


def _size(place: tuple[str, int], compared: _Comparison) -> int | None:
    key, axis = place
    return next(iter(compared.shapes.get(key, ())[axis : axis + 1]), None)


def _solved(place: tuple[str, int], given: int, pair: _Pair) -> float | None:
    """The value of the pair's option at which the size at ``place`` is the given one, if it is decided by it."""
    sizes = [_size(place, compared) for _, compared in pair]
    return None if None in sizes or sizes[0] == sizes[1] else _grown_to(given, pair, typing.cast("list[int]", sizes))


def _grown_to(amount: int, pair: _Pair, amounts: list[int]) -> float | None:
    """The value at which what is ``amounts`` at the pair's values would be ``amount``, if it grows evenly."""
    (value, _), (other, _) = pair
    exact = value + (amount - amounts[0]) * (other - value) / (amounts[1] - amounts[0])
    if isinstance(value, float):
        return round(exact, 4) if exact > 0 else None
    return round(exact) if exact >= 1 and abs(exact - round(exact)) < 1e-6 else None


def _replaced(config: Any, changes: Mapping[str, Any]) -> Any:
    """``config`` with ``changes``, or None if it does not allow them."""
    try:
        return dataclasses.replace(config, **changes)
    except (ValueError, TypeError):
        return None


def _changes(config: Any, base: Any) -> dict[str, Any]:
    """The options in which ``config`` is not ``base``."""
    return {name: value for name, value in vars(config).items() if value != getattr(base, name, None)}


def _with_fewest_changes(fits: list[Fit], asked: Fit) -> list[Fit]:
    """Those that take the fewest options beside the model's name, the asked model first."""
    counts = [len(_changes(fit.config, _config_before(fit, asked))) for fit in fits]
    fewest = [fit for fit, count in zip(fits, counts, strict=True) if count == min(counts)]
    return sorted(fewest, key=lambda fit: fit.name != asked.name)


def _config_before(fit: Fit, asked: Fit) -> Any:
    return asked.config if fit.name == asked.name else models.preset(fit.name)


def _values(fit: Fit, asked: Any) -> str:
    return " and ".join(f"{option}={value}" for option, value in _changes(fit.config, asked).items())


def _flags(fit: Fit, base: Any) -> str:
    return " ".join(_flag(option, value) for option, value in _changes(fit.config, base).items())


def _command(fit: Fit, asked: Any) -> str:
    """The model and its options; the clip's also where the preset has them, if the asked ones may have been given."""
    changes = _changes(fit.config, models.preset(fit.name))
    clip = {option: getattr(fit.config, option) for option in CLIP_OPTIONS}
    changes |= {option: value for option, value in clip.items() if value != getattr(asked, option, value)}
    return " ".join([f"--model {fit.name}", *(_flag(option, value) for option, value in changes.items())])


def _flag(option: str, value: Any) -> str:
    skeleton = " (not the skeleton of the data here)" if option == "joints" else ""
    return f"--{option.replace('_', '-')} {value}" if option in CLIP_OPTIONS else f"-o {option}={value}{skeleton}"
