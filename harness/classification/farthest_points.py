"""Farthest-point sampling (Qi et al., "PointNet++", arXiv 1706.02413, section 3.2) of whole sets of clouds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.classification.cloud_set import Clouds, Points
from harness.data import cache as stored_arrays

#: Clouds worked on at once: so few that their distances stay in the processor's cache.
_AT_ONCE = 16


def thinned(
    clouds: Clouds, count: int, cache: Path | None = None, progress: Callable[[float], None] = lambda share: None
) -> Clouds:
    """Every cloud's ``count`` farthest points in the order in which they are found, from its first point on.

    So any beginning of them is again a farthest-point sample. What was found once is kept in the folder ``cache``.
    ``progress`` gets the share that is done.
    """
    if clouds.points.shape[1] <= count:
        return clouds
    key = f"farthest-{clouds.digest()[:16]}-{count}"
    found = stored_arrays.remember(cache, key, lambda: {"points": _found(clouds.points, count, progress)})
    return Clouds(found["points"], clouds.labels)


def _found(points: Points, count: int, progress: Callable[[float], None]) -> Points:
    parts = []
    for first in range(0, len(points), _AT_ONCE):
        parts.append(_farthest(points[first : first + _AT_ONCE], count))
        progress(min(1.0, (first + _AT_ONCE) / len(points)))
    return np.concatenate(parts)


def _farthest(points: Points, count: int) -> Points:
    """(B, M, 3) -> (B, count, 3)."""
    rows = np.arange(len(points))
    axes = np.ascontiguousarray(points.transpose(2, 0, 1))  # (3, B, M)
    squared = np.full(points.shape[:2], np.inf, dtype=np.float32)  # to the nearest point chosen so far
    chosen = np.zeros((len(points), count), dtype=np.intp)
    for index in range(1, count):
        latest = axes[:, rows, chosen[:, index - 1], None]  # (3, B, 1)
        np.minimum(squared, np.square(axes - latest).sum(axis=0), out=squared)
        chosen[:, index] = squared.argmax(axis=1)
    return points[rows[:, None], chosen]
