"""Figures of a group of runs that may be ranked against each other.

Colours are distinct for colour-blind readers; markers, dashes, hatches and direct labels carry the same information, so
that a figure survives printing in grey. The same records give the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from harness.data.skeleton import JOINT_NAMES, ROOT
from harness.reporting import bubbles
from harness.reporting.bubbles import Bubble
from harness.reporting.figure import blank, style
from harness.reporting.group import Entry, Group
from harness.reporting.palette import COLOURS, DASHES, INK, MARKERS, MUTED
from harness.reporting.quantity import with_spread
from harness.reporting.table import FLOOR_NAMES
from harness.store.schema import STATUSES, look_up


@dataclass(frozen=True)
class Plot:
    """A figure by name: how it is drawn, and what it shows. ``draw`` gives None where the runs have nothing for it."""

    name: str
    caption: str
    draw: Callable[[Group], Figure | None]


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
    with style():
        figure = blank(7.0, 0.9 + 0.36 * len(names))
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


def _bubbles(group: Group) -> list[Bubble]:
    look = _look(group)
    largest = max((entry.mean("cost.params_total") or 0 for entry in group.scored), default=0)
    shown = []
    for entry in group.scored:
        macs, params = entry.mean("cost.macs_fvcore_per_frame"), entry.mean("cost.params_total")
        if macs and params and entry.p1_mm is not None:
            colour, marker, _ = look[entry.title]
            area = bubbles.area(params, largest)
            shown.append(Bubble(entry.title, macs, entry.p1_mm, entry.p1_sd_mm, params, area, colour, marker))
    return shown


def accuracy_cost(group: Group) -> Figure | None:
    """P1 against multiply-accumulates a frame; the area of a bubble is the number of parameters."""
    shown = _bubbles(group)
    if not shown:
        return None
    with style():
        figure = blank(7.0, 4.4)
        axes = figure.subplots()
        bubbles.draw(axes, shown, "multiply-accumulates per frame, attention and scan counted (log scale)")
        bubbles.write_labels(axes, shown)
    return figure


def learning_curves(group: Group) -> Figure | None:
    """Training loss and learning rate of every run, over time and over steps."""
    runs = [(entry, run) for entry in group.scored for run in entry.runs if look_up(run, "training.curve")]
    if not runs:
        return None
    with style():
        figure = blank(8.6, 4.8)
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
    with style():
        figure = blank(2.6 + 0.37 * len(values.columns), 1.5 + 0.34 * len(values))
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
