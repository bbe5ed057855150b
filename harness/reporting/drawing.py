"""A figure as it stands in the page and as it is stored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from harness.printable import printable
from harness.reporting import palette
from harness.reporting.figure import to_png, to_svg

#: Colours of the figures that follow the page's light or dark scheme.
_SCHEME = {palette.INK: "var(--ink)", palette.MUTED: "var(--muted)", palette.LINE: "var(--line)", palette.PAPER: "none"}
_COMMENTS = re.compile(r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*", flags=re.DOTALL)


@dataclass(frozen=True)
class Drawing:
    """``name`` is that of its files; ``caption`` holds for all runs, ``notes`` for those that are drawn.

    ``prefix`` is what its own identifiers begin with in the page, the name where none is given: short, since a figure
    has many.
    """

    name: str
    caption: str
    figure: Figure
    notes: str = ""
    prefix: str = ""

    @property
    def says(self) -> str:
        """The caption with the notes."""
        return " ".join(filter(None, (self.caption, self.notes)))

    @cached_property
    def svg_file(self) -> bytes:
        return to_svg(self.figure)

    @cached_property
    def png_file(self) -> bytes:
        return to_png(self.figure)

    @property
    def width_pt(self) -> str:
        """As drawn: the width at which its letters have the size that they were given."""
        (found,) = re.findall(rb'<svg [^>]*?\bwidth="([\d.]+)pt"', self.svg_file)
        return str(found.decode())

    @property
    def inline_svg(self) -> Markup:
        """For the page: without prologue and fixed size, with names of its own, and in the page's colours."""
        source = _COMMENTS.sub("", self.svg_file.decode())
        source = self._with_own_names(source)
        for colour, variable in _SCHEME.items():
            source = source.replace(colour, variable)
        _, root, inside = re.split(r"(<svg [^>]*>)", source, maxsplit=1)
        (box,) = re.findall(r'viewBox="([^"]*)"', root)
        opening = f'<svg role="img" viewBox="{box}"'
        return Markup(f'{opening} aria-label="{escape(printable(self.says))}">{inside}')

    def _with_own_names(self, source: str) -> str:
        """Identifiers that something refers to, numbered behind the prefix; the others are left out."""
        used = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^")]+)', source))
        names = {name: f"{self.prefix or self.name}-{number}" for number, name in enumerate(used)}
        source = re.sub(r'(url\(#|href="#)([^")]+)', lambda found: found[1] + names[found[2]], source)
        return re.sub(r' id="([^"]+)"', lambda found: f' id="{names[found[1]]}"' if found[1] in names else "", source)
