"""Warnings of many runs in few sentences: what differs in its numbers alone is said once, with their range."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from harness.comparison.group import Entry
from harness.quantity import whole_numbers
from harness.store.schema import Record, look_up

#: Stands for a number where texts are compared; no text has it.
_ANY = "\0"
#: A training that computed on one processor for a smaller share of its time was kept waiting.
_BUSY = 0.9
#: A number that stands by itself, and is no part of a name.
_NUMBER = re.compile(r"(?<![\w.,/-])\d[\d,]*(?:\.\d+)?(?![\w/-]|[.,]\d)")


def cautions(entries: Sequence[Entry]) -> list[str]:
    """What the runs of ``entries`` warn of, with whose warning it is, in the order of the ranking."""
    said: dict[str, list[tuple[Entry, int | None, str]]] = defaultdict(list)
    for entry in entries:
        for run in entry.runs:
            for warning in dict.fromkeys([*(run.get("warnings") or []), *_waited(run)]):
                said[_NUMBER.sub(_ANY, warning)].append((entry, run.get("seed"), warning))
    runs = sum(len(entry.runs) for entry in entries)
    return [f"{_whose(sources, runs)}: {_joined([text for *_, text in sources])}" for sources in said.values()]


def _waited(run: Record) -> list[str]:
    """Where other work took so large a part of the machine that a rate by wall-clock time is not the lifter's."""
    seconds, core_seconds = (look_up(run, f"training.{name}") for name in ("seconds", "core_seconds"))
    if run["config"].get("device", "cpu") != "cpu" or not seconds or not core_seconds:
        return []
    share = core_seconds / seconds
    if share >= _BUSY:
        return []
    return [f"training computed {100 * share:.0f} % of its time, other work took the rest: train f/s is too low"]


def _whose(sources: Sequence[tuple[Entry, int | None, str]], runs: int) -> str:
    if len({(entry.title, seed) for entry, seed, _ in sources}) == runs > 1:
        return "every run"
    seeds: dict[str, list[int]] = defaultdict(list)
    for entry, seed, _ in sources:
        known = seeds[entry.title]
        if seed is not None and seed not in known:
            known.append(seed)
    return "; ".join(
        f"{title}, seed{'s' * (len(known) > 1)} {whole_numbers(sorted(known))}" if known else title
        for title, known in seeds.items()
    )


def _joined(texts: Sequence[str]) -> str:
    """One sentence for all, each of its numbers from the smallest to the largest."""
    columns = list(zip(*(_NUMBER.findall(text) for text in texts), strict=True))
    ranges = iter([_range(column) for column in columns])
    return _NUMBER.sub(lambda found: next(ranges), texts[0])


def _range(numbers: Sequence[str]) -> str:
    ordered = sorted(set(numbers), key=lambda number: float(number.replace(",", "")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
