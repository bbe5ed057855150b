"""The median of a point's durations as it might have come out: bootstrap over rounds, then over the samples inside.

Durations of one process resemble each other more than those of two, so rounds are drawn first and samples of the drawn
rounds second (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8). A mean of n drawn
rounds varies by a factor of (n - 1) / n too little, much with three rounds, so deviations are stretched by its root.

Samples are not drawn one by one: the middle one of n draws lies at a Beta-distributed share of what is drawn from, with
(n + 1) / 2 for both parameters (David and Nagaraja, "Order Statistics", 2003, section 2.3), and that share is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

DRAWS = 2_000
CONFIDENCE = 0.95


def medians(rounds: Sequence[Sequence[float]], seed: int | Sequence[int], draws: int = DRAWS) -> Float64Array:
    """(draws,) medians of resampled durations, in their unit; ``rounds`` are durations above zero, round by round.

    Deterministic for a ``seed``. Give each point one of its own: resamples of two points must not go together.
    """
    durations = np.concatenate([np.asarray(one, dtype=np.float64) for one in rounds])
    owners = np.repeat(np.arange(len(rounds)), [len(one) for one in rounds])
    order = np.argsort(durations, kind="stable")
    rng = np.random.default_rng(seed)
    times_drawn = rng.multinomial(len(rounds), np.full(len(rounds), 1 / len(rounds)), size=draws)  # (draws, rounds)
    half = (len(durations) + 1) / 2
    drawn = _at_shares(durations[order], owners[order], times_drawn, rng.beta(half, half, size=draws))
    return _stretched(drawn, float(np.median(durations)), len(rounds))


def interval(drawn: Float64Array, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The percentiles that enclose ``confidence`` of ``drawn``: drawn values themselves, so they may be infinite."""
    tail = (1 - confidence) / 2
    return (
        float(np.quantile(drawn, tail, method="lower")),
        float(np.quantile(drawn, 1 - tail, method="higher")),
    )


def _at_shares(
    durations: Float64Array, owners: NDArray[np.int_], times_drawn: NDArray[np.int_], shares: Float64Array
) -> Float64Array:
    """The duration below which a share of the drawn rounds lies, draw by draw; ``durations`` ascend."""
    sizes = np.bincount(owners)
    found = np.empty(len(shares))
    compositions, members = np.unique(times_drawn, axis=0, return_inverse=True)
    for index, composition in enumerate(compositions):
        below = np.cumsum(composition[owners] / (composition.sum() * sizes[owners]))
        here = members.reshape(-1) == index
        found[here] = durations[np.searchsorted(below, shares[here]).clip(max=len(durations) - 1)]
    return found


def _stretched(drawn: Float64Array, middle: float, rounds: int) -> Float64Array:
    """Deviations from the ``middle`` by the root of n / (n - 1), as ratios, so that a duration stays above zero."""
    stretch = math.sqrt(rounds / (rounds - 1)) if rounds > 1 else 1.0
    return np.asarray(middle * (drawn / middle) ** stretch)
