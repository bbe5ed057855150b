"""BVH motion files: a hierarchy of joints, a line of channel values a frame, and where that puts the joints.

The reader gives back what the file says: its own names, units, axes and frames. Rotations apply in channel order about
the moving axes, so that a joint's local matrix is the left-to-right product of its channels' rotations.

Two conventions exist for position channels. The format's description adds them to the joint's OFFSET; MotionBuilder,
Blender and others write the whole local position. A joint's first frame tells: where the channels reach more than half
the OFFSET along its direction, they hold it already and replace it, else they are added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from harness.data.rotation import about
from harness.data.textfile import LONGEST_MESSAGE, MOST_DIGITS, read_text
from harness.errors import BadInput

Array = NDArray[Any]

CHANNELS = ("xposition", "yposition", "zposition", "xrotation", "yrotation", "zrotation")

#: More than any rig of body, hands and face; a chain of them fits into Python's stack.
MOST_JOINTS = 500
#: Joints without channels, End Sites for one, are at most this many times the channels.
_STILL_JOINTS_PER_CHANNEL = 4

_LONGEST_NAME = 200

#: A frame time written with few digits is taken for the whole frame rate within this share of it.
_FRAME_RATE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Joint:
    """``parent`` is an index, -1 for the root; an End Site is called ``<parent>_end`` and has no channels."""

    name: str
    parent: int
    offset: Array
    channels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Bvh:
    """``values`` (T, channels) float64, all joints' channels side by side in file order."""

    path: Path
    joints: tuple[Joint, ...]
    values: Array
    frame_time_s: float

    @property
    def names(self) -> list[str]:
        return [joint.name for joint in self.joints]

    @property
    def fps(self) -> float:
        """Frames per second; 0.0083333 s is 120."""
        rate = 1.0 / self.frame_time_s
        return float(round(rate)) if abs(rate - round(rate)) < _FRAME_RATE_TOLERANCE * rate else rate

    def rotation_values(self) -> Array:
        """The rotation channels alone, (T, rotation channels) degrees."""
        channels = [channel for joint in self.joints for channel in joint.channels]
        return self.values[:, [channel.endswith("rotation") for channel in channels]]

    def pose(self) -> tuple[Array, Array]:
        """Positions (T, J, 3) in the file's unit and rotations (T, J, 3, 3) of all joints, End Sites included."""
        shape = (len(self.values), len(self.joints), 3)
        positions, rotations = np.zeros(shape), np.zeros((*shape, 3))
        column = 0
        for index, joint in enumerate(self.joints):
            values = self.values[:, column : column + len(joint.channels)]
            column += len(joint.channels)
            place, turn = _local_place(joint, values), _local_turn(joint, values)  # (T, 3), (T, 3, 3)
            if joint.parent < 0:
                positions[:, index], rotations[:, index] = place, turn
                continue
            parent = rotations[:, joint.parent]
            positions[:, index] = positions[:, joint.parent] + np.einsum("tij,tj->ti", parent, place)
            rotations[:, index] = parent @ turn
        return positions, rotations


def read(path: Path) -> Bvh:
    """The BVH file ``path``.

    Raises BadInput naming file and line, or file and frame, for anything that is not a whole BVH file of one figure, or
    is of more joints than a figure has (MOST_JOINTS).
    """
    lines = read_text(path, "a BVH file").splitlines()
    motion = next((number for number, line in enumerate(lines) if line.strip().upper() == "MOTION"), None)
    joints = _Hierarchy(path, lines[:motion]).read()
    channels = sum(len(joint.channels) for joint in joints)
    if len(joints) > _STILL_JOINTS_PER_CHANNEL * (channels + 1):
        raise BadInput(f"{path}: {len(joints)} joints have {channels} channels; is it the motion of a figure?")
    if motion is None:
        raise BadInput(f"{path}: has no MOTION section; is the file cut short?")
    rows = [line.split() for line in lines[motion + 1 :] if line.strip()]
    frames, frame_time_s = _motion_header(path, rows)
    values = _frame_values(path, rows[2:], frames, channels)
    return Bvh(path, joints, values, frame_time_s)


def _local_place(joint: Joint, values: Array) -> Array:
    shift = np.zeros((len(values), 3))  # (T, 3)
    moved = np.zeros(3, dtype=bool)
    for channel, value in zip(joint.channels, values.T, strict=True):
        if channel.endswith("position"):
            axis = "xyz".index(channel[0])
            shift[:, axis] += value
            moved[axis] = True
    offset_is_within = moved.any() and shift[0] @ joint.offset > 0.5 * joint.offset @ joint.offset
    return shift + np.where(moved & offset_is_within, 0.0, joint.offset)


def _local_turn(joint: Joint, values: Array) -> Array:
    turn = np.broadcast_to(np.eye(3), (len(values), 3, 3))
    for channel, value in zip(joint.channels, values.T, strict=True):
        if channel.endswith("rotation"):
            turn = turn @ about(channel[0], value)
    return turn


class _Hierarchy:
    """Reads the HIERARCHY section word by word, keeping the line of each word for messages."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self._path = path
        braced = (line.replace("{", " { ").replace("}", " } ") for line in lines)
        self._words = [(word, number) for number, line in enumerate(braced, start=1) for word in line.split()]
        self._at = 0
        self._joints: list[Joint] = []

    def read(self) -> tuple[Joint, ...]:
        self._expect("HIERARCHY")
        self._expect("ROOT")
        self._read_joint(self._name(), parent=-1)
        if self._at < len(self._words):
            word = self._next("")
            self._fail(
                "a second ROOT; one figure a file is read"
                if word.upper() == "ROOT"
                else f"{word!r} after the last joint is closed; the braces do not balance"
            )
        return tuple(self._joints)

    def _read_joint(self, name: str, parent: int) -> None:
        """One joint and all below it, from behind its opening brace to its closing one."""
        self._expect("OFFSET")
        offset = np.array([self._number("an offset") for _ in range(3)])
        index = len(self._joints)
        if index == MOST_JOINTS:
            self._fail(f"more than {MOST_JOINTS} joints; is it the motion of a figure?")
        self._joints.append(Joint(name, parent, offset, self._channels()))
        while (word := self._next(f"the closing brace of {name}")) != "}":
            if word.upper() == "JOINT":
                self._read_joint(self._name(), index)
            elif word.upper() == "END":
                self._name()
                self._read_joint(f"{name}_end", index)
            else:
                self._fail(f"found {word!r} in joint {name}; expected JOINT, End Site or a closing brace")

    def _name(self) -> str:
        """The words before the opening brace: a name may hold blanks."""
        words = []
        while (word := self._next("an opening brace")) != "{":
            words.append(word)
            if word == "}" or word.upper() in ("OFFSET", "CHANNELS", "JOINT"):
                self._fail(f"found {word!r} where the opening brace of a joint should come")
        name = " ".join(words)
        if len(name) > _LONGEST_NAME:
            self._fail(f"a name of {len(name)} letters")
        return name

    def _channels(self) -> tuple[str, ...]:
        if self._at == len(self._words) or self._words[self._at][0].upper() != "CHANNELS":
            return ()
        self._expect("CHANNELS")
        count = self._number("a number of channels")
        if count not in range(len(CHANNELS) + 1):
            self._fail(f"{count:g} channels; expected 0 to {len(CHANNELS)}")
        channels = tuple(self._next("a channel").lower() for _ in range(int(count)))
        for channel in channels:
            if channel not in CHANNELS:
                self._fail(f"unknown channel {channel!r}; expected {int(count)} of Xposition ... Zrotation")
        if len(set(channels)) < len(channels):
            self._fail(f"a channel is named twice: {' '.join(channels)}")
        return channels

    def _number(self, what: str) -> float:
        word = self._next(what)
        value = _finite(word)
        if value is None:
            self._fail(f"{word!r} is not {what}")
        return value

    def _expect(self, keyword: str) -> None:
        word = self._next(keyword)
        if word.upper() != keyword:
            self._fail(f"found {word!r} where {keyword} should come; the hierarchy is broken or this is no BVH file")

    def _next(self, expected: str) -> str:
        if self._at == len(self._words):
            self._fail(f"the hierarchy ends where {expected} should come; the braces do not balance")
        self._at += 1
        return self._words[self._at - 1][0]

    def _fail(self, what: str) -> NoReturn:
        line = self._words[self._at - 1][1] if self._words else 1
        raise BadInput(f"{self._path}, line {line}: {what[:LONGEST_MESSAGE]}")


def _motion_header(path: Path, rows: list[list[str]]) -> tuple[int, float]:
    """Number of frames and seconds between them, from the two rows before the frames."""
    frames = rows[0][-1] if rows and rows[0][0].lower().startswith("frames") else ""
    if not frames.isdecimal() or len(frames) > MOST_DIGITS or int(frames) < 1:
        raise BadInput(f"{path}: 'Frames: N' with N at least 1 should come after MOTION; found {_shown(rows[:1])}")
    step = rows[1][-1] if len(rows) > 1 and rows[1][0].lower() == "frame" else ""
    frame_time_s = _finite(step)
    if frame_time_s is None or frame_time_s <= 0:
        raise BadInput(f"{path}: 'Frame Time: S' with S above 0 should come after Frames; found {_shown(rows[1:2])}")
    return int(frames), frame_time_s


def _shown(rows: list[list[str]]) -> str:
    return repr(" ".join(" ".join(row) for row in rows)[:80])


def _frame_values(path: Path, rows: list[list[str]], frames: int, channels: int) -> Array:
    for frame, row in enumerate(rows):
        if len(row) != channels:
            raise BadInput(f"{path}, frame {frame} (from 0): {len(row)} values; the hierarchy has {channels} channels")
    if len(rows) != frames:
        raise BadInput(f"{path}: declares {frames} frames and holds {len(rows)}; is the file cut short?")
    return np.array([_numbers(path, frame, row) for frame, row in enumerate(rows)])  # (T, channels)


def _numbers(path: Path, frame: int, row: list[str]) -> list[float]:
    try:
        values = [float(word) for word in row]
    except ValueError:
        values = []
    if not values or not all(map(math.isfinite, values)):
        wrong = next(word for word in row if _finite(word) is None)
        raise BadInput(f"{path}, frame {frame} (from 0): {wrong[:80]!r} is not a number")
    return values


def _finite(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
