"""How errors are spread: shares, quantiles, weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from harness.data.skeleton import JOINT_COUNT, ROOT
from harness.evaluation import scores
from harness.evaluation.distribution import BINS, distribution
from tests.harness.evaluation import scenes


def test_shares_are_of_half_open_bins_and_the_last_has_the_rest() -> None:
    errors = np.array([[0.0, 4.999], [5.0, 499.9], [500.0, 9000.0]])
    found = distribution(errors, np.array([1.0, 7.0, 800.0]), np.ones(3))
    assert len(found.joint_share) == len(found.frame_share) == BINS + 1
    assert found.joint_share[0] == pytest.approx(2 / 6, abs=1e-6)
    assert found.joint_share[1] == found.joint_share[BINS - 1] == pytest.approx(1 / 6, abs=1e-6)
    assert found.joint_share[BINS] == pytest.approx(2 / 6, abs=1e-6)
    assert (found.frame_median_mm, found.frame_p90_mm, found.frame_max_mm) == (7.0, 800.0, 800.0)


def test_weights_count() -> None:
    found = distribution(np.array([[1.0], [11.0]]), np.array([1.0, 11.0]), np.array([3.0, 1.0]))
    assert found.joint_share[0] == 0.75
    assert found.frame_median_mm == 1.0


@given(arrays(float, some.integers(1, 300), elements=some.floats(0, 2000)))
def test_quantiles_are_those_of_numpy(values: np.ndarray) -> None:
    found = distribution(values[:, None], values, np.ones(len(values)))
    assert found.frame_p90_mm == np.quantile(values, 0.9, method="inverted_cdf")
    assert sum(found.frame_share) == pytest.approx(1, abs=1e-5)


def test_the_pelvis_is_left_out_of_the_joints_and_nothing_else() -> None:
    sequence = scenes.filmed(length=20)
    shifted = scenes.truth(sequence) + np.array([30.0, 0.0, 0.0])
    shifted[:, ROOT] -= np.array([30.0, 0.0, 0.0])
    found = scores.score([scenes.whole(shifted)], [sequence]).distribution
    # 30 mm, give or take a rounding.
    assert found.joint_share[5] + found.joint_share[6] == pytest.approx(1.0)
    assert found.frame_median_mm == pytest.approx(30 * (JOINT_COUNT - 1) / JOINT_COUNT)


def test_pck_can_be_read_off_the_shares() -> None:
    rng = np.random.default_rng(0)
    sequence = scenes.filmed(length=200)
    poses = scenes.truth(sequence) + rng.normal(0, 90, (200, 17, 3))
    poses[:, ROOT] = 0
    found = scores.score([scenes.whole(poses)], [sequence]).distribution
    errors = np.linalg.norm(poses - scenes.truth(sequence), axis=-1)[:, 1:]
    assert sum(found.joint_share[:30]) == pytest.approx((errors < 150).mean(), abs=1e-5)
