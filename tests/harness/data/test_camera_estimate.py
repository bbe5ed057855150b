"""Cameras from joints: known ones come back, and what is no camera is said to be none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.camera import Camera
from harness.data.camera_estimate import estimate
from tests.harness.data.mpi_inf_3dhp_files import shown, walk_mm

LENS = ((1500.0, 1440.0), (1001.0, 1060.0))
SIZE = (2048, 1900)
POSES_MM = walk_mm(60, 0.0)
ASSUMED = Camera("cam", 2048, 1900, (1234.0, 1234.0), (1024.0, 950.0))


def estimated(keypoints: NDArray[Any], poses_mm: NDArray[Any] = POSES_MM) -> tuple[Camera, str]:
    return estimate("cam", SIZE, keypoints, poses_mm, 1234.0)


def test_a_known_camera() -> None:
    camera, doubt = estimated(shown(POSES_MM, LENS).astype(np.float32))
    assert doubt == ""
    assert (camera.name, camera.width, camera.height) == ("cam", *SIZE)
    np.testing.assert_allclose([camera.focal, camera.centre], LENS, rtol=1e-5)
    np.testing.assert_allclose(camera.project(POSES_MM), shown(POSES_MM, LENS), atol=0.01)


def test_noise_of_a_detector_s_size_is_averaged_out() -> None:
    noise = np.random.default_rng(0).normal(0, 3, (60, 17, 2))
    camera, doubt = estimated(shown(POSES_MM, LENS) + noise)
    assert doubt == ""
    np.testing.assert_allclose([camera.focal, camera.centre], LENS, rtol=0.01)


def test_a_tenth_of_the_frames_elsewhere_does_not_bend_it() -> None:
    keypoints = shown(POSES_MM, LENS)
    keypoints[::10] += 300.0
    camera, doubt = estimated(keypoints)
    assert doubt == ""
    np.testing.assert_allclose([camera.focal, camera.centre], LENS, rtol=1e-6)


@pytest.mark.parametrize(("shift", "told"), [(4.0, True), (12.0, False)])
def test_half_of_the_joints_must_be_within_five_pixels(shift: float, told: bool) -> None:
    # Half of the joints are higher by twice the shift: the camera between them is off by the shift everywhere.
    keypoints = shown(POSES_MM, LENS)
    keypoints[::2, :, 1] += 2 * shift
    camera, doubt = estimated(keypoints)
    assert (camera != ASSUMED) == told
    assert doubt == ("" if told else f"2D and 3D {shift:.1f} px apart")


def test_a_joint_behind_the_camera() -> None:
    poses_mm = POSES_MM.copy()
    poses_mm[7, 3, 2] = -1.0
    assert estimated(shown(POSES_MM, LENS), poses_mm) == (ASSUMED, "joints at or behind the camera")


def test_joints_on_one_line_of_sight() -> None:
    poses_mm = POSES_MM.copy()
    poses_mm[..., 1] = 0.1 * poses_mm[..., 2]
    assert estimated(shown(poses_mm, LENS), poses_mm) == (ASSUMED, "hardly any movement across the image")


def test_a_mirrored_image() -> None:
    keypoints = shown(POSES_MM, ((-1500.0, 1440.0), LENS[1]))
    assert estimated(keypoints) == (ASSUMED, "focal lengths of -1500 and 1440 px would fit")
