"""What is kept of single sequences, so that a report can show where and how a lifter errs: a curve of every sequence,
and short stretches of a few as poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

#: ``unusual``: of the test set's most unusual poses, whatever the lifter; ``worst``: of the other takes, those that it
#: is worst at.
Reason = Literal["unusual", "worst"]


def means_of_neighbours(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """(ceil(N / size),) the mean of every ``size`` of N values; NaN is left out of a mean, and that of nothing."""
    padded = np.full(-(-len(values) // size) * size, np.nan)
    padded[: len(values)] = values
    bins = padded.reshape(-1, size)
    known = np.isfinite(bins).sum(axis=1)
    return np.divide(np.nansum(bins, axis=1), known, out=np.full(len(bins), np.nan), where=known > 0)


@dataclass(frozen=True, eq=False)
class ErrorCurve:
    """``p1_mm`` (bins,) of one sequence over time, one every ``step_s`` seconds; NaN where nothing is scored."""

    sequence: str
    take: str
    action: str
    step_s: float
    p1_mm: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A stretch of one sequence from ``start_s`` on at ``fps`` poses a second.

    ``truth_mm`` (K, 17, 3) is relative to the true pelvis, ``prediction_mm`` as it is scored, with the predicted pelvis
    where the protocol has it: x to the right, y down, z away from the camera. NaN where there is none.
    """

    sequence: str
    take: str
    action: str
    reason: Reason
    start_s: float
    fps: float
    truth_mm: NDArray[np.float32]
    prediction_mm: NDArray[np.float32]


@dataclass(frozen=True)
class Traces:
    """Of one run: a curve for every test sequence in their order, and the excerpts."""

    curves: tuple[ErrorCurve, ...]
    excerpts: tuple[Excerpt, ...]
