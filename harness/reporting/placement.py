"""Where labels stand so that none covers another: beside a mark in a plane, or in a column at the ends of lines.

Places are found in dots, so the axes must have their final size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.transforms import Bbox, blended_transform_factory

from harness.reporting.palette import INK

#: Where a label may stand beside a mark, the preferred place first: shift right and up, alignments.
_PLACES = (
    (1, 0, "left", "center"), (-1, 0, "right", "center"), (0, 1, "center", "bottom"), (0, -1, "center", "top"),
    (0.75, 0.75, "left", "bottom"), (0.75, -0.75, "left", "top"),
    (-0.75, 0.75, "right", "bottom"), (-0.75, -0.75, "right", "top"),
)  # fmt: skip
#: Points of text at the ends of lines.
END_SIZE = 8.0


@dataclass(frozen=True)
class Anchor:
    """What a label belongs to: its place in data coordinates, and how far ``away`` from there it begins, in points."""

    x: float
    y: float
    text: str
    colour: str = INK
    away: float = 5.0


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Points that one line of ``text`` takes in the figures' font."""
    measure = FigureCanvasAgg(Figure(dpi=72)).get_renderer()
    font = FontProperties(family="DejaVu Sans", size=size)
    return float(measure.get_text_width_height_descent(text, font, ismath=False)[0])


def beside(axes: Axes, anchors: Sequence[Anchor], taken: Sequence[Bbox], size: float = 8.5) -> None:
    """Write each label beside its mark where it covers the least of the others and stays inside.

    ``taken`` are boxes in dots that labels should leave free.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    taken = list(taken)
    for anchor in anchors:
        candidates = [
            axes.annotate(
                anchor.text, (anchor.x, anchor.y), (anchor.away * right, anchor.away * up),
                textcoords="offset points", ha=across, va=along, fontsize=size, linespacing=1.25, color=anchor.colour,
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


def at_ends(axes: Axes, anchors: Sequence[Anchor], size: float = END_SIZE) -> None:
    """Write the labels in a column right of the axes, each as near to its line's end as the others let it.

    A thin line leads from the end to the label.
    """
    height = axes.bbox.height * 72 / axes.figure.dpi
    heights = [float(axes.transAxes.inverted().transform(axes.transData.transform((a.x, a.y)))[1]) for a in anchors]
    order = sorted(range(len(anchors)), key=lambda index: (heights[index], anchors[index].text))
    spread = spaced([heights[index] for index in order], 1.32 * size / height, within=(0.02, 0.94))
    across = blended_transform_factory(axes.transAxes, axes.transAxes)
    for index, level in zip(order, spread, strict=True):
        anchor = anchors[index]
        axes.annotate(
            anchor.text, (anchor.x, anchor.y), (1.045, level), xycoords="data", textcoords=across, va="center",
            ha="left", fontsize=size, color=anchor.colour, annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": anchor.colour, "linewidth": 0.5, "alpha": 0.55, "shrinkA": 1, "shrinkB": 3,
                "relpos": (0, 0.5),
            },
        )  # fmt: skip


def spaced(levels: Sequence[float], gap: float, within: tuple[float, float]) -> list[float]:
    """Rising ``levels`` moved as little as can be (least squares) so that neighbours are ``gap`` apart, all ``within``.

    Pool adjacent violators on the levels less their due share of the gaps; what does not fit starts at the lower end.
    """
    blocks: list[list[float]] = []
    for index, level in enumerate(levels):
        blocks.append([level - index * gap])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    lowest, highest = within[0], within[1] - (len(levels) - 1) * gap
    flat = [max(min(_mean(block), highest), lowest) for block in blocks for _ in block]
    return [level + index * gap for index, level in enumerate(flat)]


def stem(axes: Axes, x: float, low: float, high: float) -> Bbox:
    """What an upright line in data coordinates covers, marks at its ends included, a few dots wide."""
    (left, bottom), (_, top) = axes.transData.transform([(x, low), (x, high)])
    return Bbox.from_extents(left - 4, min(bottom, top) - 4, left + 4, max(bottom, top) + 4)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _overlap(one: Bbox, other: Bbox) -> float:
    common = Bbox.intersection(one, other)
    return 0.0 if common is None else float(common.width * common.height)
