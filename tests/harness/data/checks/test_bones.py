"""Bones that change their length are told, with person, bone and frame."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.checks.bones import LIMBS, BoneLengths, _median_of
from harness.data.skeleton import BONES, JOINT_NAMES
from tests.harness.data.checks.people import filmed, found, in_image, walker_mm


def limbs() -> BoneLengths:
    return BoneLengths(limbs=True)


def trunk() -> BoneLengths:
    return BoneLengths(limbs=False)


def test_which_bones_are_of_the_limbs() -> None:
    named = {JOINT_NAMES[joint] for (_, joint), limb in zip(BONES, LIMBS, strict=True) if limb}
    assert named == {f"{side} {end}" for side in ("left", "right") for end in ("knee", "ankle", "elbow", "wrist")}


def test_a_walker_keeps_his_lengths() -> None:
    for check in (limbs(), trunk()):
        finding = found(check, filmed())
        assert finding.verdict == "ok"
        assert "varies most, 0.0 mm (0.0% of" in finding.detail


def test_the_worst_bone_is_named_with_its_place() -> None:
    poses = walker_mm()
    poses[7, 13] += [0, 500.0, 0]
    poses[8, 16] += [0, 300.0, 0]
    valid = np.arange(60) != 3
    finding = found(limbs(), filmed("S1/Walk/1/c"), filmed("S2/Run/1/c", poses_mm=poses, valid=valid))
    assert finding.verdict == "FAIL"
    assert finding.detail.startswith("left elbow to left wrist of S2 varies most, ")
    assert finding.detail.endswith("farthest 559 mm in S2/Run/1/c, frame 7")


def test_the_deviation_is_about_the_median_over_all_sequences() -> None:
    poses = walker_mm(40)
    longer = walker_mm(20)
    longer[:, 13] += (longer[:, 13] - longer[:, 12]) * 0.2  # 250 to 300 mm
    finding = found(limbs(), filmed("S1/A/1/c", poses_mm=poses), filmed("S1/B/1/c", poses_mm=longer))
    assert finding.verdict == "FAIL"
    expected = 50.0 * (20 / 60) ** 0.5
    assert f"varies most, {expected:.1f} mm ({expected / 250:.1%} of 250 mm; allowed 20 mm, 10%)" in finding.detail
    assert "farthest 300 mm in S1/B/1/c" in finding.detail


def test_the_farthest_may_be_the_shortest() -> None:
    poses = walker_mm()
    poses[4, 13] = poses[4, 12] + 0.2 * (poses[4, 13] - poses[4, 12])
    poses[5, 13] += 0.3 * (poses[5, 13] - poses[5, 12])
    assert found(limbs(), filmed(poses_mm=poses)).detail.endswith("farthest 50 mm in S1/Walk/1/c, frame 4")


def test_two_people_may_differ() -> None:
    assert found(limbs(), filmed("S1/A/1/c"), filmed("S2/A/1/c", poses_mm=1.3 * walker_mm())).verdict == "ok"
    assert found(limbs(), filmed("S1/A/1/c"), filmed("S1/B/1/c", poses_mm=1.3 * walker_mm())).verdict == "FAIL"


@pytest.mark.parametrize(("joint", "check"), [(3, limbs()), (8, trunk())])
@pytest.mark.parametrize(("deviation_mm", "verdict"), [(15.0, "ok"), (30.0, "differs"), (70.0, "FAIL")])
def test_the_trunk_may_vary_more(joint: int, check: BoneLengths, deviation_mm: float, verdict: str) -> None:
    poses = walker_mm()
    parent = next(start for start, end in BONES if end == joint)
    bone = poses[:, joint] - poses[:, parent]
    bone /= np.linalg.norm(bone, axis=-1, keepdims=True)
    shift = bone * deviation_mm * np.where(np.arange(60) % 2, 1, -1)[:, None]
    poses[:, [joint, *((9, 10, *range(11, 17)) if joint == 8 else ())]] += shift[:, None]
    expected = verdict if verdict != "differs" else "FAIL" if joint == 3 else "ok"
    fresh = BoneLengths(limbs=check.limbs)
    assert found(fresh, filmed(poses_mm=poses)).verdict == expected


def test_in_the_image_lengths_are_in_millimetres_too() -> None:
    finding = found(limbs(), in_image(filmed()))
    assert finding.verdict == "ok"
    assert "allowed 40 mm, 20%" in finding.detail
    wrong = in_image(filmed())
    wrong.truth[::2, 13] += [0, 120, 0]
    assert found(limbs(), wrong).verdict == "FAIL"


def test_frames_whose_millimetres_per_pixel_are_known() -> None:
    some = in_image(filmed(valid=np.arange(60) != 0))
    assert some.mm_per_pixel is not None
    some.mm_per_pixel[10:20] = np.nan
    some.truth[15, 13] += [0, 900, 0]
    some.truth[30, 13] += [0, 300, 0]
    assert found(limbs(), some).detail.endswith("in S1/Walk/1/c, frame 30")


def test_without_millimetres_per_pixel_nothing_is_known() -> None:
    assert found(limbs(), in_image(filmed(), known=False)).verdict == "?"
    assert found(limbs(), filmed(valid=np.zeros(60, dtype=bool))).verdict == "?"


def test_bones_without_a_truth_are_left_out() -> None:
    poses = walker_mm()
    poses[::2, 10] += 500.0
    joints = tuple(joint for joint in range(1, 17) if joint not in (7, 10))
    assert found(trunk(), filmed(poses_mm=poses)).verdict == "FAIL"
    assert found(trunk(), filmed(poses_mm=poses), joints=joints).verdict == "ok"


def test_a_bone_of_no_length_fails() -> None:
    poses = walker_mm()
    poses[:, 13] = poses[:, 12]
    poses[5, 13] += 1.0
    assert found(limbs(), filmed(poses_mm=poses)).verdict == "FAIL"


def test_medians_weigh_by_frames() -> None:
    assert _median_of([3.0, 1.0, 2.0], [1, 1, 1]) == 2
    assert _median_of([3.0, 1.0, 2.0], [10, 1, 1]) == 3
    assert _median_of([5.0], [4]) == 5
