from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.body import bone_lengths, check_height, check_joints, height, leaning_axis
from harness.data.skeleton import BONES
from harness.errors import BadInput
from tests.harness.data.figures import HEIGHT_M, standing

Array = NDArray[Any]


def test_height_and_bones_of_the_hand_made_person() -> None:
    assert height(standing(10)) == pytest.approx(HEIGHT_M, abs=1e-5)
    lengths = dict(zip(BONES, bone_lengths(standing(10)), strict=True))
    assert lengths[1, 2] == pytest.approx(0.45, abs=1e-5)
    assert lengths[8, 11] == pytest.approx(0.2, abs=1e-5)


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (standing(5)[:, :16], "16 joints; expected the 17 .* 0 pelvis, 1 right hip, .* 16 right wrist"),
        (standing(5)[..., :2], r"shape \(5, 17, 2\)"),
        (standing(5)[0], r"shape \(17, 3\)"),
        (standing(5)[:0], "no frame"),
        (standing(5).astype(int), "holds int64"),
        (standing(5).astype(complex), "holds complex128"),
    ],
)
def test_arrays_that_are_no_joints_are_refused(joints: Array, message: str) -> None:
    with pytest.raises(BadInput, match=f"clip.npz: .*{message}"):
        check_joints(joints, "clip.npz")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_named_with_frame_and_joint(value: float) -> None:
    joints = standing(5)
    joints[3, 13, 1] = value
    with pytest.raises(BadInput, match=r"clip: frame 3 \(from 0\), joint 13 \(left wrist\): (nan|inf)"):
        check_joints(joints, "clip")


@pytest.mark.parametrize(
    ("factor", "unit"), [(1000.0, "millimetres"), (100.0, "centimetres"), (39.37, "inches"), (0.01, "right order")]
)
def test_other_units_are_guessed_from_the_height(factor: float, unit: str) -> None:
    with pytest.raises(BadInput, match=f"clip: the person would be .* m from ankle to head .*{unit}"):
        check_height(standing(5) * factor, "clip")


@pytest.mark.parametrize("scale", [0.6, 1.0, 1.3])
def test_children_and_tall_adults_pass(scale: float) -> None:
    check_height(standing(5, scale), "clip")


def test_people_standing_along_y_are_noticed() -> None:
    assert leaning_axis([standing(5)]) == ""
    assert leaning_axis([standing(5)[..., [0, 2, 1]]]) == "y"
    lying_both_ways = [standing(5)[..., [0, 2, 1]], -standing(5)[..., [0, 2, 1]]]
    assert leaning_axis(lying_both_ways) == ""
