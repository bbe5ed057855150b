"""How much the difference of two mean errors moves with the training seeds alone."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from harness.comparison.group import SEEDS_FOR_SPREAD, Entry
from harness.complexity import student

CONFIDENCE = 0.95


@dataclass(frozen=True)
class SeedSpread:
    """P1 in mm of every finished seed of A and of B.

    The standard error of the difference of their means is sqrt(sd_a² / n_a + sd_b² / n_b), with the degrees of freedom
    of Welch ("The generalization of 'Student's' problem", Biometrika 34, 1947), rounded down. All that is computed is
    None with fewer than ``SEEDS_FOR_SPREAD`` seeds of either.
    """

    p1_a_mm: tuple[float, ...]
    p1_b_mm: tuple[float, ...]

    @classmethod
    def of(cls, a: Entry, b: Entry) -> SeedSpread:
        return cls(tuple(a.values("accuracy.p1_mm")), tuple(b.values("accuracy.p1_mm")))

    @property
    def difference_mm(self) -> float:
        """Mean of A minus mean of B."""
        return statistics.fmean(self.p1_a_mm) - statistics.fmean(self.p1_b_mm)

    @property
    def standard_error_mm(self) -> float | None:
        return math.sqrt(sum(self._parts)) if self._is_known else None

    @property
    def margin_mm(self) -> float | None:
        """Half the 95 % interval of the difference over seeds: Student's quantile times the standard error."""
        error = self.standard_error_mm
        if not error:
            return error
        squares = [part**2 / (len(values) - 1) for part, values in zip(self._parts, self._sides, strict=True)]
        freedom = sum(self._parts) ** 2 / sum(squares)
        # The share that rounding could take from a whole number is no degree of freedom less.
        return student.quantile(CONFIDENCE, math.floor(freedom + 1e-9)) * error

    @property
    def may_reverse(self) -> bool:
        """Whether the seeds overlap: another training may give the other order. False where that is not known."""
        return self.margin_mm is not None and abs(self.difference_mm) <= self.margin_mm

    def warning(self) -> str:
        """What a sentence that claims a difference goes on with where ``may_reverse``."""
        return (
            "but the seeds overlap: another training may reverse it "
            f"(standard error over seeds {self.standard_error_mm:.1f} mm)"
        )

    @property
    def _sides(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.p1_a_mm, self.p1_b_mm

    @property
    def _is_known(self) -> bool:
        return min(map(len, self._sides)) >= SEEDS_FOR_SPREAD

    @property
    def _parts(self) -> list[float]:
        """Of either side, the squared standard error of its mean."""
        return [statistics.variance(values) / len(values) for values in self._sides]
