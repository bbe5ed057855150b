"""From a sequence to what a lifter sees, and from what it says back to millimetres.

Input: x, y divided by the image width, so that the picture spans [-1, 1] across (VideoPose3D, MotionBERT), and the
detector's confidence as the third channel. Output: one of two target spaces, both relative to the pelvis,

    camera   metres in camera space: true perspective, nothing of the truth is used to decode
    image    the published 2.5-D space (MotionBERT's reader): pixels times 2/width, depth in the same unit;
             decoding multiplies by the true millimetres per pixel at the root's depth, as published evaluations do
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.sequence import FloatArray, Sequence
from harness.data.skeleton import ROOT
from harness.errors import BadInput, suggestion

#: Beyond this the "normalised" coordinates are surely pixels or the image size is wrong.
_LARGEST_PLAUSIBLE_COORDINATE = 20.0


def model_input(sequence: Sequence, in_channels: int) -> FloatArray:
    """(T, 17, in_channels): normalised x and y, and the confidence when ``in_channels`` is 3.

    Raises BadInput for another number of channels or for coordinates that cannot come from the camera's image size.
    """
    if in_channels not in (2, 3):
        raise BadInput(f"--in-channels {in_channels}: a lifter sees 2 (x, y) or 3 (x, y, confidence) channels")
    camera = sequence.camera
    xy = sequence.keypoints / camera.width * 2 - np.array([1.0, camera.height / camera.width])
    if xy.size and np.abs(xy).max() > _LARGEST_PLAUSIBLE_COORDINATE:
        raise BadInput(
            f"{sequence.name}: keypoints reach {np.abs(sequence.keypoints).max():.0f} pixels in an image of "
            f"{camera.width} x {camera.height}; check the image size of camera {camera.name}"
        )
    channels = [xy, sequence.confidence[..., None]] if in_channels == 3 else [xy]
    return np.concatenate(channels, axis=-1).astype(np.float32)  # (T, J, C)


def root_relative_mm(sequence: Sequence) -> NDArray[np.float32]:
    """(T, 17, 3) truth relative to the pelvis, millimetres: what every error is measured against."""
    return sequence.poses_mm - sequence.poses_mm[:, ROOT : ROOT + 1]


@dataclass(frozen=True)
class TargetSpace:
    """``encode`` gives the training target (T, 17, 3), ``decode`` takes a prediction of it back to millimetres."""

    name: str
    encode: Callable[[Sequence], FloatArray]
    decode: Callable[[FloatArray, Sequence], FloatArray]


def _camera_encode(sequence: Sequence) -> FloatArray:
    return (root_relative_mm(sequence) / 1000.0).astype(np.float32)


def _camera_decode(prediction: FloatArray, sequence: Sequence) -> FloatArray:
    return (prediction * 1000.0).astype(np.float32)


def _mm_per_unit(sequence: Sequence) -> NDArray[np.float64]:
    depth_mm = sequence.poses_mm[:, ROOT, 2].astype(np.float64)  # (T,)
    return sequence.camera.millimetres_per_pixel(depth_mm) * sequence.camera.width / 2


def _image_encode(sequence: Sequence) -> FloatArray:
    # The published preparation projects with focal length and centre alone, without distortion.
    camera, poses = sequence.camera, sequence.poses_mm.astype(np.float64)
    xy = poses[..., :2] / poses[..., 2:] * np.asarray(camera.focal) * 2 / camera.width  # (T, J, 2)
    depth = poses[..., 2:] / _mm_per_unit(sequence)[:, None, None]  # (T, J, 1)
    target = np.concatenate([xy, depth], axis=-1)  # (T, J, 3)
    return (target - target[:, ROOT : ROOT + 1]).astype(np.float32)


def _image_decode(prediction: FloatArray, sequence: Sequence) -> FloatArray:
    return (prediction * _mm_per_unit(sequence)[:, None, None]).astype(np.float32)


TARGET_SPACES: dict[str, TargetSpace] = {
    "camera": TargetSpace("camera", _camera_encode, _camera_decode),
    "image": TargetSpace("image", _image_encode, _image_decode),
}


def target_space(name: str) -> TargetSpace:
    """The target space called ``name``. Raises BadInput for an unknown one."""
    if name not in TARGET_SPACES:
        raise BadInput(f"unknown target space {name!r}. {suggestion(name, TARGET_SPACES)}One of: camera, image")
    return TARGET_SPACES[name]
