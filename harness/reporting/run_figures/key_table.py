"""A key beside a figure: line, name and figures of every entry, one below the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes

from harness.reporting import row_labels
from harness.reporting.cost_figures import sheet
from harness.reporting.palette import MUTED, Look

SIZE = 8.5
#: Inches: a line of text, what stands between two entries, the drawn line, a column of figures; letters of a line.
_LINE, _GAP, _SWATCH, _COLUMN, _LETTERS = 0.152, 0.06, 0.42, 0.56, 36


def width(titles: Collection[str], columns: int = 0) -> float:
    """Inches."""
    return _SWATCH + row_labels.width(map(_wrapped, titles), SIZE) + 0.1 + _COLUMN * columns


def height(titles: Collection[str], columns: int = 0) -> float:
    """Inches, the headings of columns included."""
    return sum(map(_height, titles)) + (_LINE + _GAP) * (columns > 0)


def draw(
    canvas: sheet.Canvas, left: float, below: float, look: Mapping[str, Look], figures: Mapping[str, Sequence[str]],
    headings: Sequence[str] = (),
) -> Axes:  # fmt: skip
    """In the order of ``figures``, title -> what stands in the columns, from ``left`` inches and ``below`` the top."""
    titles = list(figures)
    wide, high = width(titles, len(headings)), height(titles, len(headings))
    axes = canvas.axes(left, below, wide, high)
    axes.set(xlim=(0, wide), ylim=(high, 0))
    axes.set_axis_off()
    ends = [wide - _COLUMN * (len(headings) - 1 - index) for index in range(len(headings))]
    for end, heading in zip(ends, headings, strict=True):
        axes.text(end, _LINE / 2, heading, ha="right", va="center", fontsize=SIZE, color=MUTED)
    level = (_LINE + _GAP) * (len(headings) > 0)
    for title, cells in figures.items():
        middle = level + (_height(title) - _GAP) / 2
        axes.plot(
            [0, _SWATCH - 0.12], [middle, middle], color=look[title].colour, linestyle=look[title].dashes, linewidth=1.6
        )
        axes.text(_SWATCH, middle, _wrapped(title), va="center", fontsize=SIZE, linespacing=1.1)
        for end, cell in zip(ends, cells, strict=True):
            axes.text(end, middle, cell, ha="right", va="center", fontsize=SIZE)
        level += _height(title)
    return axes


def _wrapped(title: str) -> str:
    return row_labels.wrapped(title, _LETTERS)


def _height(title: str) -> float:
    return _LINE * row_labels.lines(_wrapped(title)) + _GAP
