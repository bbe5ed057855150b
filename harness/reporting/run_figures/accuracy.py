"""P1 of every entry with its seeds and its interval over takes, and the floors below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.comparison import pair
from harness.comparison.group import Entry, Group
from harness.evaluation.statistics import Interval
from harness.quantity import with_spread
from harness.reporting import row_labels
from harness.reporting.cost_figures import sheet
from harness.reporting.evidence import Evidence
from harness.reporting.figure import style
from harness.reporting.look import looks_of
from harness.reporting.palette import INK, MUTED
from harness.reporting.table import FLOOR_NAMES
from harness.store.schema import STATUSES

CAPTION = (
    "P1 of every model, lower is better: points are its seeds, and the bar with ends is the 95 % interval over the "
    "test set's takes, which says how the figure would move with other takes of the same people. Hatched are the "
    "floors, what can be had without a network: a model that is not clearly below them has not learned to lift."
)
#: Inches: the figure, a row, what stands below and right of the panel.
_WIDTH, _ROW, _BELOW, _ABOVE, _RIGHT = 7.0, 0.4, 0.82, 0.1, 0.15
#: Where in its row, in shares of it, the seeds and the interval lie.
_SEEDS_AT, _INTERVAL_AT = -0.13, 0.15


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """Bars from zero, the best first; an entry without a result is a gap with its reason."""
    if not group.scored:
        return None
    floors = sorted(((name, floor["p1_mm"]) for name, floor in group.floors.items()), key=lambda floor: floor[1])
    names = [row_labels.wrapped(entry.title) for entry in group.entries]
    names += [FLOOR_NAMES.get(name, name) for name, _ in floors]
    intervals = {entry.title: pair.interval(entry)[0] for entry in group.scored}
    longest = max(
        [*(p1_mm for _, p1_mm in floors), *(_end(entry, intervals[entry.title]) for entry in group.scored)]
    )  # fmt: skip
    row = max(_ROW, 0.15 * max(map(row_labels.lines, names)) + 0.06)
    left, height = row_labels.width(names) + 0.2, row * len(names)
    with style():
        canvas = sheet.Canvas.bare(_WIDTH, _ABOVE + height + _BELOW)
        axes = canvas.axes(left, _ABOVE, _WIDTH - left - _RIGHT, height)
        look = looks_of(group.scored)
        for row, entry in enumerate(group.entries):
            if entry.p1_mm is None:
                _write_gap(axes, row, entry)
            else:
                _draw_entry(axes, row, entry, look[entry.title].colour, intervals[entry.title])
        for row, (_, p1_mm) in enumerate(floors, start=len(group.entries)):
            axes.barh(row, p1_mm, height=0.56, facecolor="none", edgecolor=MUTED, hatch="////", linewidth=0.8)
            _label(axes, row, p1_mm, f"{p1_mm:.1f}  floor")
        _set_axes(axes, names, longest)
        _write_key(canvas, axes, intervals)
    return canvas.figure


def _end(entry: Entry, interval: Interval | None) -> float:
    """Right end of everything that is drawn of an entry, mm."""
    return max([*entry.values("accuracy.p1_mm"), interval.high_mm if interval else 0.0])


def _draw_entry(axes: Axes, row: int, entry: Entry, colour: str, interval: Interval | None) -> None:
    axes.barh(row, entry.p1_mm or 0.0, height=0.56, color=colour)
    seeds = entry.values("accuracy.p1_mm")
    at = [row + _SEEDS_AT] * len(seeds)
    axes.plot(seeds, at, "o", markersize=3.2, color=INK, markeredgewidth=0, label="seeds", clip_on=False)
    if interval is not None:
        axes.plot(
            [interval.low_mm, interval.high_mm], [row + _INTERVAL_AT] * 2, color=INK, linewidth=1, marker="|",
            markersize=5, label="interval",
        )  # fmt: skip
    _label(axes, row, _end(entry, interval), with_spread(entry.p1_mm, entry.p1_sd_mm))


def _write_gap(axes: Axes, row: int, entry: Entry) -> None:
    why = ", ".join(dict.fromkeys(STATUSES[gap["status"]].split(";")[0] for gap in entry.gaps))
    axes.annotate(
        f"no result: {why}", (0, row), (4, 0), textcoords="offset points", va="center", color=MUTED, fontsize=8.5
    )


def _label(axes: Axes, row: int, end: float, text: str) -> None:
    axes.annotate(text, (end, row), (6, 0), textcoords="offset points", va="center", fontsize=9)


def _set_axes(axes: Axes, names: Sequence[str], longest: float) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.22 * longest)
    axes.set_xlabel("P1, mean per joint position error (mm)")
    axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=row_labels.SIZE)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x")


def _write_key(canvas: sheet.Canvas, axes: Axes, intervals: Mapping[str, Interval | None]) -> None:
    handles = [Line2D([], [], color=INK, marker="o", linestyle="", markersize=3.2, label="one seed")]
    if any(intervals.values()):
        handles.append(
            Line2D([], [], color=INK, linewidth=1, marker="|", markersize=5, label="95 % interval over takes")
        )
    canvas.figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=2, fontsize=8.5, labelcolor=MUTED
    )
