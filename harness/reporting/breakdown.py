"""P1 by action and by joint as a table: what the heat maps show, for those who read text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.comparison.group import Group
from harness.quantity import decimal

_BY = {"by action": "accuracy.per_action", "by joint": "accuracy.per_joint"}


@dataclass(frozen=True)
class Breakdown:
    """``rows`` are (title of an entry, its P1 in mm under each heading, mean over seeds)."""

    title: str
    headings: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def breakdowns(group: Group) -> list[Breakdown]:
    """Those that any run of the group has figures for."""
    return [found for title, path in _BY.items() if (found := _breakdown(title, path, group))]


def _breakdown(title: str, path: str, group: Group) -> Breakdown | None:
    means = {entry.title: entry.p1_by_name(path) for entry in group.scored}
    names = list(dict.fromkeys(name for found in means.values() for name in found))
    rows = [(entry, [decimal(found.get(name)) for name in names]) for entry, found in means.items() if found]
    return Breakdown(title, names, rows) if rows else None
