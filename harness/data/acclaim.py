"""Acclaim motion files: ASF, the skeleton of one person, and AMC, the motion of that skeleton.

A bone has a direction and a length in the rest pose's global axes, axis angles that turn the global axes into its own
(rotation C), and up to three rotational degrees of freedom (rotation M, of the frame). Its global rotation is
G = G_parent C M C^-1; it starts where its parent ends and ends at start + G (direction * length). Bones whose parent
is the root start at the root. Axis order XYZ means Rz Ry Rx: x is applied first.

Positions come out in metres: the file's lengths are inches times its length unit (0.45 in both CMU's and HDM05's).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from harness.data.rotation import fixed_axes
from harness.data.textfile import LONGEST_MESSAGE, MOST_DIGITS, read_text
from harness.errors import BadInput, suggestion

Array = NDArray[Any]

ROOT = "root"
INCH_M = 0.0254
#: More than any body has; 29 and 30 in CMU's and HDM05's files.
MOST_BONES = 500
#: Bones without degrees of freedom are at most this many times the degrees of freedom.
_STILL_BONES_PER_FREEDOM = 4
_TRANSLATIONS = ("tx", "ty", "tz")
_ROTATIONS = ("rx", "ry", "rz")


@dataclass(frozen=True, eq=False)
class Bone:
    """``vector`` is direction times length; ``axis`` degrees about ``order``; ``freedom`` names the AMC's values."""

    name: str
    parent: str = ROOT
    vector: Array = field(default_factory=lambda: np.zeros(3))
    axis: Array = field(default_factory=lambda: np.zeros(3))
    order: str = "xyz"
    freedom: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Skeleton:
    """``bones`` by name, parents before children, without the root; ``root`` starts at its ``vector``."""

    path: Path
    root: Bone
    bones: Mapping[str, Bone]
    length_unit: float

    @property
    def metres(self) -> float:
        """Length of one file unit in metres."""
        return INCH_M / self.length_unit

    def freedoms(self) -> dict[str, tuple[str, ...]]:
        """Names of the values that an AMC must give for each bone that has any, root included."""
        return {bone.name: bone.freedom for bone in (self.root, *self.bones.values()) if bone.freedom}


def read_skeleton(path: Path) -> Skeleton:
    """The ASF file ``path``; raises BadInput naming file and line for anything that is not a whole skeleton."""
    return _SkeletonReader(path).read()


def read_motion(path: Path, skeleton: Skeleton) -> dict[str, Array]:
    """The AMC file ``path``: values (T, degrees of freedom) of each bone that has any, root included; degrees.

    Raises BadInput naming file, line and bone when the file is not an AMC, is not of ``skeleton`` (a bone unknown
    to it, one missing, a wrong number of values), is cut short, or its frames are not numbered in turn.
    """
    freedoms = skeleton.freedoms()
    columns: dict[str, list[list[float]]] = {name: [] for name in freedoms}
    numbers: list[int] = []
    line = _Line(path, 0, [])
    radians = False
    for line in _lines(path, "an AMC file"):
        first, rest = line.words[0], line.words[1:]
        if first.startswith(":"):
            radians |= first.upper() == ":RADIANS"
        elif not rest and first.isdecimal():
            if len(first) > MOST_DIGITS:
                line.fail(f"a frame number of {len(first)} digits")
            _check_frame(line, columns, len(numbers))
            numbers.append(int(first))
            if numbers[-1] != numbers[0] + len(numbers) - 1:
                line.fail(f"frame {numbers[-1]} follows frame {numbers[-2]}; frames are missing")
        else:
            _check_bone(line, skeleton, freedoms, columns, len(numbers))
            columns[first].append(line.numbers(1, len(rest)))
    if not numbers:
        raise BadInput(f"{path}: holds no frame; is it an AMC file, and whole?")
    _check_frame(line, columns, len(numbers))
    values = {name: np.array(rows) for name, rows in columns.items()}  # (T, degrees of freedom)
    return _in_degrees(values, freedoms) if radians else values


def bone_ends(skeleton: Skeleton, motion: Mapping[str, Array]) -> dict[str, Array]:
    """Where each bone ends, (T, 3) metres by name, in the file's axes; "root" is where the root is."""
    values = dict(zip(skeleton.root.freedom, motion[ROOT].T, strict=True))
    ends = {ROOT: skeleton.root.vector + np.stack([values[name] for name in _TRANSLATIONS], axis=-1)}  # (T, 3)
    turns = {ROOT: _turn(skeleton.root, motion[ROOT])}  # (T, 3, 3)
    for name, bone in skeleton.bones.items():
        own = _turn(bone, motion[name]) if bone.freedom else np.eye(3)
        turns[name] = turns[bone.parent] @ own
        ends[name] = ends[bone.parent] + turns[name] @ bone.vector
    return {name: end * skeleton.metres for name, end in ends.items()}


def _turn(bone: Bone, values: Array) -> Array:
    """C M C^-1 of every frame, (T, 3, 3)."""
    still = np.zeros(len(values))
    angles = dict.fromkeys("xyz", still)
    angles |= {name[1]: column for name, column in zip(bone.freedom, values.T, strict=True) if name in _ROTATIONS}
    own = fixed_axes(bone.order, dict(zip("xyz", bone.axis, strict=True)))
    return own @ fixed_axes(bone.order, angles) @ own.T


@dataclass(frozen=True)
class _Line:
    """One line with content, which can name itself in an error."""

    path: Path
    number: int
    words: list[str]

    def numbers(self, start: int, count: int) -> list[float]:
        """``count`` finite numbers from word ``start`` on."""
        words = self.words[start : start + count]
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not all(map(math.isfinite, values)):
            self.fail(
                f"expected {count} numbers after {' '.join(self.words[:start])!r}, found {' '.join(words)[:80]!r}"
            )
        return values

    def fail(self, what: str) -> NoReturn:
        raise BadInput(f"{self.path}, line {self.number}: {what[:LONGEST_MESSAGE]}")


def _lines(path: Path, expected: str) -> Iterator[_Line]:
    for number, text in enumerate(read_text(path, expected).splitlines(), start=1):
        words = text.split()
        if words and not words[0].startswith("#"):
            yield _Line(path, number, words)


class _SkeletonReader:
    """Collects the sections of an ASF file; bones stay unattached until the hierarchy is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._length_unit = 1.0
        self._radians = False
        self._root: dict[str, Any] = {}
        self._loose: dict[str, Bone] = {}
        self._attached: dict[str, Bone] = {}
        self._bone: dict[str, Any] | None = None

    def read(self) -> Skeleton:
        sections = {
            "units": self._read_unit,
            "root": self._read_root,
            "bonedata": self._read_bone,
            "hierarchy": self._read_link,
        }
        seen, section = set(), ""
        for line in _lines(self._path, "an ASF file"):
            if line.words[0].startswith(":"):
                section = line.words[0][1:].lower()
                seen.add(section)
            elif section in sections:
                sections[section](line)
        missing = [f":{name}" for name in ("root", "bonedata", "hierarchy") if name not in seen]
        if missing:
            raise BadInput(f"{self._path}: section {missing[0]} is missing; is it an ASF file, and whole?")
        return self._skeleton()

    def _skeleton(self) -> Skeleton:
        unattached = sorted(self._loose.keys() - self._attached.keys())
        if unattached:
            raise BadInput(f"{self._path}: bone {unattached[0]!r} has no parent in :hierarchy")
        root = Bone(ROOT, **self._root)
        if sorted(root.freedom) != sorted(_TRANSLATIONS + _ROTATIONS):
            order = " ".join(root.freedom)[:80]
            raise BadInput(f"{self._path}: the root's order is {order!r}; expected TX TY TZ RX RY RZ in any order")
        freedoms = sum(len(bone.freedom) for bone in (root, *self._attached.values()))
        if len(self._attached) > _STILL_BONES_PER_FREEDOM * freedoms:
            raise BadInput(
                f"{self._path}: {len(self._attached)} bones have {freedoms} degrees of freedom; is it the skeleton of a"
                " person?"
            )
        bones = {name: self._degrees(bone) for name, bone in self._attached.items()}
        return Skeleton(self._path, self._degrees(root), bones, self._length_unit)

    def _degrees(self, bone: Bone) -> Bone:
        return replace(bone, axis=np.rad2deg(bone.axis)) if self._radians else bone

    def _read_unit(self, line: _Line) -> None:
        key = line.words[0].lower()
        if key == "length":
            (self._length_unit,) = line.numbers(1, 1)
            if self._length_unit <= 0:
                line.fail("the length unit must be above 0")
        elif key == "angle":
            self._radians = line.words[1:2] == ["rad"]

    def _read_root(self, line: _Line) -> None:
        key = line.words[0].lower()
        if key == "order":
            self._root["freedom"] = tuple(word.lower() for word in line.words[1:])
        elif key == "axis":
            self._root["order"] = _axis_order(line, 1)
        elif key == "position":
            self._root["vector"] = np.array(line.numbers(1, 3))
        elif key == "orientation":
            self._root["axis"] = np.array(line.numbers(1, 3))

    def _read_bone(self, line: _Line) -> None:
        key = line.words[0].lower()
        if key == "begin":
            self._bone = {"direction": np.zeros(3), "length": 0.0}
        elif self._bone is None:
            line.fail(f"{key!r} outside of begin and end")
        elif key == "end":
            self._finish_bone(line, self._bone)
            self._bone = None
        elif key == "name":
            if len(line.words) != 2:
                line.fail("expected one name after 'name'")
            self._bone["name"] = line.words[1]
        elif key == "direction":
            self._bone["direction"] = np.array(line.numbers(1, 3))
        elif key == "length":
            (self._bone["length"],) = line.numbers(1, 1)
        elif key == "axis":
            self._bone["axis"] = np.array(line.numbers(1, 3))
            self._bone["order"] = _axis_order(line, 4)
        elif key == "dof":
            self._bone["freedom"] = _rotations(line)

    def _finish_bone(self, line: _Line, entries: dict[str, Any]) -> None:
        if "name" not in entries:
            line.fail("this bone has no name")
        name = entries["name"]
        if name in self._loose or name == ROOT:
            line.fail(f"a second bone called {name!r}")
        if len(self._loose) == MOST_BONES:
            line.fail(f"more than {MOST_BONES} bones; is it the skeleton of a person?")
        with np.errstate(over="ignore"):
            entries["vector"] = entries.pop("direction") * entries.pop("length")
        if not np.isfinite(entries["vector"]).all():
            line.fail(f"bone {name[:80]!r} is longer than any number")
        self._loose[name] = Bone(**entries)

    def _read_link(self, line: _Line) -> None:
        parent, *children = line.words
        if parent.lower() in ("begin", "end") and not children:
            return
        if parent != ROOT and parent not in self._attached:
            line.fail(f"parent {parent!r} is not attached to the root by an earlier line")
        for name in children:
            if name not in self._loose:
                line.fail(f"bone {name!r} is not in :bonedata")
            if name in self._attached:
                line.fail(f"bone {name!r} has a second parent")
            self._attached[name] = replace(self._loose[name], parent=parent)


def _axis_order(line: _Line, at: int) -> str:
    order = "".join(line.words[at : at + 1]).lower()
    if sorted(order) != list("xyz"):
        line.fail(f"axis order {order!r}; expected one such as XYZ")
    return order


def _rotations(line: _Line) -> tuple[str, ...]:
    freedom = tuple(word.lower() for word in line.words[1:])
    if unknown := [name for name in freedom if name not in _ROTATIONS]:
        line.fail(f"degree of freedom {unknown[0]!r} is not supported; expected rx, ry, rz")
    if len(set(freedom)) < len(freedom):
        line.fail(f"a degree of freedom is named twice: {' '.join(freedom)}")
    return freedom


def _check_frame(line: _Line, columns: Mapping[str, list[list[float]]], frames: int) -> None:
    """Every bone has a value in every frame so far."""
    missing = next((name for name, rows in columns.items() if len(rows) != frames), None)
    if missing is not None:
        line.fail(f"frame {frames} of the file ends without bone {missing!r}; another skeleton's motion, or cut short")


def _check_bone(
    line: _Line,
    skeleton: Skeleton,
    freedoms: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, list[list[float]]],
    frames: int,
) -> None:
    """The line gives a bone of the skeleton, once a frame, as many values as the skeleton says."""
    name, count = line.words[0], len(line.words) - 1
    if frames == 0:
        line.fail(f"{name!r} before the first frame number; is it an AMC file?")
    if name not in freedoms:
        line.fail(
            f"bone {name!r} has no motion in {skeleton.path}, so this is another skeleton's motion."
            f" {suggestion(name, freedoms)}"
        )
    if count != len(freedoms[name]):
        line.fail(
            f"bone {name!r} has {count} values, {skeleton.path} gives it {len(freedoms[name])}"
            f" ({' '.join(freedoms[name])}): another skeleton's motion, or a damaged line"
        )
    if len(columns[name]) >= frames:
        line.fail(f"bone {name!r} occurs twice in one frame")


def _in_degrees(values: Mapping[str, Array], freedoms: Mapping[str, tuple[str, ...]]) -> dict[str, Array]:
    return {
        name: np.where([freedom in _ROTATIONS for freedom in freedoms[name]], np.rad2deg(columns), columns)
        for name, columns in values.items()
    }
