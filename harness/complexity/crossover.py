"""The T at which one model's cost overtakes another's, read off their measured curves and never beyond them.

Both curves run straight on log-log axes between the T at which both models were measured. The interval has two parts,
for two reasons why the crossing is not sure:

resampling   the clock is noisy: the T at which the same resamples as those of an exponent cross
             (``harness.complexity.resampling``); one that does not cross counts as beyond the range, so that the
             interval may be open
bending      nothing was measured between two T, where a sum of powers is not straight: how far the crossing can lie
             from that of the straight lines if the gap between the curves bends one way only, with the same noise

Operations and memory have the second alone.

Latency and operations are compared per output frame: a lifter that answers for the centre frame alone needs a forward
for each frame, one that answers for every frame of a clip a T-th of one. Memory is that of a forward.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.complexity import resampling
from harness.complexity.series import Series, series
from harness.complexity.summary import Summary

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """What is compared, and what the model with less of it is called."""

    meaning: str
    better: str


QUANTITIES: Mapping[str, Quantity] = {
    "latency": Quantity("median latency per output frame", "faster"),
    "memory": Quantity("peak memory of a forward", "smaller"),
    "flops_exact": Quantity("operations per output frame", "cheaper"),
}
#: Resamples that disagree with the measured curves before it is worth saying.
_WORTH_SAYING = 0.025
#: An interval narrower than this share of its T is rounding.
_EXACT = 1e-6


@dataclass(frozen=True)
class Crossover:
    """Where the curves of ``first`` and ``second`` cross, or, with ``frames`` None, that they do not.

    ``low`` and ``high`` are the ends of the 95 % interval: minus or plus infinity where it is open at the end of the
    ``measured`` range, None where nothing tells (no noise and no third T). ``faster_below`` and ``faster_above`` name
    the model that is cheaper on either side; without a crossing they are the same one. Several crossings of a pair are
    several of these, in order of T; ``reason`` says in words what came out.
    """

    quantity: str
    first: str
    second: str
    environment_key: str
    measured: tuple[int, int] | None
    frames: float | None
    low: float | None
    high: float | None
    faster_below: str | None
    faster_above: str | None
    reason: str

    def __str__(self) -> str:
        """``138 [131, 146]``, ``612 [540, > 729]`` or ``none in 9..729``."""
        if self.frames is None:
            return f"none in {self.measured[0]}..{self.measured[1]}" if self.measured else "not comparable"
        if self.low is None or self.high is None or self.measured is None:
            return f"{self.frames:.0f}"
        if self.high - self.low < _EXACT * self.frames:
            return f"{self.frames:.0f}"
        low = f"< {self.measured[0]}" if math.isinf(self.low) else f"{math.floor(self.low)}"
        high = f"> {self.measured[1]}" if math.isinf(self.high) else f"{math.ceil(self.high)}"
        return f"{self.frames:.0f} [{low}, {high}]"


@dataclass(frozen=True)
class Curve:
    """One quantity of one series: T -> cost, and, where there is noise, T -> (draws,) costs resampled."""

    label: str
    environment_key: str
    costs: Mapping[int, float]
    draws: Mapping[int, Float64Array]


def crossovers(summaries: Sequence[Summary], quantity: str = "latency") -> list[Crossover]:
    """Of each pair of series in one environment at equal settings, in the order of ``summaries``.

    ``quantity`` is one of QUANTITIES. A pair without two T in common is there too and says so; two models at the
    largest batch that fits are not compared in memory, which is what such a batch fills.
    """
    alike: dict[tuple[object, ...], list[Series]] = defaultdict(list)
    for one in series(summaries):
        if not (quantity == "memory" and one.own_batches):
            alike[one.settings].append(one)
    curves = [[curve(one, quantity) for one in together] for together in alike.values()]
    pairs = itertools.chain.from_iterable(itertools.combinations(together, 2) for together in curves)
    return [found for first, second in pairs for found in between(first, second, quantity)]


def curve(of: Series, quantity: str) -> Curve:
    """What a crossover is read off: the usable points of a series that have the figure."""
    costs: dict[int, float] = {}
    draws: dict[int, Float64Array] = {}
    for member in of.members:
        frames = member.point.frames
        if quantity == "latency" and member.usable and member.per_frame_ms and member.frames_answered:
            costs[frames] = member.per_frame_ms
            draws[frames] = of.draws[frames] / member.frames_answered
        elif quantity == "memory" and member.peak_bytes:
            costs[frames] = float(member.peak_bytes)
        elif quantity == "flops_exact" and member.flops_per_frame:
            costs[frames] = member.flops_per_frame
    return Curve(of.label, of.environment_key, costs, draws)


def between(first: Curve, second: Curve, quantity: str = "latency") -> list[Crossover]:
    """The crossings of two curves in order of T, or one entry that says that there is none, or why none is known."""
    frames = sorted(first.costs.keys() & second.costs.keys())
    nothing = Crossover(
        quantity, first.label, second.label, first.environment_key,
        measured=(frames[0], frames[-1]) if len(frames) > 1 else None,
        frames=None, low=None, high=None, faster_below=None, faster_above=None, reason="",
    )  # fmt: skip
    if len(frames) < 2:
        counted = f"{len(frames) or 'no'} T at which both have a figure"
        return [replace(nothing, reason=f"{counted}; a crossing needs two")]
    gaps = _gaps(*([one.costs[length] for length in frames] for one in (first, second)))
    noisy = all(length in one.draws for length in frames for one in (first, second))
    drawn = _gaps(*([one.draws[length] for length in frames] for one in (first, second))).T if noisy else None
    found = crossings(frames, gaps)
    if not found:
        return [_without(nothing, frames, gaps, drawn)]
    count = len(found)
    return [
        _at(nothing, place, frames, gaps, drawn, f"; crossing {number} of {count}" if count > 1 else "")
        for number, place in enumerate(found, start=1)
    ]


def crossings(frames: Sequence[int], gaps: Float64Array) -> list[tuple[float, bool]]:
    """(T, whether the first one is cheaper below it) for each change of sign of (n,) ``gaps``, in order of T.

    ``gaps`` are the logarithms of first over second at (n,) ascending ``frames``. Curves that touch without changing
    places do not cross; where they are equal over a stretch of T, they cross in its middle.
    """
    unequal = np.flatnonzero(gaps)
    return [
        (_zero(frames, gaps, left, right), bool(gaps[left] < 0))
        for left, right in itertools.pairwise(map(int, unequal))
        if (gaps[left] < 0) != (gaps[right] < 0)
    ]


def _gaps(first: Sequence[ArrayLike], second: Sequence[ArrayLike]) -> Float64Array:
    return np.asarray(np.log(np.asarray(first)) - np.log(np.asarray(second)))


def _zero(frames: Sequence[int], gaps: Float64Array, left: int, right: int) -> float:
    if right > left + 1:
        return math.sqrt(frames[left + 1] * frames[right - 1])
    share = gaps[left] / (gaps[left] - gaps[right])
    return float(frames[left] * (frames[right] / frames[left]) ** share)


def _at(
    nothing: Crossover,
    place: tuple[float, bool],
    frames: Sequence[int],
    gaps: Float64Array,
    drawn: Float64Array | None,
    which: str,
) -> Crossover:
    crossing, first_below = place
    below, above = (nothing.first, nothing.second) if first_below else (nothing.second, nothing.first)
    bent = [crossing, *_bent(crossing, frames, gaps)]
    noise, beyond = (crossing, crossing), ""
    if drawn is not None:
        places = _resampled(place, frames, drawn)
        noise = resampling.interval(places)
        missing = float(np.isinf(places).mean())
        if missing > _WORTH_SAYING:
            beyond = f"; {missing:.0%} of the resamples do not cross so within {frames[0]}..{frames[-1]}"
    low, high = min(bent) * (noise[0] / crossing), max(bent) * (noise[1] / crossing)
    known = drawn is not None or len(bent) > 1
    word = QUANTITIES[nothing.quantity].better
    return replace(
        nothing,
        frames=crossing,
        low=(low if low >= frames[0] else -math.inf) if known else None,
        high=(high if high <= frames[-1] else math.inf) if known else None,
        faster_below=below,
        faster_above=above,
        reason=f"{below} is {word} below, {above} above{which}{beyond}",
    )


def _bent(crossing: float, frames: Sequence[int], gaps: Float64Array) -> list[float]:
    """Between which T the curves cross if the gap between them, on log axes, bends one way on either side.

    A curve that bends one way lies between its chord and the neighbouring chords drawn on: where those reach zero is
    how far the crossing can be from ``crossing``, that of the chord.
    """
    right = int(np.searchsorted(frames, crossing))
    left = right - 1
    if left < 0 or gaps[left] * gaps[right] >= 0:
        return []  # it lies on a measured T
    x = np.log(frames) - math.log(crossing)
    rising = gaps * np.sign(gaps[right])
    zeros = []
    if left > 0:
        slope = (rising[left] - rising[left - 1]) / (x[left] - x[left - 1])
        zeros.append(min(x[left] - rising[left] / slope, x[right]) if slope > 0 else x[right])
    if right + 1 < len(frames):
        slope = (rising[right + 1] - rising[right]) / (x[right + 1] - x[right])
        zeros.append(max(x[right] - rising[right] / slope, x[left]) if slope > 0 else x[left])
    nearest = [min((zero for zero in zeros if zero > 0), default=0.0), max((z for z in zeros if z < 0), default=0.0)]
    return [crossing * math.exp(zero) for zero in nearest] if zeros else []


def _resampled(place: tuple[float, bool], frames: Sequence[int], drawn: Float64Array) -> Float64Array:
    """(draws,) T of the crossing of (draws, n) gaps that is nearest to ``place`` and goes the same way.

    Infinite for a draw without one: such a draw stays as it is below the crossing, so that it lies above the range, or
    has begun as it is above it.
    """
    crossing, first_below = place
    x = np.log(frames)
    left, right = drawn[:, :-1], drawn[:, 1:]
    same_way = ((left < 0) == first_below) & ((right < 0) != first_below)
    share = np.divide(left, left - right, out=np.zeros_like(left), where=same_way)
    candidates = np.where(same_way, x[:-1] + share * np.diff(x), np.inf)
    nearest = np.abs(candidates - math.log(crossing)).argmin(axis=1)
    found = np.exp(np.take_along_axis(candidates, nearest[:, None], axis=1)[:, 0])
    begun_above = (drawn[:, 0] < 0) != first_below
    return np.where(np.isinf(found) & begun_above, -np.inf, found)


def _without(nothing: Crossover, frames: Sequence[int], gaps: Float64Array, drawn: Float64Array | None) -> Crossover:
    signs = np.sign(gaps)
    if not signs.any():
        return replace(nothing, reason=f"none within {frames[0]}..{frames[-1]}: both cost the same")
    better = nothing.first if signs.sum() < 0 else nothing.second
    word = QUANTITIES[nothing.quantity].better
    reason = f"none within {frames[0]}..{frames[-1]}: {better} is {word} throughout"
    if drawn is not None:
        changing = float(((drawn < 0).any(axis=1) & (drawn > 0).any(axis=1)).mean())
        reason += f", though {changing:.0%} of the resamples cross" if changing > _WORTH_SAYING else ""
    return replace(nothing, faster_below=better, faster_above=better, reason=reason)
