"""The generated set as a whole: what any of its takes must be, whatever the seed."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.skeleton import BONES, JOINT_NAMES, MIRRORED, PARENTS
from harness.data.synthetic import ACTIONS, takes
from harness.data.take import Take
from harness.errors import BadInput

J = {name: index for index, name in enumerate(JOINT_NAMES)}
UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module", params=[0, 7])
def generated(request: pytest.FixtureRequest) -> list[Take]:
    return list(takes(request.param, train_minutes=2.5, test_minutes=2.0))


def bones_mm(joints_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 16) lengths."""
    return np.linalg.norm(np.stack([joints_mm[:, j] - joints_mm[:, p] for p, j in BONES], 1), axis=-1)


def angle_degrees(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    cosine = (one * other).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(other, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def bend_degrees(joints_mm: NDArray[np.float64], first: str, middle: str, last: str) -> NDArray[np.float64]:
    """(T,) 0 where the limb is straight."""
    return angle_degrees(
        joints_mm[:, J[middle]] - joints_mm[:, J[first]], joints_mm[:, J[last]] - joints_mm[:, J[middle]]
    )


def forward(joints_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3) level unit vectors ahead of the pelvis: left hip - right hip, turned by the rule for a person's left."""
    ahead = np.cross(joints_mm[:, J["left hip"]] - joints_mm[:, J["right hip"]], UP)
    return ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)


def test_takes_are_finite_and_of_the_declared_shape(generated: list[Take]) -> None:
    for take in generated:
        assert take.joints_mm.shape[1:] == (17, 3)
        assert take.joints_mm.dtype == np.float64
        assert np.isfinite(take.joints_mm).all()
    assert len({take.name for take in generated}) == len(generated)
    assert {take.action for take in generated if take.part == "train"} == set(ACTIONS)
    assert {take.action for take in generated if take.part == "test"} == set(ACTIONS)


def test_same_seed_same_arrays() -> None:
    first, again = (list(takes(3, train_minutes=0.5, test_minutes=0.2)) for _ in range(2))
    assert [take.name for take in first] == [take.name for take in again]
    assert all(np.array_equal(one.joints_mm, other.joints_mm) for one, other in zip(first, again, strict=True))


def test_another_seed_gives_other_people_and_other_motion() -> None:
    one, other = (next(takes(seed, train_minutes=0.2, test_minutes=0.1)) for seed in (3, 4))
    assert np.abs(bones_mm(one.joints_mm[:1]) - bones_mm(other.joints_mm[:1])).max() > 5.0


def test_a_person_is_the_same_however_much_is_asked_for() -> None:
    short = next(takes(5, train_minutes=0.2, test_minutes=0.1))
    longer = next(takes(5, train_minutes=1.0, test_minutes=0.1))
    assert short.subject == longer.subject
    np.testing.assert_allclose(bones_mm(short.joints_mm[:1]), bones_mm(longer.joints_mm[:1]), atol=1e-6)


def test_limbs_keep_their_length_and_both_sides_are_alike(generated: list[Take]) -> None:
    lengths = defaultdict(list)
    for take in generated:
        bones = bones_mm(take.joints_mm)
        assert np.ptp(bones, axis=0).max() < 0.01
        mirrored = bones_mm(take.joints_mm[:1, MIRRORED])
        np.testing.assert_allclose(bones[:1], mirrored, atol=1e-6)
        lengths[take.subject].append(bones[0])
    for of_one_person in lengths.values():
        assert np.ptp(np.stack(of_one_person), axis=0).max() < 0.01


def test_statures_and_proportions_are_human(generated: list[Take]) -> None:
    for take in generated:
        bone = dict(zip([JOINT_NAMES[j] for _, j in BONES], bones_mm(take.joints_mm)[0], strict=True))
        column = sum(bone[name] for name in ("left knee", "left ankle", "spine", "thorax", "neck", "head"))
        assert 1350.0 < column < 1900.0  # ankle to top of head; the rest of 1.50 to 1.95 m is the foot
        assert 0.9 < bone["left knee"] / bone["left ankle"] < 1.2
        assert 0.95 < bone["left elbow"] / bone["left wrist"] < 1.4
        assert 85.0 < bone["left hip"] < 165.0


def test_training_and_test_people_are_different(generated: list[Take]) -> None:
    people: dict[str, dict[str, NDArray[np.float64]]] = {"train": {}, "test": {}}
    for take in generated:
        people[take.part][take.subject] = bones_mm(take.joints_mm)[0]
    assert not set(people["train"]) & set(people["test"])
    assert len(people["train"]) == 10
    assert len(people["test"]) == 4
    for bones in people["test"].values():
        nearest = min(np.abs(bones - other).mean() for other in people["train"].values())
        assert nearest > 1.0


def test_joints_bend_as_far_as_they_can_and_no_farther(generated: list[Take]) -> None:
    knees, elbows = [], []
    for take in generated:
        for side in ("left", "right"):
            knees.append(bend_degrees(take.joints_mm, f"{side} hip", f"{side} knee", f"{side} ankle"))
            elbows.append(bend_degrees(take.joints_mm, f"{side} shoulder", f"{side} elbow", f"{side} wrist"))
    knee, elbow = np.concatenate(knees), np.concatenate(elbows)
    assert knee.min() > 1.9
    assert knee.max() < 152.1
    assert elbow.min() > 2.9
    assert elbow.max() < 148.1
    assert knee.max() > 100.0  # the limits are also made use of
    assert elbow.max() > 120.0


def test_knees_bend_forward(generated: list[Take]) -> None:
    """Seen along its hinge a knee opens one way: the shin turns back about the person's left-pointing axis."""
    for take in generated:
        joints, ahead = take.joints_mm, forward(take.joints_mm)
        left_axis = np.cross(UP, ahead)
        for side in ("left", "right"):
            thigh = joints[:, J[f"{side} knee"]] - joints[:, J[f"{side} hip"]]
            shin = joints[:, J[f"{side} ankle"]] - joints[:, J[f"{side} knee"]]
            bend = bend_degrees(joints, f"{side} hip", f"{side} knee", f"{side} ankle")
            turned_back = (np.cross(thigh, shin) * left_axis).sum(-1)
            assert (turned_back[bend > 20.0] > 0).all(), take.name


def test_trunk_and_neck_stay_within_human_range(generated: list[Take]) -> None:
    for take in generated:
        joints = take.joints_mm
        back = angle_degrees(joints[:, J["thorax"]] - joints[:, J["spine"]], joints[:, J["spine"]] - joints[:, 0])
        neck = angle_degrees(
            joints[:, J["head"]] - joints[:, J["thorax"]], joints[:, J["thorax"]] - joints[:, J["spine"]]
        )
        assert back.max() < 45.0, take.name
        assert neck.max() < 75.0, take.name


def test_nobody_sinks_into_the_floor_or_floats(generated: list[Take]) -> None:
    for take in generated:
        lower_ankle = take.joints_mm[:, [J["left ankle"], J["right ankle"]], 2].min(-1)
        assert take.joints_mm[..., 2].min() > 50.0, take.name
        assert lower_ankle.min() < 110.0, take.name
        highest = {"Jump": 800.0, "Run": 300.0}.get(take.action, 180.0)
        assert lower_ankle.max() < highest, take.name


def test_only_jumps_and_runs_leave_the_floor(generated: list[Take]) -> None:
    flights = {
        action: max(
            take.joints_mm[:, [J["left ankle"], J["right ankle"]], 2].min(-1).max()
            for take in generated
            if take.action == action
        )
        for action in ("Jump", "Walk")
    }
    assert flights["Jump"] > 250.0
    assert flights["Walk"] < 140.0


def test_speeds_and_accelerations_are_human(generated: list[Take]) -> None:
    for take in generated:
        speed_m_s = np.linalg.norm(np.diff(take.joints_mm, axis=0), axis=-1) * take.fps / 1000.0
        acceleration_m_s2 = np.linalg.norm(np.diff(take.joints_mm, 2, axis=0), axis=-1) * take.fps**2 / 1000.0
        assert speed_m_s.max() < 11.0, take.name
        assert acceleration_m_s2.max() < 600.0, take.name


def test_left_is_left(generated: list[Take]) -> None:
    """Who walks or runs goes where cross(left hip - right hip, up) points."""
    for take in generated:
        if take.action in ("Walk", "Run"):
            travel = np.diff(take.joints_mm[:, 0], axis=0)
            ahead = (travel * forward(take.joints_mm)[1:]).sum(-1)
            assert np.mean(ahead > 0) > 0.97, take.name
            assert ahead.sum() > 0.85 * np.linalg.norm(travel[:, :2], axis=-1).sum(), take.name


def test_planted_feet_do_not_slide(generated: list[Take]) -> None:
    """An ankle within 3 mm of its lowest belongs to a flat foot, whose level speed is next to nothing."""
    for take in generated:
        if take.action not in ("Walk", "Run", "Wait", "Point", "Squat", "Stretch"):
            continue
        for side in ("left", "right"):
            path = take.joints_mm[:, J[f"{side} ankle"]]
            flat = path[:, 2] < path[:, 2].min() + 3.0
            level_m_s = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=-1) * take.fps / 1000.0
            both = flat[1:] & flat[:-1]
            assert both.mean() > 0.05, take.name
            assert np.percentile(level_m_s[both], 95) < 0.1, take.name


def test_legs_and_arms_swing_against_each_other_in_a_walk() -> None:
    for take in takes(0, train_minutes=1.0, test_minutes=0.1, actions=("Walk",)):
        joints, ahead = take.joints_mm, forward(take.joints_mm)
        lead = ((joints[:, J["left ankle"]] - joints[:, J["right ankle"]]) * ahead).sum(-1)
        hands = ((joints[:, J["left wrist"]] - joints[:, J["right wrist"]]) * ahead).sum(-1)
        assert np.corrcoef(lead, hands)[0, 1] < -0.6, take.name


def test_poses_and_facings_vary_enough_to_be_a_problem() -> None:
    """Always saying the mean training pose is wrong by well over 100 mm."""
    relative: dict[str, list[NDArray[np.float64]]] = {"train": [], "test": []}
    for take in takes(0, train_minutes=3.0, test_minutes=2.0):
        relative[take.part].append(take.joints_mm - take.joints_mm[:, :1])
    mean_pose = np.concatenate(relative["train"]).mean(0)
    error_mm = np.linalg.norm(np.concatenate(relative["test"]) - mean_pose, axis=-1).mean()
    assert error_mm > 150.0
    facing = np.concatenate([forward(poses)[:, :2] for poses in relative["train"]])
    assert np.linalg.norm(facing.mean(0)) < 0.35


def test_minutes_subjects_rate_and_actions_are_as_asked() -> None:
    generated = list(
        takes(
            1, train_minutes=0.8, test_minutes=0.4, train_subjects=2, test_subjects=1, fps=25.0, actions=("Sit", "Kick")
        )
    )
    frames = {part: sum(len(t.joints_mm) for t in generated if t.part == part) for part in ("train", "test")}
    assert frames == {"train": 1200, "test": 600}
    assert {take.fps for take in generated} == {25.0}
    assert {take.action for take in generated} == {"Sit", "Kick"}
    assert {take.subject for take in generated} == {"train-01", "train-02", "test-01"}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_can_be_very_short(action: str) -> None:
    generated = list(takes(2, train_minutes=0.5 / 60, test_minutes=0.02, fps=10.0, actions=(action,)))
    assert [len(take.joints_mm) for take in generated] == [5, 12]
    assert all(np.isfinite(take.joints_mm).all() for take in generated)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"train_minutes": 0.0}, "train_minutes is 0.0; give at least"),
        ({"test_minutes": float("nan")}, "test_minutes is nan"),
        ({"test_minutes": float("inf")}, "test_minutes is inf"),
        ({"train_subjects": 0}, "train_subjects is 0"),
        ({"test_subjects": 1.5}, "test_subjects is 1.5"),
        ({"fps": 0.0}, "fps is 0.0"),
        ({"actions": ("Walk", "Wlak")}, "unknown action 'Wlak'. Did you mean: Walk"),
        ({"actions": ()}, "actions is empty"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        takes(**options)  # type: ignore[arg-type]


def test_the_skeleton_is_the_projects() -> None:
    """The pelvis lies between the hips, as in Human3.6M."""
    take = next(takes(0, train_minutes=0.1, test_minutes=0.1))
    middle = 0.5 * (take.joints_mm[:, J["left hip"]] + take.joints_mm[:, J["right hip"]])
    np.testing.assert_allclose(take.joints_mm[:, 0], middle, atol=1e-6)
    assert len(PARENTS) == take.joints_mm.shape[1]
