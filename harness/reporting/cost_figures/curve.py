"""Curves of one cost against T on log-log axes: bands, hollow and missing points, the fit drawn on, labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullFormatter, NullLocator

from harness.complexity.growth import Exponent
from harness.complexity.series import Series
from harness.complexity.summary import Summary
from harness.quantity import MINUS
from harness.reporting import placement
from harness.reporting.palette import LINE, MUTED, PAPER, Look

#: A point's value with the ends of its interval, None where there is none.
Reading = tuple[float, float | None, float | None]
#: Widest 95 % interval of an exponent that is worth a place in a figure.
_WIDEST_INTERVAL = 1.0
#: Least distance of two written T, as a share of the axis.
_TICK_GAP = 0.1


@dataclass(frozen=True)
class Curve:
    """One quantity of one lifter. ``hollow`` are T whose value may not be believed, ``missing`` T without one.

    ``label`` is the lifter's, ``text`` what is written at the end of the line. With ``reach`` the fit of ``exponent``
    is drawn on to there.
    """

    label: str
    text: str
    points: Mapping[int, Reading]
    hollow: frozenset[int] = frozenset()
    missing: frozenset[int] = frozenset()
    exponent: Exponent | None = None
    reach: float | None = None

    @property
    def frames(self) -> list[int]:
        """T of the points that are joined."""
        return [frames for frames in sorted(self.points) if frames not in self.hollow]

    @property
    def end(self) -> tuple[float, float] | None:
        """Where the line stops, its extrapolation included; None for one of no points."""
        shown = self.frames or sorted(self.points)
        if not shown:
            return None
        if self.reach is not None and self.exponent is not None:
            last = shown[-1]
            return self.reach, self.points[last][0] * (self.reach / last) ** self.exponent.value
        return float(shown[-1]), self.points[shown[-1]][0]


@dataclass(frozen=True)
class Quantity:
    """What a panel shows: how to read it off a summary, and how its axis is named; ``name`` is its short title.

    Points that are missing of ``measured`` quantities are worth marking; a verdict is about those that are ``timed``.
    """

    name: str
    title: str
    axis: str
    read: Callable[[Summary], Reading | None]
    tick: Callable[[float], str]
    measured: bool = False
    timed: bool = False


def readings(one: Series, quantity: Quantity) -> dict[int, Reading]:
    """T -> reading, of those that are there and above zero: a logarithmic axis has no place for another."""
    found = {member.point.frames: quantity.read(member) for member in one.members}
    return {frames: reading for frames, reading in found.items() if reading is not None and reading[0] > 0}


def of(one: Series, quantity: Quantity, exponent: Exponent | None, *, extrapolate: bool = False) -> Curve:
    """The curve of a series; an exponent that says nothing is neither written nor followed beyond the last point."""
    points = readings(one, quantity)
    doubted: frozenset[int] = frozenset()
    missing: frozenset[int] = frozenset()
    if quantity.timed:
        doubted = frozenset(member.point.frames for member in one.members if not member.usable) & points.keys()
    if quantity.measured:
        missing = frozenset(member.point.frames for member in one.members if member.status != "ok") - points.keys()
    told = exponent if exponent and is_telling(exponent) else None
    text = one.label if told is None else f"{one.label}  {_written(told)}"
    joined = sorted(points.keys() - doubted)
    reach = next_third(joined[-1]) if extrapolate and told and joined and joined[-1] in told.frames else None
    return Curve(one.label, text, points, frozenset(doubted), missing, exponent, reach)


def next_third(frames: float) -> float | None:
    """The next of …, 100, 215, 464, 1000, … beyond T, None where it is as good as reached."""
    third = 10 ** (math.floor(3 * math.log10(frames) + 1e-9) / 3 + 1 / 3)
    return third if third > 1.05 * frames else None


def is_telling(exponent: Exponent) -> bool:
    """Whether its interval is narrow enough to tell one power of T from the next."""
    return exponent.low is None or exponent.high is None or exponent.high - exponent.low <= _WIDEST_INTERVAL


def _written(exponent: Exponent) -> str:
    return f"{exponent.value:.2f}" if exponent.counted else str(exponent).replace("-", MINUS)


def exponents_in_words(curves: Sequence[Curve]) -> list[str]:
    """What the numbers at the ends of lines are, and of whom there is none; nothing where there are none at all."""
    found = [curve.exponent for curve in curves if curve.exponent is not None]
    if not found:
        return []
    ranges = {exponent.frames for exponent in found}
    over = f"T = {', '.join(map(str, found[0].frames))}" if len(ranges) == 1 else "the large-T half"
    interval = ", with its 95 % interval where it was measured" if not all(one.counted for one in found) else ""
    said = f"At the end of each line, the exponent of T, fitted on log-log axes over {over}{interval}"
    wide = " (none where that is wider than 1 and tells no power from the next)"
    return [f"{said}{'' if all(map(is_telling, found)) else wide}."]


def draw(
    axes: Axes, curves: Sequence[Curve], looks: Mapping[str, Look], quantity: Quantity, context: Sequence[Curve] = ()
) -> None:
    """Lines and points of ``curves``, with those of ``context`` faint behind them."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for curve in context:
        frames = curve.frames
        axes.plot(frames, [curve.points[length][0] for length in frames], color=LINE, linewidth=0.8, zorder=0.8)
    for curve in curves:
        _draw_curve(axes, curve, looks[curve.label])
    _draw_missing(axes, curves, looks)
    axes.set_title(quantity.title, fontsize=10)
    axes.set_ylabel(quantity.axis, fontsize=9)
    axes.yaxis.set_major_formatter(lambda value, _: quantity.tick(value))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(which="major")
    axes.tick_params(length=0, labelsize=8.5)


def _draw_curve(axes: Axes, curve: Curve, look: Look) -> None:
    frames = curve.frames
    values = [curve.points[length][0] for length in frames]
    axes.plot(
        frames, values, color=look.colour, linestyle=look.dashes, marker=look.marker, markersize=4.2, linewidth=1.4,
        markeredgewidth=0,
    )  # fmt: skip
    banded = [length for length in frames if curve.points[length][1] is not None]
    axes.fill_between(
        banded,
        [curve.points[length][1] or 0 for length in banded],
        [curve.points[length][2] or 0 for length in banded],
        color=look.colour, alpha=0.22, linewidth=0,
    )  # fmt: skip
    for length in sorted(curve.hollow):
        axes.plot(
            length, curve.points[length][0], look.marker, markersize=5, markerfacecolor="none",
            markeredgecolor=look.colour,
        )  # fmt: skip
    if curve.reach is not None and curve.end is not None:
        axes.plot(
            [frames[-1], curve.end[0]], [values[-1], curve.end[1]], color=look.colour, linewidth=0.9,
            linestyle=(0, (2, 2)),
        )  # fmt: skip


def _draw_missing(axes: Axes, curves: Sequence[Curve], looks: Mapping[str, Look]) -> None:
    """A cross at the top for every point without a value, those at one T below each other."""
    stacked: dict[int, int] = {}
    for curve in curves:
        for length in sorted(curve.missing):
            level = 0.965 - 0.055 * stacked.get(length, 0)
            stacked[length] = stacked.get(length, 0) + 1
            axes.plot(
                length, level, "x", color=looks[curve.label].colour, markersize=5, markeredgewidth=1.4,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip


def set_frames_axis(axes: Axes, curves: Sequence[Curve], labelled: bool = True) -> None:
    """T across: every measured T has its tick, and its number where there is room for it."""
    measured = sorted({length for curve in curves for length in (*curve.points, *curve.missing)})
    reached = [curve.end[0] for curve in curves if curve.end is not None]
    first, last = measured[0] / 1.12, max([*measured, *reached]) * 1.06
    axes.set_xlim(first, last)
    written = _written_frames(measured, math.log(last / first))
    axes.xaxis.set_major_locator(FixedLocator(written))
    axes.xaxis.set_major_formatter(FixedFormatter([str(length) for length in written]))
    axes.xaxis.set_minor_locator(FixedLocator(measured))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=3, color=LINE)
    if labelled:
        axes.set_xlabel("T, frames of a clip", fontsize=9)


def _written_frames(measured: Sequence[int], width: float) -> list[int]:
    """The T whose numbers do not run into each other: powers of three first, then the others."""
    chosen: list[int] = []
    for length in sorted(measured, key=lambda length: (3 ** round(math.log(length, 3)) != length, length)):
        if all(abs(math.log(length / other)) > _TICK_GAP * width for other in chosen):
            chosen.append(length)
    return sorted(chosen)


def set_cost_axis(axes: Axes, curves: Sequence[Curve], beside: Sequence[float | None] = ()) -> None:
    """The range of all values and of those ``beside`` them, with room at the top for crosses and key."""
    crosses = any(curve.missing or curve.hollow for curve in curves)
    values = [value for curve in curves for reading in curve.points.values() for value in reading if value]
    values += [curve.end[1] for curve in curves if curve.end is not None]
    values += [value for value in beside if value]
    low, high = min(values), max(values)
    decades = max(math.log10(high / low), 0.3)
    axes.set_ylim(low / 10 ** (0.06 * decades), high * 10 ** ((0.24 if crosses else 0.08) * decades))
    if decades < 1.7:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))


def write_key(
    axes: Axes,
    curves: Sequence[Curve],
    beside: Sequence[Line2D] = (),
    where: Literal["upper left", "lower right"] = "upper left",
) -> None:
    """What dashes, crosses and hollow points mean, of those that there are, and what stands ``beside`` them."""
    handles = list(beside)
    if any(curve.reach is not None for curve in curves):
        handles.append(Line2D([], [], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), label="extrapolated"))
    if any(curve.missing for curve in curves):
        handles.append(Line2D([], [], color=MUTED, linestyle="", marker="x", markersize=5, label="no result"))
    if any(curve.hollow for curve in curves):
        handles.append(
            Line2D([], [], color=MUTED, linestyle="", marker="o", markerfacecolor="none", markersize=5, label="INVALID")
        )
    if handles:
        axes.legend(
            handles=handles,
            loc=where,
            fontsize=8,
            labelcolor=MUTED,
            borderpad=0.2,
            handlelength=1.8,
            labelspacing=0.3,
            frameon=True,
            facecolor=PAPER,
            edgecolor="none",
            framealpha=0.85,
        )


def write_labels(axes: Axes, curves: Sequence[Curve], looks: Mapping[str, Look]) -> None:
    """The labels at the ends, once the axes have their final size."""
    anchors = [
        placement.Anchor(*curve.end, curve.text, looks[curve.label].writing)
        for curve in curves
        if curve.end is not None
    ]
    placement.at_ends(axes, anchors)
