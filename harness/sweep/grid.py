"""GRID.toml: a sweep in words, and the commands that it comes to.

model = ["posemamba-xs", "motionagformer-xxs"]   # keys are the options of ``harness run``
data = "motion:data/motion"
frames = [27, 81]                                # a list: each of its values, with each of all others
seed = [0, 1, 2]
minutes = 17

[options]                 # of the models, as -o
dim = [32, 64]
[options.posemamba-xs]    # of one of them
depth = 4

[measure]                 # also ``harness measure`` of these models, each point by itself
batch = [1, 16]

[[also]]                  # a further grid, for which what stands above is the default; the models may all be in these
model = "posemamba-s"
recipe = "published"
[also.measure]            # each grid has its own: what one measures, no other has to

An [also.options] counts for all of its models, whatever an [options.MODEL] above it says.
"""

from __future__ import annotations

import importlib
import itertools
import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadInput, suggestion
from harness.store.schema import NUMBER, TEXT, WHOLE, YES_NO

#: Of a table: what is no option of a command.
_TABLES = ("options", "measure", "also")
#: A training has one budget, so that a further grid's own replaces the one above.
_BUDGETS = ("epochs", "steps", "minutes", "core-minutes")
#: What measurements take over from the runs they stand beside, as far as it is given there.
_SHARED = ("frames", "in-channels", "device", "threads", "precision")
#: Options of a command line that are none of a point, and why.
NOT_OF_POINTS: Mapping[str, str] = {
    "option": "options of a model stand under [options], or [options.MODEL]",
    "results": "all points have one store: harness sweep --results",
    "dry-run": "it is of all points: harness sweep --dry-run",
    "again": "it would do a finished point again at every attempt; use another --results folder",
    "timeout": "it is of all points: harness sweep --timeout MINUTES",
}
_MOST_POINTS = 100_000
_LONGEST_QUOTE = 80
_ENDLESS = 2**63

_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    # A number is as good as its text, as on the command line: batch = [1, "auto"].
    TEXT: (str, int),
    WHOLE: (int,),
    NUMBER: (int, float),
    YES_NO: (bool,),
}


@dataclass(frozen=True)
class Key:
    """An option of a command: ``kind`` is one of harness.store.schema's, ``off`` the flag of a no that is not none."""

    flag: str
    kind: str
    off: str | None = None


Keys = Mapping[str, Key]


@dataclass(frozen=True)
class Command:
    """What ``harness`` is to be called with, one point of a grid; ``where`` it stands, for messages."""

    words: tuple[str, ...]
    where: str


@dataclass(frozen=True)
class _Grid:
    """One grid of a file: values by key, a list each; options of all models and of single ones."""

    where: str
    values: Mapping[str, Sequence[Any]]
    options: Mapping[str, Sequence[Any]]
    options_of: Mapping[str, Mapping[str, Sequence[Any]]]


def read(path: Path, run_keys: Keys, measure_keys: Keys) -> list[Command]:
    """The points of the grid in the file, in its order; all of one seed before those of the next.

    ``run_keys`` and ``measure_keys`` are what the two commands take, by the names that a grid has for them.
    Raises BadInput naming the place for what is no TOML, an unknown key, a value of another kind, one given twice and
    an empty list; what the commands do not take is for them to say.
    """
    tables = _parsed(path)
    above = _grid(str(path), tables, run_keys)
    grids = [(above, tables.get("measure"))]
    for index, also in enumerate(_tables(str(path), tables.get("also", [])), start=1):
        where = f"{path}, [[also]] {index}"
        if "also" in also:
            raise BadInput(f"{where}: an [[also]] has none of its own; write it beside this one")
        grids.append((_merged(above, _grid(where, also, run_keys)), also.get("measure")))
    if "model" not in above.values and len(grids) > 1:
        grids = _below(grids, above.options_of)
    return [
        command
        for grid, measured in grids
        for command in [*_runs(grid, run_keys), *_measurements(grid, measured, measure_keys)]
    ]


def _below(grids: list[tuple[_Grid, Any]], options_of: Collection[str]) -> list[tuple[_Grid, Any]]:
    """Without the first, which has no model and is but the default of the others."""
    (above, measured), *others = grids
    if measured is not None:
        raise BadInput(f"{above.where}: [measure] has no model there; write [also.measure] below an [[also]] that has")
    _require_models(above.where, options_of, list(dict.fromkeys(model for grid, _ in others for model in _named(grid))))
    return others


def _parsed(path: Path) -> dict[str, Any]:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    try:
        toml = importlib.import_module(name)
    except ImportError as error:
        raise BadInput("grids need tomli before Python 3.11: pip install tomli") from error
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors begin with a mark of the byte order
        found: dict[str, Any] = toml.loads(text)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}, byte {error.start}: not UTF-8, as TOML is") from error
    except toml.TOMLDecodeError as error:
        raise BadInput(f"{path} is no TOML: {error}") from error
    except (RecursionError, ValueError) as error:  # lists in lists in lists; a number of thousands of digits
        raise BadInput(f"{path} is no grid: {_shortened(str(error))}") from error
    return found


def _tables(where: str, also: Any) -> list[Mapping[str, Any]]:
    if not isinstance(also, list) or not all(isinstance(table, dict) for table in also):
        raise BadInput(f"{where}: also is no list of tables; write [[also]] above each further grid")
    return also


def _grid(where: str, table: Mapping[str, Any], keys: Keys) -> _Grid:
    values = _values(where, {key: value for key, value in table.items() if key not in _TABLES}, keys)
    for key in ("options", "measure"):
        if not isinstance(table.get(key, {}), dict):
            raise BadInput(f"{where}: {key} is {_shown(table[key])}, not a table; write [{key}] above its keys")
    common: dict[str, Sequence[Any]] = {}
    own: dict[str, dict[str, Sequence[Any]]] = {}
    for name, value in table.get("options", {}).items():
        if isinstance(value, dict):
            here = f"{where}, [options.{name}]"
            own[name] = {option: _option(here, option, given) for option, given in value.items()}
        else:
            common[name] = _option(f"{where}, [options]", name, value)
    return _Grid(where, values, common, own)


def _merged(above: _Grid, below: _Grid) -> _Grid:
    """``below``, with what it leaves out taken from ``above``."""
    chosen = any(key in below.values for key in _BUDGETS)
    inherited = {key: value for key, value in above.values.items() if not (chosen and key in _BUDGETS)}
    values = {**inherited, **below.values}
    models = {str(model) for model in values.get("model", ())}
    own = {
        model: {**_without(above.options_of.get(model, {}), below.options), **below.options_of.get(model, {})}
        for model in {**above.options_of, **below.options_of}
        if model in models or model in below.options_of
    }
    return _Grid(below.where, values, {**above.options, **below.options}, own)


def _without(values: Mapping[str, Sequence[Any]], names: Collection[str]) -> dict[str, Sequence[Any]]:
    return {name: value for name, value in values.items() if name not in names}


def _values(where: str, given: Mapping[str, Any], keys: Keys) -> dict[str, list[Any]]:
    for key in given:
        if key not in keys and key in NOT_OF_POINTS:
            raise BadInput(f"{where}: {key} is no key of a grid: {NOT_OF_POINTS[key]}")
        if key not in keys:
            raise BadInput(
                f"{where}: unknown key {_shortened(key)!r}. {suggestion(key, [*keys, *_TABLES])}There are: "
                f"{', '.join([*keys, *_TABLES])}"
            )
    return {key: _listed(where, key, value, keys[key].kind) for key, value in given.items()}


def _listed(where: str, key: str, value: Any, kind: str) -> list[Any]:
    """One value, or a list of some, as a list. Of another kind is what the command line would not take, either."""
    members = _members(where, key, value)
    for index, member in enumerate(members):
        place = f"{key}[{index}]" if isinstance(value, list) else key
        if not isinstance(member, _PYTHON_TYPES[kind]) or (isinstance(member, bool) and kind != YES_NO):
            raise BadInput(f"{where}: {place} is {_shown(member)}, not a {kind}")
    return _unlike(where, key, members)


def _option(where: str, name: str, value: Any) -> list[Any]:
    """Values of a model's option, whose kind its model knows."""
    members = _members(where, name, value)
    for member in members:
        if not isinstance(member, (str, int, float, bool)):
            raise BadInput(
                f"{where}: {name} has {_shown(member)}; an option is a text, a number, or true or false, and a list of "
                'such one point each (of several numbers in one option: "3,3,9")'
            )
    return _unlike(where, name, members)


def _members(where: str, key: str, value: Any) -> list[Any]:
    members = value if isinstance(value, list) else [value]
    if not members:
        raise BadInput(f"{where}: {key} is an empty list, which leaves nothing to do; give it a value, or leave it out")
    for member in members:
        if isinstance(member, int) and abs(member) >= _ENDLESS:
            raise BadInput(f"{where}: {key} is a whole number beyond all use")
    return members


def _unlike(where: str, key: str, members: list[Any]) -> list[Any]:
    seen = set()
    for member in members:
        if (isinstance(member, bool), member) in seen:  # true is no 1
            raise BadInput(f"{where}: {key} has {_shown(member)} twice")
        seen.add((isinstance(member, bool), member))
    return members


def _models(grid: _Grid) -> list[str]:
    if "model" not in grid.values:
        raise BadInput(f'{grid.where}: no model; give at least one, such as model = "posemamba-xs"')
    models = _named(grid)
    _require_models(grid.where, grid.options_of, models)
    return models


def _named(grid: _Grid) -> list[str]:
    return [str(model) for model in grid.values.get("model", ())]


def _require_models(where: str, options_of: Collection[str], models: Sequence[str]) -> None:
    for model in options_of:
        if model not in models:
            raise BadInput(
                f"{where}: [options.{_shortened(model)}] is of none of the grid's models. "
                f"{suggestion(model, models)}They are: {', '.join(models)}"
            )


def _runs(grid: _Grid, keys: Keys) -> list[Command]:
    return _commands("run", grid, grid.values, keys, grid.where)


def _measurements(grid: _Grid, table: Mapping[str, Any] | None, keys: Keys) -> list[Command]:
    if table is None:
        return []
    where = f"{grid.where}, [measure]"
    shared = {key: grid.values[key] for key in _SHARED if key in grid.values and key in keys}
    return _commands("measure", grid, {**shared, **_values(where, table, keys)}, keys, where)


def _commands(name: str, grid: _Grid, values: Mapping[str, Sequence[Any]], keys: Keys, where: str) -> list[Command]:
    # The first varies slowest: so a sweep that is broken off has all of some seeds.
    leading = [key for key in ("seed",) if key in values]
    axes = [*leading, *(key for key in values if key not in (*leading, "model"))]
    models = _models(grid)
    options = {model: {**grid.options, **grid.options_of.get(model, {})} for model in models}
    count = sum(math.prod(map(len, [*options[model].values(), *(values[key] for key in axes)])) for model in models)
    if count > _MOST_POINTS:
        raise BadInput(f"{where}: {count:,} points are more than a sweep takes ({_MOST_POINTS:,}); is a list too long?")
    found = []
    for first in itertools.product(*(values[key] for key in leading)):
        for model in models:
            rest = [values[key] for key in axes[len(leading) :]]
            for settings in itertools.product(*rest, *options[model].values()):
                words = _words(keys, dict(zip(axes, [*first, *settings], strict=False)))
                chosen = zip(options[model], settings[len(rest) :], strict=True)
                pairs = [word for option, value in chosen for word in ("-o", f"{option}={_text(value)}")]
                found.append(Command((name, "--model", model, *words, *pairs), where))
    return found


def _words(keys: Keys, settings: Mapping[str, Any]) -> list[str]:
    words = []
    for key, value in settings.items():
        if keys[key].kind != YES_NO:
            words += [keys[key].flag, _text(value)]
        elif (flag := keys[key].flag if value else keys[key].off) is not None:
            words.append(flag)
    return words


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    words = {str: "the text", bool: "", int: "", float: "", list: "the list", dict: "the table"}
    shown = _text(value) if isinstance(value, bool) else repr(value)
    return f"{words.get(type(value), 'the ' + type(value).__name__)} {_shortened(shown)}".strip()


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
