"""A page of panels above a caption, each with room at its right for the labels at the ends of its lines.

Everything has its place in inches, so that panels stay as large as they are whatever stands around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.reporting import caption, placement
from harness.reporting.cost_figures.curve import Curve
from harness.reporting.figure import blank

#: Inches: numbers and name of an upright axis, its title above, numbers and name of the axis below, the page's title.
_LEFT, _ABOVE, _BELOW, _TITLE = 0.86, 0.34, 0.52, 0.34
#: Between an axis and the labels at its right, and after them.
_LEADER = 0.24


def page(
    title: str, sentences: Iterable[str], width: float, height: float, rows: int, labels: Sequence[float]
) -> tuple[Figure, list[list[Axes]]]:
    """The figure, ``width`` inches wide, and its axes by row and column, each ``height`` inches high.

    ``labels`` has the inches that the labels of each column take. To be made within ``harness.reporting.figure.style``.
    """
    step = _ABOVE + height + _BELOW
    canvas = Canvas.blank(title, sentences, width, rows * step)
    panel = (width - sum(labels) - _LEFT * len(labels)) / len(labels)
    lefts = [_LEFT + column * (_LEFT + panel) + sum(labels[:column]) for column in range(len(labels))]
    return canvas.figure, [
        [canvas.axes(left, row * step + _ABOVE, panel, height) for left in lefts] for row in range(rows)
    ]


@dataclass(frozen=True)
class Canvas:
    """A figure with title and caption, and ``top`` inches from its lower edge, below the title, where panels begin."""

    figure: Figure
    top: float

    @classmethod
    def blank(cls, title: str, sentences: Iterable[str], width: float, body: float) -> Canvas:
        """Without panels yet, and ``body`` inches of height for them."""
        lines = caption.wrapped(sentences, width)
        top = body + caption.height(lines)
        figure = blank(width, top + _TITLE)
        figure.set_layout_engine("none")
        caption.write(figure, title, lines)
        return cls(figure, top)

    @classmethod
    def bare(cls, width: float, height: float) -> Canvas:
        """Without title and caption, all of it for panels."""
        figure = blank(width, height)
        figure.set_layout_engine("none")
        return cls(figure, height)

    def axes(self, left: float, below: float, width: float, height: float) -> Axes:
        """Axes ``left`` inches from the left edge and ``below`` inches from where panels begin."""
        wide, high = self.figure.get_size_inches()
        return self.figure.add_axes((left / wide, (self.top - below - height) / high, width / wide, height / high))


def label_width(curves: Sequence[Curve]) -> float:
    """Inches that the longest label takes, with the line that leads to it."""
    return _LEADER + max((placement.text_width(curve.text, placement.END_SIZE) for curve in curves), default=0.0) / 72
