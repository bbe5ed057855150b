"""Mapping to the 17 joints: hand-made figures, and originals/expected.json (made with an independent implementation,
which agrees with HDM05's own published trajectories to 3e-7 m)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import acclaim, bvh, mapping
from harness.data.skeleton import JOINT_NAMES
from harness.errors import BadInput
from tests.harness.data.figures import STANDING_M, STUDIO_MAX_NAMES, amc_text, asf_text, bvh_text, shared_motion

#: Left knee lifted a quarter turn: the thigh points ahead (-y in the mapped axes), the shank goes on ahead.
KNEE_UP_M = STANDING_M.copy()
KNEE_UP_M[5] = [0.1, -0.45, 0.95]
KNEE_UP_M[6] = [0.1, -0.87, 0.95]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], bvh.Bvh]:
    def bvh_of(text: str) -> bvh.Bvh:
        path = tmp_path / "person.bvh"
        path.write_text(text)
        return bvh.read(path)

    return bvh_of


@pytest.fixture
def skeleton(tmp_path: Path) -> acclaim.Skeleton:
    path = tmp_path / "person.asf"
    path.write_text(asf_text())
    return acclaim.read_skeleton(path)


@pytest.mark.parametrize("unit_m", [1.0, 0.01, 0.001, 0.0254, 0.0254 / 0.45])
@pytest.mark.parametrize("names", [None, STUDIO_MAX_NAMES], ids=["motionbuilder", "3dsmax"])
@pytest.mark.parametrize("thorax_m", [0.175, 0.0], ids=["whole", "hahne"])
def test_the_hand_made_bvh_in_every_variant(
    read: Callable[[str], bvh.Bvh], unit_m: float, names: dict[str, str] | None, thorax_m: float
) -> None:
    motion = read(bvh_text([{}, {"LeftUpLeg X": -90.0}], unit_m=unit_m, names=names, thorax_m=thorax_m))
    joints, done = mapping.from_bvh(motion)
    assert joints == pytest.approx(np.array([STANDING_M, KNEE_UP_M]), abs=1e-6)
    assert any("thorax" in remark for remark in done) == (thorax_m == 0)


def test_the_thorax_bone_of_the_skeleton_is_used_where_known(
    read: Callable[[str], bvh.Bvh], skeleton: acclaim.Skeleton
) -> None:
    bones = {**skeleton.bones, "thorax": acclaim.Bone("thorax", vector=np.array([0.0, 0.2, 0.05]) / skeleton.metres)}
    motion = read(bvh_text([{}], thorax_m=0.0))
    joints, done = mapping.from_bvh(motion, acclaim.Skeleton(skeleton.path, skeleton.root, bones, 0.45))
    above = JOINT_NAMES.index("thorax")
    assert joints[0, above:] - STANDING_M[above:] == pytest.approx(np.tile([0, -0.05, 0.025], (9, 1)), abs=1e-9)
    assert "missing thorax bone put back, from the ASF skeleton" in done


def test_the_thorax_bone_turns_with_the_upper_back(read: Callable[[str], bvh.Bvh]) -> None:
    # Bent ahead a quarter turn at Spine1: what was up now points ahead, -y in the mapped axes.
    joints, _ = mapping.from_bvh(read(bvh_text([{"Spine1 X": 90.0}], thorax_m=0.0)))
    assert joints[0, JOINT_NAMES.index("thorax")] == pytest.approx([0, -0.175, 1.225], abs=1e-9)


@pytest.mark.parametrize(
    ("frames", "left"),
    [
        ([{"LeftArm Z": -21.0}, {"LeftArm Z": 1.5}, {"LeftArm Z": 2.5}], 2),
        ([{}, {"LeftArm Z": 1.5}], 1),
        ([{"LeftArm Z": 0.5}, {"LeftArm Z": 1.5}], 2),
        ([{"LeftArm Z": 1.0}, {"LeftArm Z": 2.0}], 2),
        ([{"LeftArm Z": 1.0}], 1),
    ],
    ids=["added", "added at rest", "recorded", "whole degrees throughout", "one frame"],
)
def test_an_added_pose_is_left_out_and_a_recorded_one_kept(
    read: Callable[[str], bvh.Bvh], frames: list[dict[str, float]], left: int
) -> None:
    joints, done = mapping.from_bvh(read(bvh_text(frames)))
    assert len(joints) == left
    assert any("T-pose" in remark for remark in done) == (left < len(frames))


def test_prefixes_case_and_blanks_of_names_do_not_count(read: Callable[[str], bvh.Bvh]) -> None:
    names = {"LeftUpLeg": "mixamorig:Left Up Leg", "RightHand": "RIGHT_HAND"}
    joints, _ = mapping.from_bvh(read(bvh_text([{}], names=names)))
    assert joints[0] == pytest.approx(STANDING_M)


def test_names_of_no_known_scheme(read: Callable[[str], bvh.Bvh]) -> None:
    with pytest.raises(BadInput, match=r"person.bvh: joints Hips, .*MotionBuilder names need LeftLeg as well; 3dsmax"):
        mapping.from_bvh(read(bvh_text([{}], names={"LeftLeg": "Shin"})))


def test_legs_of_no_unit(read: Callable[[str], bvh.Bvh]) -> None:
    with pytest.raises(BadInput, match=r"person.bvh: a leg \(thigh and shank\) is 0.087 file units long"):
        mapping.from_bvh(read(bvh_text([{}], unit_m=10.0)))


def test_the_hand_made_acclaim_figure(skeleton: acclaim.Skeleton, tmp_path: Path) -> None:
    path = tmp_path / "person_1.amc"
    path.write_text(amc_text([{}, {"lfemur": "-90 0 0"}]))
    joints = mapping.from_acclaim(skeleton, acclaim.bone_ends(skeleton, acclaim.read_motion(path, skeleton)))
    assert joints == pytest.approx(np.array([STANDING_M, KNEE_UP_M]), abs=1e-9)


def test_a_skeleton_without_the_bones_that_are_mapped(skeleton: acclaim.Skeleton) -> None:
    with pytest.raises(BadInput, match=r"person.asf: has no bone lhumerus; expected CMU's and HDM05's"):
        mapping.from_acclaim(skeleton, {bone: np.zeros((1, 3)) for bone in skeleton.bones if bone != "lhumerus"})


def expectations() -> tuple[Path, dict[str, Any]]:
    path = shared_motion() / "originals" / "expected.json"
    return path.parent, {name: entry for name, entry in json.loads(path.read_text()).items() if "at" in entry}


def test_acclaim_files_from_elsewhere() -> None:
    folder, files = expectations()
    files = {name: entry for name, entry in files.items() if name.endswith(".amc")}
    assert len(files) == 8
    for name, expected in files.items():
        skeleton = acclaim.read_skeleton(folder / expected["note"].removeprefix("skeleton "))
        motion = acclaim.read_motion(folder / name, skeleton)
        check(mapping.from_acclaim(skeleton, acclaim.bone_ends(skeleton, motion)), expected, name)


def test_bvh_files_from_elsewhere() -> None:
    folder, files = expectations()
    files = {name: entry for name, entry in files.items() if name.endswith(".bvh")}
    assert len(files) == 6
    for name, expected in files.items():
        asf = folder / "cmu_amc" / f"{(folder / name).stem.split('_')[0]}.asf"
        known = acclaim.read_skeleton(asf) if "from the ASF" in expected["note"] else None
        motion = bvh.read(folder / name)
        assert motion.fps == expected["fps"]
        joints, done = mapping.from_bvh(motion, known)
        check(joints, expected, name)
        assert "added T-pose (frame 0) left out" in done


def check(joints: NDArray[Any], expected: dict[str, Any], name: str) -> None:
    assert len(joints) == expected["frames"], name
    for frame, places in expected["at"].items():
        assert joints[int(frame)] == pytest.approx(np.array(places), abs=1e-5), (name, frame)


def test_one_motion_in_two_units_and_namings_is_one_motion() -> None:
    """The 3dsmax file and a third party's copy in metres, with one frame more: neither begins with a T-pose."""
    folder = shared_motion() / "originals" / "cmu_bvh_max"
    (ours, done), (theirs, scaled) = (
        mapping.from_bvh(bvh.read(folder / f"{name}131_01.bvh")) for name in ("", "scaled_")
    )
    assert (done[0], scaled[0]) == ("unit inches / 0.45, by leg length", "unit metres, by leg length")
    assert (len(ours), len(theirs)) == (994, 995)
    assert np.abs(ours - theirs[:994]).max() < 1e-4
