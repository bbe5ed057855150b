"""Alignment against scipy's solution of Wahba's problem, and where the best rotation is not unique."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.evaluation import procrustes
from harness.evaluation.procrustes import align, best_rotation

Float64Array = NDArray[np.float64]


def aligned_one_by_one(prediction: Float64Array, target: Float64Array) -> Float64Array:
    """The textbook way, one frame at a time; the rotation is scipy's."""
    frames = []
    for pose, truth in zip(prediction, target, strict=True):
        centred, truth_centred = pose - pose.mean(axis=0), truth - truth.mean(axis=0)
        rotated = Rotation.align_vectors(truth_centred, centred)[0].apply(centred)
        frames.append(rotated * (rotated * truth_centred).sum() / (centred**2).sum() + truth.mean(axis=0))
    return np.array(frames)


def poses(count: int, seed: int = 0) -> Float64Array:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (count, 17, 3)) * [150, 400, 80] + rng.normal(0, 1000, (count, 1, 3))


def squared_distance(prediction: Float64Array, target: Float64Array) -> Float64Array:
    return ((prediction - target) ** 2).sum(axis=(1, 2))


@pytest.mark.parametrize("noise_mm", [1.0, 50.0, 2000.0])
def test_agrees_with_scipy(noise_mm: float) -> None:
    target = poses(200)
    turned = Rotation.random(200, random_state=1).as_matrix()
    prediction = (target + np.random.default_rng(2).normal(0, noise_mm, target.shape)) @ turned * 0.3 + 77.0
    np.testing.assert_allclose(align(prediction, target), aligned_one_by_one(prediction, target), atol=1e-6)


def test_a_mirrored_pose_stays_mirrored() -> None:
    target = poses(200)
    prediction = target * [-1, 1, 1]
    aligned = align(prediction, target)
    np.testing.assert_allclose(aligned, aligned_one_by_one(prediction, target), atol=1e-6)
    assert (squared_distance(aligned, target) > 1.0).all()


def test_rotations_are_proper_for_any_matrix() -> None:
    rng = np.random.default_rng(3)
    matrices = rng.normal(size=(3000, 3, 3))
    matrices[1000:2000] *= rng.uniform(0, 1e-3, (1000, 1, 3))  # thin poses
    matrices[2000:] = rng.normal(size=(1000, 3, 1)) * rng.normal(size=(1000, 1, 3))  # collinear ones
    rotation, gain = best_rotation(matrices)
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), rotation.shape), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.einsum("nab,nab->n", rotation, matrices), gain, rtol=1e-9, atol=1e-12)


def test_closed_form_and_decomposition_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    matrices = np.random.default_rng(4).normal(size=(5000, 3, 3))
    rotation, gain = best_rotation(matrices)
    monkeypatch.setattr(procrustes, "SMALLEST_ZETA", np.inf)
    by_decomposition, its_gain = best_rotation(matrices)
    np.testing.assert_allclose(rotation, by_decomposition, atol=1e-8)
    np.testing.assert_allclose(gain, its_gain, rtol=1e-12)


def test_the_gain_is_the_signed_sum_of_singular_values() -> None:
    matrices = np.random.default_rng(5).normal(size=(500, 3, 3))
    singular = np.linalg.svd(matrices, compute_uv=False)
    signed = singular[:, 0] + singular[:, 1] + np.sign(np.linalg.det(matrices)) * singular[:, 2]
    np.testing.assert_allclose(best_rotation(matrices)[1], signed, rtol=1e-12)


def test_a_mirror_image_as_thick_as_wide_has_a_rotation_all_the_same() -> None:
    # det < 0 and s2 = s3: every turn about one axis is as good as another.
    rotation, gain = best_rotation(np.diag([3.0, 1.0, -1.0])[None])
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)
    np.testing.assert_allclose(gain, 3.0)


def test_coinciding_joints_go_to_the_centroid() -> None:
    target = poses(4)
    aligned = align(np.full_like(target, 5.0), target)
    np.testing.assert_allclose(aligned, np.broadcast_to(target.mean(axis=1, keepdims=True), target.shape))


def test_a_target_of_coinciding_joints_is_met() -> None:
    target = np.full((4, 17, 3), 5.0)
    np.testing.assert_allclose(align(poses(4), target), target)


def test_collinear_joints_are_laid_along_the_line() -> None:
    along = np.linspace(-1, 1, 17)[None, :, None]
    target = along * np.array([0.0, 3.0, 4.0]) + 10.0
    np.testing.assert_allclose(align(along * np.array([7.0, 0.0, 0.0]), target), target, atol=1e-9)


def test_single_joints_and_no_frames() -> None:
    target = poses(3)[:, :1]
    np.testing.assert_allclose(align(target + 4.0, target), target)
    assert align(poses(0), poses(0)).shape == (0, 17, 3)
