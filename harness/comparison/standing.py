"""Where an entry stands in its group: its P1 with the test-set interval, and its difference from the best entry."""

from __future__ import annotations

from dataclasses import dataclass

from harness.comparison import pair
from harness.comparison.group import Entry, Group
from harness.comparison.seed_spread import SeedSpread
from harness.evaluation import statistics
from harness.evaluation.statistics import Comparison, Interval


@dataclass(frozen=True)
class Standing:
    """``to_best`` is the entry's error minus the best one's, None for the best itself.

    ``p_value`` is corrected by Holm over all comparisons with the best of the group. Where ``interval`` or ``to_best``
    is missing, ``obstacles`` say why. ``seeds`` is what the seeds of both tell of the difference from the best.
    """

    entry: Entry
    interval: Interval | None
    to_best: Comparison | None
    p_value: float | None
    obstacles: tuple[str, ...] = ()
    seeds: SeedSpread | None = None


def of(group: Group) -> list[Standing]:
    """Of every scored entry, by rank."""
    scored = group.scored
    if not scored:
        return []
    intervals = [pair.interval(entry) for entry in scored]
    compared = [(None, ""), *(pair.tested(entry, scored[0]) for entry in scored[1:])]
    adjusted = iter(statistics.holm([found.p_value for found, _ in compared if found]).tolist())
    return [
        Standing(
            entry,
            interval,
            to_best,
            next(adjusted) if to_best else None,
            tuple(dict.fromkeys(filter(None, (no_interval, no_comparison)))),
            None if entry is scored[0] else SeedSpread.of(entry, scored[0]),
        )
        for entry, (interval, no_interval), (to_best, no_comparison) in zip(scored, intervals, compared, strict=True)
    ]
