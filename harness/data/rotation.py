"""Rotation matrices from the three notations that motion and camera files use.

Matrices act on column vectors: ``rotated = matrix @ vector``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def about(axis: str, degrees: ArrayLike) -> Array:
    """Rotations (..., 3, 3) by ``degrees`` (...) about ``axis``, one of "x", "y", "z"."""
    angle = np.deg2rad(np.asarray(degrees, dtype=np.float64))
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*angle.shape, 3, 3))  # (..., 3, 3)
    matrix[...] = np.eye(3)
    matrix[..., first, first] = matrix[..., second, second] = np.cos(angle)
    matrix[..., second, first] = np.sin(angle)
    matrix[..., first, second] = -matrix[..., second, first]
    return matrix


def fixed_axes(order: Sequence[str], degrees: Mapping[str, ArrayLike]) -> Array:
    """Rotation (..., 3, 3) about fixed axes, the first of ``order`` applied first: "xyz" gives Rz Ry Rx."""
    matrix = np.eye(3)
    for axis in order:
        matrix = about(axis, degrees[axis]) @ matrix
    return matrix


def from_quaternion(quaternion: ArrayLike) -> Array:
    """Rotation (3, 3) of a quaternion w, x, y, z, which need not have unit length."""
    q = np.asarray(quaternion, dtype=np.float64)
    w, (x, y, z) = q[0], q[1:]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    # Rodrigues' formula in quaternion form, divided by the squared length.
    return np.eye(3) + 2 * (w * cross + cross @ cross) / (q @ q)
