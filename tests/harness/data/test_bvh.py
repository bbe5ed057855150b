"""The BVH reader on a small file whose positions were worked out by hand, and on files nobody here wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data import bvh
from harness.errors import BadInput
from tests.harness.data.figures import shared_motion

ARM = """HIERARCHY
ROOT Base Part
{
    OFFSET 0 0 0
    CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
    JOINT Arm
    {
        OFFSET 1 0 0
        CHANNELS 3 Yrotation Zrotation Xrotation
        End Site
        {
            OFFSET 0 2 0
        }
    }
}
MOTION
Frames: 3
Frame Time: 0.0083333
10 20 30 90 0 0 0 0 0
10 20 30 90 90 0 0 0 0
0 0 0 0 0 0 90 90 0
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        path = tmp_path / "arm.bvh"
        path.write_text(text)
        return path

    return written


def test_names_channels_and_frame_rate(write: Callable[[str], Path]) -> None:
    motion = bvh.read(write(ARM))
    assert motion.names == ["Base Part", "Arm", "Arm_end"]
    assert [joint.parent for joint in motion.joints] == [-1, 0, 1]
    assert motion.joints[1].channels == ("yrotation", "zrotation", "xrotation")
    assert motion.values.shape == (3, 9)
    assert motion.fps == 120.0


def test_positions_worked_out_by_hand(write: Callable[[str], Path]) -> None:
    positions, rotations = bvh.read(write(ARM)).pose()
    expected = [
        # Root turned a quarter about z: the arm's offset x becomes y, its end y becomes -x.
        [[10, 20, 30], [10, 21, 30], [8, 21, 30]],
        # Rz Rx: the end's y goes to z by x, where z leaves it.
        [[10, 20, 30], [10, 21, 30], [10, 21, 32]],
        # Arm turned Ry Rz: the end's y goes to -x by z, then to z by y.
        [[0, 0, 0], [1, 0, 0], [1, 0, 2]],
    ]
    assert positions == pytest.approx(np.array(expected, dtype=float), abs=1e-12)
    assert rotations @ np.swapaxes(rotations, -1, -2) == pytest.approx(np.broadcast_to(np.eye(3), (3, 3, 3, 3)))


@pytest.mark.parametrize(
    ("channels", "row", "arm"),
    [
        # A shift of the joint is added to its offset.
        ("3 Xposition Yposition Zposition", "0.1 0.2 0", [1.1, 0.2, 0]),
        # The whole local position, offset included, replaces it.
        ("3 Xposition Yposition Zposition", "1.1 0.2 0", [1.1, 0.2, 0]),
        ("1 Yposition", "0.5", [1, 0.5, 0]),
    ],
)
def test_position_channels_below_the_root(
    write: Callable[[str], Path], channels: str, row: str, arm: list[float]
) -> None:
    text = ARM.replace("3 Yrotation Zrotation Xrotation", channels)
    text = text[: text.index("Frames")] + f"Frames: 1\nFrame Time: 0.02\n0 0 0 0 0 0 {row}\n"
    positions, _ = bvh.read(write(text)).pose()
    assert positions[0, 1] == pytest.approx(arm)


def test_a_root_whose_offset_is_its_first_place_is_not_moved_twice(write: Callable[[str], Path]) -> None:
    positions, _ = bvh.read(write(ARM.replace("OFFSET 0 0 0", "OFFSET 10 20 30", 1))).pose()
    assert positions[0, 0] == pytest.approx([10, 20, 30])


def test_layout_does_not_matter(write: Callable[[str], Path]) -> None:
    squeezed = ARM.replace("\n{", " {").replace("    ", "\t").replace("\n", "\r\n").replace("HIERARCHY", "hierarchy")
    assert (bvh.read(write(squeezed)).pose()[0] == bvh.read(write(ARM)).pose()[0]).all()


LAST_ROW = "0 0 0 0 0 0 90 90 0\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY\n", "", "line 1: found 'ROOT' where HIERARCHY should come"),
        ("ROOT Base Part", "JOINT Base", "line 2: found 'JOINT' where ROOT should come"),
        ("        }\n    }\n}", "        }\n    }", "the hierarchy ends where the closing brace of Base Part"),
        ("    }\n}\nMOTION", "    }\n}\n}\nMOTION", "line 16: '}' after the last joint is closed"),
        ("{\n    OFFSET 0 0 0", "    OFFSET 0 0 0", "line 3: found 'OFFSET' where the opening brace"),
        ("OFFSET 1 0 0", "OFFSET 1 0", "line 9: 'CHANNELS' is not an offset"),
        ("OFFSET 1 0 0\n", "", "line 8: found 'CHANNELS' where OFFSET should come"),
        ("CHANNELS 3 Yrotation", "CHANNELS 3 Wrotation", "line 9: unknown channel 'wrotation'"),
        ("CHANNELS 3", "CHANNELS 4", "line 10: unknown channel 'end'"),
        ("CHANNELS 3", "CHANNELS three", "line 9: 'three' is not a number of channels"),
        ("        End Site", "        Tail", "line 10: found 'Tail' in joint Arm"),
        ("}\nMOTION", "}\nROOT Two\n{\nOFFSET 0 0 0\n}\nMOTION", "line 16: a second ROOT"),
        ("MOTION\n", "", "braces do not balance|no MOTION|after the last joint"),
        ("Frames: 3", "Frames: 4", "declares 4 frames and holds 3"),
        ("Frames: 3", "Frames: 2", "declares 2 frames and holds 3"),
        ("Frames: 3", "Frames: 0", "Frames: N"),
        ("Frames: 3", "Frames: many", "Frames: N"),
        ("Frame Time: 0.0083333\n", "", "Frame Time: S"),
        ("0.0083333", "0", "Frame Time: S"),
        ("0.0083333", "-0.01", "Frame Time: S"),
        (LAST_ROW, "0 0 0 0 0 0 90 90\n", r"frame 2 \(from 0\): 8 values; the hierarchy has 9 channels"),
        (LAST_ROW, "0 0 0 0 0 0 90 90 0 1\n", r"frame 2 \(from 0\): 10 values"),
        (LAST_ROW, "0 0 0 0 x 0 90 90 0\n", r"frame 2 \(from 0\): 'x' is not a number"),
        (LAST_ROW, "0 0 0 0 nan 0 90 90 0\n", r"frame 2 \(from 0\): 'nan' is not a number"),
        (LAST_ROW, "", "declares 3 frames and holds 2"),
    ],
)
def test_a_broken_file_is_named_with_the_place(write: Callable[[str], Path], old: str, new: str, message: str) -> None:
    assert ARM.count(old) >= 1
    with pytest.raises(BadInput, match=f"arm.bvh.*({message})"):
        bvh.read(write(ARM.replace(old, new, 1)))


def test_a_file_without_motion(write: Callable[[str], Path]) -> None:
    with pytest.raises(BadInput, match=r"arm.bvh: has no MOTION section"):
        bvh.read(write(ARM[: ARM.index("MOTION")]))


def test_a_file_cut_anywhere_is_refused_or_whole_frames_short(write: Callable[[str], Path]) -> None:
    for length in range(0, len(ARM) - 2, 3):
        with pytest.raises(BadInput, match=r"arm.bvh"):
            bvh.read(write(ARM[:length]))


def test_raw_joints_of_files_from_elsewhere() -> None:
    originals = shared_motion() / "originals"
    checked = 0
    for name, expected in json.loads((originals / "expected.json").read_text()).items():
        raw = expected.get("raw_root_and_left_foot_frame1") or expected.get("raw_at_1")
        if raw is None:
            continue
        motion = bvh.read(originals / name)
        positions, _ = motion.pose()
        for joint, place in raw.items():
            assert positions[1, motion.names.index(joint)] == pytest.approx(place, abs=1e-5), (name, joint)
        checked += 1
    assert checked == 8
