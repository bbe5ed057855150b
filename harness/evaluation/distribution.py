"""How errors are spread: shares by size, so that a report can draw their distribution and every PCK curve.

Means hide what a user of poses suffers from: a few frames that are far off. All scored answers count here as they are
weighed by the protocol, pooled over the test set whatever the headline figure is averaged over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

#: The thresholds of MPI-INF-3DHP's AUC are multiples of it.
BIN_MM = 5.0
BINS = 100


@dataclass(frozen=True)
class Distribution:
    """Shares of errors in [0, 5), [5, 10), … 500 mm and, as a last entry, of all beyond; quantiles of frames in mm."""

    bin_mm: float
    joint_share: list[float]
    frame_share: list[float]
    frame_median_mm: float
    frame_p90_mm: float
    frame_p99_mm: float
    frame_max_mm: float


def distribution(joints_mm: Float64Array, frames_mm: Float64Array, weights: Float64Array) -> Distribution:
    """Of joint errors (N, J) and P1 (N,) of N answers with their weights (N,), each at least one."""
    median, p90, p99 = _quantiles(frames_mm, weights, (0.5, 0.9, 0.99))
    return Distribution(
        bin_mm=BIN_MM,
        joint_share=_shares(joints_mm.ravel(), np.repeat(weights, joints_mm.shape[1])),
        frame_share=_shares(frames_mm, weights),
        frame_median_mm=median,
        frame_p90_mm=p90,
        frame_p99_mm=p99,
        frame_max_mm=float(frames_mm.max()),
    )


def _shares(errors_mm: Float64Array, weights: Float64Array) -> list[float]:
    bins = np.minimum(errors_mm / BIN_MM, BINS).astype(np.intp)
    total = np.bincount(bins, weights=weights, minlength=BINS + 1)
    # Seven digits: a frame of ten million is still seen, and a record stays readable.
    return [round(float(share), 7) for share in total / total.sum()]


def _quantiles(values: Float64Array, weights: Float64Array, shares: tuple[float, ...]) -> list[float]:
    """The smallest values that at least so large a share of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    # A sum that misses its share by rounding alone has reached it.
    places = np.searchsorted(reached, [share * reached[-1] * (1 - 1e-12) for share in shares])
    return [float(values[order[place]]) for place in places]
