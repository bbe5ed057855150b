"""Scores against figures that follow from the errors put in, one sequence at a time."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.sequence import Sequence
from harness.errors import BadInput, RunFailed
from harness.evaluation import metrics
from harness.evaluation.scores import Scores
from harness.evaluation.scores import score as score_runs
from tests.harness.evaluation.scenes import filmed, truth, whole

Float64Array = NDArray[np.float64]
WALK, WALK_AGAIN = filmed("S9/Walk/1/a", 10), filmed("S9/Walk/1/b", 10, seed=1)
RUN = filmed("S11/Run/1/a", 30, seed=2, fps=25.0)


def score(predictions: list[Float64Array], sequences: list[Sequence]) -> Scores:
    return score_runs([whole(prediction) for prediction in predictions], sequences)


def shifted(sequence: Sequence, mm: float) -> Float64Array:
    """The truth with all joints but the root moved aside by ``mm``."""
    prediction = truth(sequence).copy()
    prediction[:, 1:, 0] += mm
    return prediction


def noisy(sequence: Sequence) -> Float64Array:
    prediction = truth(sequence).copy()
    prediction[:, 1:] += np.random.default_rng(0).normal(0, 40, prediction[:, 1:].shape)
    return prediction


def without_truth(sequence: Sequence, *frames: int) -> Sequence:
    poses_mm = sequence.poses_mm.copy()
    poses_mm[list(frames), 5] = np.nan
    return dataclasses.replace(sequence, truth=poses_mm)


def test_the_truth_scores_zero() -> None:
    scores = score([truth(WALK)], [WALK])
    assert scores.p1_mm == scores.mpjve_mm_per_frame == scores.acceleration_mm_per_s2 == 0
    assert scores.p2_mm == pytest.approx(0, abs=1e-9)
    assert scores.frames == 10


def test_the_headline_counts_frames_and_the_action_mean_counts_actions() -> None:
    predictions = [shifted(WALK, 17.0), shifted(WALK_AGAIN, 34.0), shifted(RUN, 51.0)]
    scores = score(predictions, [WALK, WALK_AGAIN, RUN])
    # 16 of 17 joints are off, and the root counts.
    assert scores.p1_mm == pytest.approx((10 * 16 + 10 * 32 + 30 * 48) / 50, rel=1e-5)
    assert scores.p1_by_action_mean_mm == pytest.approx((24 + 48) / 2, rel=1e-5)
    assert {name: action["frames"] for name, action in scores.per_action.items()} == {"Run": 30, "Walk": 20}
    assert scores.per_action["Walk"]["p1_mm"] == pytest.approx(24, rel=1e-5)
    assert scores.per_joint["pelvis"]["p1_mm"] == 0
    assert scores.per_joint["left wrist"]["p1_mm"] == pytest.approx((10 * 17 + 10 * 34 + 30 * 51) / 50, rel=1e-5)
    assert [entry["p1_mm"] for entry in scores.per_sequence] == pytest.approx([16, 32, 48], rel=1e-5)
    assert scores.per_sequence[1] | {"p1_mm": 0, "p2_mm": 0} == {
        "sequence": "S9/Walk/1/b", "take": "S9/Walk/1", "action": "Walk", "frames": 10, "p1_mm": 0, "p2_mm": 0,
    }  # fmt: skip


def test_differences_in_time_stay_within_a_sequence() -> None:
    # Each is off by a constant, so that only a difference across the border would be an error.
    scores = score([shifted(WALK, 0.0), shifted(RUN, 500.0)], [WALK, RUN])
    assert scores.mpjve_mm_per_frame == pytest.approx(0, abs=1e-3)
    assert scores.acceleration_mm_per_frame2 == pytest.approx(0, abs=1e-3)


def test_acceleration_per_second_uses_each_sequences_frame_rate() -> None:
    per_frame = [metrics.acceleration_error(noisy(sequence), truth(sequence)) for sequence in (WALK, RUN)]
    scores = score([noisy(WALK), noisy(RUN)], [WALK, RUN])
    assert scores.acceleration_mm_per_frame2 == pytest.approx(np.concatenate(per_frame).mean())
    expected = np.concatenate([per_frame[0] * 50.0**2, per_frame[1] * 25.0**2]).mean()
    assert scores.acceleration_mm_per_s2 == pytest.approx(expected)


def test_each_metric_is_the_mean_over_frames() -> None:
    prediction, target = noisy(RUN), truth(RUN)
    scores = score([prediction], [RUN])
    assert scores.p1_mm == pytest.approx(metrics.mpjpe(prediction, target).mean())
    assert scores.p2_mm == pytest.approx(metrics.p_mpjpe(prediction, target).mean())
    assert scores.n_mpjpe_mm == pytest.approx(metrics.n_mpjpe(prediction, target).mean())
    assert scores.mpjve_mm_per_frame == pytest.approx(metrics.mpjve(prediction, target).mean())


def test_missing_truth_is_left_out_and_counted() -> None:
    sequence = without_truth(RUN, 4, 11)
    prediction = noisy(RUN)
    scores = score([prediction], [sequence])
    kept = np.delete(np.arange(30), [4, 11])
    target = truth(RUN)
    assert (scores.frames, scores.missing_truth_frames) == (28, 2)
    assert scores.p1_mm == pytest.approx(metrics.mpjpe(prediction, target)[kept].mean())
    assert scores.p2_mm == pytest.approx(metrics.p_mpjpe(prediction, target)[kept].mean())
    velocity = np.delete(metrics.mpjve(prediction, target), [3, 4, 10, 11])
    acceleration = np.delete(metrics.acceleration_error(prediction, target), [2, 3, 4, 9, 10, 11])
    assert scores.mpjve_mm_per_frame == pytest.approx(velocity.mean())
    assert scores.acceleration_mm_per_frame2 == pytest.approx(acceleration.mean())


def test_single_frames_have_no_velocity() -> None:
    single, double = filmed(length=1), filmed(length=2)
    assert score([noisy(single)], [single]).mpjve_mm_per_frame is None
    scores = score([noisy(single), noisy(double)], [single, double])
    assert scores.mpjve_mm_per_frame is not None
    assert scores.acceleration_mm_per_s2 is None


def test_a_prediction_that_is_not_finite_is_no_figure() -> None:
    prediction = noisy(RUN)
    prediction[13, 2, 0] = np.nan
    with pytest.raises(RunFailed, match="S11/Run/1/a: the prediction is not finite at frame 13"):
        score([noisy(WALK), prediction], [WALK, RUN])


def test_predictions_must_match_the_sequences() -> None:
    with pytest.raises(BadInput, match="1 predictions for 2 sequences"):
        score([noisy(WALK)], [WALK, RUN])
    with pytest.raises(BadInput, match=r"S11/Run/1/a: frame 10 is not predicted \(20 of 30 frames are not\)"):
        score([noisy(WALK)], [RUN])
    with pytest.raises(BadInput, match="0 predictions"):
        score([], [])
    with pytest.raises(BadInput, match="S9/Walk/1/a: no frame has finite 3D truth"):
        score([noisy(WALK)], [without_truth(WALK, *range(10))])


def test_the_dict_is_plain_json() -> None:
    scores = score([noisy(WALK)], [WALK])
    assert json.loads(json.dumps(scores.as_dict())) == scores.as_dict()
