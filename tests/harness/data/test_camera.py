"""Projection against the written-out polynomial of Human3.6M's camera model, and left kept left on real motion."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data import motion, rig
from harness.data.camera import Camera
from harness.data.skeleton import JOINT_NAMES
from tests.harness.data.figures import shared_motion

RIG_CAMERAS = [
    pytest.param(camera, id=f"{subject}-{camera.name}") for subject in ("S1", "S9") for camera in rig.rigs()[subject]
]
PLAIN = Camera("plain", 1000, 800, focal=(500.0, 400.0), centre=(510.0, 390.0))


def polynomial_pixel(camera: Camera, point: tuple[float, float, float]) -> tuple[float, float]:
    """One point with plain numbers, the tangential terms multiplied out: independent of the array code."""
    x, y = point[0] / point[2], point[1] / point[2]
    k1, k2, k3 = camera.radial
    tx, ty = camera.tangential
    radial = 1 + k1 * (x * x + y * y) + k2 * (x * x + y * y) ** 2 + k3 * (x * x + y * y) ** 3
    u = x * radial + tx * (2 * x * x + y * y) + ty * x * y
    v = y * radial + ty * (x * x + 2 * y * y) + tx * x * y
    return camera.focal[0] * u + camera.centre[0], camera.focal[1] * v + camera.centre[1]


@pytest.mark.parametrize("camera", RIG_CAMERAS)
def test_projection_equals_the_polynomial(camera: Camera) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([-1500, -1500, 2000], [1500, 1500, 7000], (50, 3))
    expected = [polynomial_pixel(camera, tuple(point)) for point in points]
    assert camera.project(points) == pytest.approx(np.array(expected), abs=1e-9)


def test_without_distortion_a_point_lies_where_similar_triangles_say() -> None:
    assert PLAIN.project(np.array([0.0, 0.0, 3000.0])) == pytest.approx([510.0, 390.0])
    assert PLAIN.project(np.array([1000.0, -500.0, 2000.0])) == pytest.approx([510 + 250, 390 - 100])


@pytest.mark.parametrize("camera", [*RIG_CAMERAS, pytest.param(PLAIN, id="plain")])
def test_back_projection_undoes_projection(camera: Camera) -> None:
    depth_mm = np.random.default_rng(2).uniform(1500, 9000, (40, 17))
    pixels = np.random.default_rng(3).uniform(20, 780, (40, 17, 2))
    points = camera.back_project(pixels, depth_mm)
    assert points[..., 2] == pytest.approx(depth_mm)
    assert camera.project(points) == pytest.approx(pixels, abs=1e-8)
    assert camera.back_project(camera.project(points), depth_mm) == pytest.approx(points, abs=1e-6)


def test_points_far_outside_the_view_are_held_at_its_edge() -> None:
    assert PLAIN.project(np.array([9000.0, 0.0, 1000.0])) == pytest.approx([1010.0, 390.0])


@pytest.mark.parametrize("camera", RIG_CAMERAS)
def test_to_world_undoes_to_camera(camera: Camera) -> None:
    points = np.random.default_rng(1).normal(0, 3000, (20, 17, 3))
    assert camera.to_world(camera.to_camera(points)) == pytest.approx(points, abs=1e-8)


@pytest.mark.parametrize("camera", RIG_CAMERAS)
def test_the_camera_stands_at_its_position_and_does_not_mirror(camera: Camera) -> None:
    assert camera.to_camera(np.array(camera.position_mm)) == pytest.approx(np.zeros(3), abs=1e-9)
    rotation = np.array(camera.rotation)
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_millimetres_per_pixel_is_the_width_of_a_two_metre_square() -> None:
    camera = rig.rigs()["S9"][0]
    pinhole = Camera("pinhole", camera.width, camera.height, camera.focal, camera.centre)
    edges = pinhole.project(np.array([[-1000.0, 0.0, 5000.0], [1000.0, 0.0, 5000.0]]))
    assert camera.millimetres_per_pixel(np.array(5000.0)) == pytest.approx(2000.0 / (edges[1, 0] - edges[0, 0] + 1))


def test_left_is_left_in_every_camera_on_real_walks() -> None:
    takes, _ = motion.takes_at(shared_motion() / "cmu_test.npz")
    walks = [take for take in takes if take.action in ("Walk", "Run")]
    assert len(walks) >= 10
    left, right = JOINT_NAMES.index("left hip"), JOINT_NAMES.index("right hip")
    for sequence in rig.film(walks, "walks", detector="gt", seed=0, cache=None).test:
        up = np.array(sequence.camera.rotation) @ [0.0, 0.0, 1.0]
        ahead = np.cross(sequence.poses_mm[:, left] - sequence.poses_mm[:, right], up)[:-1]
        step = np.diff(sequence.poses_mm[:, 0], axis=0)
        assert (step * ahead).sum() > 0, f"{sequence.name} walks backwards: left and right are exchanged"
