"""Neighbours in the ranking set against each other: is the better one really better, and at what cost?

Paired by take with the errors averaged over seeds (``harness.comparison.pair``), and Holm's correction over all
neighbours of a table, since a reader looks at all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.comparison import operations
from harness.comparison.group import SEEDS_FOR_SPREAD, Entry, Group
from harness.comparison.pair import tested
from harness.comparison.seed_spread import SeedSpread
from harness.comparison.significance import SIGNIFICANCE
from harness.evaluation import statistics
from harness.evaluation.statistics import WORTH_HAVING_MM, Comparison
from harness.quantity import NO_BREAK, probability, signed


@dataclass(frozen=True)
class Neighbours:
    """Two entries, the better one first. ``comparison`` is None where ``obstacle`` says why there is none.

    ``seeds`` are those of both, in either order.
    """

    better: Entry
    worse: Entry
    comparison: Comparison | None
    p_value: float | None
    seeds: SeedSpread
    obstacle: str = ""
    worth_having_mm: float = WORTH_HAVING_MM

    @property
    def is_significant(self) -> bool:
        """Over the takes of the test set; what other seeds change is apart from that."""
        return self.p_value is not None and self.p_value < SIGNIFICANCE

    def sentence(self) -> str:
        """Which is better, by how much, how sure that is, at how many times the operations."""
        better, worse = self.better.title, self.worse.title
        if self.comparison is None or self.p_value is None:
            return f"{better} is ranked above {worse}, but they cannot be tested: {self.obstacle}."
        gap = self.comparison.difference
        # The difference is better minus worse; read as a gain it changes its sign, and the interval its ends.
        gain, digits = self.lead, lead_digits(gap.mean_mm)
        interval = f"[{signed(-gap.high_mm, digits)},{NO_BREAK}{signed(-gap.low_mm, digits)}]"
        chance = f"p{NO_BREAK}{probability(self.p_value)}"
        if not self.is_significant:
            said = f"{better} and {worse} cannot be told apart ({gain} {interval}, {chance})"
            return f"{said}{self._cost()}{self._seeds()}."
        small = f", less than the {self.worth_having_mm:g} mm worth having" if self.is_small else ""
        said = f"{better} is {gain} better than {worse} {interval}, {chance}"
        doubt = f", {self.seeds.warning()}" if self.seeds.may_reverse else self._seeds()
        return f"{said}{small}{self._cost()}{doubt}."

    @property
    def lead(self) -> str:
        """By how much the better one is better, in mm; empty where they cannot be tested."""
        if self.comparison is None:
            return ""
        mean_mm = self.comparison.difference.mean_mm
        return f"{signed(-mean_mm, lead_digits(mean_mm))}{NO_BREAK}mm"

    @property
    def is_small(self) -> bool:
        """Whether the lead is less than what is worth having, however sure it may be."""
        return self.comparison is not None and -self.comparison.difference.mean_mm < self.worth_having_mm

    def _cost(self) -> str:
        found = operations.of(self.better, self.worse)
        return f", at {found.times}" if found else ""

    def _seeds(self) -> str:
        few = [entry for entry in (self.better, self.worse) if len(entry.runs) < SEEDS_FOR_SPREAD]
        counts = " and ".join(f"{len(entry.runs)} seed{'s' * (len(entry.runs) > 1)} of {entry.title}" for entry in few)
        return f" (only {counts})" if few else ""


def lead_digits(difference_mm: float) -> int:
    """Decimals of a difference in mm: below 1 mm one of them would hide what is compared."""
    return 2 if abs(difference_mm) < 1 else 1


def compare(group: Group) -> list[Neighbours]:
    """Every entry that was scored with the next one of the ranking; p-values are corrected for their number."""
    pairs = [(better, worse, *tested(better, worse)) for better, worse in pairwise(group.scored)]
    p_values = iter(statistics.holm([comparison.p_value for *_, comparison, _ in pairs if comparison]).tolist())
    return [
        Neighbours(
            better,
            worse,
            comparison,
            next(p_values) if comparison else None,
            SeedSpread.of(better, worse),
            obstacle,
        )
        for better, worse, comparison, obstacle in pairs
    ]


def conditions(neighbours: Sequence[Neighbours]) -> str:
    """Under which conditions the sentences hold, to be printed once beside them; empty where nothing was tested."""
    gaps = [pair.comparison.difference for pair in neighbours if pair.comparison]
    if not gaps:
        return ""
    few_seeds = any(len(entry.runs) < SEEDS_FOR_SPREAD for pair in neighbours for entry in (pair.better, pair.worse))
    return (
        f"In brackets the {gaps[0].confidence:.0%} interval of the gain, from {gaps[0].resamples:,} resamples of "
        f"the {gaps[0].takes} takes (all cameras of a take together), conditional on the test subjects; p from sign "
        f"flips of takes, corrected by Holm for {len(gaps)} {'pairs' if len(gaps) > 1 else 'pair'}. Errors are "
        "averaged over seeds first."
    ) + (f" With fewer than {SEEDS_FOR_SPREAD} seeds another training may change the order." if few_seeds else "")
