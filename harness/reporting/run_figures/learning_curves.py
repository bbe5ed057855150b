"""Training loss of every run over time and over steps, and the learning rate below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from harness.comparison.group import SEEDS_FOR_SPREAD, Entry, Group
from harness.reporting import placement, row_labels
from harness.reporting.cost_figures import sheet
from harness.reporting.evidence import Evidence
from harness.reporting.figure import style
from harness.reporting.look import MOST_LINES, looks_of
from harness.reporting.palette import MUTED, Look
from harness.reporting.placement import Anchor
from harness.reporting.run_figures import key_table
from harness.store.schema import Record, look_up

CAPTION = (
    "Training loss (running mean of 9 stretches) and learning rate over time and over steps: thin, one line a seed; "
    "thick, their geometric mean where there are at least three. Losses of different recipes are not comparable, and a "
    "lower loss is no lower error on the test set."
)
#: Inches: the figure, panels of loss and of learning rate, what stands around and between them.
_WIDTH, _HEIGHT, _LOW, _LEFT, _ABOVE, _BELOW, _BETWEEN = 10.6, 3.1, 0.8, 0.72, 0.12, 0.55, 0.18
#: Points of a line, fewer of many lines; values of a curve that a smoothed one is the mean of.
_MOST_POINTS, _FEWEST_POINTS, _POINTS_OF_ALL, _SMOOTHED = 90, 36, 2000, 9
_LETTERS, _BEFORE_KEY = 34, 0.3

#: Of a curve: the processor time until then, as if all steps took the same.
_CORE_SECONDS = "core_seconds"

Float64Array = NDArray[np.float64]
#: Name in a stored curve and factor of what is drawn across, label of the axis, whether it is logarithmic.
_BY_STEPS = ("step", 1.0, "optimiser steps (log scale)", True)
_BY_CLOCK = ("seconds", 1 / 60, "training time (minutes)", False)
#: What a shared machine does not stretch.
_BY_PROCESSOR = (_CORE_SECONDS, 1 / 60, "processor time of training (minutes)", False)


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """Two columns, time and steps; names stand at the ends of the lines or, of many, in a key."""
    shown = _with_curves(group)[:MOST_LINES]
    if not shown:
        return None
    labels = {entry.title: row_labels.wrapped(entry.title, _LETTERS) for entry in shown}
    most_lines = max(map(row_labels.lines, labels.values()))
    at_ends = placement.row_height(most_lines) * (len(shown) + 1) / 72 <= _HEIGHT
    right = row_labels.width(labels.values(), placement.END_SIZE) + 0.35 if at_ends else key_table.width(labels)
    height = _HEIGHT if at_ends else max(_HEIGHT, key_table.height(labels) - _BETWEEN - _LOW)
    panel = (_WIDTH - 1.8 * _LEFT - right - (0 if at_ends else _BEFORE_KEY)) / 2
    with style():
        canvas = sheet.Canvas.bare(_WIDTH, _ABOVE + height + _BETWEEN + _LOW + _BELOW)
        look = looks_of(group.scored)
        ends = {}
        for column, across in enumerate((_over_time(shown), _BY_STEPS)):
            left = _LEFT + column * (panel + 0.8 * _LEFT)
            losses = canvas.axes(left, _ABOVE, panel, height)
            rates = canvas.axes(left, _ABOVE + height + _BETWEEN, panel, _LOW)
            ends = _draw_losses(losses, shown, look, across)
            _draw_rates(rates, shown, look, across)
            _set_axes(losses, rates, across)
            if column == 0:
                losses.set_ylabel("training loss (log scale)", fontsize=9)
                rates.set_ylabel("learning rate", fontsize=9)
        if at_ends:
            placement.at_ends(losses, [Anchor(*ends[title], labels[title]) for title in ends])
        else:
            ordered = sorted(ends, key=lambda title: -ends[title][1])
            key_table.draw(canvas, _WIDTH - right, _ABOVE, look, dict.fromkeys(ordered, ()))
    return canvas.figure


def notes(group: Group, evidence: Evidence) -> Sequence[str]:
    """Who is left out of many."""
    known = _with_curves(group)
    if len(known) <= MOST_LINES:
        return ()
    return (f"The best {MOST_LINES} by P1 of {len(known)} that kept their curves.",)


def _with_curves(group: Group) -> list[Entry]:
    """The best first."""
    return [entry for entry in group.scored if _runs(entry)]


def _over_time(shown: Sequence[Entry]) -> tuple[str, float, str, bool]:
    """Processor time where it is known of every run and did the training, else wall-clock time."""
    runs = [run for entry in shown for run in _runs(entry)]
    return _BY_PROCESSOR if all(_CORE_SECONDS in run for run in runs) else _BY_CLOCK


def _runs(entry: Entry) -> list[Mapping[str, Float64Array]]:
    """Curves of its runs, each quantity an array."""
    return [_curve(run) for run in entry.runs if look_up(run, "training.curve")]


def _curve(run: Record) -> Mapping[str, Float64Array]:
    points = run["training"]["curve"]
    curve = {name: np.array([point[name] for point in points], dtype=float) for name in points[0]}
    core_seconds = run["training"].get(_CORE_SECONDS)
    if core_seconds and run["config"].get("device", "cpu") == "cpu":
        curve[_CORE_SECONDS] = core_seconds * curve["step"] / curve["step"][-1]
    return curve


def _draw_losses(
    axes: Axes, shown: Sequence[Entry], look: Mapping[str, Look], across: tuple[str, float, str, bool]
) -> dict[str, tuple[float, float]]:
    """Where the line of each entry ends, by its title."""
    name, factor, _, logarithmic = across
    points = _POINTS_OF_ALL // sum(len(_runs(entry)) + 1 for entry in shown)
    points = max(_FEWEST_POINTS, min(_MOST_POINTS, points))
    ends = {}
    for entry in shown:
        own = look[entry.title]
        lines = [(factor * run[name], _smoothed(run["loss"])) for run in _runs(entry)]
        grid = _grid(lines, logarithmic, points)
        drawn = [(_within(grid, x), np.interp(_within(grid, x), x, loss)) for x, loss in lines]
        several = len(lines) >= SEEDS_FOR_SPREAD
        for x, loss in drawn:
            axes.plot(
                x, loss, color=own.colour, linestyle="-" if several else own.dashes,
                linewidth=0.6 if several else 1.3, alpha=0.45 if several else 1.0, zorder=2,
            )  # fmt: skip
        end = drawn[0][0][-1], drawn[0][1][-1]
        if several:
            common = grid[grid <= min(x[-1] for x, _ in lines) * (1 + 1e-9)]
            mean = np.exp(np.mean([np.log(np.interp(common, x, loss)) for x, loss in lines], axis=0))
            axes.plot(common, mean, color=own.colour, linestyle=own.dashes, linewidth=1.8, zorder=3, label=entry.title)
            end = common[-1], mean[-1]
        ends[entry.title] = (float(end[0]), float(end[1]))
    return ends


def _grid(lines: Sequence[tuple[Float64Array, Float64Array]], logarithmic: bool, points: int) -> Float64Array:
    first, last = min(x[0] for x, _ in lines), max(x[-1] for x, _ in lines)
    if last <= first:
        return np.array([first])
    return np.geomspace(first, last, points) if logarithmic and first > 0 else np.linspace(first, last, points)


def _within(grid: Float64Array, x: Float64Array) -> Float64Array:
    inside = grid[(grid >= x[0]) & (grid <= x[-1])]
    return inside if len(inside) else x[-1:]


def _smoothed(loss: Float64Array) -> Float64Array:
    """Geometric running mean, of fewer values at the ends."""
    ones = np.ones(min(_SMOOTHED, len(loss)))
    logs = np.log(np.maximum(loss, np.finfo(float).tiny))
    return np.asarray(np.exp(np.convolve(logs, ones, "same") / np.convolve(np.ones(len(loss)), ones, "same")))


def _draw_rates(
    axes: Axes, shown: Sequence[Entry], look: Mapping[str, Look], across: tuple[str, float, str, bool]
) -> None:
    name, factor, _, logarithmic = across
    for entry in shown:
        own, run = look[entry.title], _runs(entry)[0]
        x = factor * run[name]
        at = _within(_grid([(x, x)], logarithmic, 48), x)
        axes.plot(at, np.interp(at, x, run["learning_rate"]), color=own.colour, linestyle=own.dashes, linewidth=1)


def _set_axes(losses: Axes, rates: Axes, across: tuple[str, float, str, bool]) -> None:
    _, _, label, logarithmic = across
    losses.set_yscale("log")
    losses.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    losses.yaxis.set_major_formatter("{x:g}")
    losses.yaxis.set_minor_locator(NullLocator())
    rates.set_xlabel(label, fontsize=9)
    rates.set_ylim(bottom=0)
    for axes in (losses, rates):
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.margins(x=0.02)
        axes.grid(which="major")
        axes.tick_params(which="both", length=0, labelsize=8.5, labelcolor=MUTED)
    losses.tick_params(labelbottom=False)
    rates.set_xlim(losses.get_xlim())
