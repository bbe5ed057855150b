"""A table of strings with a title and notes, for the terminal and as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.printable import printable

WIDTH = 120
#: Narrower than this the first column does not get, however much the others need.
_NARROWEST = 12


@dataclass(frozen=True)
class Heading:
    """Of a column: its name and the unit below it. A ``number`` aligns right."""

    name: str
    unit: str = ""
    number: bool = True


@dataclass(frozen=True)
class Grid:
    """``cells`` row by row, each as long as ``headings``; the first column wraps where the table would be too wide.

    ``strong`` and ``second`` are (row, column) of the best and second best figures, which Markdown and LaTeX set off.
    """

    title: str
    headings: tuple[Heading, ...]
    cells: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    strong: frozenset[tuple[int, int]] = frozenset()
    second: frozenset[tuple[int, int]] = frozenset()

    def to_text(self) -> str:
        """At most WIDTH columns, unless the columns after the first need more. Without a title it begins at once."""
        title = [*wrapped(self.title), ""] if self.title else []
        return "\n".join([*title, *self._aligned(), *_listed(self.notes)])

    def to_markdown(self) -> str:
        """A pipe table with the title in bold above and the notes below."""
        names = [" ".join(filter(None, (heading.name, heading.unit))) for heading in self.headings]
        rules = ["---:" if heading.number else ":---" for heading in self.headings]
        title = [f"**{_escaped(self.title)}**", ""] if self.title else []
        lines = [*title, _piped(map(_escaped, names)), _piped(rules)]
        for index, row in enumerate(self.cells):
            cells = (
                f"**{_escaped(cell)}**" if (index, place) in self.strong and cell.strip() else _escaped(cell)
                for place, cell in enumerate(row)
            )
            lines.append(_piped(cells))
        return "\n".join([*lines, "", bullets(self.notes)] if self.notes else lines)

    def _aligned(self) -> list[str]:
        top = [[heading.name for heading in self.headings], [heading.unit for heading in self.headings]]
        if not any(top[1]):
            top.pop()
        widths = [max(len(row[index]) for row in [*top, *self.cells]) for index in range(len(self.headings))]
        gap = 2 if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else 1
        widths[0] = max(_NARROWEST, min(widths[0], WIDTH - sum(widths[1:]) - gap * (len(widths) - 1)))
        lines = []
        for row in [*top, ["-" * width for width in widths], *self.cells]:
            first, *rest = textwrap.wrap(row[0], widths[0], subsequent_indent="  ") or [""]
            justified = [
                cell.rjust(width) if heading.number else cell.ljust(width)
                for cell, width, heading in zip([first, *row[1:]], widths, self.headings, strict=True)
            ]
            lines += [(" " * gap).join(justified).rstrip(), *rest]
        return lines


def wrapped(line: str, start: str = "", later: str = "") -> list[str]:
    """``line`` in lines of at most WIDTH characters, the first behind ``start`` and the others behind ``later``."""
    return textwrap.wrap(line, WIDTH, initial_indent=start, subsequent_indent=later, break_on_hyphens=False)


def bullets(notes: Iterable[str]) -> str:
    """Plain text as a list in Markdown."""
    return "\n".join(f"* {_escaped(note)}" for note in notes)


def quoted(paragraph: str) -> str:
    """Plain text as a quotation in Markdown, on one line."""
    return f"> {_BLOCK.sub(_WITH_BACKSLASH, _escaped(paragraph))}"


def code(text: str) -> str:
    """Plain text as code in Markdown, on one line."""
    # A longer row of backticks than any within ends it, and nothing else does.
    runs = re.findall(r"`+", text)
    fence = "`" * (1 + max(map(len, runs), default=0))
    pad = " " if runs else ""
    return f"{fence}{pad}{printable(' '.join(text.split()))}{pad}{fence}"


def _listed(notes: Sequence[str]) -> list[str]:
    return ["", *(line for note in notes for line in wrapped(note, "* ", "  "))] if notes else []


#: What would begin markup, a cell, a formula or a link: with a backslash before it, it is what it looks like.
_MARKUP = re.compile(r"[\\|*`$]|\](?=\()|(?<![^\W_])_|_(?![^\W_])|~(?=~)")
#: What would begin a list, a heading, a rule or a quotation at the beginning of a line.
_BLOCK = re.compile(r"^(\d*)([-+#>~]|(?<=\d)[.)])")
_WITH_BACKSLASH = r"\1\\\2"
_ENTITY = re.compile(r"&(?=#?\w+;)")


def _escaped(cell: str) -> str:
    plain = " ".join(cell.split())
    return _ENTITY.sub("&amp;", _MARKUP.sub(r"\\\g<0>", printable(plain))).replace("<", "&lt;")


def _piped(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
