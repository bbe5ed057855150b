"""The accuracy-cost plane: a bubble for each lifter, its area the parameters, and the front that none of them beats."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox

from harness.quantity import prefixed, tick
from harness.reporting import placement
from harness.reporting.palette import MUTED, PAPER

_LARGEST_AREA, _FEW = 900, 6
#: Letters of a title in one line.
_LONGEST_LINE = 26
#: From this ratio of costs on, their axis has fewer numbers, which would touch otherwise.
_FEW_DECADES = 20


@dataclass(frozen=True)
class Bubble:
    """One lifter: ``cost`` in the unit of its axis, ``spread_mm`` the standard deviation over seeds if there is one.

    ``area`` is in square points, see ``area``. A ``hollow`` one has a cost that is doubtful.
    """

    title: str
    cost: float
    p1_mm: float
    spread_mm: float | None
    params: float
    area: float
    colour: str
    marker: str
    hollow: bool = False

    @property
    def highest_mm(self) -> float:
        """Upper end of what is drawn, the bar of the spread included."""
        return self.p1_mm + (self.spread_mm or 0.0)

    @property
    def lowest_mm(self) -> float:
        return self.p1_mm - (self.spread_mm or 0.0)


def area(params: float, largest: float, count: int = 1) -> float:
    """Square points of one of ``count`` bubbles; that of the ``largest`` number of parameters is smaller among many."""
    return _LARGEST_AREA * min(1.0, _FEW / count) * params / largest


def draw(axes: Axes, bubbles: Sequence[Bubble], cost: str, floor_mm: float | None = None) -> None:
    """Bubbles, front and axes; ``cost`` names the horizontal axis, ``floor_mm`` is the lowest floor, if any."""
    # The largest first, so that none hides a smaller one.
    for bubble in sorted(bubbles, key=lambda bubble: (-bubble.area, bubble.title)):
        _draw_bubble(axes, bubble)
    _set_axes(axes, bubbles, cost)
    lowest = front(bubbles, floor_mm)
    axes.step(
        [bubble.cost for bubble in lowest], [bubble.p1_mm for bubble in lowest],
        where="post", color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=0.9,
    )  # fmt: skip


def _draw_bubble(axes: Axes, bubble: Bubble) -> None:
    at, colour = (bubble.cost, bubble.p1_mm), bubble.colour
    if not bubble.hollow:
        axes.scatter(*at, s=bubble.area, color=colour, alpha=0.3, linewidth=0)
    axes.scatter(
        *at, s=bubble.area, facecolor="none", edgecolor=colour, linewidth=1.2,
        linestyle=(0, (3, 2)) if bubble.hollow else "-",
    )  # fmt: skip
    axes.scatter(
        *at, s=22, facecolor=PAPER if bubble.hollow else colour, edgecolor=colour, linewidth=1.2 * bubble.hollow,
        marker=bubble.marker, zorder=3,
    )  # fmt: skip
    if bubble.spread_mm is not None:
        axes.errorbar(*at, bubble.spread_mm, color=colour, capsize=2, linewidth=1)


def write_labels(
    axes: Axes, bubbles: Sequence[Bubble], labels: Sequence[str], taken: Sequence[Bbox] = (),
    floor_mm: float | None = None,
) -> bool:  # fmt: skip
    """One of ``labels`` beside each bubble, once the axes have their final size; whether there was room for them.

    ``taken`` are boxes in dots, beside those of the bubbles, that labels should leave free.
    """
    taken = [*taken, *(box(axes, bubble) for bubble in bubbles), *_front_boxes(axes, front(bubbles, floor_mm))]
    taken += [placement.stem(axes, one.cost, one.lowest_mm, one.highest_mm) for one in bubbles if one.spread_mm]
    anchors = [
        placement.Anchor(bubble.cost, bubble.p1_mm, label, away=_radius(bubble) + 4, radius=_radius(bubble))
        for bubble, label in zip(bubbles, labels, strict=True)
    ]
    return placement.beside(axes, anchors, taken)


def _radius(bubble: Bubble) -> float:
    """Points, those of the marker in its middle at least."""
    return max(0.5 * bubble.area**0.5, 3.0)


def label(bubble: Bubble, detail: bool = False) -> str:
    """Its title and, with ``detail``, its parameters."""
    lines = textwrap.wrap(bubble.title, _LONGEST_LINE, break_on_hyphens=False) or [bubble.title]
    return "\n".join([*lines, *([f"{prefixed(bubble.params)} parameters"] if detail else [])])


def front(bubbles: Sequence[Bubble], floor_mm: float | None = None) -> list[Bubble]:
    """The Pareto front by rising cost: nothing is both cheaper and better than what lies on it.

    What is not below the lowest floor is never on it: the floor costs less and is as good.
    """
    lowest: list[Bubble] = []
    below = [bubble for bubble in bubbles if floor_mm is None or bubble.p1_mm < floor_mm]
    for bubble in sorted(below, key=lambda bubble: (bubble.cost, bubble.p1_mm)):
        if not lowest or bubble.p1_mm < lowest[-1].p1_mm:
            lowest.append(bubble)
    return lowest


def _set_axes(axes: Axes, bubbles: Sequence[Bubble], cost: str) -> None:
    costs = [bubble.cost for bubble in bubbles]
    lowest, highest = min(bubble.lowest_mm for bubble in bubbles), max(bubble.highest_mm for bubble in bubbles)
    axes.set_xscale("log")
    axes.set_xlim(min(costs) / 3, max(costs) * 3)
    margin = max(0.2 * (highest - lowest), 1.5)
    axes.set_ylim(lowest - margin, highest + margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(costs) / min(costs) < _FEW_DECADES else (1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: tick(value))
    axes.set_xlabel(cost)
    axes.set_ylabel("P1 (mm)")
    axes.grid()
    axes.tick_params(length=0)


def box(axes: Axes, bubble: Bubble) -> Bbox:
    """What it covers, in dots."""
    centre_x, centre_y = axes.transData.transform((bubble.cost, bubble.p1_mm))
    radius = 0.5 * bubble.area**0.5 * axes.figure.dpi / 72
    return Bbox.from_extents(centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius)


def _front_boxes(axes: Axes, lowest: Sequence[Bubble]) -> list[Bbox]:
    """What the steps of the front cover, a few dots wide."""
    boxes = []
    for cheaper, better in pairwise(lowest):
        (left, top), (right, bottom) = axes.transData.transform(
            [(cheaper.cost, cheaper.p1_mm), (better.cost, better.p1_mm)]
        )
        boxes += [
            Bbox.from_extents(left, top - 6, right, top + 6),
            Bbox.from_extents(right - 6, bottom, right + 6, top),
        ]
    return boxes
