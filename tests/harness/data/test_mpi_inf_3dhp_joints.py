"""Joints of MPI-INF-3DHP: which is which, and what is refused as no person."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data import mpi_inf_3dhp_joints as joints
from harness.data.skeleton import JOINT_NAMES
from harness.errors import BadInput
from harness.evaluation import protocol
from tests.harness.data.mpi_inf_3dhp_files import FILE_ORDER, walk_mm

#: The owners' names of the set's 28 joints, as its ``mpii_get_joints`` lists them.
ALL_28 = (
    "spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top", "left_clavicle", "left_shoulder",
    "left_elbow", "left_wrist", "left_hand", "right_clavicle", "right_shoulder", "right_elbow", "right_wrist",
    "right_hand", "left_hip", "left_knee", "left_ankle", "left_foot", "left_toe", "right_hip", "right_knee",
    "right_ankle", "right_foot", "right_toe",
)  # fmt: skip


@pytest.mark.parametrize("joint", range(17), ids=JOINT_NAMES)
def test_every_joint_is_where_it_belongs(joint: int) -> None:
    in_file = np.zeros((1, 17, 3))
    in_file[0, FILE_ORDER.index(joint)] = 5.0
    found = joints.read_poses_mm(in_file, "file")
    assert found.dtype == np.float32
    assert np.flatnonzero(found[0, :, 0]).tolist() == [joint]
    like = {"thorax": "neck", "neck": "head", "head": "head top"}
    assert joints.JOINTS[joints.IN_FILE[joint]] == like.get(JOINT_NAMES[joint], JOINT_NAMES[joint])


def test_the_17_of_the_28_have_the_names_that_they_are_given() -> None:
    assert tuple(ALL_28[joint].replace("_", " ") for joint in joints.OF_THE_28) == joints.JOINTS


def test_the_14_joints_of_pck_are_the_protocol_s() -> None:
    assert joints.PCK_JOINTS == (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)
    assert protocol.protocol("3dhp").pck_joints == joints.PCK_JOINTS


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_valid_in_every_form(kind: type, shape: tuple[int, ...]) -> None:
    found = joints.read_valid(np.array([0, 1, 1, 0]).astype(kind).reshape(shape), "file")
    assert found.dtype == bool
    assert found.tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        ([0, 1, 2], r"file: 2 at frame 2 \(from 0\); expected 0 or 1"),
        ([1, 0.5], r"file: 0.5 at frame 1"),
        ([1, np.nan], r"file: nan at frame 1"),
        ([0, 0], r"file: no frame is valid"),
        ([[1, 0], [1, 1]], r"file: has shape \(2, 2\); expected \(frames\)"),
        (["1", "0"], r"file: holds <U1; expected numbers"),
    ],
)
def test_valid_that_is_none(valid: list[object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        joints.read_valid(np.array(valid), "file")


@pytest.mark.parametrize(("scale", "message"), [
    (0.001, r"file: the person would be 1.62 mm from ankle to head, so these are metres; multiply by 1000"),
    (0.1, r"file: this is no person in millimetres \(162 mm from ankle to head\)"),
    (2.0, r"file: this is no person in millimetres \(3240 mm from ankle to head\)"),
])  # fmt: skip
def test_other_units(scale: float, message: str) -> None:
    poses_mm = walk_mm(5, 0.0).astype(np.float32)
    joints.check_person(poses_mm, "file")
    with pytest.raises(BadInput, match=message):
        joints.check_person(poses_mm * np.float32(scale), "file")


def test_joints_of_human36m_s_order_are_found_out_by_their_limbs() -> None:
    mistaken = joints.read_poses_mm(walk_mm(5, 0.0), "file")
    with pytest.raises(
        BadInput, match=r"\(.* mm from ankle to head, left \w+ unlike the right one\).*0 head top, 1 neck"
    ):
        joints.check_person(mistaken, "file")


def test_one_limb_unlike_the_other_is_enough() -> None:
    poses_mm = walk_mm(5, 0.0).astype(np.float32)
    poses_mm[:, JOINT_NAMES.index("left wrist")] = poses_mm[:, JOINT_NAMES.index("left elbow")] + 9.0
    with pytest.raises(BadInput, match=r"\(1620 mm from ankle to head, left wrist unlike the right one\)"):
        joints.check_person(poses_mm, "file")
