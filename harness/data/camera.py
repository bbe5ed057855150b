"""A pinhole camera with radial and tangential distortion, as Human3.6M calibrates it.

World space: metres or millimetres, z up. Camera space: x right, y down, z forward.
Pixel = focal * distorted(x/z, y/z) + centre; r2 = x^2 + y^2; radial gain 1 + k1 r2 + k2 r2^2 + k3 r2^3
plus the tangential gain p.(x, y), and the shift p r2 (formula of Human3.6M's release, as VideoPose3D states it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_UNDISTORTION_STEPS = 60


@dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels; ``rotation`` (3, 3) takes world to camera; ``position_mm`` (3,) in the world."""

    name: str
    width: int
    height: int
    focal: tuple[float, float]
    centre: tuple[float, float]
    radial: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tangential: tuple[float, float] = (0.0, 0.0)
    rotation: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    position_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def to_camera(self, world_mm: Array) -> Array:
        """(..., 3) world millimetres to camera space."""
        return (world_mm - np.asarray(self.position_mm)) @ np.asarray(self.rotation, dtype=np.float64).T

    def to_world(self, camera_mm: Array) -> Array:
        """(..., 3) camera space to world millimetres."""
        return camera_mm @ np.asarray(self.rotation, dtype=np.float64) + np.asarray(self.position_mm)

    def project(self, camera_mm: Array) -> Array:
        """(..., 3) camera space to (..., 2) pixels; x/z and y/z are held within [-1, 1] as the field does."""
        xy = np.clip(camera_mm[..., :2] / camera_mm[..., 2:], -1.0, 1.0)
        r2 = (xy**2).sum(-1, keepdims=True)
        k1, k2, k3 = self.radial
        tangential = np.asarray(self.tangential)
        gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + (xy * tangential).sum(-1, keepdims=True)
        return (xy * gain + tangential * r2) * np.asarray(self.focal) + np.asarray(self.centre)

    def back_project(self, pixels: Array, depth_mm: Array) -> Array:
        """(..., 2) pixels at depths (...) to (..., 3) camera space; undoes ``project`` within its bounds.

        The distortion has no inverse in closed form: fixed-point steps, which contract by a third or better for the
        lenses of these data sets, until nothing changes.
        """
        distorted = (pixels - np.asarray(self.centre)) / np.asarray(self.focal)
        tangential = np.asarray(self.tangential)
        k1, k2, k3 = self.radial
        xy = distorted
        for _ in range(_UNDISTORTION_STEPS):
            r2 = (xy**2).sum(-1, keepdims=True)
            gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + (xy * tangential).sum(-1, keepdims=True)
            xy = (distorted - tangential * r2) / gain
        depth = np.asarray(depth_mm)[..., None]
        return np.concatenate([xy * depth, depth], axis=-1)

    def millimetres_per_pixel(self, depth_mm: Array) -> Array:
        """2.5D factor at the root's depth: 2000 / (image width of a 2 m square facing the camera + 1)."""
        return 2000.0 / (self.focal[0] * 2000.0 / depth_mm + 1.0)
