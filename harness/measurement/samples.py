"""Durations of equal pieces of work, condensed without a distribution being assumed, and whether to believe them.

A sample is the mean duration of one call in a timed block, a round the samples of one fresh process. Between processes
more differs than within one (addresses, thread placement, what else the machine does), so an interval from pooled
samples would be too narrow: here it spans those of all rounds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

STABLE, NOISY, INVALID = "STABLE", "NOISY", "INVALID"
#: Of the interquartile range, and of the distance between rounds' medians, to the median.
NOISY_ABOVE = 0.1
#: Outside the interval of the median, on both sides together.
_OUTSIDE = 0.05
#: Below this many samples, not even from the lowest to the highest is a 95 % interval of the median: 2 / 2^5 > 0.05.
FEWEST = 6
#: A percentile p is shown from the n samples on of which, with 99 % probability, at least one lies above it.
_PERCENTILES: Mapping[str, float] = {"p90": 0.90, "p95": 0.95, "p99": 0.99}
_MISSED = 0.01


@dataclass(frozen=True)
class Samples:
    """Durations of one call in ms, rounds pooled, but for the interval.

    ``low_ms`` to ``high_ms`` is the 95 % interval of the median, None of fewer than 6 samples, where there is none.
    ``medians_ms`` has one entry a round.
    """

    median_ms: float
    low_ms: float | None
    high_ms: float | None
    lower_quartile_ms: float
    upper_quartile_ms: float
    percentiles_ms: Mapping[str, float]
    n: int
    rounds: int
    medians_ms: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Interquartile range over median."""
        return (self.upper_quartile_ms - self.lower_quartile_ms) / self.median_ms

    @property
    def drift(self) -> float:
        """How far the rounds' medians lie apart, over the median."""
        return (max(self.medians_ms) - min(self.medians_ms)) / self.median_ms


def summarise(rounds: Sequence[Sequence[float]]) -> Samples:
    """The samples of every round, in ms. Raises ValueError without any, and for one that is no duration."""
    kept = [sorted(samples) for samples in rounds if len(samples)]
    pooled = sorted(sample for samples in kept for sample in samples)
    if not pooled:
        raise ValueError("there are no samples to summarise")
    if not all(is_duration(sample) for sample in pooled):
        raise ValueError("a sample is not a finite positive number: the clock stood still or went backwards")
    low_ms, high_ms = _hull(kept, len(pooled))
    return Samples(
        median_ms=statistics.median(pooled),
        low_ms=low_ms,
        high_ms=high_ms,
        lower_quartile_ms=quantile(pooled, 0.25),
        upper_quartile_ms=quantile(pooled, 0.75),
        percentiles_ms={name: quantile(pooled, p) for name, p in _PERCENTILES.items() if len(pooled) >= samples_for(p)},
        n=len(pooled),
        rounds=len(kept),
        medians_ms=tuple(statistics.median(samples) for samples in kept),
    )


def _hull(rounds: list[list[float]], n: int) -> tuple[float | None, float | None]:
    """From the lowest to the highest end of the rounds' intervals; a round too short to have one gives its range.

    With one round that has an interval there is 95 % of confidence in it already; without any, this is the range of at
    least six samples.
    """
    if n < FEWEST:
        return None, None
    ends = [_interval(samples) for samples in rounds]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _interval(ordered: list[float]) -> tuple[float, float]:
    rank = max(rank_of_interval(len(ordered)), 1)
    return ordered[rank - 1], ordered[-rank]


@lru_cache(maxsize=1024)
def rank_of_interval(n: int) -> int:
    """k, such that the k-th lowest to the k-th highest of n samples is a 95 % interval of the median; 0: there is none.

    A sample lies below the median with probability 1/2, so how many do is binomial. The largest k with
    P(fewer than k below) <= 0.025 on either side (David and Nagaraja, Order Statistics, section 7.1).
    """
    allowed = _OUTSIDE / 2 * 2**n if n < 1000 else int(_OUTSIDE / 2 * 2**53) * 2 ** (n - 53)
    below, ways, rank = 0, 1, 0
    while below + ways <= allowed:
        below += ways
        ways = ways * (n - rank) // (rank + 1)
        rank += 1
    return rank


def samples_for(p: float) -> int:
    """From how many samples on the quantile ``p`` is shown: 44 for 0.90, 90 for 0.95, 459 for 0.99."""
    return math.ceil(math.log(_MISSED) / math.log(p))


def quantile(ordered: Sequence[float], p: float) -> float:
    """Of ascending numbers, interpolated between neighbours."""
    position = p * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def is_duration(sample: float) -> bool:
    """Whether a clock that works can have given it."""
    return math.isfinite(sample) and sample > 0


def judge(samples: Samples | None, wanted: int = FEWEST, trouble: str | None = None) -> tuple[str, str]:
    """(verdict, sentence that says why). ``wanted`` is how many samples were asked for, over all rounds.

    ``trouble`` is what makes the figures worthless whatever they are, such as an output that is not finite.
    """
    if trouble:
        return INVALID, trouble
    n = samples.n if samples else 0
    if samples is None or n < FEWEST:
        counted = f"only {n} sample{'s' * (n != 1)} fitted in the time"
        return INVALID, f"{counted}; a 95 % interval needs {FEWEST}. Allow more time or measure a shorter clip"
    few = f"; {n} of the {wanted} samples wanted fitted in the time" if n < wanted else ""
    spread = f"interquartile range is {100 * samples.spread:.1f} % of the median"
    if samples.drift > NOISY_ABOVE:
        apart = f"the medians of the rounds lie {100 * samples.drift:.1f} % apart"
        return NOISY, f"{apart}, {spread}; close other programs and measure again with --again{few}"
    if samples.spread > NOISY_ABOVE:
        return NOISY, f"{spread}; close other programs and measure again with --again{few}"
    return STABLE, spread + few
