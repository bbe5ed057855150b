"""A person of known measures, standing with arms out, as an array and as hand-made motion files.

All three say the same thing, so that every reader can be checked against numbers that were written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.take import Part, Take

MOTION = Path(__file__).resolve().parents[3] / ".." / "shared" / "motion"

#: Metres, z up, facing -y: left is +x.
STANDING_M = np.array(
    [
        [0, 0, 0.95],
        [-0.1, 0, 0.95], [-0.1, 0, 0.5], [-0.1, 0, 0.08],
        [0.1, 0, 0.95], [0.1, 0, 0.5], [0.1, 0, 0.08],
        [0, 0, 1.05], [0, 0, 1.4], [0, 0, 1.55], [0, 0, 1.7],
        [0.2, 0, 1.4], [0.48, 0, 1.4], [0.73, 0, 1.4],
        [-0.2, 0, 1.4], [-0.48, 0, 1.4], [-0.73, 0, 1.4],
    ]
)  # fmt: skip
#: Bones from ankle to head of that person, added up by hand.
HEIGHT_M = 0.42 + 0.45 + 0.10 + 0.35 + 0.15 + 0.15


def shared_motion() -> Path:
    """The folder of real motion; skips the test where it is not there."""
    if not MOTION.is_dir():
        pytest.skip(f"needs the real motion set at {MOTION}")
    return MOTION


def standing(frames: int, scale: float = 1.0) -> NDArray[np.float32]:
    """(T, 17, 3) float32 metres: the standing person, swaying a little so that frames differ."""
    sway = 0.01 * np.sin(np.arange(frames) / 5.0)[:, None, None] * np.array([1.0, 0.0, 0.0])
    return (STANDING_M * scale + sway).astype(np.float32)


def save(path: Path, arrays: Mapping[str, Any], compressed: bool = False) -> Path:
    """An .npz of the arrays at ``path``."""
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def take(
    subject: str, clip: str = "one", part: Part = "train", frames: int = 40, action: str = "Stand", scale: float = 1.0
) -> Take:
    return Take(subject, action, clip, 50.0, 1000.0 * standing(frames, scale).astype(np.float64), part)


#: Name, parent and offset in metres (y up, facing z) of the BVH person in MotionBuilder's names. The root's place is
#: a channel. Thorax: the bone from Spine1 up to neck and collars, which Hahne's files leave out.
_BVH_JOINTS = (
    ("Hips", "", (0, 0, 0)),
    ("LeftUpLeg", "Hips", (0.1, 0, 0)), ("LeftLeg", "LeftUpLeg", (0, -0.45, 0)),
    ("LeftFoot", "LeftLeg", (0, -0.42, 0)), ("End Site", "LeftFoot", (0, 0, 0.1)),
    ("RightUpLeg", "Hips", (-0.1, 0, 0)), ("RightLeg", "RightUpLeg", (0, -0.45, 0)),
    ("RightFoot", "RightLeg", (0, -0.42, 0)), ("End Site", "RightFoot", (0, 0, 0.1)),
    ("Spine", "Hips", (0, 0.1, 0)), ("Spine1", "Spine", (0, 0.175, 0)),
    ("Neck", "Spine1", "thorax"), ("Head", "Neck", (0, 0.15, 0)), ("End Site", "Head", (0, 0.15, 0)),
    ("LeftShoulder", "Spine1", "thorax"), ("LeftArm", "LeftShoulder", (0.2, 0, 0)),
    ("LeftForeArm", "LeftArm", (0.28, 0, 0)), ("LeftHand", "LeftForeArm", (0.25, 0, 0)),
    ("End Site", "LeftHand", (0.1, 0, 0)),
    ("RightShoulder", "Spine1", "thorax"), ("RightArm", "RightShoulder", (-0.2, 0, 0)),
    ("RightForeArm", "RightArm", (-0.28, 0, 0)), ("RightHand", "RightForeArm", (-0.25, 0, 0)),
    ("End Site", "RightHand", (-0.1, 0, 0)),
)  # fmt: skip

#: MotionBuilder's names in the words of 3dsmax.
STUDIO_MAX_NAMES = {
    "LeftUpLeg": "LeftHip", "LeftLeg": "LeftKnee", "LeftFoot": "LeftAnkle",
    "RightUpLeg": "RightHip", "RightLeg": "RightKnee", "RightFoot": "RightAnkle",
    "Spine": "Chest", "Spine1": "Chest2", "Neck": "lowerneck",
    "LeftShoulder": "LeftCollar", "LeftArm": "LeftShoulder", "LeftForeArm": "LeftElbow", "LeftHand": "LeftWrist",
    "RightShoulder": "RightCollar", "RightArm": "RightShoulder", "RightForeArm": "RightElbow",
    "RightHand": "RightWrist",
}  # fmt: skip


def bvh_text(
    frames: Sequence[dict[str, float]],
    *,
    unit_m: float = 1.0,
    thorax_m: float = 0.175,
    names: dict[str, str] | None = None,
    frame_time_s: float = 0.02,
) -> str:
    """The standing person as BVH; ``frames`` gives the rotations that are not 0, keys such as "LeftArm Z"."""
    lines, columns = _bvh_hierarchy("", unit_m, thorax_m, names or {})
    rows = [
        " ".join(str(0.95 / unit_m if column == "Hips Yposition" else frame.get(column, 0.0)) for column in columns)
        for frame in frames
    ]
    header = ["MOTION", f"Frames: {len(frames)}", f"Frame Time: {frame_time_s}"]
    return "\n".join(["HIERARCHY", *lines, *header, *rows]) + "\n"


def _bvh_hierarchy(parent: str, unit_m: float, thorax_m: float, names: dict[str, str]) -> tuple[list[str], list[str]]:
    lines, columns = [], []
    for name, above, place in _BVH_JOINTS:
        if above != parent:
            continue
        offset = (0, thorax_m, 0) if isinstance(place, str) else place
        kind = "ROOT" if not above else "JOINT"
        lines.append(name if name == "End Site" else f"{kind} {names.get(name, name)}")
        lines.append("{\nOFFSET " + " ".join(str(metres / unit_m) for metres in offset))
        if name != "End Site":
            position = ["Xposition", "Yposition", "Zposition"] if not above else []
            lines.append(f"CHANNELS {len(position) + 3} " + " ".join([*position, "Zrotation Yrotation Xrotation"]))
            columns += [f"{name} {channel}" for channel in [*position, "Z", "Y", "X"]]
            below, below_columns = _bvh_hierarchy(name, unit_m, thorax_m, names)
            lines += below
            columns += below_columns
        lines.append("}")
    return lines, columns


#: Name, parent, direction, metres and degrees of freedom of the Acclaim person.
_ASF_BONES = (
    ("lhipjoint", "root", "1 0 0", 0.1, ""), ("lfemur", "lhipjoint", "0 -1 0", 0.45, "rx ry rz"),
    ("ltibia", "lfemur", "0 -1 0", 0.42, "rx"),
    ("rhipjoint", "root", "-1 0 0", 0.1, ""), ("rfemur", "rhipjoint", "0 -1 0", 0.45, "rx ry rz"),
    ("rtibia", "rfemur", "0 -1 0", 0.42, "rx"),
    ("lowerback", "root", "0 1 0", 0.1, "rx ry rz"), ("upperback", "lowerback", "0 1 0", 0.175, "rx ry rz"),
    ("thorax", "upperback", "0 1 0", 0.175, "rx ry rz"), ("lowerneck", "thorax", "0 1 0", 0.075, "rx ry rz"),
    ("upperneck", "lowerneck", "0 1 0", 0.075, "rx ry rz"), ("head", "upperneck", "0 1 0", 0.15, "rx ry rz"),
    ("lclavicle", "thorax", "1 0 0", 0.2, "ry rz"), ("lhumerus", "lclavicle", "1 0 0", 0.28, "rx ry rz"),
    ("lradius", "lhumerus", "1 0 0", 0.25, "rx"),
    ("rclavicle", "thorax", "-1 0 0", 0.2, "ry rz"), ("rhumerus", "rclavicle", "-1 0 0", 0.28, "rx ry rz"),
    ("rradius", "rhumerus", "-1 0 0", 0.25, "rx"),
)  # fmt: skip
#: Length unit of the file; an inch over it is the length of one file unit.
ASF_LENGTH_UNIT = 0.45
_ASF_UNIT_M = 0.0254 / ASF_LENGTH_UNIT


def asf_text() -> str:
    """The standing person as an Acclaim skeleton."""
    lines = [":version 1.10", ":units", f"  length {ASF_LENGTH_UNIT}", "  angle deg", ":root"]
    lines += ["  order TX TY TZ RX RY RZ", "  axis XYZ", "  position 0 0 0", "  orientation 0 0 0", ":bonedata"]
    for name, _, direction, metres, freedom in _ASF_BONES:
        lines += ["begin", f"name {name}", f"direction {direction}", f"length {metres / _ASF_UNIT_M!r}"]
        lines += ["axis 0 0 0 XYZ", *([f"dof {freedom}"] if freedom else []), "end"]
    lines += [":hierarchy", "begin", *(f"{parent} {name}" for name, parent, *_ in _ASF_BONES), "end"]
    return "\n".join(lines) + "\n"


def amc_text(frames: Sequence[dict[str, str]]) -> str:
    """Motion of that skeleton; ``frames`` gives the values of bones that are not all 0, as written in the file."""
    lines = ["#!OML:ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for number, frame in enumerate(frames, start=1):
        lines += [str(number), "root " + frame.get("root", f"0 {0.95 / _ASF_UNIT_M!r} 0 0 0 0")]
        for name, _, _, _, freedom in _ASF_BONES:
            if freedom:
                lines.append(f"{name} " + frame.get(name, " ".join("0" for _ in freedom.split())))
    return "\n".join(lines) + "\n"
