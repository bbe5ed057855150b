"""Neighbours in the ranking set against each other: is the better one really better, and at what cost?

Paired by take with the errors averaged over seeds (``harness.evaluation.statistics``), and Holm's correction over all
neighbours of a table, since a reader looks at all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.errors import BadInput
from harness.evaluation import statistics
from harness.evaluation.statistics import WORTH_HAVING_MM, Comparison
from harness.reporting.group import SEEDS_FOR_SPREAD, Entry, Group
from harness.reporting.quantity import NO_BREAK, probability, signed

#: A difference with a larger p-value is not called one.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Neighbours:
    """Two entries, the better one first. ``comparison`` is None where ``obstacle`` says why there is none."""

    better: Entry
    worse: Entry
    comparison: Comparison | None
    p_value: float | None
    obstacle: str = ""

    def sentence(self) -> str:
        """Which is better, by how much, how sure that is, at how many times the operations."""
        better, worse = self.better.title, self.worse.title
        if self.comparison is None or self.p_value is None:
            return f"{better} is ranked above {worse}, but they cannot be tested: {self.obstacle}."
        gap = self.comparison.difference
        # The difference is better minus worse; read as a gain it changes its sign, and the interval its ends.
        interval = f"[{signed(-gap.high_mm)},{NO_BREAK}{signed(-gap.low_mm)}]"
        figures = f"{signed(-gap.mean_mm)}{NO_BREAK}mm {interval}, p{NO_BREAK}{probability(self.p_value)}"
        if self.p_value > SIGNIFICANCE:
            return f"{better} and {worse} cannot be told apart ({figures}){self._cost()}{self._seeds()}."
        small = f", less than the {WORTH_HAVING_MM:g} mm worth having" if -gap.mean_mm < WORTH_HAVING_MM else ""
        return f"{better} is better than {worse} by {figures}{small}{self._cost()}{self._seeds()}."

    def _cost(self) -> str:
        own, other = (entry.mean("cost.macs_fvcore_per_frame") for entry in (self.better, self.worse))
        if not own or not other:
            return ""
        ratio = own / other
        if 0.95 < ratio < 1.05:
            return ", at about as many operations"
        return f", at {ratio:.0f} times the operations" if ratio >= 10 else f", at {ratio:.2g} times the operations"

    def _seeds(self) -> str:
        few = [entry for entry in (self.better, self.worse) if len(entry.runs) < SEEDS_FOR_SPREAD]
        counts = " and ".join(f"{len(entry.runs)} seed{'s' * (len(entry.runs) > 1)} of {entry.title}" for entry in few)
        return f" (only {counts})" if few else ""


def compare(group: Group) -> list[Neighbours]:
    """Every entry that was scored with the next one of the ranking; p-values are corrected for their number."""
    pairs = [(better, worse, *_tested(better, worse)) for better, worse in pairwise(group.scored)]
    p_values = iter(statistics.holm([comparison.p_value for *_, comparison, _ in pairs if comparison]).tolist())
    return [
        Neighbours(better, worse, comparison, next(p_values) if comparison else None, obstacle)
        for better, worse, comparison, obstacle in pairs
    ]


def _tested(better: Entry, worse: Entry) -> tuple[Comparison | None, str]:
    own, other = _errors_by_sequence(better), _errors_by_sequence(worse)
    if not own or not other:
        return None, "errors of single sequences are not stored"
    if own.keys() != other.keys():
        return None, "they were not scored on the same sequences"
    takes, frames = zip(*((take, frames) for _, take, frames in own), strict=True)
    try:
        return statistics.compare(list(own.values()), list(other.values()), takes, frames), ""
    except BadInput as error:
        return None, str(error)


def _errors_by_sequence(entry: Entry) -> dict[tuple[str, str, int], float]:
    """(sequence, take, frames) -> P1 in mm, mean over seeds, in order of the sequences' names."""
    errors: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for run in entry.runs:
        for sequence in run["accuracy"].get("per_sequence") or []:
            errors[sequence["sequence"], sequence["take"], sequence["frames"]].append(sequence["p1_mm"])
    return {sequence: float(np.mean(errors[sequence])) for sequence in sorted(errors)}


def conditions(neighbours: Sequence[Neighbours]) -> str:
    """Under which conditions the sentences hold, to be printed once beside them; empty where nothing was tested."""
    tested = [pair.comparison.difference for pair in neighbours if pair.comparison]
    if not tested:
        return ""
    few_seeds = any(len(entry.runs) < SEEDS_FOR_SPREAD for pair in neighbours for entry in (pair.better, pair.worse))
    return (
        f"In brackets the {tested[0].confidence:.0%} interval of the gain, from {tested[0].resamples:,} resamples of "
        f"the {tested[0].takes} takes (all cameras of a take together), conditional on the test subjects; p from sign "
        f"flips of takes, corrected by Holm for {len(tested)} {'pairs' if len(tested) > 1 else 'pair'}. Errors are "
        "averaged over seeds first."
    ) + (f" With fewer than {SEEDS_FOR_SPREAD} seeds another training may change the order." if few_seeds else "")
