"""A camera from what it saw: joints in camera space, and where they are in its image.

A pinhole camera has u = fx X/Z + cx and v = fy Y/Z + cy: two straight lines, fitted here by least squares. What lies
far off them is left out and they are fitted again, so that a few wrong points do not bend the camera. For sets whose
files have no calibration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.camera import Camera

Array = NDArray[Any]

#: Half of the joints may be this far from where the camera would show them, pixels.
LARGEST_RESIDUAL_PX = 5.0
#: Standard deviation of X/Z and Y/Z below which a slope says nothing: some 7 pixels at a focal length of 1500.
LEAST_SPREAD = 0.005

_FITS = 4
_MOST_FRAMES = 2000
#: In medians: 3.5 standard deviations where the errors are normal.
_FAR = 3.0


def estimate(
    name: str, size: tuple[int, int], keypoints: Array, poses_mm: Array, assumed_focal: float
) -> tuple[Camera, str]:
    """The camera ``name`` that shows ``poses_mm`` (T, J, 3) at ``keypoints`` (T, J, 2), and why it is assumed.

    ``size`` is the image's width and height. Where no camera can be told from the joints, or none shows them within
    5 pixels (median), the second value says so, and the camera is one that looks through the middle of the image with
    the focal length ``assumed_focal``, pixels; otherwise the second value is empty.
    """
    width, height = size
    assumed = Camera(name, width, height, (assumed_focal, assumed_focal), (width / 2, height / 2))
    if not (poses_mm[..., 2] > 0).all():
        return assumed, "joints at or behind the camera"
    # In a long video neighbouring frames say the same.
    step = -(-len(poses_mm) // _MOST_FRAMES)
    # Coordinates first: means along contiguous memory are several times faster.
    poses = np.ascontiguousarray(poses_mm[::step].reshape(-1, 3).T, dtype=np.float64)
    pixels = np.ascontiguousarray(keypoints[::step].reshape(-1, 2).T, dtype=np.float64)
    lines = _lines(poses[:2] / poses[2], pixels)
    if lines is None:
        return assumed, "hardly any movement across the image"
    focal, centre, residual = lines
    if residual > LARGEST_RESIDUAL_PX:
        return assumed, f"2D and 3D {residual:.1f} px apart"
    if not (focal > 0).all():
        return assumed, f"focal lengths of {focal[0]:.0f} and {focal[1]:.0f} px would fit"
    return Camera(name, width, height, (float(focal[0]), float(focal[1])), (float(centre[0]), float(centre[1]))), ""


def _lines(rays: Array, pixels: Array) -> tuple[Array, Array, float] | None:
    """Slopes (2,), intercepts (2,) and the median distance of all (2, N) points; None where they span too little."""
    near_rays, near_pixels = rays, pixels
    for _ in range(_FITS):
        middle = near_rays.mean(axis=1, keepdims=True)
        variance = ((near_rays - middle) ** 2).mean(axis=1)
        if (variance < LEAST_SPREAD**2).any():
            return None
        slopes = ((near_rays - middle) * near_pixels).mean(axis=1) / variance
        intercepts = near_pixels.mean(axis=1) - slopes * middle[:, 0]
        distances = np.hypot(*(rays * slopes[:, None] + intercepts[:, None] - pixels))
        median = float(np.median(distances))
        near = distances <= _FAR * median
        near_rays, near_pixels = rays[:, near], pixels[:, near]
    return slopes, intercepts, median
