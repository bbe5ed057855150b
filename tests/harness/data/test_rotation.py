"""Rotation matrices against images of the axes worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.rotation import about, fixed_axes, from_quaternion

Array = NDArray[Any]

X, Y, Z = np.eye(3)


@pytest.mark.parametrize(("axis", "start", "end"), [("x", Y, Z), ("y", Z, X), ("z", X, Y)])
def test_a_quarter_turn_takes_each_axis_to_the_next(axis: str, start: Array, end: Array) -> None:
    assert about(axis, 90.0) @ start == pytest.approx(end, abs=1e-15)


def test_many_angles_at_once() -> None:
    turns = about("z", [[0.0, 90.0], [180.0, 270.0]])
    assert turns.shape == (2, 2, 3, 3)
    assert (turns @ X)[1] == pytest.approx(np.array([-X, -Y]), abs=1e-15)


def test_fixed_axes_apply_the_first_axis_first() -> None:
    # x first: y goes to z; z then leaves it there. z first would send y to -x.
    assert fixed_axes("xyz", {"x": 90.0, "y": 0.0, "z": 90.0}) @ Y == pytest.approx(Z, abs=1e-15)
    assert fixed_axes("zyx", {"x": 90.0, "y": 0.0, "z": 90.0}) @ Y == pytest.approx(-X, abs=1e-15)


def test_quaternion_of_any_length() -> None:
    # w = cos(45 deg), z = sin(45 deg): a quarter turn about z.
    assert from_quaternion([3.0, 0.0, 0.0, 3.0]) == pytest.approx(about("z", 90.0), abs=1e-15)
    # A third of a turn about the diagonal: x to y to z.
    assert from_quaternion([0.5, 0.5, 0.5, 0.5]) @ X == pytest.approx(Y, abs=1e-15)
