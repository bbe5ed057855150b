"""How the entries of a group are drawn: the same in every figure of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.comparison.group import Entry
from harness.reporting.palette import DASHES, Look, looks

#: Entries whose lines are in one panel at most: more could not be told apart.
MOST_LINES = 10


def looks_of(entries: Sequence[Entry]) -> dict[str, Look]:
    """Look of each entry by its title, of colours that are seen on white and on dark paper.

    The MOST_LINES best are told apart by colour and dashes; were all of many told apart alike, those that are drawn as
    lines would differ by a shade alone.
    """
    ranked = sorted(entries, key=lambda entry: (entry.p1_mm is None, entry.p1_mm or 0.0, entry.title))
    return {**_looks(ranked), **_distinct(_looks(ranked[:MOST_LINES]))}


def _looks(entries: Sequence[Entry]) -> dict[str, Look]:
    members = [(entry.title, entry.model, entry.mean("cost.params_total") or 0.0) for entry in entries]
    return looks(members, on_dark_too=True)


def _distinct(found: Mapping[str, Look]) -> dict[str, Look]:
    """The same, no two of one colour and one kind of dashes."""
    seen: set[str] = set()
    made = {}
    for title, look in found.items():
        first = DASHES.index(look.dashes)
        choices = (replace(look, dashes=dashes) for dashes in (*DASHES[first:], *DASHES[:first]))
        made[title] = next((one for one in choices if _line(one) not in seen), look)
        seen.add(_line(made[title]))
    return made


def _line(look: Look) -> str:
    return f"{look.colour} {look.dashes}"
