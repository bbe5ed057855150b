"""How a cost grows with T: the exponent of a power law fitted on log-log axes over the large-T half of a series.

The slope is by least squares. Its interval is the hull of two, for two reasons why it is not sure:

resampling   the clock is noisy: 2,000 resamples of rounds and samples, the line fitted to the medians of each
residuals    no power law is exact: an overhead that fades or a term that takes over bends the points away from the
             line, and the t-interval of the slope (n - 2 degrees of freedom, three points at least) shows it

Operations are counted, not measured: their interval is the hull of the slopes between neighbouring T. An exponent
describes the T it was fitted over and nothing beyond.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.complexity import resampling, student
from harness.complexity.series import Series, series
from harness.complexity.summary import Summary
from harness.errors import BadInput
from harness.measurement.kind import KINDS
from harness.store.schema import look_up

Float64Array = NDArray[np.float64]

#: Points that a fit takes where there are so many, even if some lie below the middle of the range.
FEWEST_POINTS = 3
#: Decimals of the bounds of a counted exponent; they are rounded outward.
_EXACT_DIGITS = 3
_DIGITS = 2
#: Counted quantities: name -> path in the counts.
_COUNTS = {"flops_exact": "flops_exact", **{f"flops_exact.{kind}": f"by_kind.flops_exact.{kind}" for kind in KINDS}}


@dataclass(frozen=True)
class Exponent:
    """``value`` with its 95 % interval (None where nothing tells how sure it is), fitted over ``frames``.

    ``counted`` ones have no noise: their interval encloses the slopes between neighbouring T.
    """

    value: float
    low: float | None
    high: float | None
    frames: tuple[int, ...]
    counted: bool = False

    @property
    def points(self) -> int:
        return len(self.frames)

    def __str__(self) -> str:
        """``1.02 ± 0.03``, or ``1.02 [0.99, 1.09]`` where the interval is lopsided; bounds are rounded outward."""
        digits = _EXACT_DIGITS if self.counted else _DIGITS
        value = f"{self.value:.{digits}f}"
        if self.low is None or self.high is None:
            return value
        low, high = _down(self.low, digits), _up(self.high, digits)
        below, above = float(value) - low, high - float(value)
        if self.counted and low == high:
            return value
        if not self.counted and abs(above - below) <= max(1.5 * 10**-digits, 0.1 * (above + below)):
            return f"{value} ± {max(above, below):.{digits}f}"
        return f"{value} [{low:.{digits}f}, {high:.{digits}f}]"


@dataclass(frozen=True)
class Growth:
    """The exponents of one model in one environment, and the points whose durations no fit could use, with the reason.

    The keys of ``exponents`` are ``latency`` (of one clip), ``memory`` (above the weights), ``flops_exact``,
    ``flops_exact.KIND`` and ``seconds.KIND``; a quantity that is zero somewhere or known at one T only has none.
    """

    label: str
    environment_key: str
    exponents: Mapping[str, Exponent]
    left_out: tuple[str, ...]


def growths(summaries: Sequence[Summary], *, minimum: int | None = None) -> list[Growth]:
    """Of each series of ``summaries``, over its large-T half or from T = ``minimum`` on."""
    return [_growth(one, minimum) for one in series(summaries)]


def large_half(frames: Sequence[int], minimum: int | None = None) -> tuple[int, ...]:
    """The T to fit over: from the middle of their range on, on a logarithmic axis, or from ``minimum`` on.

    At least the FEWEST_POINTS largest, if there are so many, unless a ``minimum`` was asked for.
    """
    ordered = sorted(set(frames))
    if minimum is not None:
        return tuple(length for length in ordered if length >= minimum)
    # Compared by squares, so that the middle of 9 and 729 is 81 whatever the rounding of logarithms.
    half = [length for length in ordered if length**2 >= ordered[0] * ordered[-1]]
    return tuple(ordered[-max(len(half), FEWEST_POINTS) :])


def fit_operations(frames: Sequence[int], counts: Sequence[float], *, minimum: int | None = None) -> Exponent | None:
    """Exponent of what was counted: (n,) T and (n,) counts. None with a count of zero or fewer than two T."""
    kept, values = _kept(frames, counts, minimum)
    if not _can_be_fitted(values):
        return None
    x, y = np.log(kept), np.log(values)
    slopes = np.diff(y) / np.diff(x)
    slope = float(_slopes(x, y[None])[0])
    low, high = _down(min(slope, *slopes), _EXACT_DIGITS), _up(max(slope, *slopes), _EXACT_DIGITS)
    return Exponent(min(max(slope, low), high), low, high, kept, counted=True)


def fit_values(
    frames: Sequence[int],
    values: Sequence[float],
    *,
    draws: Sequence[Float64Array] | None = None,
    minimum: int | None = None,
) -> Exponent | None:
    """Exponent of what was measured: (n,) T and (n,) values, with ``draws``, n arrays of the values resampled.

    Two T have an interval from draws alone, or none. None with a value of zero or fewer than two T.
    """
    kept, used = _kept(frames, values, minimum)
    if not _can_be_fitted(used):
        return None
    x, y = np.log(kept), np.log(used)
    slope = float(_slopes(x, y[None])[0])
    bounds = [_residual_interval(x, y, slope)] if len(kept) > 2 else []
    if draws is not None:
        order = dict(zip(frames, draws, strict=True))
        bounds.append(resampling.interval(_slopes(x, np.log([order[length] for length in kept]).T)))
    if not bounds:
        return Exponent(slope, None, None, kept)
    # The percentiles of few draws need not hold the estimate itself.
    low, high = min(slope, *(low for low, _ in bounds)), max(slope, *(high for _, high in bounds))
    return Exponent(slope, low, high, kept)


def fit_latency(
    frames: Sequence[int],
    rounds: Sequence[Sequence[Sequence[float]]],
    *,
    minimum: int | None = None,
    seed: int = 0,
    draws: int = resampling.DRAWS,
) -> Exponent | None:
    """Exponent of durations: (n,) T and, for each, samples round by round. None with fewer than two T."""
    values = [float(np.median(np.concatenate([np.asarray(one) for one in of_point]))) for of_point in rounds]
    drawn = [
        resampling.medians(of_point, (seed, length), draws) for length, of_point in zip(frames, rounds, strict=True)
    ]
    return fit_values(frames, values, draws=drawn, minimum=minimum)


def _kept(frames: Sequence[int], values: Sequence[float], minimum: int | None) -> tuple[tuple[int, ...], Float64Array]:
    by_frames = dict(zip(frames, values, strict=True))
    if len(by_frames) < len(frames):
        raise BadInput(f"the same T twice in one series: {sorted(frames)}; give each T once")
    kept = large_half(frames, minimum) if by_frames else ()
    return kept, np.array([by_frames[length] for length in kept], dtype=np.float64)


def _can_be_fitted(values: Float64Array) -> bool:
    return len(values) >= 2 and bool((values > 0).all())


def _slopes(x: Float64Array, y: Float64Array) -> Float64Array:
    """(draws,) least-squares slopes of (draws, n) ``y`` over (n,) ``x``."""
    centred = x - x.mean()
    return np.asarray(y @ centred / (centred @ centred))


def _residual_interval(x: Float64Array, y: Float64Array, slope: float) -> tuple[float, float]:
    centred = x - x.mean()
    residuals = y - y.mean() - slope * centred
    freedom = len(x) - 2
    error = math.sqrt(float(residuals @ residuals) / freedom / float(centred @ centred))
    reach = student.quantile(resampling.CONFIDENCE, freedom) * error
    return slope - reach, slope + reach


# What is exact but for the last bits of a logarithm must not be pushed outward by a whole digit.
_ROUNDING = 1e-9


def _down(value: float, digits: int) -> float:
    return math.floor(value * 10**digits + _ROUNDING) / 10**digits


def _up(value: float, digits: int) -> float:
    return math.ceil(value * 10**digits - _ROUNDING) / 10**digits


def _growth(of: Series, minimum: int | None) -> Growth:
    timed = [member for member in of.usable if member.latency_ms and member.point.batch]
    fits: dict[str, Exponent | None] = {
        "latency": fit_values(
            _lengths(timed),
            [(member.latency_ms or 0.0) / (member.point.batch or 1) for member in timed],
            draws=[of.draws[member.point.frames] / (member.point.batch or 1) for member in timed],
            minimum=minimum,
        )
    }
    if not of.own_batches:
        sized = [member for member in of.members if member.peak_bytes is not None]
        fits["memory"] = fit_values(_lengths(sized), [float(one.peak_bytes or 0) for one in sized], minimum=minimum)
    # What was counted holds whatever became of the timing.
    counted = [member for member in of.members if member.counts]
    for name, path in _COUNTS.items():
        counts = [look_up(member.counts or {}, path) or 0 for member in counted]
        fits[name] = fit_operations(_lengths(counted), counts, minimum=minimum)
    split = [member for member in of.members if member.kinds and member.point.batch]
    for kind in KINDS:
        seconds = [_seconds(member, kind) for member in split]
        fits[f"seconds.{kind}"] = fit_values(_lengths(split), seconds, minimum=minimum)
    return Growth(of.label, of.environment_key, {name: fit for name, fit in fits.items() if fit}, of.left_out)


def _lengths(members: Sequence[Summary]) -> list[int]:
    return [member.point.frames for member in members]


def _seconds(member: Summary, kind: str) -> float:
    """Of one clip."""
    return float(look_up(member.kinds or {}, f"{kind}.seconds") or 0.0) / (member.point.batch or 1)
