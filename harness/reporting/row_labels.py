"""Names of rows at the left of a figure: wrapped, and how much room they need."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from harness.reporting.placement import text_width

#: Points of text, and letters of a line.
SIZE, LONGEST_LINE = 9.0, 30


def wrapped(title: str, letters: int = LONGEST_LINE) -> str:
    """``title`` in lines of at most ``letters``; a word that is longer is cut, since a figure has no room for it."""
    return textwrap.fill(title, letters, break_on_hyphens=False) or title


def shortened(title: str, letters: int) -> str:
    """``title`` with its middle left out where it is longer: both ends of a sequence's name tell it from others."""
    if len(title) <= letters:
        return title
    head = (letters - 1) // 2
    return f"{title[:head]}…{title[len(title) - (letters - 1 - head) :]}"


def width(labels: Iterable[str], size: float = SIZE) -> float:
    """Inches that the widest of ``labels``, lines broken, takes."""
    return max((text_width(line, size) for label in labels for line in label.split("\n")), default=0.0) / 72


def lines(label: str) -> int:
    """How many it has."""
    return label.count("\n") + 1
