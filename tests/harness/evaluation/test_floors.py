"""Floors against cases where their answers are known, and their size on the real motion set."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.data import motion, rig
from harness.data.normalise import model_input
from harness.data.sequence import Sequence
from harness.errors import BadInput
from harness.evaluation import floors, metrics
from harness.evaluation.protocol import PROTOCOLS
from harness.evaluation.scores import ALL_JOINTS
from tests.harness.data.figures import shared_motion
from tests.harness.evaluation.scenes import filmed, truth

TRAIN = [filmed("S1/Walk/1/a", 60), filmed("S1/Walk/2/a", 90, seed=1)]
TEST = [filmed("S9/Walk/1/a", 20, seed=2), filmed("S9/Run/1/a", 50, seed=3)]


def linear_world(sequence: Sequence) -> Sequence:
    """The same detections with a truth that is a linear function of them."""
    features = model_input(sequence, 2).reshape(len(sequence), -1)
    weights = np.random.default_rng(9).normal(0, 300, (34, 51))
    poses_mm = (features @ weights + 40).reshape(-1, 17, 3)
    return dataclasses.replace(sequence, truth=(poses_mm - poses_mm[:, :1]).astype(np.float32))


def with_gap(sequence: Sequence) -> Sequence:
    poses_mm = sequence.poses_mm.copy()
    poses_mm[::3] = np.nan
    return dataclasses.replace(sequence, truth=poses_mm)


def score(train: list[Sequence], test: list[Sequence]) -> dict[str, dict[str, float]]:
    frames = [[np.arange(len(sequence))] for sequence in test]
    return floors.score(train, test, frames, PROTOCOLS["all"], ALL_JOINTS)


def test_mean_pose_is_the_mean_over_frames() -> None:
    expected = np.concatenate([truth(sequence) for sequence in TRAIN]).mean(axis=0)
    np.testing.assert_allclose(floors.fit(TRAIN).mean_pose * 1000, expected, rtol=1e-5, atol=1e-3)


def test_zero_depth_errs_in_depth_alone_on_a_flat_person() -> None:
    poses_mm = TEST[0].poses_mm.copy()
    poses_mm[..., 2] = poses_mm[:, :1, 2]
    flat = dataclasses.replace(TEST[0], truth=poses_mm, keypoints=TEST[0].camera.project(poses_mm).astype(np.float32))
    prediction = floors.fit(TRAIN).predict(flat)["zero_depth"]
    np.testing.assert_allclose(prediction, truth(flat), atol=0.5)


def test_linear_learns_a_linear_world() -> None:
    fitted = floors.fit([linear_world(sequence) for sequence in TRAIN])
    unseen = linear_world(TEST[1])
    error_mm = metrics.mpjpe(fitted.predict(unseen)["linear"], truth(unseen)).mean()
    assert error_mm < 0.01 * np.abs(truth(unseen)).mean()


def test_linear_equals_numpys_least_squares_on_noisy_poses() -> None:
    features = np.concatenate([model_input(sequence, 2).reshape(len(sequence), -1) for sequence in TRAIN])
    poses = np.concatenate([truth(sequence).reshape(len(sequence), -1) for sequence in TRAIN])
    penalty = np.sqrt(floors.RIDGE * len(poses)) * np.eye(35)
    design = np.concatenate([np.insert(features, 0, 1.0, axis=1), penalty])
    expected = np.linalg.lstsq(design, np.concatenate([poses, np.zeros((35, 51))]), rcond=None)[0]
    np.testing.assert_allclose(floors.fit(TRAIN).linear * 1000, expected, rtol=1e-4, atol=1e-2)


def test_scores_are_means_over_all_test_frames() -> None:
    fitted = floors.fit(TRAIN)
    results = score(TRAIN, TEST)
    assert list(results) == ["zero_depth", "mean_pose", "linear"]
    for name, figures in results.items():
        errors = [metrics.mpjpe(fitted.predict(sequence)[name], truth(sequence)) for sequence in TEST]
        assert figures["p1_mm"] == pytest.approx(np.concatenate(errors).mean())
        assert figures["p2_mm"] <= figures["p1_mm"]


def test_frames_without_truth_are_left_out() -> None:
    kept = [sequence.at(np.arange(len(sequence)) % 3 > 0) for sequence in (*TRAIN, *TEST)]
    gapped = [with_gap(sequence) for sequence in (*TRAIN, *TEST)]
    assert score(gapped[:2], gapped[2:]) == score(kept[:2], kept[2:])


def test_nothing_to_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="no training frame"):
        floors.fit([])


def test_size_on_the_real_motion() -> None:
    """Every tenth frame of it; anchors measured on the whole set: 231 (mean pose), 157 and 115 mm."""
    takes, _ = motion.takes_at(shared_motion())
    thinned = [dataclasses.replace(take, joints_mm=take.joints_mm[::10], fps=take.fps / 10) for take in takes]
    dataset = rig.film(thinned, "motion", detector="sh", seed=0, cache=None)
    figures = score(list(dataset.train), list(dataset.test))
    assert figures["mean_pose"]["p1_mm"] == pytest.approx(231, abs=2)
    assert figures["zero_depth"]["p1_mm"] == pytest.approx(157, abs=2)
    assert figures["linear"]["p1_mm"] == pytest.approx(115, abs=2)
