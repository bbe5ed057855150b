"""From the joints of source skeletons to the 17 of Human3.6M, in metres, z up.

The pelvis is the midpoint of the hips, as in Human3.6M. No source has a nose: joint 9 is the base of the skull.

B. Hahne's BVH conversions of the CMU database come in two variants. Both leave out the thorax bone, so that neck, head
and arms hang 11 to 15 cm too low; it is put back here along the upper back's frame, with the vector of the ASF skeleton
where that is known, else upright and as long as the upper back. The MotionBuilder variant begins with an added T-pose,
which is left out here; the 3dsmax variant does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.acclaim import INCH_M, Skeleton
from harness.data.bvh import Bvh
from harness.data.skeleton import JOINT_COUNT, JOINT_NAMES
from harness.errors import BadInput

Array = NDArray[Any]

#: Acclaim bone whose end is the joint; the pelvis is not among them.
ACCLAIM_ENDS = {
    "right hip": "rhipjoint", "right knee": "rfemur", "right ankle": "rtibia",
    "left hip": "lhipjoint", "left knee": "lfemur", "left ankle": "ltibia",
    "spine": "lowerback", "thorax": "thorax", "neck": "upperneck", "head": "head",
    "left shoulder": "lclavicle", "left elbow": "lhumerus", "left wrist": "lradius",
    "right shoulder": "rclavicle", "right elbow": "rhumerus", "right wrist": "rradius",
}  # fmt: skip


@dataclass(frozen=True)
class Naming:
    """A BVH naming scheme: the joint's name for each of the 17, and whose frame the thorax bone belongs to."""

    title: str
    joints: Mapping[str, str]
    upper_back: str


MOTIONBUILDER = Naming("MotionBuilder", {
    "right hip": "RightUpLeg", "right knee": "RightLeg", "right ankle": "RightFoot",
    "left hip": "LeftUpLeg", "left knee": "LeftLeg", "left ankle": "LeftFoot",
    "spine": "Spine", "thorax": "Neck", "neck": "Head", "head": "Head_end",
    "left shoulder": "LeftArm", "left elbow": "LeftForeArm", "left wrist": "LeftHand",
    "right shoulder": "RightArm", "right elbow": "RightForeArm", "right wrist": "RightHand",
}, upper_back="Spine1")  # fmt: skip

STUDIO_MAX = Naming("3dsmax", {
    "right hip": "RightHip", "right knee": "RightKnee", "right ankle": "RightAnkle",
    "left hip": "LeftHip", "left knee": "LeftKnee", "left ankle": "LeftAnkle",
    "spine": "Chest", "thorax": "lowerneck", "neck": "Head", "head": "Head_end",
    "left shoulder": "LeftShoulder", "left elbow": "LeftElbow", "left wrist": "LeftWrist",
    "right shoulder": "RightShoulder", "right elbow": "RightElbow", "right wrist": "RightWrist",
}, upper_back="Chest2")  # fmt: skip

NAMINGS = (MOTIONBUILDER, STUDIO_MAX)

#: Joints that hang on the thorax.
_ABOVE_THORAX = tuple(range(JOINT_NAMES.index("thorax"), JOINT_COUNT))

#: Lengths a BVH file may be written in, in metres; the CMU database's is an inch over 0.45.
UNITS_M = {"metres": 1.0, "centimetres": 0.01, "millimetres": 0.001, "inches": INCH_M, "inches / 0.45": INCH_M / 0.45}

#: Thigh and shank together, child to tall adult. Narrow enough that no length fits two units.
LEG_RANGE_M = (0.55, 1.15)

_LEG = (("hip", "knee"), ("knee", "ankle"))

_WHOLE_DEGREE = 1e-3


def from_acclaim(skeleton: Skeleton, ends: Mapping[str, Array]) -> Array:
    """Bone ends in metres, y up, to the 17 joints (T, 17, 3); raises BadInput naming the bones not there."""
    missing = [bone for bone in ACCLAIM_ENDS.values() if bone not in ends]
    if missing:
        raise BadInput(f"{skeleton.path}: has no bone {', '.join(missing)}; expected CMU's and HDM05's bone names")
    return _assemble({joint: ends[bone] for joint, bone in ACCLAIM_ENDS.items()})


def from_bvh(bvh: Bvh, skeleton: Skeleton | None = None) -> tuple[Array, list[str]]:
    """A BVH file to the 17 joints (T, 17, 3), and what was done to get there, for the notes.

    ``skeleton`` is the ASF of the same person where it is known. Raises BadInput when the joints' names are of no
    known scheme or the legs' length fits no unit.
    """
    naming, index = _naming(bvh)
    positions, rotations = bvh.pose()
    joints = {joint: positions[:, index[name]] for joint, name in naming.joints.items()}
    unit, metres = _unit(bvh, _leg_length(joints))
    done = [f"unit {unit}, by leg length"]
    joints = {joint: position * metres for joint, position in joints.items()}
    if _lacks_thorax(bvh, naming, index):
        vector_m, source = _thorax_bone(bvh, naming, index, metres, skeleton)
        lift = rotations[:, index[naming.upper_back]] @ vector_m  # (T, 3)
        for joint in _ABOVE_THORAX:
            joints[JOINT_NAMES[joint]] = joints[JOINT_NAMES[joint]] + lift
        done.append(f"missing thorax bone put back, {source}")
    first = 0
    if starts_with_added_pose(bvh):
        first = 1
        done.append("added T-pose (frame 0) left out")
    return _assemble(joints)[first:], done


def starts_with_added_pose(bvh: Bvh) -> bool:
    """Whether frame 0 is a pose set by hand before the recording: whole degrees everywhere, unlike frame 1."""
    if len(bvh.values) < 2:
        return False
    first, second = (np.abs(angles - np.round(angles)).max(initial=0.0) for angles in bvh.rotation_values()[:2])
    return bool(first < _WHOLE_DEGREE <= second)


def _assemble(joints: Mapping[str, Array]) -> Array:
    pelvis = 0.5 * (joints["right hip"] + joints["left hip"])
    y_up = np.stack([joints.get(name, pelvis) for name in JOINT_NAMES], axis=1)  # (T, J, 3)
    # (x, y, z) -> (x, -z, y) is a rotation, so that left stays left.
    return np.stack([y_up[..., 0], -y_up[..., 2], y_up[..., 1]], axis=-1)


def _naming(bvh: Bvh) -> tuple[Naming, dict[str, int]]:
    """The scheme whose joints the file has, and their indices by the scheme's names."""
    found = {_plain(name): index for index, name in enumerate(bvh.names)}
    missing = []
    for naming in NAMINGS:
        wanted = (*naming.joints.values(), naming.upper_back)
        absent = [name for name in wanted if _plain(name) not in found]
        if not absent:
            return naming, {name: found[_plain(name)] for name in wanted}
        missing.append(f"{naming.title} names need {', '.join(absent)} as well")
    raise BadInput(
        f"{bvh.path}: joints {', '.join(bvh.names)} are of no known naming scheme; {'; '.join(missing)}."
        " (Head_end is the End Site of Head.)"
    )


def _plain(name: str) -> str:
    """Without what exporters vary: case, blanks, underscores, and a prefix such as "mixamorig:"."""
    return re.sub(r"[\s_]", "", name.rpartition(":")[2]).lower()


def _leg_length(joints: Mapping[str, Array]) -> float:
    """Thigh and shank in the file's unit, mean of both sides, median over frames."""
    bones = [(f"{side} {end}", f"{side} {start}") for side in ("left", "right") for start, end in _LEG]
    return float(sum(np.median(np.linalg.norm(joints[end] - joints[start], axis=-1)) for end, start in bones) / 2)


def _unit(bvh: Bvh, leg_length: float) -> tuple[str, float]:
    for unit, metres in UNITS_M.items():
        if LEG_RANGE_M[0] <= leg_length * metres <= LEG_RANGE_M[1]:
            return unit, metres
    raise BadInput(
        f"{bvh.path}: a leg (thigh and shank) is {leg_length:.4g} file units long, which is no person's in"
        f" {', '.join(UNITS_M)}; is the skeleton scaled?"
    )


def _lacks_thorax(bvh: Bvh, naming: Naming, index: Mapping[str, int]) -> bool:
    """Neck and both collars start where the upper back's frame lies: there is no bone between."""
    upper_back = index[naming.upper_back]
    starts = [joint for joint in bvh.joints if joint.parent == upper_back]
    return len(starts) >= 3 and not any(joint.offset.any() for joint in starts)


def _thorax_bone(
    bvh: Bvh, naming: Naming, index: Mapping[str, int], metres: float, skeleton: Skeleton | None
) -> tuple[Array, str]:
    """The bone in metres in the upper back's frame, and where it is from."""
    if skeleton is not None and "thorax" in skeleton.bones:
        return skeleton.bones["thorax"].vector * skeleton.metres, "from the ASF skeleton"
    length = np.linalg.norm(bvh.joints[index[naming.upper_back]].offset) * metres
    return np.array([0.0, length, 0.0]), "guessed from the upper back"
