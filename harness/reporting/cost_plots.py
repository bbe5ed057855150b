"""``harness plot``: the figures of what lifters cost, from stored rows alone, as SVG and PNG.

The same rows give the same bytes, on any machine and on any day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure

from harness import atomic_file
from harness.comparison.group import group
from harness.complexity.summary import Summary, summarise
from harness.errors import BadInput, suggestion
from harness.progress import Say
from harness.reporting import selection
from harness.reporting.cost_figures import accuracy_cost, complexity, memory, published, roofline
from harness.reporting.figure import to_png, to_svg
from harness.store.measurement import MEASUREMENTS
from harness.store.record import RUNS
from harness.store.schema import Record, look_up
from harness.store.store import Store

#: Kinds that show every T.
_EVERY_T = ("complexity", "memory")
#: What can be drawn.
KINDS: Mapping[str, str] = {
    "complexity": "latency and operations of a clip against T, with fitted exponents",
    "memory": "peak memory against T",
    "roofline": "rate against arithmetic intensity, under what the machine attains",
    "accuracy-cost": "P1 against operations and latency of an output frame",
    "published": "printed parameters and MACs beside what there is when everything is counted",
}

Draw = Callable[["Stored", int | None], dict[str, Figure]]


@dataclass(frozen=True)
class Stored:
    """What a results folder holds: measurements, runs, and the table of published figures counted again."""

    measurements: Sequence[Record] = ()
    runs: Sequence[Record] = ()
    published: Sequence[Record] = ()
    where: str = "the results folder"


#: Name of the table of published figures in a results folder: a JSON list of harness.reproduction.Comparison.as_dict.
PUBLISHED = "published.json"
ALL = "all"


def stored(results: Path) -> Stored:
    """Everything to draw that lies in the folder ``results``; what is not there is empty.

    Raises BadInput for a file that is damaged.
    """
    return Stored(
        measurements=Store(results, MEASUREMENTS).latest(),
        runs=Store(results, RUNS).latest(),
        published=_read_published(results / PUBLISHED),
        where=str(results),
    )


def _read_published(path: Path) -> list[Record]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}. Make it again with: {published.MADE_BY}") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.keys() >= published.NEEDED for row in rows):
        needed = ", ".join(sorted(published.NEEDED))
        raise BadInput(f"{path} is no list of objects with {needed}. Make it again with: {published.MADE_BY}")
    return rows


def write(
    kind: str,
    stored: Stored,
    out: Path,
    *,
    models: Sequence[str] | None = None,
    frames: int | None = None,
    say: Say | None = None,
) -> list[Path]:
    """Draw the figures of ``kind``, one of KINDS or ALL, into the folder ``out``; returns the paths of SVG and PNG.

    ``models`` leaves out all others, ``frames`` is the T of roofline and runs. ALL draws what can be drawn, and ``say``
    gets a line for each kind that cannot. Points that were measured on different machines, or at another batch,
    precision or number of threads, are never in one figure: there is one for each, whose name says in what it differs.
    Raises BadInput for an unknown kind or model and where there is nothing to draw, with the command that makes it;
    CannotWrite naming the path.
    """
    files: dict[str, bytes] = {}
    for name, figure in figures(kind, stored, models=models, frames=frames, say=say).items():
        files |= {f"{name}.svg": to_svg(figure), f"{name}.png": to_png(figure)}
    for name, content in files.items():
        atomic_file.write(out / name, content)
    return [out / name for name in files]


def figures(
    kind: str,
    stored: Stored,
    *,
    models: Sequence[str] | None = None,
    frames: int | None = None,
    say: Say | None = None,
) -> dict[str, Figure]:
    """The figures by name, without writing them; as ``write``."""
    if kind not in (*KINDS, ALL):
        raise BadInput(f"no figure {kind!r}. {suggestion(kind, KINDS)}One of: {', '.join(KINDS)}, {ALL}")
    chosen = _only(stored, models)
    return _all(chosen, frames, say) if kind == ALL else _DRAW[kind](chosen, frames)


def _all(stored: Stored, frames: int | None, say: Say | None) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for kind in KINDS:
        try:
            found |= _DRAW[kind](stored, frames if kind not in _EVERY_T else None)
        except BadInput as error:
            if say is not None:
                say(f"no figure {kind}: {error}")
    return found or _nothing(f"{stored.where} has nothing to draw", "harness measure --model A B --frames 9 27 81 243")


def _only(stored: Stored, models: Sequence[str] | None) -> Stored:
    """Of ``models`` alone; BadInput names one that no row is of."""
    chosen = models or ()
    selection.require_known(chosen, (*stored.measurements, *stored.runs, *stored.published), stored.where)
    return replace(
        stored,
        measurements=selection.of_models(chosen, stored.measurements),
        runs=selection.of_models(chosen, stored.runs),
        published=selection.of_models(chosen, stored.published),
    )


def _of_measurements(draw: Callable[[Sequence[Summary]], dict[str, Figure]], what: str) -> Draw:
    """Figures of ``draw`` for each set of points that share machine and conditions."""

    def of_stored(stored: Stored, frames: int | None) -> dict[str, Figure]:
        if frames is not None:
            raise BadInput("--frames is for the roofline; this figure shows every T")
        found = _named({key: draw(summarise(rows)) for key, rows in _apart(stored.measurements).items()})
        return found or _nothing(f"{stored.where} has no {what}", "harness measure --model A B --frames 9 27 81 243")

    return of_stored


def _roofline(stored: Stored, frames: int | None) -> dict[str, Figure]:
    machines = [row for row in stored.measurements if row["pass"] == "machine"]
    found = _named(
        {
            key: roofline.draw(summarise(rows), [*rows, *machines], frames)
            for key, rows in _apart(stored.measurements).items()
        }
    )
    missing = "peaks of the machine" if not machines else "points in float32 with the time of each kind of work"
    return found or _nothing(f"{stored.where} has no {missing}", "harness measure --model A B --frames 243")


def _accuracy_cost(stored: Stored, frames: int | None) -> dict[str, Figure]:
    runs = [run for run in stored.runs if frames is None or look_up(run, "config.frames") == frames]
    found = accuracy_cost.draw(group(runs), summarise(stored.measurements))
    at = "" if frames is None else f" at T = {frames}"
    return found or _nothing(f"{stored.where} has no finished run{at}", "harness run --model A B")


def _published(stored: Stored, frames: int | None) -> dict[str, Figure]:
    rows = [row for row in stored.published if frames is None or row.get("frames") == frames]
    return published.draw(rows) or _nothing(f"{stored.where} has no table of published figures", published.MADE_BY)


def _nothing(missing: str, command: str) -> dict[str, Figure]:
    raise BadInput(f"{missing}; make them with: {command}")


def _apart(rows: Sequence[Record]) -> dict[tuple[str, ...], list[Record]]:
    """Rows of points by the machine and the conditions that these share, in words."""
    sets: dict[tuple[str, ...], list[Record]] = {}
    for row in rows:
        if row.get("point"):
            sets.setdefault(_conditions(row), []).append(row)
    return dict(sorted(sets.items()))


def _named(drawn: Mapping[tuple[str, ...], Mapping[str, Figure]]) -> dict[str, Figure]:
    """All figures by name, with that in which their conditions differ where there are several sets."""
    sets = {key: figures for key, figures in drawn.items() if figures}
    several = [len(set(values)) > 1 for values in zip(*sets, strict=True)]
    found: dict[str, Figure] = {}
    for key, figures in sets.items():
        words = " ".join(word for word, differs in zip(key, several, strict=True) if differs and word)
        suffix = f"--{re.sub(r'[^a-z0-9]+', '-', words.lower())}" if words else ""
        found |= {f"{name}{suffix}": figure for name, figure in figures.items()}
    return found


def _conditions(row: Record) -> tuple[str, ...]:
    """What points of one figure share, in words."""
    point = row["point"]
    return (
        f"batch {point['batch_asked']}",
        point["device"],
        f"{point['threads']} threads",
        point["precision"],
        "compiled" if point["compiled"] else "",
        "streaming" if point["streaming"] else "",
        row["environment_key"][:8],
    )


_DRAW: Mapping[str, Draw] = {
    "complexity": _of_measurements(complexity.draw, "measurement with a figure"),
    "memory": _of_measurements(memory.draw, "measurement of memory"),
    "roofline": _roofline,
    "accuracy-cost": _accuracy_cost,
    "published": _published,
}
