"""What is kept of single sequences, and how it is chosen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.data.skeleton import ROOT
from harness.evaluation.predict import Run
from harness.evaluation.protocol import PROTOCOLS
from harness.evaluation.scores import ALL_JOINTS
from harness.evaluation.traces import EXCERPT_POSES, traces
from harness.traces import Traces
from tests.harness.evaluation import scenes

NAMES = ("S1/Walk/1/a", "S1/Walk/1/b", "S2/Sit/1/a", "S3/Run/1/a", "S4/Eat/1/a", "S5/Wave/1/a")
SEQUENCES = [scenes.filmed(name, length=200, seed=index) for index, name in enumerate(NAMES)]


def traced(errors_mm: dict[str, float], sequences: list = SEQUENCES) -> Traces:
    """Of a lifter that is off to the right by so much in the named sequences, and right elsewhere."""
    predictions = []
    for sequence in sequences:
        poses = scenes.truth(sequence).copy()
        poses[:, 1:, 0] += errors_mm.get(sequence.name, 0.0)
        predictions.append(scenes.whole(poses))
    return traces(predictions, sequences, PROTOCOLS["all"], ALL_JOINTS)


def test_a_curve_is_the_error_over_time() -> None:
    sequence = scenes.filmed(length=23)
    poses = scenes.truth(sequence).copy()
    poses[10:15, 1:, 1] += 17.0
    (curve,) = traces([scenes.whole(poses)], [sequence], PROTOCOLS["all"], ALL_JOINTS).curves
    assert curve.step_s == pytest.approx(0.1)
    np.testing.assert_allclose(curve.p1_mm, [0, 0, 16, 0, 0], atol=1e-4)
    assert (curve.sequence, curve.take, curve.action) == (sequence.name, sequence.take, sequence.action)


def test_frames_without_truth_or_answer_leave_gaps() -> None:
    sequence = scenes.filmed(length=20)
    truth = sequence.truth.copy()
    truth[5:10] = np.nan
    answered = np.r_[0:12]
    run = Run(answered, scenes.truth(sequence)[answered])
    (curve,) = traces([[run]], [dataclasses.replace(sequence, truth=truth)], PROTOCOLS["all"], ALL_JOINTS).curves
    np.testing.assert_array_equal(np.isnan(curve.p1_mm), [False, True, False, True])


def test_the_worst_are_those_with_the_highest_error() -> None:
    by_truth = {one.take for one in traced({}).excerpts if one.reason == "unusual"}
    others = [sequence.name for sequence in SEQUENCES if sequence.take not in by_truth]
    found = traced({others[0]: 50.0, others[1]: 90.0})
    assert [one.sequence for one in found.excerpts if one.reason == "worst"] == [others[1], others[0]]


def test_no_two_are_of_one_take() -> None:
    """Two cameras of one take err most; of two others the truth is the most unusual."""
    unusual = [dataclasses.replace(one, truth=5 * one.truth) for one in SEQUENCES[4:]]
    found = traced({NAMES[0]: 90.0, NAMES[1]: 80.0, NAMES[2]: 20.0}, [*SEQUENCES[:4], *unusual])
    assert [one.sequence for one in found.excerpts if one.reason == "worst"] == [NAMES[0], NAMES[2]]


def test_the_most_unusual_do_not_depend_on_the_lifter() -> None:
    one, other = traced({}), traced({NAMES[3]: 300.0})
    names = [[ex.sequence for ex in found.excerpts if ex.reason == "unusual"] for found in (one, other)]
    assert names[0] == names[1]
    assert len(names[0]) == 2


def test_an_excerpt_is_the_stretch_that_errs_most() -> None:
    sequence = scenes.filmed("S9/Walk/1/c", length=1000)
    usual = scenes.filmed("S8/Walk/1/c", length=30, seed=3), scenes.filmed("S7/Sit/1/c", length=30, seed=4)
    quiet = [dataclasses.replace(one, truth=one.truth * 5) for one in usual]
    poses = scenes.truth(sequence).copy()
    poses[500:900, 3, 2] += 400.0
    predictions = [scenes.whole(poses), *(scenes.whole(scenes.truth(one)) for one in quiet)]
    found = traces(predictions, [sequence, *quiet], PROTOCOLS["all"], ALL_JOINTS)
    (worst,) = [one for one in found.excerpts if one.reason == "worst"]
    assert (worst.sequence, worst.fps, len(worst.truth_mm)) == (sequence.name, 12.5, EXCERPT_POSES)
    assert worst.start_s == pytest.approx(10.0, abs=0.1)
    np.testing.assert_allclose((worst.prediction_mm - worst.truth_mm)[2:-2, 3, 2], 400.0, atol=1e-2)
    assert np.abs(worst.truth_mm[:, ROOT]).max() == 0


def test_nothing_scored_in_a_sequence_is_no_error() -> None:
    found = traces([scenes.whole(scenes.truth(SEQUENCES[0])), []], SEQUENCES[2:4], PROTOCOLS["all"], ALL_JOINTS)
    assert np.isnan(found.curves[1].p1_mm).all()
