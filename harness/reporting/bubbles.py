"""The accuracy-cost plane: a bubble for each lifter, its area the parameters, and the front that none of them beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox

from harness.reporting import placement
from harness.reporting.palette import MUTED
from harness.reporting.quantity import prefixed, tick

_LARGEST_AREA = 1400


@dataclass(frozen=True)
class Bubble:
    """One lifter: ``cost`` in the unit of its axis, ``spread_mm`` the standard deviation over seeds if there is one.

    ``area`` is in square points, see ``area``.
    """

    title: str
    cost: float
    p1_mm: float
    spread_mm: float | None
    params: float
    area: float
    colour: str
    marker: str


def area(params: float, largest: float) -> float:
    """Square points of a bubble; that of the ``largest`` number of parameters is the same in every figure."""
    return _LARGEST_AREA * params / largest


def draw(axes: Axes, bubbles: Sequence[Bubble], cost: str) -> None:
    """Bubbles, front and axes; ``cost`` names the horizontal axis."""
    for bubble in bubbles:
        at = (bubble.cost, bubble.p1_mm)
        axes.scatter(*at, s=bubble.area, color=bubble.colour, alpha=0.3, linewidth=0)
        axes.scatter(*at, s=bubble.area, facecolor="none", edgecolor=bubble.colour, linewidth=1.2)
        axes.scatter(*at, s=22, color=bubble.colour, marker=bubble.marker, zorder=3)
        if bubble.spread_mm is not None:
            axes.errorbar(*at, bubble.spread_mm, color=bubble.colour, capsize=2, linewidth=1)
    _set_axes(axes, bubbles, cost)
    lowest = front(bubbles)
    axes.step(
        [bubble.cost for bubble in lowest], [bubble.p1_mm for bubble in lowest],
        where="post", color=MUTED, linewidth=1, linestyle=(0, (2, 2)), zorder=0.9,
    )  # fmt: skip


def write_labels(axes: Axes, bubbles: Sequence[Bubble], detail: bool = True) -> None:
    """Title (and parameters with ``detail``) beside each bubble, once the axes have their final size."""
    taken = [*(_box(axes, bubble) for bubble in bubbles), *_front_boxes(axes, front(bubbles))]
    anchors = [
        placement.Anchor(
            bubble.cost,
            bubble.p1_mm,
            f"{bubble.title}\n{prefixed(bubble.params)} parameters" if detail else bubble.title,
            away=0.5 * bubble.area**0.5 + 5,
        )
        for bubble in bubbles
    ]
    placement.beside(axes, anchors, taken)


def front(bubbles: Sequence[Bubble]) -> list[Bubble]:
    """The Pareto front by rising cost: nothing is both cheaper and better than what lies on it."""
    lowest: list[Bubble] = []
    for bubble in sorted(bubbles, key=lambda bubble: (bubble.cost, bubble.p1_mm)):
        if not lowest or bubble.p1_mm < lowest[-1].p1_mm:
            lowest.append(bubble)
    return lowest


def _set_axes(axes: Axes, bubbles: Sequence[Bubble], cost: str) -> None:
    costs, p1_mm = [bubble.cost for bubble in bubbles], [bubble.p1_mm for bubble in bubbles]
    axes.set_xscale("log")
    axes.set_xlim(min(costs) / 3, max(costs) * 3)
    margin = max(0.25 * (max(p1_mm) - min(p1_mm)), 1.5)
    axes.set_ylim(min(p1_mm) - margin, max(p1_mm) + margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: tick(value))
    axes.set_xlabel(cost)
    axes.set_ylabel("P1 (mm)")
    axes.grid()
    axes.tick_params(length=0)


def _box(axes: Axes, bubble: Bubble) -> Bbox:
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
            Bbox.from_extents(left, top - 3, right, top + 3),
            Bbox.from_extents(right - 3, bottom, right + 3, top),
        ]
    return boxes
