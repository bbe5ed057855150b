"""Figures whose bytes are a function of what they show: one style, one font, no date, no drawn-at-random names.

The theme is seaborn's, with what is our own laid over it. Nothing of it leaks into matplotlib's global settings:
``style`` is a context, and a figure is drawn and saved in it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

from harness.printable import encodable
from harness.reporting.palette import INK, LINE, MUTED, PAPER

DOTS_PER_INCH = 160
#: seaborn's theme.
THEME, CONTEXT = "ticks", "paper"
#: matplotlib's own names; typed loosely because its stubs list every one, differently from release to release.
STYLE: Any = {
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 10,
    # The font that matplotlib brings along, so that no machine draws another.
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "hatch.linewidth": 0.8,
    # Edges as they are asked for: the theme's white ones would be seen on a dark page.
    "patch.force_edgecolor": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    # A dollar sign in a model's name is a dollar sign.
    "text.parse_math": False,
    "svg.fonttype": "path",
    # Without a salt matplotlib draws the names of clip paths at random.
    "svg.hashsalt": "harness",
}


@contextmanager
def style() -> Iterator[None]:
    """The figures' own settings, whatever those around are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**sns.axes_style(THEME), **sns.plotting_context(CONTEXT), **STYLE})
        yield


def blank(width: float, height: float) -> Figure:
    """An empty figure, in inches, that needs no window and makes room for what is put into it."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_svg(figure: Figure) -> bytes:
    """The figure as SVG; the text is drawn as paths, so that it looks the same everywhere."""
    return _compact(_saved(figure, "svg", dict.fromkeys(("Creator", "Date", "Format", "Type"))).decode()).encode()


def to_png(figure: Figure) -> bytes:
    """The figure as PNG, 160 dots per inch."""
    return _saved(figure, "png", {"Software": None})


#: Where most digits of an SVG are, and those of them that no screen shows: a figure spans some hundred points.
_PLACES = re.compile(r'\bd="[^"]*"|\b(?:x|y)="[^"]*"|translate\([^)]*\)')
_DIGITS = re.compile(r"-?\d+\.\d{3,}")
_GLYPHS = re.compile(r'(\bid="|href="#)DejaVuSans-(Bold-)?')
_IDENTIFIED = re.compile(r'(<g) id="([^"]*)"')


def _compact(source: str) -> str:
    """The same picture in fewer bytes: no comments, no names that nothing refers to, no digits too small to see."""
    source = re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL)
    source = _PLACES.sub(lambda place: _DIGITS.sub(lambda number: f"{float(number[0]):.2f}", place[0]), source)
    source = re.sub(r'\bd="([^"QC]*)"', lambda path: path[0].replace("\nL ", " "), source)
    referred = set(re.findall(r'(?:url\(|href=")#([^")]*)', source))
    source = _IDENTIFIED.sub(lambda group: group[0] if group[2] in referred else group[1], source)
    source = _GLYPHS.sub(lambda name: f"{name[1]}{'B' if name[2] else 'g'}", source)
    source = re.sub(r"[ \t]*\n\s*", "\n", re.sub(r"<g ?/>", "", source))
    return re.sub(r"[;:] (?=[\w#-])(?=[^<>]*/?>)", lambda style: style[0][0], source)


def _saved(figure: Figure, kind: str, metadata: Mapping[str, str | None]) -> bytes:
    file = io.BytesIO()
    spell(figure)
    with style():
        figure.savefig(file, format=kind, metadata=dict(metadata), dpi=DOTS_PER_INCH)
    return file.getvalue()


def spell(figure: Figure) -> None:
    """For what a font has no glyph of matplotlib draws a box; lone surrogates it refuses."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(names := axis.get_major_formatter(), FuncFormatter):  # as matplotlib keeps given names
                names.func = _spelling(names.func)
    for text in figure.findobj(Text):
        text.set_text(encodable(text.get_text()))


def _spelling(name: Callable[..., str]) -> Callable[..., str]:
    return lambda *place: encodable(name(*place))
