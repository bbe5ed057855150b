"""Labelled point clouds, and the check of what a file has in place of them.

N is the number of clouds, M the points that are kept of each, in such an order that any beginning of them can stand for
the whole cloud: a set says how they were sampled.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadInput

Points = NDArray[np.float32]

#: Random changes of training clouds, see harness.classification.training_clouds.
Augmentation = Literal["scale+shift", "rotate-y", "none"]

#: Training takes P points by chance out of so many times P, as the published recipes do (1,024 out of 1,200).
SPARE = 1200 / 1024


def kept_points(points: int) -> int:
    """How many points of a training cloud are kept, so that each epoch can draw ``points`` of them anew."""
    return round(points * SPARE)


@dataclass(frozen=True, eq=False)
class Clouds:
    """``points`` (N, M, 3) float32 and ``labels`` (N,) int64."""

    points: Points
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """sha256 over both arrays: proves that two runs saw the same clouds."""
        total = hashlib.sha256(f"{self.points.shape}".encode())
        total.update(np.ascontiguousarray(self.points).data)
        total.update(np.ascontiguousarray(self.labels).data)
        return total.hexdigest()


@dataclass(frozen=True, eq=False)
class CloudSet:
    """A data set for classification.

    normalised    ``ball``: centred at the mean of the points, the farthest at distance 1; ``stored``: as in the files
    sampled       how the points of a cloud were chosen: ``area``, ``farthest``, or ``stored``, as in the files
    augmentation  what training does to its clouds
    doubts        sentences about what an accuracy on its test clouds does not say
    """

    name: str
    classes: tuple[str, ...]
    train: Clouds
    test: Clouds
    normalised: str
    sampled: str
    augmentation: Augmentation
    doubts: tuple[str, ...] = ()


def in_unit_ball(cloud: NDArray[Any], name: str) -> NDArray[np.float64]:
    """A cloud (M, 3) with its mean at the origin and its farthest point at distance 1.

    Raises BadInput naming it where that is impossible: all points in one place, or a distance that is not finite.
    """
    # In float64, where the squares of all float32 numbers are numbers.
    centred = cloud - cloud.mean(axis=0, dtype=np.float64)
    radius = np.sqrt(np.square(centred).sum(axis=-1).max())
    if not 0 < radius < np.inf:
        raise BadInput(f"{name} cannot be brought into the unit ball: its farthest point is {radius} from its mean")
    return np.asarray(centred / radius, dtype=np.float64)


def checked(points: NDArray[Any], labels: NDArray[Any], classes: int, where: str) -> Clouds:
    """Clouds of what a file holds as points (N, M, 3 or more columns) and labels (N,) or (N, 1).

    Raises BadInput naming ``where``, the array and the index for a wrong shape or type, a label out of range, a number
    that is not finite, and a cloud whose points are all the same.
    """
    if points.ndim != 3 or points.shape[-1] < 3 or not np.issubdtype(points.dtype, np.floating):
        raise BadInput(f"{where}: data has shape {points.shape} of {points.dtype}; expected floats (clouds, points, 3)")
    if labels.shape not in ((len(points),), (len(points), 1)) or not np.issubdtype(labels.dtype, np.integer):
        raise BadInput(
            f"{where}: label has shape {labels.shape} of {labels.dtype}; expected a whole number for each of the "
            f"{len(points)} clouds"
        )
    flat = labels.reshape(-1).astype(np.int64)
    for index in np.flatnonzero((flat < 0) | (flat >= classes))[:1]:
        raise BadInput(f"{where}: label[{index}] is {flat[index]}; with {classes} classes it is 0 to {classes - 1}")
    kept = np.ascontiguousarray(points[..., :3], dtype=np.float32)
    for cloud, point, axis in np.argwhere(~np.isfinite(kept))[:1]:
        raise BadInput(f"{where}: data[{cloud}, {point}, {axis}] is {kept[cloud, point, axis]}; points must be finite")
    for cloud in np.flatnonzero((kept == kept[:, :1]).all(axis=(1, 2)))[:1]:
        raise BadInput(f"{where}: data[{cloud}] has all its points in one place")
    return Clouds(kept, flat)


def require_points(clouds: Clouds, points: int, where: str) -> None:
    """Raises BadInput where the clouds have fewer than ``points`` points."""
    if clouds.points.shape[1] < points:
        raise BadInput(f"{where}: its clouds have {clouds.points.shape[1]} points, fewer than --points {points}")
