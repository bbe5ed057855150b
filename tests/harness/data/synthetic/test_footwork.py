from __future__ import annotations

import numpy as np

from harness.data.synthetic.body import Body
from harness.data.synthetic.footwork import Footfalls, ankle, below_hip
from tests.harness.data.synthetic.test_body import BODY


def one_step() -> Footfalls:
    """A foot that steps 0.6 m ahead between 1.0 and 1.4 s and turns a quarter to the left."""
    return Footfalls(
        land_s=np.array([-np.inf, 1.4]), lift_s=np.array([1.0, np.inf]),
        ball_m=np.array([[0.13, 0.1], [0.73, 0.1]]), yaw=np.array([0.0, np.pi / 2]),
        clearance_m=np.array([0.05]), heel_lift=np.array([0.9]), tuck_m=np.array([0.0]),
    )  # fmt: skip


def test_a_flat_foot_has_its_ankle_behind_and_above_the_ball() -> None:
    path, yaw = ankle(BODY, one_step(), np.array([0.0, 3.0]))
    np.testing.assert_allclose(path, [[0.0, 0.1, 0.08], [0.73, 0.1 - 0.13, 0.08]], atol=1e-9)
    np.testing.assert_allclose(yaw, [0.0, np.pi / 2])


def test_the_heel_rises_before_the_foot_leaves_and_the_ball_stays() -> None:
    time_s = np.linspace(0.7, 1.0, 16)
    path, _ = ankle(BODY, one_step(), time_s, roll_s=0.25)
    assert path[0, 2] == 0.08
    assert path[-1, 2] > 0.12
    ball = np.array([0.13, 0.1, 0.0])
    np.testing.assert_allclose(np.linalg.norm(path - ball, axis=-1), np.hypot(0.13, 0.08), atol=1e-9)


def test_a_swing_clears_the_floor() -> None:
    path, _ = ankle(BODY, one_step(), np.linspace(1.02, 1.38, 30))
    assert path[:, 2].min() > 0.08


def test_below_hip_puts_the_ankle_under_the_hip() -> None:
    body: Body = BODY
    np.testing.assert_allclose(below_hip(body, 1.0, 0.0, 0.2), [0.13, 0.1])
    np.testing.assert_allclose(below_hip(body, -1.0, np.pi / 2, 0.2), [0.1, 0.13])
