"""How sure a mean error, or the difference of two models, is, given the takes that were filmed.

The unit of resampling is the take (subject, action and clip, all cameras together), never the frame: neighbouring
frames and the views of one moment err together, and resampling them would make every difference look certain.
The statistic is the mean over frames, sum_i S_i / sum_i W_i with S_i the summed error and W_i the frames of take i.

interval   bootstrap over takes, studentised (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
           section 12.5): each resample's deviation is divided by its own standard error. With few takes the plain
           percentile interval is too short; in simulations with 16 normal takes it held the truth 90 % of the
           time instead of 95, this one 95.
p-value    sign-flip permutation, two-sided, (c + 1) / (n + 1): under the null hypothesis a take's difference is as
           likely to have the other sign.
Holm       step-down correction when several baselines are compared (Holm, 1979).

All are conditional on the test subjects: they say how the figure would move with other takes of these people, not
with other people, and not with another training seed.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    (M,) is how many frames each error is the mean of (1 when not given). Deterministic for a ``seed``.
    Raises BadInput for arrays of unequal length, values that are not finite, or fewer than ``FEWEST_TAKES`` takes.
    """
    errors_a, errors_b = np.asarray(errors_a, dtype=np.float64), np.asarray(errors_b, dtype=np.float64)
    if errors_a.shape != errors_b.shape:
        raise BadInput(
            f"{errors_a.shape} errors against {errors_b.shape}: both models must be scored on the same frames"
        )
    sums, weights = _by_take(errors_a - errors_b, takes, frames)
    bootstrap, flips = np.random.default_rng(seed).spawn(2)
    interval = _interval(sums, weights, bootstrap, resamples, confidence)
    return Comparison(interval, _sign_flip_p_value(sums, flips, resamples))


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
    return _interval(sums, weights, np.random.default_rng(seed), resamples, confidence)


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


def _interval(
    sums: Float64Array, weights: Float64Array, rng: np.random.Generator, resamples: int, confidence: float
) -> Interval:
    takes = len(sums)
    mean = sums.sum() / weights.sum()
    residuals = sums - mean * weights
    drawn = rng.multinomial(takes, np.full(takes, 1 / takes), size=resamples).astype(np.float64)  # (resamples, takes)
    size = drawn @ weights
    deviation = drawn @ residuals / size
    squares = (
        drawn @ residuals**2 - 2 * deviation * (drawn @ (residuals * weights)) + deviation**2 * (drawn @ weights**2)
    )
    own_error = np.sqrt(np.maximum(squares, 0.0)) / size
    error = np.sqrt((residuals**2).sum()) / weights.sum()
    # A resample of one take over and over has no error of its own and says nothing.
    studentised = np.divide(deviation, own_error, out=np.zeros(resamples), where=own_error > 1e-6 * error)
    low, high = np.quantile(studentised, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(mean), float(mean - high * error), float(mean - low * error), takes, confidence, resamples)


def _sign_flip_p_value(sums: Float64Array, rng: np.random.Generator, resamples: int) -> float:
    signs = rng.integers(0, 2, size=(resamples, len(sums)), dtype=np.int8) * 2 - 1
    observed = abs(sums.sum())
    # Flips that give the observed sum again must count in spite of rounding.
    as_large = np.abs(signs @ sums) >= observed - 1e-12 * np.abs(sums).sum()
    return float((as_large.sum() + 1) / (resamples + 1))
