"""What makes a group of runs worth believing, at one look: how many ended well, on which data, machine and code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.comparison.group import SEEDS_FOR_SPREAD, Entry, Group
from harness.quantity import MISSING
from harness.store.schema import Record, look_up

#: Digits of a digest and of a commit that are enough to tell them apart by eye.
DIGITS = 10
#: Parts of a signature's short form that the test set, the precision and T say already.
_SAID_ELSEWHERE = ("s:", "T:", "p:", "c:", "i:")
_MOST_LISTED = 3


@dataclass(frozen=True)
class Fact:
    """``name`` and ``value`` are a line; ``whole`` says it in full where the value is abbreviated. ``doubt``: look."""

    name: str
    value: str
    whole: str = ""
    doubt: bool = False


def facts(group: Group) -> list[Fact]:
    """One line of them, in the order in which a reader asks."""
    records = runs(group)
    found = [_finished(records), _seeds(group.entries), _test_set(records), _protocol(group, records)]
    return [*found, _machine(records), _commit(records), _precision(records)]


def runs(group: Group) -> list[Record]:
    """Every run of the group, finished or not."""
    return [record for entry in group.entries for record in (*entry.runs, *entry.gaps)]


def _finished(records: Sequence[Record]) -> Fact:
    ok = sum(record["status"] == "ok" for record in records)
    return Fact("runs finished", f"{ok} of {len(records)}", doubt=ok < len(records))


def _seeds(entries: Iterable[Entry]) -> Fact:
    counts = sorted({len(entry.runs) for entry in entries if entry.runs})
    if not counts:
        return Fact("seeds per model", MISSING)
    value = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return Fact("seeds per model", value, doubt=counts[0] < SEEDS_FOR_SPREAD)


def _test_set(records: Sequence[Record]) -> Fact:
    digest = next((found for record in records if (found := look_up(record, "data.digest_test"))), None)
    if digest is None:
        return Fact("test set", MISSING)
    record = next(record for record in records if look_up(record, "data.digest_test") == digest)
    sizes = [
        f"{count:,} {name}"
        for name in ("sequences", "frames")
        if (count := look_up(record, f"data.test_{name}")) is not None
    ]
    name = look_up(record, "data.name") or record["config"].get("data")
    return Fact(
        "test set", f"{name} {digest[:DIGITS]}", f"{', '.join(sizes)}; sha256 of their 2D and 3D arrays: {digest}"
    )


def _protocol(group: Group, records: Iterable[Record]) -> Fact:
    short = [form for record in records if (form := look_up(record, "signature.short"))]
    if not short or group.protocol is None:
        return Fact("protocol", MISSING)
    parts = [part for part in short[0].split("|") if not part.startswith(_SAID_ELSEWHERE)]
    shared = [part for part in parts if all(part in form.split("|") for form in short)]
    return Fact("protocol", "|".join(shared), group.protocol)


def _machine(records: Iterable[Record]) -> Fact:
    return _all_of("machine", records, _machine_of)


def _machine_of(record: Record) -> str:
    environment = record.get("environment") or {}
    if str(record["config"].get("device", "")).startswith("cuda"):
        return str(environment.get("gpu") or MISSING)
    threads = record["config"].get("threads")
    used = f", {threads} thread{'s' * (threads != 1)}" if threads else ""
    return f"{environment.get('processor') or MISSING}{used}"


def _commit(records: Sequence[Record]) -> Fact:
    fact = _all_of("commit", records, _commit_of)
    dirty = any(look_up(record, "environment.commit.dirty") for record in records)
    unknown = any(not look_up(record, "environment.commit.id") for record in records)
    return Fact(fact.name, fact.value, fact.whole, dirty or unknown)


def _commit_of(record: Record) -> str:
    commit = look_up(record, "environment.commit") or {}
    if not isinstance(commit, dict) or not commit.get("id"):
        return "not known"
    return f"{commit['id'][:DIGITS]}{' + changes' if commit.get('dirty') else ''}"


def _precision(records: Iterable[Record]) -> Fact:
    return _all_of("precision", records, lambda record: str(record["config"].get("precision") or "fp32"))


def _all_of(name: str, records: Iterable[Record], value: Callable[[Record], str]) -> Fact:
    """The values that occur; where they are too many for a line, the first and how many more."""
    values = list(dict.fromkeys(map(value, records)))
    if len(values) <= _MOST_LISTED:
        return Fact(name, " / ".join(values) or MISSING)
    return Fact(name, f"{values[0]} and {len(values) - 1} others", " / ".join(values))
