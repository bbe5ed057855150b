"""Metrics against hand-computed figures, a slow Procrustes of one frame at a time, and their invariances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.errors import BadInput, RunFailed
from harness.evaluation import metrics
from harness.evaluation.procrustes import align

Array = NDArray[Any]
Metric = Callable[[Array, Array], NDArray[np.float64]]

ERRORS: tuple[Metric, ...] = (
    metrics.mpjpe, metrics.p_mpjpe, metrics.n_mpjpe, metrics.mpjve, metrics.acceleration_error,
)  # fmt: skip
ALL: tuple[Metric, ...] = (*ERRORS, metrics.pck, metrics.auc)


def pair(frames: int = 30, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    target = rng.normal(0, 1, (frames, 17, 3)) * [150, 400, 80]
    target -= target[:, :1]
    return target + rng.normal(0, 60, target.shape), target


def slow_p_mpjpe(prediction: Array, target: Array) -> float:
    """One frame by singular values, after Umeyama (1991)."""
    x, y = target - target.mean(axis=0), prediction - prediction.mean(axis=0)
    u, s, vt = np.linalg.svd(x.T @ y)
    signs = np.array([1.0, 1.0, np.linalg.det(u) * np.linalg.det(vt)])
    aligned = (s * signs).sum() / (y**2).sum() * y @ (u * signs @ vt).T
    return float(np.mean([math.dist(a, b) for a, b in zip(aligned, x, strict=True)]))


def test_figures_computed_by_hand() -> None:
    target = np.zeros((3, 2, 3))
    target[:, 1] = [100.0, 0, 0]
    prediction = target.copy()
    prediction[0, 1] += [0, 3.0, 4.0]  # 5 mm off
    prediction[2, 1] += [0, 0, 200.0]
    assert metrics.per_joint_errors(prediction, target).tolist() == [[0, 5], [0, 0], [0, 200]]
    assert metrics.mpjpe(prediction, target).tolist() == [2.5, 0, 100]
    assert metrics.mpjve(prediction, target).tolist() == [2.5, 100]
    # Second difference of the error (0, 3, 4), 0, (0, 0, 200) is (0, 3, 204).
    assert metrics.acceleration_error(prediction, target) == pytest.approx([math.hypot(3, 204) / 2])
    assert metrics.pck(prediction, target).tolist() == [100, 100, 50]
    assert metrics.pck(prediction, target, threshold_mm=5.0).tolist() == [50, 100, 50]  # strictly nearer
    # 0 mm is met at 30 of 31 thresholds, 5 mm at 29 (10 ... 150), 200 mm at none.
    assert metrics.auc(prediction, target) == pytest.approx([100 * 59 / 62, 100 * 60 / 62, 100 * 30 / 62])


def test_n_mpjpe_finds_the_scale_by_hand() -> None:
    target = np.array([[[0, 0, 0], [100.0, 0, 0], [0, 50.0, 0]]])
    prediction = np.array([[[0, 0, 0], [50.0, 0, 0], [0, 50.0, 0]]])
    # <t, p> / <p, p> = (5000 + 2500) / 5000 = 1.5: the joints come to 75 and 75, so 25 mm off each.
    assert metrics.n_mpjpe(prediction, target) == pytest.approx([50 / 3])
    assert metrics.n_mpjpe(np.zeros_like(target), target) == pytest.approx([50.0])


def test_p_mpjpe_equals_the_slow_way_frame_by_frame() -> None:
    prediction, target = pair(60)
    prediction[20:40] *= [1, 1, -1]  # mirrored
    prediction[40:] = prediction[40:] @ Rotation.random(random_state=0).as_matrix() * 3
    expected = [slow_p_mpjpe(*frame) for frame in zip(prediction, target, strict=True)]
    np.testing.assert_allclose(metrics.p_mpjpe(prediction, target), expected, rtol=1e-9)


def test_p_mpjpe_does_not_depend_on_how_many_frames_are_aligned_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, target = pair(50)
    whole = metrics.p_mpjpe(prediction, target)
    monkeypatch.setattr(metrics, "_BLOCK_FRAMES", 7)
    np.testing.assert_allclose(metrics.p_mpjpe(prediction, target), whole, rtol=1e-12)


def test_auc_is_the_mean_of_pck_over_31_thresholds() -> None:
    prediction, target = pair()
    thresholds = range(0, 155, 5)
    expected = np.mean([metrics.pck(prediction, target, threshold_mm=threshold) for threshold in thresholds], axis=0)
    np.testing.assert_allclose(metrics.auc(prediction, target), expected)
    assert len(thresholds) == 31


@given(st.integers(0, 2**32), st.floats(0.01, 100), st.floats(-1e4, 1e4))
def test_p_mpjpe_is_invariant_to_similarity_transforms_of_the_prediction(seed: int, scale: float, shift: float) -> None:
    prediction, target = pair(3, seed)
    moved = scale * prediction @ Rotation.random(random_state=seed % 2**31).as_matrix() + shift
    np.testing.assert_allclose(metrics.p_mpjpe(moved, target), metrics.p_mpjpe(prediction, target), rtol=1e-6)


@given(st.integers(0, 2**32), st.floats(-1e4, 1e4))
def test_errors_in_place_are_invariant_to_a_common_translation(seed: int, shift: float) -> None:
    prediction, target = pair(5, seed)
    for metric in (metrics.mpjpe, metrics.p_mpjpe, metrics.mpjve, metrics.acceleration_error):
        np.testing.assert_allclose(metric(prediction + shift, target + shift), metric(prediction, target), rtol=1e-7)


@given(st.integers(0, 2**32), st.floats(0.01, 100))
def test_n_mpjpe_is_invariant_to_the_scale_of_the_prediction(seed: int, scale: float) -> None:
    prediction, target = pair(5, seed)
    np.testing.assert_allclose(metrics.n_mpjpe(scale * prediction, target), metrics.n_mpjpe(prediction, target))


@given(st.integers(0, 2**32))
def test_better_aligned_is_never_further_in_squares(seed: int) -> None:
    prediction, target = pair(5, seed)
    aligned = align(prediction, target)
    assert (((aligned - target) ** 2).sum((1, 2)) <= ((prediction - target) ** 2).sum((1, 2)) + 1e-6).all()


@pytest.mark.parametrize("metric", ERRORS)
def test_the_truth_has_no_error(metric: Metric) -> None:
    _, target = pair()
    np.testing.assert_allclose(metric(target, target), 0, atol=1e-9)


def test_the_truth_is_wholly_correct() -> None:
    _, target = pair()
    assert (metrics.pck(target, target) == 100).all()
    np.testing.assert_allclose(metrics.auc(target, target), 100 * 30 / 31)  # nothing is nearer than 0 mm


@pytest.mark.parametrize("metric", ALL)
def test_one_value_a_frame_in_double_precision(metric: Metric) -> None:
    prediction, target = (poses.astype(np.float32) for poses in pair(8))
    lost = (metrics.mpjve, metrics.acceleration_error).index(metric) + 1 if metric in ERRORS[3:] else 0
    for frames in range(9):
        errors = metric(prediction[:frames], target[:frames])
        assert errors.shape == (max(frames - lost, 0),)
        assert errors.dtype == np.float64


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_named_and_never_averaged_away(metric: Metric, value: float) -> None:
    prediction, target = pair(10)
    broken = target.copy()
    broken[6, 3, 1] = value
    with pytest.raises(RunFailed, match="prediction is not finite at frame 6, joint 3"):
        metric(broken, target)
    with pytest.raises(BadInput, match="target is not finite at frame 6, joint 3"):
        metric(prediction, broken)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("shape", [(10, 16, 3), (9, 17, 3), (10, 17, 2), (10, 51)])
def test_unequal_shapes_are_refused(metric: Metric, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"\(N, J, 3\)"):
        metric(np.zeros(shape), np.zeros((10, 17, 3)))
