"""Angles of a posture and the places that follow, each case worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.skeleton import JOINT_NAMES
from harness.data.synthetic.body import LEFT, RIGHT, Body, draw_body, joints_mm, keep_legs_in_reach, rest

J = {name: index for index, name in enumerate(JOINT_NAMES)}
BODY = Body(
    ankle_height=0.08, shin=0.42, thigh=0.42, half_hips=0.1, spine=0.23, chest=0.25, neck=0.12, head=0.11,
    half_shoulders=0.17, upper_arm=0.3, forearm=0.25, instep=0.13,
)  # fmt: skip


def pose(
    arm_degrees: tuple[float, float, float, float] = (0, 0, 0, 3), side: int = LEFT, heading: float = 0.0
) -> NDArray[np.float64]:
    """(17, 3) of somebody who stands at the origin, ankles 0.8 m below the hips."""
    posture = rest(1)
    posture.pelvis[:] = 0.0, 0.0, 0.88
    posture.turn[0, 2] = heading
    left = np.array([-np.sin(heading), np.cos(heading), 0.0])
    for each, sign in ((LEFT, 1.0), (RIGHT, -1.0)):
        posture.ankles[0, each] = sign * 0.1 * left + [0.0, 0.0, 0.08]
    posture.arms[0, side] = np.radians(arm_degrees)
    return joints_mm(BODY, posture)[0]


def bone(joints: NDArray[np.float64], start: str, end: str) -> NDArray[np.float64]:
    """Unit vector."""
    vector = joints[J[end]] - joints[J[start]]
    return vector / np.linalg.norm(vector)


def test_facing_x_left_is_y() -> None:
    joints = pose()
    np.testing.assert_allclose(joints[J["left hip"]], [0.0, 100.0, 880.0], atol=1e-9)
    np.testing.assert_allclose(joints[J["right hip"]], [0.0, -100.0, 880.0], atol=1e-9)
    assert joints[J["left shoulder"], 1] > 0 > joints[J["right shoulder"], 1]


def test_knees_are_where_two_equal_bones_meet_ahead() -> None:
    joints = pose()
    ahead = np.sqrt(420.0**2 - 400.0**2)
    np.testing.assert_allclose(joints[J["left knee"]], [ahead, 100.0, 480.0], atol=1e-9)
    np.testing.assert_allclose(joints[J["right ankle"]], [0.0, -100.0, 80.0], atol=1e-9)


def test_turning_to_the_left_turns_all() -> None:
    straight, turned = pose(), pose(heading=np.pi / 2)
    np.testing.assert_allclose(turned, straight @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]]), atol=1e-9)


@pytest.mark.parametrize(
    ("plane", "elevation", "expected"),
    [(0, 0, (0, 0, -1)), (0, 90, (0, 1, 0)), (90, 90, (1, 0, 0)), (90, -45, (-(0.5**0.5), 0, -(0.5**0.5)))],
)
def test_shoulder_angles_point_the_arm(plane: float, elevation: float, expected: tuple[float, float, float]) -> None:
    """Hanging, out to the side, straight ahead, back."""
    left = bone(pose((plane, elevation, 0, 3)), "left shoulder", "left elbow")
    right = bone(pose((plane, elevation, 0, 3), RIGHT), "right shoulder", "right elbow")
    np.testing.assert_allclose(left, expected, atol=1e-9)
    np.testing.assert_allclose(right, np.array(expected) * [1, -1, 1], atol=1e-9)


def test_elbows_bend_forward_and_turn_with_the_upper_arm() -> None:
    np.testing.assert_allclose(bone(pose((0, 0, 0, 90)), "left elbow", "left wrist"), [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(bone(pose((0, 0, 90, 90)), "left elbow", "left wrist"), [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(bone(pose((0, 0, -90, 90)), "left elbow", "left wrist"), [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(bone(pose((90, 90, 0, 90)), "left elbow", "left wrist"), [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(bone(pose((0, 0, -90, 90), RIGHT), "right elbow", "right wrist"), [0, 1, 0], atol=1e-9)


def test_an_elbow_does_not_bend_back() -> None:
    np.testing.assert_allclose(pose((0, 0, 0, -60)), pose((0, 0, 0, 3)), atol=1e-9)
    np.testing.assert_allclose(pose((0, 0, 0, 170)), pose((0, 0, 0, 148)), atol=1e-9)


def test_an_ankle_out_of_reach_is_drawn_in_along_the_leg() -> None:
    posture = rest(1)
    posture.pelvis[:] = 0.0, 0.0, 3.0
    joints = joints_mm(BODY, posture)[0]
    leg = joints[J["left ankle"]] - joints[J["left hip"]]
    assert 835.0 < np.linalg.norm(leg) < 840.0
    np.testing.assert_allclose(leg / np.linalg.norm(leg), np.array([0, -0.1, -3.0]) / np.hypot(0.1, 3.0), atol=1e-9)


def test_a_knee_closes_no_farther_than_it_can() -> None:
    posture = rest(1)
    posture.pelvis[:] = 0.0, 0.0, 0.5
    posture.ankles[:, :, 1] = 0.1, -0.1
    posture.ankles[:, :, 2] = 0.45
    joints = joints_mm(BODY, posture)[0]
    cosine = bone(joints, "left hip", "left knee") @ bone(joints, "left knee", "left ankle")
    assert np.degrees(np.arccos(cosine)) == pytest.approx(152.0)


def test_the_pelvis_comes_down_to_a_wide_stance() -> None:
    posture = rest(60)
    posture.pelvis[:] = 0.0, 0.0, 0.90
    posture.ankles[:, :, 1] = 0.1, -0.1
    posture.ankles[:, :, 2] = 0.08
    posture.ankles[25:35, LEFT, 0] = 0.5
    keep_legs_in_reach(BODY, posture, fps=50.0)
    assert posture.pelvis[0, 2] == 0.90
    legs = np.linalg.norm(posture.ankles[:, LEFT] - posture.pelvis - [0.0, 0.1, 0.0], axis=-1)
    assert legs.max() < 0.9961 * 0.84


def test_people_differ_and_have_human_statures() -> None:
    bodies = [draw_body(np.random.default_rng(seed)) for seed in range(60)]
    statures = np.array([body.stature for body in bodies])
    assert statures.min() >= 1.5 - 1e-9
    assert statures.max() <= 1.95 + 1e-9
    assert statures.std() > 0.07
    legs = np.array([body.leg / body.stature for body in bodies])
    assert 0.004 < legs.std() < 0.03
