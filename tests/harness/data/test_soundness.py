"""Arrays out of somebody's file: what is refused, and that the place in it is named."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from harness.data import soundness
from harness.errors import BadInput

WHERE = "data_3d.npz, 'positions_3d', S9/Walking 1"


@pytest.mark.parametrize("kind", ["f2", "f4", ">f8", "i1", "u2", "i8", "?"])
def test_numbers_of_every_kind_pass_as_they_are(kind: str) -> None:
    values = np.ones((4, 17, 3), dtype=kind)
    assert soundness.array(values, WHERE, None, 17, 3) is values
    assert soundness.array(values.tolist(), WHERE, 4, 17, None).shape == (4, 17, 3)


def test_no_frame_is_a_length_too() -> None:
    assert soundness.array(np.zeros((0, 17, 3)), WHERE, None, 17, 3).shape == (0, 17, 3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((4, 16, 3)), r"has shape \(4, 16, 3\); expected \(frames, 17, 3\)"),
        (np.zeros((17, 3)), r"has shape \(17, 3\); expected \(frames, 17, 3\)"),
        (np.zeros((1, 4, 17, 3)), r"has shape \(1, 4, 17, 3\)"),
        (3.5, r"has shape \(\)"),
        (np.zeros((4, 17, 3), dtype=complex), "holds complex128; expected numbers"),
        (np.array([None, 1.0]), "holds object; expected numbers"),
        ("text", "holds <U4; expected numbers"),
        ([b"x"], "holds .S1; expected numbers"),
        ({"S9": 1}, "holds object; expected numbers"),
        (None, "holds object; expected numbers"),
        ([np.zeros((3, 2)), np.zeros((4, 2))], "holds lists of unlike lengths"),
        ([[1, 2], [3]], "holds lists of unlike lengths"),
        (np.array(["2020"], dtype="M8[Y]"), "holds datetime64"),
    ],
)
def test_what_is_no_such_array_is_refused_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        soundness.array(value, WHERE, None, 17, 3)
    assert str(refused.value).startswith(f"{WHERE}: ")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_no_number_is_named(value: float) -> None:
    poses = np.zeros((9, 17, 3))
    soundness.finite(poses, WHERE)
    poses[7, 13, 1] = value
    with pytest.raises(BadInput, match=rf"{value} at frame 7 \(from 0\), joint 13 \(left wrist\); cut") as refused:
        soundness.finite(poses, WHERE)
    assert str(refused.value).startswith(f"{WHERE}: ")
    poses[8] = value
    with pytest.raises(BadInput, match=r"frame 7 .*joint 13 \(left wrist\) \(52 such values in all\)"):
        soundness.finite(poses, WHERE)


def test_values_by_frame_alone_and_other_joints() -> None:
    with pytest.raises(BadInput, match=r"nan at frame 2 \(from 0\); cut"):
        soundness.finite(np.array([1, 2, np.nan]), WHERE)
    wide = np.zeros((2, 32, 3))
    wide[1, 31] = np.nan
    with pytest.raises(BadInput, match=r"frame 1 \(from 0\), joint 31 \(3 such"):
        soundness.finite(wide, WHERE)
    wide[1, 1] = np.nan
    with pytest.raises(BadInput, match=r"joint 1 \(second\)"):
        soundness.finite(wide, WHERE, ("first", "second"))


def test_whole_numbers_are_finite() -> None:
    soundness.finite(np.ones((2, 17), dtype=np.int64), WHERE)
    soundness.finite(np.ones(2, dtype=bool), WHERE)
    soundness.finite(np.zeros((0, 17, 3)), WHERE)


def test_an_entry_of_a_dictionary() -> None:
    assert soundness.entry({"S1": 3}, "S1", WHERE) == 3
    assert soundness.entry(OrderedDict({5: None}), 5, WHERE) is None


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"S11": 1, "S5": 2}, r"has no 'S1'\. Did you mean: S11, S5\? It has: S11, S5$"),
        ({"train": 1, 3: 2}, r"has no 'S1'\. It has: train, 3$"),
        ({}, r"has no 'S1'\. It has: nothing$"),
        (dict.fromkeys(range(20)), r"It has: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …$"),
        ([1, 2], r"is list; expected a dictionary with 'S1'$"),
        (np.zeros(2), r"is ndarray; expected a dictionary"),
    ],
)
def test_an_entry_that_is_not_there(mapping: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        soundness.entry(mapping, "S1", WHERE)
    assert str(refused.value).startswith(f"{WHERE}: ")
