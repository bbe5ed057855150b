"""What every figure owes its reader: text large enough, inside the page, and not on top of other text."""

from __future__ import annotations

from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

SMALLEST = 8.0


def texts(figure: Figure) -> list[str]:
    """Everything that is written in ``figure``."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def words(figure: Figure) -> str:
    """The same as one line; line breaks of captions are spaces."""
    return " ".join(" ".join(texts(figure)).split())


def panel(figure: Figure, title: str) -> Axes:
    """The axes with this title."""
    (found,) = [axes for axes in figure.axes if axes.get_title(loc="left") == title]
    return found


def check(figure: Figure) -> None:
    """Fails naming the text that is too small, leaves the page, or lies on another one."""
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    unused = _unused_ticks(figure)
    shown = [text for text in shown if id(text) not in unused]
    # Of an annotation, the text alone and not the line that leads to it.
    boxes = {text: Text.get_window_extent(text) for text in shown}
    for text, box in boxes.items():
        assert text.get_fontsize() >= SMALLEST, text
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y1 <= figure.bbox.height + 1, text
    # The boxes of turned texts lie on each other where the texts do not.
    upright = [text for text in shown if text.get_rotation() % 90 == 0]
    for one, other in combinations(upright, 2):
        assert not boxes[one].shrunk(0.96, 0.8).overlaps(boxes[other].shrunk(0.96, 0.8)), (one, other)


def _unused_ticks(figure: Figure) -> set[int]:
    """The texts of ticks outside their axis, which matplotlib keeps but does not draw."""
    unused: set[int] = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not min(limits) <= tick.get_loc() <= max(limits):
                    unused |= {id(tick.label1), id(tick.label2)}
    return unused
