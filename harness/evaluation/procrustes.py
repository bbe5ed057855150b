"""Similarity alignment of predicted poses to true ones, frame by frame, without a loop over frames.

For centred prediction Y and target X (J, 3) the rotation R and scale a that minimise ||X - a Y R|| follow from
B = Y^T X. Its best proper rotation has a closed form (Markley, "Attitude determination using vector observations:
a fast optimal matrix algorithm", 1993), here with |B| scaled to 1:

    gain   the largest root of (gain^2 - 1)^2 - 8 gain det(B) - 4 |cof(B)|^2, which is s1 + s2 + sign(det B) s3
    R      ((kappa + 1) B + gain cof(B) - B B^T B) / zeta,   kappa = (gain^2 - 1) / 2,   zeta = kappa gain - det(B)
    a      gain |B| / |Y|^2

s1 >= s2 >= s3 are B's singular values and cof(B) its cofactors. zeta = (s1+s2)(s2+s3)(s3+s1), s3 with its sign,
vanishes where the rotation is not unique (collinear joints, a mirrored pose as thick as wide): those frames,
rare in real poses, take a singular value decomposition instead. A reflection is never used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float64Array = NDArray[np.float64]

#: Below this the closed form would lose more than about 1e-9 of the rotation to rounding.
SMALLEST_ZETA = 1e-3
#: Newton's steps from the upper bound sqrt(3) fall monotonically to the root; fewer than ten are needed in practice.
NEWTON_STEPS = 60


def align(prediction: Array, target: Array) -> Float64Array:
    """``prediction`` (N, J, 3) after the rotation, scale and shift of each frame that bring it nearest to ``target``.

    Nearest in the sum of squares, rotations only (a mirrored pose stays mirrored). Where all predicted joints
    coincide, they go to the centroid of the target's. Both arrays must be finite.
    """
    prediction, target = np.asarray(prediction, dtype=np.float64), np.asarray(target, dtype=np.float64)
    centroid = target.mean(axis=1, keepdims=True)  # (N, 1, 3)
    centred = prediction - prediction.mean(axis=1, keepdims=True)
    correlation = np.matmul(centred.transpose(0, 2, 1), target - centroid)  # (N, 3, 3)
    rotation, gain = best_rotation(correlation)
    size = np.einsum("njc,njc->n", centred, centred)
    scale = np.divide(gain, size, out=np.zeros_like(gain), where=size > 0)
    return np.matmul(centred, scale[:, None, None] * rotation) + centroid


def best_rotation(correlation: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The proper rotation R (N, 3, 3) that maximises trace(R^T B), and that maximum (N,), for each B (N, 3, 3)."""
    norm = np.sqrt(np.einsum("nab,nab->n", correlation, correlation))
    unit = correlation / np.where(norm > 0, norm, 1.0)[:, None, None]
    cofactors = _cofactors(unit)
    determinant = np.einsum("nc,nc->n", unit[:, 0], cofactors[:, 0])
    gain, zeta = _largest_root(determinant, np.einsum("nab,nab->n", cofactors, cofactors))
    kappa = (gain**2 - 1) / 2
    cubic = np.matmul(unit, np.matmul(unit.transpose(0, 2, 1), unit))
    clear = zeta > SMALLEST_ZETA
    rotation = (kappa + 1)[:, None, None] * unit + gain[:, None, None] * cofactors - cubic
    rotation /= np.where(clear, zeta, 1.0)[:, None, None]
    if not clear.all():
        rotation[~clear], gain[~clear] = _best_rotation_by_svd(unit[~clear])
    return rotation, gain * norm


def _cofactors(matrices: Float64Array) -> Float64Array:
    first, second, third = matrices[:, 0], matrices[:, 1], matrices[:, 2]
    return np.stack([np.cross(second, third), np.cross(third, first), np.cross(first, second)], axis=1)  # (N, 3, 3)


def _largest_root(determinant: Float64Array, cofactors_squared: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The gain of the module's docstring by Newton's method, and zeta there (an eighth of the slope)."""
    gain = np.full_like(determinant, np.sqrt(3.0))
    for _ in range(NEWTON_STEPS):
        excess = gain**2 - 1
        zeta = excess * gain / 2 - determinant
        value = excess**2 - 8 * gain * determinant - 4 * cofactors_squared
        step = np.divide(value, 8 * zeta, out=np.zeros_like(gain), where=zeta > SMALLEST_ZETA / 2)
        gain -= step
        if np.abs(step).max(initial=0.0) < 1e-10:  # the error left is of the order of its square
            break
    return gain, (gain**2 - 1) * gain / 2 - determinant


def _best_rotation_by_svd(correlation: Float64Array) -> tuple[Float64Array, Float64Array]:
    left, singular, right = np.linalg.svd(correlation)
    sign = np.where(np.linalg.det(left) * np.linalg.det(right) < 0, -1.0, 1.0)
    left[:, :, 2] *= sign[:, None]
    singular[:, 2] *= sign
    return np.matmul(left, right), singular.sum(axis=1)
