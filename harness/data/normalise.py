"""From a sequence to what a lifter sees, and from what it says back to millimetres.

Input: x, y divided by the image width, so that the picture spans [-1, 1] across (VideoPose3D, MotionBERT), and the
detector's confidence as the third channel. Output: one of two target spaces, both relative to the pelvis,

    camera   metres in camera space: true perspective, nothing of the truth is used to decode
    image    the published 2.5-D space (MotionBERT's reader): pixels times 2/width, depth in the same unit;
             decoding multiplies by the true millimetres per pixel at the root's depth, as published evaluations do

Every function takes one sequence, whose arrays are (T, ...), or clips of several, (B, T, ...).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.sequence import FloatArray, Truth
from harness.data.skeleton import ROOT
from harness.errors import BadInput, suggestion

Float64Array = NDArray[np.float64]

#: Beyond this the "normalised" coordinates are surely pixels or the image size is wrong.
_LARGEST_PLAUSIBLE_COORDINATE = 20.0


class Frames(Protocol):
    """Frames with their truth, as ``Sequence`` has them; "..." is (T) or (B, T)."""

    @property
    def name(self) -> str: ...
    @property
    def keypoints(self) -> FloatArray: ...  # (..., J, 2) pixels
    @property
    def confidence(self) -> FloatArray: ...  # (..., J)
    @property
    def truth(self) -> NDArray[Any]: ...  # (..., J, 3)
    @property
    def mm_per_pixel(self) -> NDArray[Any] | None: ...  # (...)
    @property
    def poses_mm(self) -> NDArray[Any]: ...  # (..., J, 3)
    @property
    def image_size(self) -> Float64Array: ...  # (2,) or (B, 1, 2): width and height
    @property
    def focal(self) -> Float64Array: ...  # the same


def model_input(frames: Frames, in_channels: int) -> FloatArray:
    """(..., 17, in_channels): normalised x and y, and the confidence when ``in_channels`` is 3.

    Raises BadInput for another number of channels or for coordinates that cannot come from the camera's image size.
    """
    if in_channels not in (2, 3):
        raise BadInput(f"--in-channels {in_channels}: a lifter sees 2 (x, y) or 3 (x, y, confidence) channels")
    width = frames.image_size[..., :1]  # (..., 1)
    middle = np.concatenate([np.ones_like(width), frames.image_size[..., 1:] / width], axis=-1)  # (..., 2)
    xy = frames.keypoints / width[..., None, :].astype(np.float32) * 2 - middle[..., None, :]  # (..., J, 2)
    if xy.size and np.abs(xy).max() > _LARGEST_PLAUSIBLE_COORDINATE:
        sizes = [f"{size[0]:g} x {size[1]:g}" for size in np.unique(frames.image_size.reshape(-1, 2), axis=0)]
        raise BadInput(
            f"{frames.name}: keypoints reach {np.abs(frames.keypoints).max():.0f} pixels, but the image is given as "
            f"{' or '.join(sizes)}; check the image size of the camera"
        )
    channels = [xy, frames.confidence[..., None]] if in_channels == 3 else [xy]
    return np.concatenate(channels, axis=-1).astype(np.float32)  # (..., J, C)


def true_poses_mm(frames: Frames, space: Truth) -> Float64Array:
    """(..., 17, 3) truth relative to the pelvis, millimetres: what every error is measured against.

    In the space ``image`` it is that of the published 2.5-D evaluations (MotionBERT's lineage): weak perspective, x and
    y in the image times the millimetres per pixel at the pelvis. Raises BadInput where the sequence has no such truth.
    """
    if space == "image":
        return _relative(_image_truth(frames)) * mm_per_pixel(frames)[..., None, None]
    return _relative(frames.poses_mm.astype(np.float64))


def mm_per_pixel(frames: Frames) -> Float64Array:
    """(...) millimetres a pixel at the pelvis's depth, the 2.5-D factor. Raises BadInput where it is not known."""
    if frames.mm_per_pixel is None:
        depth_mm = frames.truth[..., ROOT, 2].astype(np.float64)  # (...)
        # As Camera.millimetres_per_pixel, for cameras side by side.
        return np.asarray(2000.0 / (frames.focal[..., 0] * 2000.0 / depth_mm + 1.0))
    if np.isnan(frames.mm_per_pixel).any():
        raise BadInput(f"{frames.name}: how many millimetres a pixel has is not known (the files have no 2.5d_factor)")
    return frames.mm_per_pixel.astype(np.float64)


@dataclass(frozen=True)
class TargetSpace:
    """``encode`` gives the training target (..., 17, 3), ``decode`` takes a prediction of it back to millimetres."""

    name: Truth
    encode: Callable[[Frames], FloatArray]
    decode: Callable[[NDArray[Any], Frames], Float64Array]


def _relative(poses: NDArray[Any]) -> NDArray[Any]:
    return poses - poses[..., ROOT : ROOT + 1, :]


def _camera_encode(frames: Frames) -> FloatArray:
    return (_relative(frames.poses_mm) / 1000.0).astype(np.float32)


def _camera_decode(prediction: NDArray[Any], frames: Frames) -> Float64Array:
    return prediction.astype(np.float64) * 1000.0


def _image_truth(frames: Frames) -> Float64Array:
    """(..., J, 3) x and y in pixels, depth in pixels of the pelvis's."""
    truth = frames.truth.astype(np.float64)
    if frames.mm_per_pixel is not None:
        return truth
    # The published preparation projects with focal length and centre alone, without distortion.
    xy = truth[..., :2] / truth[..., 2:] * frames.focal[..., None, :]  # (..., J, 2)
    return np.concatenate([xy, truth[..., 2:] / mm_per_pixel(frames)[..., None, None]], axis=-1)


def _image_encode(frames: Frames) -> FloatArray:
    return (_relative(_image_truth(frames)) * _units_per_pixel(frames)).astype(np.float32)


def _image_decode(prediction: NDArray[Any], frames: Frames) -> Float64Array:
    return prediction.astype(np.float64) / _units_per_pixel(frames) * mm_per_pixel(frames)[..., None, None]


def _units_per_pixel(frames: Frames) -> Float64Array:
    return np.asarray(2.0 / frames.image_size[..., :1, None])  # (..., 1, 1)


TARGET_SPACES: dict[str, TargetSpace] = {
    "camera": TargetSpace("camera", _camera_encode, _camera_decode),
    "image": TargetSpace("image", _image_encode, _image_decode),
}


def target_space(name: str) -> TargetSpace:
    """The target space called ``name``. Raises BadInput for an unknown one."""
    if name not in TARGET_SPACES:
        raise BadInput(f"unknown target space {name!r}. {suggestion(name, TARGET_SPACES)}One of: camera, image")
    return TARGET_SPACES[name]
