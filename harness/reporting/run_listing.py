"""One record as a page lists it: its headline, and every field of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.quantity import MISSING, decimal
from harness.store.schema import Record, look_up

#: Parts of a record that are listed field by field, with what is drawn elsewhere left out.
_PARTS = ("config", "training", "data", "cost", "weights", "traces", "environment", "signature", "floors")
_DRAWN = ("training.curve", "signature.fields")


@dataclass(frozen=True)
class RunListing:
    """``parts`` are (name of a part, (field, value) of all that is in it)."""

    id: str
    status: str
    figure: str
    error: str
    parts: Sequence[tuple[str, Sequence[tuple[str, str]]]]


def listing(record: Record) -> RunListing:
    p1_mm = look_up(record, "accuracy.p1_mm")
    parts = [(name, list(_fields(record[name], name))) for name in _PARTS if record.get(name)]
    names = [(name, str(record[name])) for name in ("seed", "started", "finished", "config_hash") if name in record]
    return RunListing(
        id=record["id"],
        status=record["status"],
        figure="" if p1_mm is None else f"P1 {decimal(p1_mm)} mm",
        error=record.get("error") or "",
        parts=[("run", names), *parts],
    )


def _fields(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(dotted field below the part, value) of everything in a part of a record."""
    if path in _DRAWN:
        return
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _fields(below, f"{path}.{name}")
    else:
        yield path.partition(".")[2], _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or MISSING
    return f"{value:.6g}" if isinstance(value, float) else str(value)
