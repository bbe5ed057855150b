"""ASF/AMC kinematics on bones worked out by hand, and motion that does not fit its skeleton."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import acclaim
from harness.errors import BadInput
from tests.harness.data.figures import ASF_LENGTH_UNIT, amc_text, asf_text

Array = NDArray[Any]

#: Length unit 0.0254 makes a file unit a metre. The arm's own axes are the global ones turned a quarter about z:
#: its x is the global y. The hand goes on along global z and has axes of its own order.
ARM = """# comment
:units
  length 0.0254
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 1
  orientation 0 0 0
:bonedata
  begin
    id 1
    name arm
    direction 1 0 0
    length 2
    axis 0 0 90 XYZ
    dof rx ry
    limits (-160 20)
  end
  begin
    name hand
    direction 0 0 1
    length 1
    axis 0 0 0 ZYX
    dof rx rz
  end
:hierarchy
  begin
    root arm
    arm hand
  end
"""
FRAMES = """:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
arm 0 0
hand 0 0
2
root 0 0 0 0 0 0
arm 90 0
hand 0 0
3
root 0 0 0 90 0 90
arm 0 0
hand 0 0
4
root 0 0 0 0 0 0
arm 0 0
hand 90 90
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


def ends(write: Callable[[str, str], Path], frames: str = FRAMES, skeleton: str = ARM) -> dict[str, Array]:
    read = acclaim.read_skeleton(write("arm.asf", skeleton))
    return acclaim.bone_ends(read, acclaim.read_motion(write("arm_01.amc", frames), read))


def test_bone_ends_worked_out_by_hand(write: Callable[[str, str], Path]) -> None:
    found = ends(write)
    expected = {
        "root": [[1, 2, 4], [0, 0, 1], [0, 0, 1], [0, 0, 1]],
        # 2: rx is about the arm's own x, the global y, which takes global x to -z.
        # 3: the root turns x first, then z: global x goes to y.
        "arm": [[3, 2, 4], [0, 0, -1], [0, 2, 1], [2, 0, 1]],
        # 2: the hand turns with the arm, z to x. 3: z to -y by x, then to x by z.
        # 4: order ZYX turns z first, which leaves the hand; x then takes it to -y.
        "hand": [[3, 2, 5], [1, 0, -1], [1, 2, 1], [2, -1, 1]],
    }
    for name, places in expected.items():
        assert found[name] == pytest.approx(np.array(places, dtype=float), abs=1e-12), name


def test_radians_are_understood(write: Callable[[str, str], Path]) -> None:
    half_pi = repr(np.pi / 2)
    radians = FRAMES.replace(":DEGREES", ":RADIANS").replace(" 90", f" {half_pi}")
    skeleton = ARM.replace("angle deg", "angle rad").replace("0 0 90 XYZ", f"0 0 {half_pi} XYZ")
    for name, places in ends(write, radians, skeleton).items():
        assert places == pytest.approx(ends(write)[name], abs=1e-12)


def test_the_length_unit_scales_everything(write: Callable[[str, str], Path]) -> None:
    skeleton = acclaim.read_skeleton(write("person.asf", asf_text()))
    assert skeleton.length_unit == ASF_LENGTH_UNIT
    found = acclaim.bone_ends(skeleton, acclaim.read_motion(write("person_1.amc", amc_text([{}])), skeleton))
    assert found["head"][0] == pytest.approx([0, 1.7, 0])
    assert found["rradius"][0] == pytest.approx([-0.73, 1.4, 0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("arm 90 0\n", "leg 90 0\n", r"line 9: bone 'leg' has no motion in .*arm.asf, so this is another skeleton's"),
        ("arm 90 0\n", "arm 90 0 0\n", r"line 9: bone 'arm' has 3 values, .*arm.asf gives it 2 \(rx ry\)"),
        ("arm 90 0\n", "arm 90\n", "line 9: bone 'arm' has 1 values"),
        ("arm 90 0\n", "arm 90 x\n", "line 9: expected 2 numbers after 'arm', found '90 x'"),
        ("arm 90 0\n", "arm 90 nan\n", "line 9: expected 2 numbers"),
        ("arm 90 0\n", "arm 90 0\narm 90 0\n", "line 10: bone 'arm' occurs twice"),
        ("arm 90 0\n", "", "line 10: frame 2 of the file ends without bone 'arm'"),
        ("hand 90 90\n", "", "line 17: frame 4 of the file ends without bone 'hand'"),
        ("3\nroot", "4\nroot", "line 11: frame 4 follows frame 2; frames are missing"),
        (":DEGREES\n1\n", ":DEGREES\n", "line 3: 'root' before the first frame number"),
    ],
)
def test_motion_of_another_skeleton_or_damaged(
    write: Callable[[str, str], Path], old: str, new: str, message: str
) -> None:
    assert FRAMES.count(old) == 1
    with pytest.raises(BadInput, match=f"arm_01.amc, {message}"):
        ends(write, FRAMES.replace(old, new))


def test_motion_without_frames(write: Callable[[str, str], Path]) -> None:
    with pytest.raises(BadInput, match=r"arm_01.amc: holds no frame"):
        ends(write, ":DEGREES\n")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name hand", "name arm", "line 26: a second bone called 'arm'"),
        ("    name hand\n", "", "line 25: this bone has no name"),
        ("direction 0 0 1", "direction 0 one 1", "line 22: expected 3 numbers after 'direction'"),
        ("length 2\n", "length\n", "line 15: expected 1 numbers after 'length'"),
        ("axis 0 0 90 XYZ", "axis 0 0 90 XYY", "line 16: axis order 'xyy'"),
        ("dof rx rz", "dof rx tx", "line 25: degree of freedom 'tx' is not supported"),
        ("    arm hand\n", "", ": bone 'hand' has no parent in :hierarchy"),
        ("    arm hand\n", "    arm hand foot\n", "line 30: bone 'foot' is not in :bonedata"),
        ("    arm hand\n", "    leg hand\n", "line 30: parent 'leg' is not attached to the root"),
        ("    arm hand\n", "    arm hand\n    root hand\n", "line 31: bone 'hand' has a second parent"),
        ("order TX TY TZ RX RY RZ", "order TX TY TZ RX RY", ": the root's order is"),
        ("length 0.0254", "length 0", "line 3: the length unit must be above 0"),
        (":hierarchy", ":documentation", ": section :hierarchy is missing"),
    ],
)
def test_a_broken_skeleton(write: Callable[[str, str], Path], old: str, new: str, message: str) -> None:
    assert ARM.count(old) == 1
    with pytest.raises(BadInput, match=f"arm.asf(, )?{message}"):
        ends(write, skeleton=ARM.replace(old, new))
