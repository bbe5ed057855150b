"""Where labels stand so that none covers another: beside a mark in a plane, or in a column at the ends of lines.

Places are found in dots, so the axes must have their final size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.transforms import Bbox, blended_transform_factory

from harness.printable import encodable
from harness.reporting.figure import spell
from harness.reporting.palette import INK, MUTED

Across = Literal["left", "center", "right"]
Along = Literal["bottom", "center", "top"]
_Point = tuple[float, float]
_Line = tuple[_Point, _Point]

#: Where a label may stand next to its mark, the preferred place first: shift right and up, alignments.
_NEAR: tuple[tuple[float, float, Across, Along], ...] = (
    (1, 0, "left", "center"), (-1, 0, "right", "center"), (0, 1, "center", "bottom"), (0, -1, "center", "top"),
    (0.75, 0.75, "left", "bottom"), (0.75, -0.75, "left", "top"),
    (-0.75, 0.75, "right", "bottom"), (-0.75, -0.75, "right", "top"),
)  # fmt: skip
#: Points by which a label may stand farther away, with a line that leads to it, and in how many directions.
_FARTHER, _DIRECTIONS = (14, 26, 40, 58, 80), 16
#: What covering a label, a mark, a line or a square point outside the axes costs, and each step farther away.
_ON_LABEL, _ON_MARK, _LEADER_ON_LABEL, _OUTSIDE, _STEP = 6.0, 1.0, 400.0, 12.0, 60.0
#: What a line that passes over another mark costs, and by how many points it keeps off.
_LEADER_ON_MARK, _REACH = 600.0, 3.0
#: What it costs to touch another label at all, however little of it is covered.
_TOUCHES_LABEL = 400.0
#: What it costs that two such lines cross: either could be followed to the other's label.
_LEADERS_CROSS = 600.0
#: What it costs to touch another mark or its surroundings, and how many points wide those are: a label next to a mark
#: is read as that one's, all the more where no line tells whose it is.
_ON_FOREIGN, _CLEAR, _CLEAR_WITH_LEADER = 1200.0, 7.0, 3.5
#: Of two labels, or of a label and the outside, so many square points may be common.
_TOLERATED = 2.0
#: What it costs to stand nearer to another mark than to the own one, without a line that tells.
_AMBIGUOUS = 300.0
#: How often every label is given the chance of a better place.
_ROUNDS = 4
#: Points of text at the ends of lines.
END_SIZE = 8.0
#: Of a label of several lines, in matplotlib's measure.
LINE_SPACING = 1.05


@dataclass(frozen=True)
class Anchor:
    """What a label belongs to: its place in data coordinates, and how far ``away`` from there it begins, in points.

    ``radius`` is how far the mark itself reaches, in points.
    """

    x: float
    y: float
    text: str
    colour: str = INK
    away: float = 5.0
    radius: float = 3.0


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Points that one line of ``text`` takes in the figures' font."""
    measure = FigureCanvasAgg(Figure(dpi=72)).get_renderer()
    font = FontProperties(family="DejaVu Sans", size=size)
    return float(measure.get_text_width_height_descent(encodable(text), font, ismath=False)[0])


class _Box(NamedTuple):
    """In dots. matplotlib's own are too slow to be compared by the ten thousand."""

    left: float
    low: float
    right: float
    high: float

    @classmethod
    def of(cls, box: Bbox) -> _Box:
        return cls(float(box.x0), float(box.y0), float(box.x1), float(box.y1))

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.high - self.low)

    def common(self, other: _Box) -> float:
        """The area that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.high, other.high) - max(self.low, other.low)
        return wide * high if wide > 0 and high > 0 else 0.0

    def distance(self, point: _Point) -> float:
        """Of a point from the nearest edge; 0 inside."""
        across, up = point
        return math.hypot(max(self.left - across, across - self.right, 0.0), max(self.low - up, up - self.high, 0.0))

    def is_crossed_by(self, line: _Line | None) -> bool:
        """Whether a line between two points passes through, judged at thirteen points of it."""
        if line is None:
            return False
        (from_x, from_y), (to_x, to_y) = line
        return any(
            self.left <= from_x + share * (to_x - from_x) <= self.right
            and self.low <= from_y + share * (to_y - from_y) <= self.high
            for share in _SHARES
        )


def _around(point: _Point, reach: float) -> _Box:
    across, up = point
    return _Box(across - reach, up - reach, across + reach, up + reach)


_SHARES = tuple(step / 12 for step in range(13))


@dataclass(frozen=True)
class _Place:
    """Of a label: its shift from the mark in points, its box in dots, and ends of the line that leads there, if any.

    It is ``clear`` where it lies inside the axes, and itself and its line keep off all other marks.
    """

    shift: tuple[float, float]
    across: Across
    along: Along
    box: _Box
    cost: float
    leader: _Line | None
    clear: bool


def beside(axes: Axes, anchors: Sequence[Anchor], taken: Sequence[Bbox], size: float = 8.5) -> bool:
    """Write each label beside its mark where it covers the least of the others and stays inside.

    One that has no room there, or could be read as another mark's, stands farther away, and a thin line leads to it.
    ``taken`` are boxes in dots that labels should leave free. The answer is whether all have found a place where they
    touch neither another mark nor another label, and no two of the lines cross.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    spell(figure)
    figure.draw_without_rendering()
    marks = [(float(x), float(y)) for x, y in axes.transData.transform([(one.x, one.y) for one in anchors])]
    choices = [_places(axes, anchors, index, marks, taken, size) for index in range(len(anchors))]
    chosen: list[_Place | None] = [None] * len(anchors)
    for _ in range(_ROUNDS):
        for index, places in enumerate(choices):
            others = [place for other, place in enumerate(chosen) if place is not None and other != index]
            chosen[index] = _best(places, others)
    placed = [place for place in chosen if place is not None]
    for anchor, place in zip(anchors, placed, strict=True):
        _write(axes, anchor, place, size)
    tolerated = _TOLERATED * (figure.dpi / 72) ** 2
    apart = all(
        one.box.common(other.box) <= tolerated and not _cross(one.leader, other.leader)
        for one, other in combinations(placed, 2)
    )
    return apart and all(place.clear for place in placed)


def _best(places: Sequence[_Place], others: Sequence[_Place]) -> _Place:
    """The cheapest of ``places``, which are in the order of what they cost by themselves."""
    best, least = places[0], math.inf
    for place in places:
        if place.cost >= least:
            break
        cost = place.cost + _between(place, others)
        if cost < least:
            best, least = place, cost
    return best


def _places(
    axes: Axes, anchors: Sequence[Anchor], index: int, marks: Sequence[_Point], taken: Sequence[Bbox], size: float
) -> list[_Place]:
    """Where the label of an anchor may stand, the cheapest first, with what each costs by itself."""
    scale = axes.figure.dpi / 72
    anchor, (x, y) = anchors[index], marks[index]
    lines = anchor.text.split("\n")
    wide = max(text_width(line, size) for line in lines) * scale
    high = size * (1.17 + LINE_SPACING * 1.17 * (len(lines) - 1)) * scale
    inside, boxes = _Box.of(axes.bbox), [_Box.of(box) for box in taken]
    foreign = [(mark, anchors[other].radius) for other, mark in enumerate(marks) if other != index]
    found = []
    for order, (step, (right, up, across, along)) in enumerate(_shifts(anchor.away)):
        left = x + right * scale - {"left": 0.0, "center": 0.5, "right": 1.0}[across] * wide
        low = y + up * scale - {"bottom": 0.0, "center": 0.5, "top": 1.0}[along] * high
        box = _Box(left, low, left + wide, low + high)
        outside = box.area - box.common(inside)
        cost = order + _STEP * scale * step + _OUTSIDE * outside
        cost += _ON_MARK * sum(box.common(other) for other in boxes)
        leader = ((x, y), (x + right * scale, y + up * scale)) if step else None
        margin = _CLEAR_WITH_LEADER if leader else _CLEAR
        touched = sum(box.distance(mark) < (radius + margin) * scale for mark, radius in foreign)
        cost += _ON_FOREIGN * scale * touched
        # Of marks that lie on each other, every line that leaves one passes over the other.
        passed = [mark for mark, radius in foreign if math.dist(mark, (x, y)) > (radius + _REACH) * scale]
        reach = {mark: (radius + _REACH) * scale for mark, radius in foreign}
        misled = sum(_around(mark, reach[mark]).is_crossed_by(leader) for mark in passed)
        cost += _LEADER_ON_MARK * scale * misled
        if leader is None and any(box.distance(mark) < 0.9 * box.distance((x, y)) for mark, _ in foreign):
            cost += _AMBIGUOUS * scale
        clear = not touched and not misled and outside <= _TOLERATED * scale**2
        found.append(_Place((right, up), across, along, box, cost, leader, clear))
    return sorted(found, key=lambda place: place.cost)


def _shifts(away: float) -> Iterator[tuple[int, tuple[float, float, Across, Along]]]:
    """(how far, shift right and up in points with alignments) of every place."""
    for right, up, across, along in _NEAR:
        yield 0, (away * right, away * up, across, along)
    for step, more in enumerate(_FARTHER, start=1):
        for direction in range(_DIRECTIONS):
            angle = 2 * math.pi * direction / _DIRECTIONS
            right, up = math.cos(angle), math.sin(angle)
            sideways: Across = "left" if right > 0.3 else "right" if right < -0.3 else "center"
            upright: Along = "bottom" if up > 0.5 else "top" if up < -0.5 else "center"
            yield step, ((away + more) * right, (away + more) * up, sideways, upright)


def _between(place: _Place, others: Sequence[_Place]) -> float:
    """What a place costs because of the labels that stand already."""
    cost = 0.0
    for other in others:
        common = place.box.common(other.box)
        cost += _ON_LABEL * common + _TOUCHES_LABEL * (common > 0)
        cost += _LEADER_ON_LABEL * other.box.is_crossed_by(place.leader)
        cost += _LEADER_ON_LABEL * place.box.is_crossed_by(other.leader)
        cost += _LEADERS_CROSS * _cross(place.leader, other.leader)
    return cost


def _cross(one: _Line | None, other: _Line | None) -> bool:
    """Whether two lines between points have a point in common: the ends of each lie on different sides of the other."""
    if one is None or other is None:
        return False
    return all(
        _side(line, across[0]) * _side(line, across[1]) < 0 for line, across in ((one, other), (other, one))
    )  # fmt: skip


def _side(line: _Line, point: _Point) -> float:
    (from_x, from_y), (to_x, to_y) = line
    return (to_x - from_x) * (point[1] - from_y) - (to_y - from_y) * (point[0] - from_x)


def _write(axes: Axes, anchor: Anchor, place: _Place, size: float) -> None:
    leader = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3}
    axes.annotate(
        anchor.text, (anchor.x, anchor.y), place.shift, textcoords="offset points", ha=place.across, va=place.along,
        fontsize=size, linespacing=LINE_SPACING, color=anchor.colour,
        arrowprops={**leader, "relpos": _corner(place)} if place.leader else None,
    )  # fmt: skip


def _corner(place: _Place) -> tuple[float, float]:
    """Where on its label, as shares of width and height, a leading line ends."""
    return {"left": 0.0, "center": 0.5, "right": 1.0}[place.across], {"bottom": 0.0, "center": 0.5, "top": 1.0}[
        place.along
    ]


def at_ends(axes: Axes, anchors: Sequence[Anchor], size: float = END_SIZE) -> None:
    """Write the labels in a column right of the axes, each as near to its line's end as the others let it.

    A thin line leads from the end to the label. Labels may be of several lines.
    """
    most_lines = max((anchor.text.count("\n") + 1 for anchor in anchors), default=1)
    height = axes.bbox.height * 72 / axes.figure.dpi
    heights = [float(axes.transAxes.inverted().transform(axes.transData.transform((a.x, a.y)))[1]) for a in anchors]
    order = sorted(range(len(anchors)), key=lambda index: (heights[index], anchors[index].text))
    spread = spaced([heights[index] for index in order], row_height(most_lines, size) / height, within=(0.02, 0.94))
    across = blended_transform_factory(axes.transAxes, axes.transAxes)
    for index, level in zip(order, spread, strict=True):
        anchor = anchors[index]
        axes.annotate(
            anchor.text, (anchor.x, anchor.y), (1.045, level), xycoords="data", textcoords=across, va="center",
            ha="left", fontsize=size, linespacing=LINE_SPACING, color=anchor.colour, annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": anchor.colour, "linewidth": 0.5, "alpha": 0.55, "shrinkA": 1, "shrinkB": 3,
                "relpos": (0, 0.5),
            },
        )  # fmt: skip


def row_height(lines: int = 1, size: float = END_SIZE) -> float:
    """Points from one label at the ends of lines to the next, of so many ``lines`` of text."""
    return size * (1.32 + 1.17 * LINE_SPACING * (lines - 1))


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
