"""Each action does what its name says."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.skeleton import JOINT_NAMES
from harness.data.synthetic import takes

J = {name: index for index, name in enumerate(JOINT_NAMES)}
ANKLES = [J["left ankle"], J["right ankle"]]
WRISTS = [J["left wrist"], J["right wrist"]]


@functools.cache
def perform(action: str) -> list[NDArray[np.float64]]:
    """Five takes of about 8 s in metres, of different people."""
    generated = takes(0, train_minutes=40 / 60, test_minutes=0.01, actions=(action,))
    return [take.joints_mm / 1000.0 for take in generated if take.part == "train"]


def height(joints: NDArray[np.float64]) -> float:
    """Top of the head in an upright moment."""
    return float(joints[:, J["head"], 2].max())


@pytest.mark.parametrize(("action", "slowest", "fastest"), [("Walk", 0.5, 1.8), ("Run", 1.4, 3.6)])
def test_gait_speeds(action: str, slowest: float, fastest: float) -> None:
    for joints in perform(action):
        speed = np.linalg.norm(np.diff(joints[:, 0, :2], axis=0), axis=-1) * 50.0
        assert slowest < speed.mean() < fastest


def test_walkers_never_have_both_feet_in_the_air_and_runners_do() -> None:
    """Both heels are up for a moment of a walk too; both ankles 5 cm up are a flight."""
    for action, flies in (("Walk", False), ("Run", True)):
        for joints in perform(action):
            up = joints[:, ANKLES, 2] > joints[:, ANKLES, 2].min() + 0.05
            assert up.all(-1).any() == flies


def test_sitters_sit_and_those_who_sit_down_stood_before() -> None:
    for joints in perform("Sit"):
        assert 0.4 < joints[:, 0, 2].max() < 0.68
        knees_ahead = np.linalg.norm((joints[:, J["left knee"]] - joints[:, J["left hip"]])[:, :2], axis=-1)
        assert knees_ahead.min() > 0.25
    for joints in perform("SitDown"):
        assert joints[:, 0, 2].max() > 0.72
        assert joints[:, 0, 2].min() < 0.66


def test_a_squat_is_deep_and_ends_upright() -> None:
    drops = [joints[:, 0, 2].max() - joints[:, 0, 2].min() for joints in perform("Squat")]
    assert min(drops) > 0.2
    assert max(drops) > 0.4


def test_a_caller_has_a_hand_at_the_head() -> None:
    for joints in perform("Phone"):
        to_head = np.linalg.norm(joints[:, WRISTS] - joints[:, None, J["neck"]], axis=-1).min(-1)
        assert np.median(to_head) < 0.30


def test_waving_hands_go_to_and_fro_above_the_shoulder() -> None:
    for joints in perform("Greet"):
        above = joints[:, WRISTS, 2] > joints[:, [J["left shoulder"], J["right shoulder"]], 2] + 0.1
        hand = int(above.sum(0).argmax())
        moving = np.linalg.norm(np.diff(joints[:, WRISTS[hand]], axis=0), axis=-1) * 50.0
        assert above[:, hand].mean() > 0.10
        assert np.median(moving[above[1:, hand]]) > 0.3


def test_a_pointing_arm_is_straight_and_raised() -> None:
    for joints in perform("Point"):
        length = np.linalg.norm(joints[:, WRISTS] - joints[:, [J["left shoulder"], J["right shoulder"]]], axis=-1)
        raised = joints[:, WRISTS, 2] > joints[:, [J["left shoulder"], J["right shoulder"]], 2] - 0.3
        assert (length[raised] > 0.97 * length.max()).mean() > 0.2


def test_reaching_goes_high_and_low() -> None:
    performed = perform("Reach")
    reach = [joints[:, WRISTS, 2] / height(joints) for joints in performed]
    assert max(each.max() for each in reach) > 1.05
    assert min(each.min() for each in reach) < 0.25


def test_a_kick_takes_one_foot_up_while_the_other_stands() -> None:
    heights = [joints[:, ANKLES, 2] for joints in perform("Kick")]
    assert all(each.max() > 0.25 for each in heights)
    assert max(each.max() for each in heights) > 0.55
    assert all(each.min(-1).max() < 0.15 for each in heights)


def test_a_throw_is_fast_and_goes_forward() -> None:
    for joints in perform("Throw"):
        velocity = np.diff(joints[:, WRISTS], axis=0) * 50.0
        ahead = np.cross(joints[1:, J["left hip"]] - joints[1:, J["right hip"]], [0.0, 0.0, 1.0])
        ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
        forward = (velocity * ahead[:, None]).sum(-1)  # (T - 1, 2)
        frame, hand = np.unravel_index(forward.argmax(), forward.shape)
        assert forward[frame, hand] > 3.5
        assert forward[frame, hand] > -forward.min()
        assert joints[frame, WRISTS[hand], 2] > joints[frame, J["spine"], 2]


def test_the_pelvis_of_a_jumper_falls_freely() -> None:
    """In the air the pelvis is a thrown stone, -9.81 m/s2, but where legs about to land draw it down a little."""
    for joints in perform("Jump"):
        in_flight = (joints[:, ANKLES, 2] > joints[:, ANKLES, 2].min() + 0.2).all(-1)
        acceleration = np.diff(joints[:, 0, 2], 2) * 2500.0
        inner = in_flight[:-2] & in_flight[1:-1] & in_flight[2:]
        if inner.any():
            assert np.median(acceleration[inner]) == pytest.approx(-9.81, abs=0.3)
            assert np.abs(acceleration[inner] + 9.81).max() < 5.0
    assert any((joints[:, ANKLES, 2].min(-1) > 0.3).any() for joints in perform("Jump"))


def test_stretching_uses_the_whole_reach() -> None:
    highest = [joints[:, WRISTS, 2].max() / height(joints) for joints in perform("Stretch")]
    lowest = [joints[:, WRISTS, 2].min() / height(joints) for joints in perform("Stretch")]
    assert max(highest) > 1.1
    assert min(lowest) < 0.4


@pytest.mark.parametrize("action", ["Wait", "Discuss", "Point", "Greet", "Reach"])
def test_feet_stay_clear_of_each_other(action: str) -> None:
    for joints in perform(action):
        apart = np.linalg.norm(joints[:, J["left ankle"]] - joints[:, J["right ankle"]], axis=-1)
        assert apart.min() > 0.06
