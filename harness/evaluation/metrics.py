"""Errors of predicted poses, one value a frame.

Every function takes ``prediction`` and ``target`` of shape (N, J, 3) in millimetres, consecutive frames of one
sequence where it differentiates over time, and returns float64. Nothing here moves the root silently: the field's
P1 and its relatives are defined on root-relative poses, so the caller subtracts the root from both. The zeroed root
counts as a joint, so that the mean is over all J, as in the published code.

A prediction that is not finite raises RunFailed and a truth that is not finite BadInput, both naming the frame:
a mean over the frames that happen to be finite would flatter the model. Unequal shapes raise BadInput.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadInput, HarnessError, RunFailed
from harness.evaluation.procrustes import align

Array = NDArray[Any]
Float64Array = NDArray[np.float64]

PCK_THRESHOLD_MM = 150.0
#: 0, 5, ... 150 mm: the 31 thresholds of MPI-INF-3DHP's published evaluation; the first always gives 0 %.
AUC_THRESHOLDS_MM: Float64Array = np.linspace(0.0, 150.0, 31)
#: Frames worked on at once: their working set stays in the processor's cache, which halves the time.
_BLOCK_FRAMES = 4096
#: Blocks worked on side by side, as numpy lets other threads run meanwhile; more gains little.
_MOST_THREADS = 8


def per_joint_errors(prediction: Array, target: Array) -> Float64Array:
    """Euclidean distance of every joint, (N, J) mm."""
    return _distances(*_checked(prediction, target))


def mpjpe(prediction: Array, target: Array) -> Float64Array:
    """P1, mean per joint position error: mean over joints of ||prediction - target||, (N,) mm.

    Ionescu et al., "Human3.6M", TPAMI 2014. Invariant to a translation common to both.
    """
    return per_joint_errors(prediction, target).mean(axis=1)


def p_mpjpe(prediction: Array, target: Array) -> Float64Array:
    """P2: ``mpjpe`` after each frame's best similarity alignment (rotation, scale, shift), (N,) mm.

    Protocol 2 of Martinez et al., ICCV 2017: Procrustes alignment without reflection. Poses whose joints coincide
    or lie on a line have finite errors: see ``harness.evaluation.procrustes.align``.
    """
    return _in_blocks(lambda poses, truth: _distances(align(poses, truth), truth).mean(axis=1), prediction, target)


def n_mpjpe(prediction: Array, target: Array) -> Float64Array:
    """N-MPJPE: ``mpjpe`` after each frame's best scale <target, prediction> / <prediction, prediction>, (N,) mm.

    Rhodin et al., CVPR 2018, as released by VideoPose3D and MotionBERT: the scale acts about the origin, hence
    about the root of root-relative poses. A prediction of zeros stays zero.
    """
    return _in_blocks(_scaled_error, prediction, target)


def mpjve(prediction: Array, target: Array) -> Float64Array:
    """Velocity error: mean over joints of the distance of the first differences in time, (N-1,) mm per frame.

    ``mean_velocity_error`` of Pavllo et al., VideoPose3D, CVPR 2019. Per frame, not per second.
    """
    return _distances(*_differences(prediction, target, order=1)).mean(axis=1)


def acceleration_error(prediction: Array, target: Array) -> Float64Array:
    """Mean over joints of the distance of the second differences x[t-1] - 2 x[t] + x[t+1], (N-2,) mm per frame².

    Kanazawa et al., HMMR, CVPR 2019. Only frames that have both neighbours have a value; nothing is padded by zero.
    """
    return _distances(*_differences(prediction, target, order=2)).mean(axis=1)


def pck(prediction: Array, target: Array, threshold_mm: float = PCK_THRESHOLD_MM) -> Float64Array:
    """Share of joints nearer than ``threshold_mm`` (strictly), (N,) percent. Mehta et al., 3DV 2017.

    All J joints count: MPI-INF-3DHP's published figure is over 14 of its 17, which the caller selects.
    """
    return 100.0 * (per_joint_errors(prediction, target) < threshold_mm).mean(axis=1)


def auc(prediction: Array, target: Array) -> Float64Array:
    """Mean of ``pck`` over the thresholds 0, 5, ... 150 mm, (N,) percent. Mehta et al., 3DV 2017."""
    errors = per_joint_errors(prediction, target)
    # With the thresholds ascending, an error is below all those right of its place.
    met = len(AUC_THRESHOLDS_MM) - np.searchsorted(AUC_THRESHOLDS_MM, errors, side="right")  # (N, J)
    return 100.0 * met.mean(axis=1) / len(AUC_THRESHOLDS_MM)


def _scaled_error(prediction: Array, target: Array) -> Float64Array:
    prediction, target = prediction.astype(np.float64), target.astype(np.float64)
    size = np.einsum("njc,njc->n", prediction, prediction)
    overlap = np.einsum("njc,njc->n", target, prediction)
    scale = np.divide(overlap, size, out=np.zeros_like(size), where=size > 0)
    return np.asarray(_distances(prediction * scale[:, None, None], target).mean(axis=1))


def _in_blocks(error: Callable[[Array, Array], Float64Array], prediction: Array, target: Array) -> Float64Array:
    """``error`` (N,) of the checked poses, a block of frames at a time, blocks side by side."""
    prediction, target = _checked(prediction, target)
    blocks = [slice(start, start + _BLOCK_FRAMES) for start in range(0, len(prediction), _BLOCK_FRAMES)]
    errors = np.empty(len(prediction))

    def fill(frames: slice) -> None:
        errors[frames] = error(prediction[frames], target[frames])

    if len(blocks) == 1:
        fill(blocks[0])
    elif blocks:
        with ThreadPoolExecutor(min(len(blocks), os.cpu_count() or 1, _MOST_THREADS)) as threads:
            list(threads.map(fill, blocks))
    return errors


def _distances(prediction: Array, target: Array) -> Float64Array:
    difference = np.subtract(prediction, target, dtype=np.float64)
    return np.sqrt(np.einsum("njc,njc->nj", difference, difference))  # (N, J)


def _differences(prediction: Array, target: Array, order: int) -> tuple[Float64Array, Float64Array]:
    prediction, target = (array.astype(np.float64) for array in _checked(prediction, target))
    return np.diff(prediction, n=order, axis=0), np.diff(target, n=order, axis=0)


def _checked(prediction: Array, target: Array) -> tuple[Array, Array]:
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.shape != target.shape or prediction.ndim != 3 or prediction.shape[-1] != 3:
        raise BadInput(
            f"poses to compare must both be (N, J, 3): the prediction is {prediction.shape}, the target {target.shape}"
        )
    _require_finite(prediction, "prediction", RunFailed)
    _require_finite(target, "target", BadInput)
    return prediction, target


def _require_finite(poses: Array, name: str, error: type[HarnessError]) -> None:
    finite = np.isfinite(poses)
    if not finite.all():
        frame, joint, _ = np.argwhere(~finite)[0]
        count = int((~finite.all(axis=(1, 2))).sum())
        raise error(
            f"the {name} is not finite at frame {frame}, joint {joint} ({count} of {len(poses)} frames); "
            "an error over the rest would hide it"
        )
