"""How sure a mean error, or the difference of two models, is, given the takes that were filmed.

The unit of resampling is the take (subject, action and clip, all cameras together), never the frame: neighbouring
frames and the views of one moment err together, and resampling them would make every difference look certain.
The statistic is the mean over frames, sum_i S_i / sum_i W_i with S_i the summed error and W_i the frames of take i.

interval   bootstrap over takes, studentised (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
           section 12.5) and symmetric (Hall, "On symmetric bootstrap confidence intervals", JRSS B 50, 1988): each
           resample's deviation is divided by its own standard error, and the interval is the mean ± the quantile of
           the sizes of these times the standard error. With few takes the plain percentile interval is too short, and
           so is this one with tails of their own. ``python -m benchmarks.coverage`` simulates how often it holds the
           truth: 95 % of 16 normal takes, and 90 to 98 % of recorded takes of very unequal length.
p-value    sign-flip permutation, two-sided, (c + 1) / (n + 1): under the null hypothesis a take's difference is as
           likely to have the other sign.
Holm       step-down correction when several baselines are compared (Holm, 1979).

All are conditional on the test subjects: they say how the figure would move with other takes of these people, not
with other people, and not with another training seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.errors import BadInput

Float64Array = NDArray[np.float64]

RESAMPLES = 10_000
CONFIDENCE = 0.95
#: With fewer takes the studentised interval has no useful width (resamples often hold one take only).
FEWEST_TAKES = 5
#: Smallest difference worth having that is named beside p.
WORTH_HAVING_MM = 0.5


@dataclass(frozen=True)
class Interval:
    """A mean over frames in mm and its interval over takes, conditional on the test subjects."""

    mean_mm: float
    low_mm: float
    high_mm: float
    takes: int
    confidence: float
    resamples: int


@dataclass(frozen=True)
class Comparison:
    """``difference`` of the errors of model A minus those of model B (negative: A is better) and its p-value."""

    difference: Interval
    p_value: float

    def swapped(self) -> Comparison:
        """Of B against A."""
        gap = self.difference
        mirrored = replace(gap, mean_mm=0 - gap.mean_mm, low_mm=0 - gap.high_mm, high_mm=0 - gap.low_mm)
        return replace(self, difference=mirrored)

    def sentence(self, name_a: str, name_b: str, worth_having_mm: float = WORTH_HAVING_MM) -> str:
        """Which model is better, by how much, how sure that is, and on what condition."""
        gap = self.difference
        if gap.mean_mm == gap.low_mm == gap.high_mm == 0:
            return f"{name_a} and {name_b} have the same error in all {gap.takes} takes, p = {self.p_value:.2g}."
        if gap.mean_mm < 0:
            better, worse, low, high = name_a, name_b, -gap.high_mm, -gap.low_mm
        else:
            better, worse, low, high = name_b, name_a, gap.low_mm, gap.high_mm
        small = f"; less than the {worth_having_mm:g} mm worth having" if abs(gap.mean_mm) < worth_having_mm else ""
        return (
            f"{better} is {abs(gap.mean_mm):.1f} mm better than {worse} [{low:.1f}, {high:.1f}], "
            f"p = {self.p_value:.2g}{small} ({gap.confidence:.0%} interval over {gap.takes} takes, "
            "conditional on the test subjects)."
        )


def compare(
    errors_a: ArrayLike,
    errors_b: ArrayLike,
    takes: ArrayLike,
    frames: ArrayLike | None = None,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Comparison:
    """Paired comparison of two models on the same frames or sequences.

    ``errors_a`` and ``errors_b`` (M,) mm belong pairwise together; ``takes`` (M,) names the take of each; ``frames``
    (M,) is how many frames each error is the mean of (1 when not given), or any other positive weight. Deterministic
    for a ``seed``; the models swapped give the negative difference with the ends of the interval exchanged, exactly.
    Raises BadInput for arrays of unequal length, values that are not finite, or fewer than ``FEWEST_TAKES`` takes.
    """
    errors_a, errors_b = np.asarray(errors_a, dtype=np.float64), np.asarray(errors_b, dtype=np.float64)
    if errors_a.shape != errors_b.shape:
        raise BadInput(
            f"{errors_a.shape} errors against {errors_b.shape}: both models must be scored on the same frames"
        )
    sums, weights = _by_take(errors_a - errors_b, takes, frames)
    interval = _interval(sums, weights, _draws(len(sums), resamples, seed), confidence)
    return Comparison(interval, _sign_flip_p_value(sums, _signs(len(sums), resamples, seed)))


def mean_interval(
    errors: ArrayLike,
    takes: ArrayLike,
    frames: ArrayLike | None = None,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Interval of one model's mean error; arguments and errors as in ``compare``."""
    sums, weights = _by_take(np.asarray(errors, dtype=np.float64), takes, frames)
    return _interval(sums, weights, _draws(len(sums), resamples, seed), confidence)


def holm(p_values: ArrayLike) -> Float64Array:
    """p-values of m tests adjusted by Holm's step-down rule, in the order given."""
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    result = np.empty_like(values)
    result[order] = np.minimum(adjusted, 1.0)
    return result


def _by_take(errors: Float64Array, takes: ArrayLike, frames: ArrayLike | None) -> tuple[Float64Array, Float64Array]:
    """Summed error and number of frames of every take, both (takes,)."""
    names = np.asarray(takes)
    counts = np.ones(errors.shape) if frames is None else np.asarray(frames, dtype=np.float64)
    if errors.ndim != 1 or names.shape != errors.shape or counts.shape != errors.shape:
        raise BadInput(f"errors {errors.shape}, takes {names.shape} and frames {counts.shape} must be equally long")
    if not np.isfinite(errors).all() or not (counts > 0).all():
        raise BadInput("errors must be finite and frame counts positive; a missing error cannot be compared")
    distinct, take_of = np.unique(names, return_inverse=True)
    if len(distinct) < FEWEST_TAKES:
        raise BadInput(
            f"{len(distinct)} takes are too few to tell how sure a mean is; at least {FEWEST_TAKES} are needed"
        )
    sums, sizes = (np.bincount(take_of, weights=values) for values in (errors * counts, counts))
    return sums.astype(np.float64), sizes.astype(np.float64)


# Every interval over as many takes uses the same draws: a report makes dozens, and drawing is most of the work.
@lru_cache(maxsize=8)
def _draws(takes: int, resamples: int, seed: int) -> Float64Array:
    """(resamples, takes) how often each take is in each bootstrap resample."""
    rng, _ = np.random.default_rng(seed).spawn(2)
    drawn = rng.multinomial(takes, np.full(takes, 1 / takes), size=resamples).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


@lru_cache(maxsize=8)
def _signs(takes: int, resamples: int, seed: int) -> NDArray[np.int8]:
    """(resamples, takes) of 1 and -1, each as likely."""
    _, rng = np.random.default_rng(seed).spawn(2)
    signs = rng.integers(0, 2, size=(resamples, takes), dtype=np.int8) * np.int8(2) - np.int8(1)
    signs.flags.writeable = False
    return signs


def _interval(sums: Float64Array, weights: Float64Array, drawn: Float64Array, confidence: float) -> Interval:
    resamples, takes = drawn.shape
    mean = sums.sum() / weights.sum()
    residuals = sums - mean * weights
    moments = drawn @ np.stack([weights, residuals, residuals**2, residuals * weights, weights**2], axis=1)
    size, total, squared, mixed, size_squared = moments.T
    deviation = total / size
    squares = squared - 2 * deviation * mixed + deviation**2 * size_squared
    own_error = np.sqrt(np.maximum(squares, 0.0)) / size
    error = np.sqrt((residuals**2).sum()) / weights.sum()
    # A resample of one take over and over has no error of its own and says nothing.
    studentised = np.divide(deviation, own_error, out=np.zeros(resamples), where=own_error > 1e-6 * error)
    half_width = np.quantile(np.abs(studentised), confidence) * error
    return Interval(float(mean), float(mean - half_width), float(mean + half_width), takes, confidence, resamples)


def _sign_flip_p_value(sums: Float64Array, signs: NDArray[np.int8]) -> float:
    observed = abs(sums.sum())
    # Flips that give the observed sum again must count in spite of rounding.
    as_large = np.abs(signs @ sums) >= observed - 1e-12 * np.abs(sums).sum()
    return float((as_large.sum() + 1) / (len(signs) + 1))
