"""Sides that are exchanged or mirrored are told, whichever way the person faces; those that are right are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.data.checks.sides import SidesInImage, SidesInSpace
from tests.harness.data.checks.people import exchanged, filmed, found, in_image, walker_mm
from tests.harness.data.figures import shared_motion

TURNS = (0.0, 1.0, 2.0, 3.14, -1.5)


@pytest.mark.parametrize("space", ["camera", "image"])
@pytest.mark.parametrize("turn", TURNS)
def test_knees_bend_forwards_whichever_way_one_faces(turn: float, space: str) -> None:
    one = filmed(poses_mm=walker_mm(turn=turn))
    finding = found(SidesInSpace(), one if space == "camera" else in_image(one))
    assert finding.verdict == "ok", finding.detail


def test_how_far_they_are_before_hip_and_ankle() -> None:
    poses = walker_mm(1)
    for hip, knee, ankle in ((1, 2, 3), (4, 5, 6)):
        poses[0, [hip, knee, ankle]] = poses[0, hip] + [[0, 0, 0], [0, 400, -300], [0, 800, 0]]
    finding = found(SidesInSpace(), filmed(poses_mm=poses))
    assert finding.detail.startswith("knees are 30.0% (left) and 30.0% (right) of the leg's length before")


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("fault", ["sides", "mirrored", "depth"])
def test_exchanged_sides_and_mirrored_space_bend_them_backwards(turn: float, fault: str) -> None:
    poses = walker_mm(turn=turn)
    if fault == "sides":
        poses = exchanged(poses)
    elif fault == "mirrored":
        poses = poses * [-1.0, 1.0, 1.0]
    else:
        poses[..., 2] = 8000.0 - poses[..., 2]
    finding = found(SidesInSpace(), filmed(poses_mm=poses))
    assert finding.verdict == "FAIL"
    assert "sides are exchanged or space is mirrored" in finding.detail


def test_one_person_who_is_exchanged_among_others_is_named() -> None:
    others = [filmed(f"S{number}/Walk/1/c") for number in range(5)]
    wrong = filmed("S7/Walk/1/c", poses_mm=exchanged(walker_mm()))
    finding = found(SidesInSpace(), *others, wrong)
    assert finding.verdict == "FAIL"
    assert finding.detail.endswith("but bend backwards in S7")


def test_straight_legs_and_missing_joints_tell_nothing() -> None:
    straight = walker_mm()
    straight[:, [2, 5]] = (straight[:, [1, 4]] + straight[:, [3, 6]]) / 2
    assert found(SidesInSpace(), filmed(poses_mm=straight)).verdict == "?"
    assert found(SidesInSpace(), filmed(), joints=(1, 2, 3, 4, 5, 8)).verdict == "?"
    degenerate = np.zeros((5, 17, 3))
    degenerate[..., 2] = 4000.0
    assert found(SidesInSpace(), filmed(poses_mm=degenerate)).verdict == "?"


def test_people_of_the_real_set_bend_theirs_forwards() -> None:
    with np.load(shared_motion() / "cmu_test.npz") as archive:
        clips = {name: archive[name][::10] for name in archive.files}
    for name, joints in clips.items():
        # Before a camera that looks along the world's y.
        poses = 1000.0 * np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], axis=-1) + [0, 0, 9000.0]
        clips[name] = poses
    right = [filmed(f"{name}/c", poses_mm=poses) for name, poses in clips.items()]
    assert found(SidesInSpace(), *right).verdict == "ok"
    wrong = [filmed(f"{name}/c", poses_mm=exchanged(poses)) for name, poses in clips.items()]
    assert found(SidesInSpace(), *wrong).verdict == "FAIL"


def test_keypoints_near_their_own_side() -> None:
    one = filmed(noise_px=4.0)
    finding = found(SidesInImage(), one)
    assert finding.verdict == "ok"
    assert finding.detail.startswith("100.0% of ")
    assert finding.detail.endswith("least 100.0% in S1/Walk/1/c")


@pytest.mark.parametrize("space", ["camera", "image"])
def test_exchanged_keypoints_are_nearer_to_the_other(space: str) -> None:
    one = filmed(noise_px=4.0)
    one = one if space == "camera" else in_image(one)
    finding = found(SidesInImage(), dataclasses.replace(one, keypoints=exchanged(one.keypoints)))
    assert finding.verdict == "FAIL"
    assert finding.detail.startswith("0.0% of ")


@pytest.mark.parametrize(("frames", "verdict"), [(2, "ok"), (4, "FAIL")])
def test_some_frames_may_be_exchanged(frames: int, verdict: str) -> None:
    one = filmed()
    one.keypoints[:frames] = exchanged(one.keypoints)[:frames]
    finding = found(SidesInImage(), one)
    assert finding.verdict == verdict
    assert finding.detail.startswith(f"{1 - frames / 60:.1%} of ")


def test_one_exchanged_sequence_among_many_is_named() -> None:
    many = [filmed(f"S{number}/Walk/1/c") for number in range(30)]
    wrong = filmed("S77/Walk/1/c", keypoints=exchanged(many[0].keypoints))
    finding = found(SidesInImage(), *many, wrong)
    assert finding.verdict == "FAIL"
    assert finding.detail.endswith("least 0.0% in S77/Walk/1/c")


def test_sides_one_behind_the_other_are_not_compared() -> None:
    sideways = filmed(poses_mm=walker_mm(turn=np.pi / 2))
    from_front, from_side = found(SidesInImage(), filmed()), found(SidesInImage(), sideways)
    assert int(from_side.detail.split()[2].replace(",", "")) < int(from_front.detail.split()[2].replace(",", ""))
    lost = filmed()
    lost.confidence[:] = 0
    assert found(SidesInImage(), lost).verdict == "?"
