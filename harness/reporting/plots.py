"""Figures of a group of runs that may be ranked against each other.

Colours are Okabe and Ito's (distinct for colour-blind readers); markers, dashes, hatches and direct labels carry the
same information, so that a figure survives printing in grey. The same records give the same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox

from harness.data.skeleton import JOINT_NAMES, ROOT
from harness.reporting.group import Entry, Group
from harness.reporting.quantity import prefixed, with_spread
from harness.reporting.table import FLOOR_NAMES
from harness.store.schema import STATUSES, look_up

#: Text, quieter text, lines, background. No other colour of a figure equals one of them, so that the report can tell
#: them apart and let them follow its light or dark scheme.
INK, MUTED, LINE, PAPER = "#1f2328", "#59636e", "#d1d9e0", "#fefefe"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8a6d3b")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[Any, ...] = (
    "-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)),
    (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (2, 2)), (0, (6, 1, 2, 1)),
)  # fmt: skip
#: Where a label may stand beside a bubble, the preferred place first: shift right and up, alignments.
_PLACES = (
    (1, 0, "left", "center"), (-1, 0, "right", "center"), (0, 1, "center", "bottom"), (0, -1, "center", "top"),
    (0.75, 0.75, "left", "bottom"), (0.75, -0.75, "left", "top"),
    (-0.75, 0.75, "right", "bottom"), (-0.75, -0.75, "right", "top"),
)  # fmt: skip
_LARGEST_BUBBLE = 1400
#: matplotlib's own names; typed loosely because its stubs list every one, differently from release to release.
STYLE: Any = {
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 10,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    # A dollar sign in a model's name is a dollar sign.
    "text.parse_math": False,
    "svg.fonttype": "path",
    # Without a salt matplotlib draws the names of clip paths at random.
    "svg.hashsalt": "harness",
}


@dataclass(frozen=True)
class Plot:
    """A figure by name: how it is drawn, and what it shows. ``draw`` gives None where the runs have nothing for it."""

    name: str
    caption: str
    draw: Callable[[Group], Figure | None]


def to_svg(figure: Figure) -> bytes:
    """The figure as SVG; the text is drawn as paths, so that it looks the same everywhere."""
    return _saved(figure, "svg", dict.fromkeys(("Creator", "Date", "Format", "Type")))


def to_png(figure: Figure) -> bytes:
    """The figure as PNG, 160 dots per inch."""
    return _saved(figure, "png", {"Software": None})


def _saved(figure: Figure, kind: str, metadata: Mapping[str, str | None]) -> bytes:
    file = io.BytesIO()
    with _style():
        figure.savefig(file, format=kind, metadata=dict(metadata), dpi=160)
    return file.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _look(group: Group) -> dict[str, tuple[str, str, Any]]:
    """Colour, marker and dashes of every scored entry, by title and independent of the ranking."""
    titles = sorted(entry.title for entry in group.scored)
    return {
        title: (COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)], DASHES[index % len(DASHES)])
        for index, title in enumerate(titles)
    }


def accuracy(group: Group) -> Figure | None:
    """P1 of every entry as a bar with its seeds as points, the floors below."""
    if not group.scored:
        return None
    floors = sorted(group.floors.items(), key=lambda floor: floor[1]["p1_mm"])
    names = [entry.title for entry in group.entries] + [FLOOR_NAMES.get(name, name) for name, _ in floors]
    longest = max([*(floor["p1_mm"] for _, floor in floors), *(entry.p1_mm or 0 for entry in group.entries)])
    with _style():
        figure = _figure(7.0, 0.9 + 0.36 * len(names))
        axes = figure.subplots()
        look = _look(group)
        for row, entry in enumerate(group.entries):
            _accuracy_bar(axes, row, entry, look, longest)
        for row, (_, floor) in enumerate(floors, start=len(group.entries)):
            axes.barh(row, floor["p1_mm"], height=0.62, facecolor="none", edgecolor=MUTED, hatch="////", linewidth=0.8)
            _bar_label(axes, row, floor["p1_mm"], f"{floor['p1_mm']:.1f}  floor", longest)
        axes.set_yticks(range(len(names)), [textwrap.fill(name, 34) for name in names])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.17 * longest)
        axes.set_xlabel("P1, mean per joint position error (mm)")
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.grid(axis="x")
    return figure


def _accuracy_bar(axes: Axes, row: int, entry: Entry, look: Mapping[str, Any], longest: float) -> None:
    if entry.p1_mm is None:
        why = ", ".join(dict.fromkeys(STATUSES[gap["status"]].split(";")[0] for gap in entry.gaps))
        axes.annotate(
            f"no result: {why}", (0, row), (4, 0), textcoords="offset points", va="center", color=MUTED, fontsize=9
        )
        return
    colour, _, _ = look[entry.title]
    axes.barh(row, entry.p1_mm, height=0.62, color=colour)
    seeds = entry.values("accuracy.p1_mm")
    if len(seeds) > 1:
        axes.plot(seeds, [row] * len(seeds), "o", markersize=3, color=INK, markeredgewidth=0)
    _bar_label(axes, row, max(seeds), with_spread(entry.p1_mm, entry.p1_sd_mm), longest)


def _bar_label(axes: Axes, row: int, end: float, text: str, longest: float) -> None:
    axes.text(end + 0.012 * longest, row, text, va="center", fontsize=9)


@dataclass(frozen=True)
class _Bubble:
    """An entry in the accuracy-cost plane."""

    entry: Entry
    macs: float
    p1_mm: float
    params: float
    area: float

    @property
    def radius_points(self) -> float:
        return 0.5 * self.area**0.5


def _bubbles(group: Group) -> list[_Bubble]:
    largest = max((entry.mean("cost.params_total") or 0 for entry in group.scored), default=0)
    bubbles = []
    for entry in group.scored:
        macs, params = entry.mean("cost.macs_fvcore_per_frame"), entry.mean("cost.params_total")
        if macs and params and entry.p1_mm is not None:
            bubbles.append(_Bubble(entry, macs, entry.p1_mm, params, _LARGEST_BUBBLE * params / largest))
    return bubbles


def accuracy_cost(group: Group) -> Figure | None:
    """P1 against multiply-accumulates a frame; the area of a bubble is the number of parameters."""
    bubbles = _bubbles(group)
    if not bubbles:
        return None
    with _style():
        figure = _figure(7.0, 4.4)
        axes = figure.subplots()
        look = _look(group)
        for bubble in bubbles:
            colour, marker, _ = look[bubble.entry.title]
            axes.scatter(bubble.macs, bubble.p1_mm, s=bubble.area, color=colour, alpha=0.3, linewidth=0)
            axes.scatter(bubble.macs, bubble.p1_mm, s=bubble.area, facecolor="none", edgecolor=colour, linewidth=1.2)
            axes.scatter(bubble.macs, bubble.p1_mm, s=22, color=colour, marker=marker, zorder=3)
            if bubble.entry.p1_sd_mm is not None:
                axes.errorbar(bubble.macs, bubble.p1_mm, bubble.entry.p1_sd_mm, color=colour, capsize=2, linewidth=1)
        _set_cost_axes(axes, bubbles)
        _draw_front(axes, _front(bubbles))
        _label_bubbles(axes, bubbles)
    return figure


def _set_cost_axes(axes: Axes, bubbles: Sequence[_Bubble]) -> None:
    macs, p1_mm = [bubble.macs for bubble in bubbles], [bubble.p1_mm for bubble in bubbles]
    axes.set_xscale("log")
    axes.set_xlim(min(macs) / 3, max(macs) * 3)
    margin = max(0.25 * (max(p1_mm) - min(p1_mm)), 1.5)
    axes.set_ylim(min(p1_mm) - margin, max(p1_mm) + margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: prefixed(value).replace(".00", "").replace(".0", ""))
    axes.set_xlabel("multiply-accumulates per frame, attention and scan counted (log scale)")
    axes.set_ylabel("P1 (mm)")
    axes.grid()
    axes.tick_params(length=0)


def _front(bubbles: Sequence[_Bubble]) -> list[_Bubble]:
    """The Pareto front by rising cost: nothing is both cheaper and better than what lies on it."""
    front: list[_Bubble] = []
    for bubble in sorted(bubbles, key=lambda bubble: (bubble.macs, bubble.p1_mm)):
        if not front or bubble.p1_mm < front[-1].p1_mm:
            front.append(bubble)
    return front


def _draw_front(axes: Axes, front: Sequence[_Bubble]) -> None:
    axes.step(
        [bubble.macs for bubble in front], [bubble.p1_mm for bubble in front],
        where="post", color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=0.9,
    )  # fmt: skip


def _front_boxes(axes: Axes, front: Sequence[_Bubble]) -> list[Bbox]:
    """What the steps of the front cover, a few dots wide."""
    boxes = []
    for cheaper, better in pairwise(front):
        (left, top), (right, bottom) = axes.transData.transform(
            [(cheaper.macs, cheaper.p1_mm), (better.macs, better.p1_mm)]
        )
        boxes += [
            Bbox.from_extents(left, top - 3, right, top + 3),
            Bbox.from_extents(right - 3, bottom, right + 3, top),
        ]
    return boxes


def _label_bubbles(axes: Axes, bubbles: Sequence[_Bubble]) -> None:
    """Write each label beside its bubble where it covers the least of the others and stays inside."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    taken = [*(_bubble_box(axes, bubble) for bubble in bubbles), *_front_boxes(axes, _front(bubbles))]
    for bubble in bubbles:
        text = f"{bubble.entry.title}\n{prefixed(bubble.params)} parameters"
        away = bubble.radius_points + 5
        candidates = [
            axes.annotate(
                text, (bubble.macs, bubble.p1_mm), (away * right, away * up), textcoords="offset points",
                ha=across, va=along, fontsize=8.5, linespacing=1.25,
            )
            for right, up, across, along in _PLACES
        ]  # fmt: skip
        boxes = [candidate.get_window_extent() for candidate in candidates]
        costs = [
            3 * (box.width * box.height - _overlap(box, axes.bbox)) + sum(_overlap(box, other) for other in taken)
            for box in boxes
        ]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        for index, candidate in enumerate(candidates):
            if index != best:
                candidate.remove()


def _bubble_box(axes: Axes, bubble: _Bubble) -> Bbox:
    centre_x, centre_y = axes.transData.transform((bubble.macs, bubble.p1_mm))
    radius = bubble.radius_points * axes.figure.dpi / 72
    return Bbox.from_extents(centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius)


def _overlap(one: Bbox, other: Bbox) -> float:
    common = Bbox.intersection(one, other)
    return 0.0 if common is None else float(common.width * common.height)


def learning_curves(group: Group) -> Figure | None:
    """Training loss and learning rate of every run, over time and over steps."""
    runs = [(entry, run) for entry in group.scored for run in entry.runs if look_up(run, "training.curve")]
    if not runs:
        return None
    with _style():
        figure = _figure(8.6, 4.8)
        panels = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=[2.6, 1])
        look = _look(group)
        for entry, run in runs:
            colour, _, dashes = look[entry.title]
            curve = pd.DataFrame(run["training"]["curve"])
            for column, x in enumerate((curve["seconds"] / 60, curve["step"])):
                first = column == 0 and run is entry.runs[0]
                line = {"color": colour, "linestyle": dashes, "linewidth": 1.2}
                panels[0, column].plot(x, curve["loss"], label=entry.title if first else None, **line)
                panels[1, column].plot(x, curve["learning_rate"], **line)
        _set_curve_axes(panels)
        figure.legend(loc="outside lower center", ncols=min(3, len(group.scored)), handlelength=3.2)
    return figure


def _set_curve_axes(panels: Any) -> None:
    panels[0, 0].set_yscale("log")
    panels[0, 0].yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    panels[0, 0].yaxis.set_major_formatter("{x:g}")
    panels[0, 0].yaxis.set_minor_locator(NullLocator())
    panels[0, 1].set_xscale("log")
    panels[1, 1].xaxis.set_major_formatter("{x:,.0f}")
    panels[0, 0].set_ylabel("training loss (log scale)")
    panels[1, 0].set_ylabel("learning rate")
    panels[1, 0].set_xlabel("training time (minutes)")
    panels[1, 1].set_xlabel("optimiser steps (log scale)")
    for panel in panels.flat:
        panel.grid(which="major")
        panel.tick_params(which="both", length=0)


def per_joint(group: Group) -> Figure | None:
    """P1 of every joint but the root, whose error is zero by definition, for every entry."""
    return _heat_map(_by_name(group, "accuracy.per_joint").drop(columns=JOINT_NAMES[ROOT], errors="ignore"))


def per_action(group: Group) -> Figure | None:
    """P1 of every action, for every entry, the hardest action first."""
    values = _by_name(group, "accuracy.per_action")
    return _heat_map(values[values.mean().sort_values(ascending=False, kind="stable").index])


def _heat_map(values: pd.DataFrame) -> Figure | None:
    if values.empty:
        return None
    with _style():
        figure = _figure(2.6 + 0.37 * len(values.columns), 1.5 + 0.34 * len(values))
        axes = figure.subplots()
        colours = sns.light_palette(COLOURS[0], as_cmap=True)
        sns.heatmap(
            values, ax=axes, cmap=colours, annot=True, fmt=".0f", annot_kws={"fontsize": 8}, linewidths=1,
            linecolor="none", cbar=False,
        )  # fmt: skip
        _raise_contrast(axes)
        axes.xaxis.tick_top()
        axes.set_xticks(axes.get_xticks(), values.columns, rotation=40, ha="left", rotation_mode="anchor")
        axes.set_yticks(axes.get_yticks(), [textwrap.fill(title, 30) for title in values.index], rotation=0)
        axes.tick_params(length=0, labelcolor=INK, labelsize=9)
        axes.set(xlabel="", ylabel="")
    return figure


def _raise_contrast(axes: Axes) -> None:
    """Black or white figures, whichever stands out more; seaborn's choice is hard to read on middle tones."""
    cells = axes.collections[0]
    cells.update_scalarmappable()
    for text, colour in zip(axes.texts, cells.get_facecolor(), strict=True):
        # At this luminance black and white have the same contrast (WCAG 2).
        text.set_color("black" if sns.utils.relative_luminance(colour) > 0.18 else "white")


def _by_name(group: Group, path: str) -> pd.DataFrame:
    """One row an entry, one column a name: mean P1 over seeds in mm, of the entries that have it."""
    rows = {entry.title: _means_by_name(entry, path) for entry in group.scored}
    return pd.DataFrame.from_dict({title: row for title, row in rows.items() if row}, orient="index")


def _means_by_name(entry: Entry, path: str) -> dict[str, float]:
    runs = [look_up(run, path) or {} for run in entry.runs]
    return pd.DataFrame([{name: figures["p1_mm"] for name, figures in run.items()} for run in runs]).mean().to_dict()


PLOTS = (
    Plot(
        "accuracy-cost",
        "Accuracy against cost. The area of a bubble is the number of parameters; bars are the standard deviation over "
        "at least three seeds. Nothing is both cheaper and better than what lies on the dashed line. Operations are "
        "counted, not timed.",
        accuracy_cost,
    ),
    Plot(
        "accuracy",
        "P1 of every model, points for its seeds; hatched, the floors: what can be had without a network. A model "
        "that is not clearly below them has not learned to lift.",
        accuracy,
    ),
    Plot("per-action", "P1 in mm of every action, the hardest first, mean over seeds.", per_action),
    Plot("per-joint", "P1 in mm of every joint, mean over seeds. The pelvis is the root and has no error.", per_joint),
    Plot(
        "learning-curves",
        "Training loss and learning rate, one line a seed, over time and over steps. Losses of different recipes are "
        "not comparable.",
        learning_curves,
    ),
)
