"""Values that cannot be are found, with their place; those that can be are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.data.checks.values import ConfidenceRange, Finite, Framing
from tests.harness.data.checks.people import CAMERA, filmed, found


def test_a_finite_set() -> None:
    finding = found(Finite(), filmed(), filmed("S2/Run/1/c"))
    assert (finding.verdict, finding.detail) == ("ok", f"all {2 * 60 * 17 * 6:,}")


@pytest.mark.parametrize(("field", "name"), [("keypoints", "2D"), ("confidence", "confidence"), ("truth", "3D")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_first_value_that_is_none(field: str, name: str, value: float) -> None:
    one, other = filmed(), filmed("S2/Run/1/c")
    getattr(other, field)[9, 13] = value
    getattr(other, field)[12, 2] = value
    finding = found(Finite(), one, other)
    assert finding.verdict == "FAIL"
    assert f"first {name} of S2/Run/1/c, frame 9, left wrist" in finding.detail
    assert finding.detail.startswith(f"{2 * (other.truth[0, 0].size if name == '3D' else 2 if name == '2D' else 1)} of")


def test_truth_that_nobody_scores_may_be_anything() -> None:
    one = filmed(valid=np.arange(60) != 5)
    one.truth[5] = np.nan
    one.truth[:, 10] = np.nan
    assert found(Finite(), one).verdict == "FAIL"
    assert found(Finite(), one, joints=(1, 2, 3)).verdict == "ok"
    one.truth[6, 0] = np.nan
    assert "frame 6, pelvis" in found(Finite(), one, joints=(1, 2, 3)).detail


def test_confidence_of_a_detector() -> None:
    one = filmed()
    one.confidence[:] = np.linspace(0, 1, 60)[:, None]
    finding = found(ConfidenceRange(), one)
    assert (finding.verdict, finding.detail) == ("ok", "from 0 to 1")


@pytest.mark.parametrize(
    ("value", "shown"), [(1.2, "from 1 to 1.2"), (-0.3, "from -0.3 to 1"), (100.0, "from 1 to 100")]
)
def test_confidence_that_is_no_share(value: float, shown: str) -> None:
    one, other = filmed(), filmed("S2/Run/1/c")
    one.confidence[1, 1] = 1 + 0.3 * (value - 1) if value > 1 else 0.3 * value
    other.confidence[7, 14] = value
    for order in ((one, other), (other, one)):
        finding = found(ConfidenceRange(), *order)
        assert finding.verdict == "FAIL"
        assert finding.detail == f"{shown}; worst S2/Run/1/c, frame 7, right shoulder"


def test_keypoints_in_the_image_and_a_little_beyond() -> None:
    one = filmed()
    one.keypoints[:, 3] = [1400.0, -400.0]
    finding = found(Framing(), one)
    assert (finding.verdict, finding.detail[:10]) == ("ok", "0 of 1,020")


def test_keypoints_that_are_normalised_already() -> None:
    one = filmed()
    normalised = dataclasses.replace(one, keypoints=one.keypoints / 500 - 1)
    finding = found(Framing(), filmed(), normalised, normalised)
    assert finding.verdict == "FAIL"
    assert "in S1/Walk/1/c of 1000 x 1002 px: are they normalised already? (and 1 more sequences)" in finding.detail


def test_keypoints_of_another_image_size() -> None:
    small = dataclasses.replace(CAMERA, width=320, height=240)
    finding = found(Framing(), filmed(), filmed("S2/Run/1/c", camera=small))
    assert finding.verdict == "FAIL"
    assert "in S2/Run/1/c of 320 x 240 px: is it another image's size?" in finding.detail


def test_keypoints_that_were_not_found_may_be_anywhere() -> None:
    one = filmed()
    one.keypoints[:, 3], one.confidence[:, 3] = 1e6, 0
    assert found(Framing(), one).verdict == "ok"
    one.confidence[:] = 0
    finding = found(Framing(), one)
    assert (finding.verdict, finding.detail) == ("?", "no joint was found by the detector")


def test_nothing_to_look_at() -> None:
    assert found(ConfidenceRange(), filmed(valid=np.zeros(60, dtype=bool))).verdict == "?"
    assert found(Framing(), filmed(valid=np.zeros(60, dtype=bool))).verdict == "?"
