"""The body model SMPL, as far as joints that are regressed from its surface need it.

Loper et al., "SMPL: A Skinned Multi-Person Linear Model", SIGGRAPH Asia 2015, equations 2 to 10: shape blend shapes,
joints of the rest pose regressed from its vertices, Rodrigues' formula, pose blend shapes, the kinematic chain, linear
blend skinning. The first 10 betas are used, as published evaluations on 3DPW do.

A regressed joint is a weighted sum of vertices, and skinning and blend shapes are linear in the vertices too. So these
sums are taken once a model: every regressed joint is what the 24 bones make of 24 points of its own, which move with
betas and pose, and no vertex is ever posed. The result is the same, some hundred times faster.

The model and the regressor are licensed (smpl.is.tue.mpg.de) and no part of this project. Pickles of the model name
classes of chumpy and scipy; inert classes stand in for them here, which keep what they are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import npy_array
from harness.data import soundness, unpickle
from harness.data.archive import read_objects
from harness.data.skeleton import JOINT_COUNT, JOINT_NAMES, LEFT, RIGHT
from harness.data.textfile import mistaken_for
from harness.errors import BadInput

Array = NDArray[Any]

#: The 24 joints of the model's skeleton, in its order.
JOINTS: tuple[str, ...] = (
    "pelvis", "left hip", "right hip", "spine1", "left knee", "right knee", "spine2", "left ankle", "right ankle",
    "spine3", "left foot", "right foot", "neck", "left collar", "right collar", "head", "left shoulder",
    "right shoulder", "left elbow", "right elbow", "left wrist", "right wrist", "left hand", "right hand",
)  # fmt: skip
BETAS = 10
#: Nine entries of each joint's rotation but the pelvis's.
_POSE_TERMS = 9 * (len(JOINTS) - 1)
#: Elements of a sparse matrix that is made dense: 24 joints' regressor of a body with 40 times SMPL's vertices.
_LARGEST_DENSE = 24 * 6890 * 40
#: Frames at a time: bounds what is held at once to some ten megabytes.
_CHUNK_FRAMES = 512

REGRESSOR_FILES = ("J_regressor_h36m.npy", "J_regressor_h36m_correct.npy")
_LETTERS = {"m": "male", "f": "female", "n": "neutral"}
#: As the owners name the files, with the gender in the middle, and as most users rename them.
_MODEL_FILES = (
    re.compile(r"smpl_(?P<gender>male|female|neutral)\.(npz|pkl)", re.IGNORECASE),
    re.compile(r"basicmodel_(?P<gender>m|f|neutral)_lbs_10_207_0_v1\.[01]\.0\.(npz|pkl)", re.IGNORECASE),
)
_CHAINS = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")


class _Kept:
    """An object of a class that is not known here: its state as the pickle has it, none of it used."""

    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _ChumpyArray(_Kept):
    """chumpy.ch.Ch: its state's ``x`` is the array."""


class _ChumpySelection(_Kept):
    """chumpy.reordering.Select: elements ``idxs`` of the flattened ``a``, in the shape ``preferred_shape``."""


class _SparseColumns(_Kept):
    """scipy's csc_matrix: ``data`` in rows ``indices``, column by column where ``indptr`` parts them."""


class _SparseRows(_Kept):
    """scipy's csr_matrix: the same with rows and columns exchanged."""


def _reconstructed(kept: Any, *arguments: Any) -> Any:
    """In place of copy_reg._reconstructor, by which protocols 0 and 1 make objects."""
    if isinstance(kept, type) and issubclass(kept, _Kept):
        return kept()
    raise TypeError(f"an object of {type(kept).__name__} is not to be made")


STAND_INS: unpickle.StandIns = {
    ("chumpy.ch", "Ch"): _ChumpyArray,
    ("chumpy.reordering", "Select"): _ChumpySelection,
    ("chumpy.reordering", "transpose"): _Kept,
    **{("scipy.sparse" + module, "csc_matrix"): _SparseColumns for module in ("", ".csc", "._csc")},
    **{("scipy.sparse" + module, "csr_matrix"): _SparseRows for module in ("", ".csr", "._csr")},
    ("copy_reg", "_reconstructor"): _reconstructed,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("__builtin__", "object"): _Kept,
    ("builtins", "object"): _Kept,
}


@dataclass(frozen=True, eq=False)
class Model:
    """One gender's model of V vertices, metres; the person's left is where its left joints are.

    template         (V, 3) vertices of the mean person at rest
    shapes           (V, 3, 10) what a unit of each beta adds
    pose_terms       (V, 3, 207) what a unit of each entry of the rotations, less the identity, adds
    joint_regressor  (24, V) from vertices at rest to the skeleton's joints
    weights          (V, 24) how far each bone takes a vertex with it
    parents          of the 24 joints, each before its children, -1 for the pelvis
    """

    path: Path
    template: Array
    shapes: Array
    pose_terms: Array
    joint_regressor: Array
    weights: Array
    parents: tuple[int, ...]


def find_models(folder: Path) -> dict[str, Path]:
    """The model's file in ``folder`` by gender (male, female, neutral); where there are several, the first by name."""
    found: dict[str, Path] = {}
    for pattern in _MODEL_FILES:
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            named = pattern.fullmatch(path.name)
            if named:
                found.setdefault(gender_of(named["gender"]), path)
    return found


def find_regressor(folder: Path) -> Path | None:
    """The file of the regressor of Human3.6M's joints in ``folder``, or None."""
    return next((folder / name for name in REGRESSOR_FILES if (folder / name).is_file()), None)


def gender_of(written: str) -> str:
    """male, female or neutral for these words and their first letters; anything else as it is."""
    return _LETTERS.get(written.lower()[:1], written) if written.lower() in (*_LETTERS, *_LETTERS.values()) else written


def read_model(path: Path) -> Model:
    """The model in a .npz or .pkl as its owners give it out.

    Raises BadInput naming the file, and the key where it is one's fault; for a pickle also the foreign class.
    """
    content = read_objects(path) if path.suffix.lower() == ".npz" else unpickle.read(path, STAND_INS)

    def part(key: str, *shape: int | None) -> Array:
        where = f"{path}, {key!r}"
        array = soundness.array(_array(soundness.entry(content, key, str(path)), where), where, *shape)
        if not np.isfinite(array).all():
            raise BadInput(f"{where}: holds NaN or infinite values; download the file again")
        return array

    template = part("v_template", None, 3)
    vertices, joints = len(template), len(JOINTS)
    shapes = part("shapedirs", vertices, 3, None)
    if shapes.shape[2] < BETAS:
        raise BadInput(f"{path}, 'shapedirs': has {shapes.shape[2]} shape components; expected at least {BETAS}")
    return Model(
        path,
        template.astype(np.float64),
        shapes[..., :BETAS].astype(np.float64),
        part("posedirs", vertices, 3, _POSE_TERMS).astype(np.float64),
        part("J_regressor", joints, vertices).astype(np.float64),
        part("weights", vertices, joints).astype(np.float64),
        _parents(part("kintree_table", 2, joints), f"{path}, 'kintree_table'"),
    )


def read_regressor(path: Path, model: Model) -> tuple[Array, str]:
    """(17, V): from vertices of ``model`` to the 17 joints in this project's order, and a note if rows were moved.

    Two files go by this name: one has the right leg first, as Human3.6M does, the other the left (its users take the
    joints as 6, 5, 4, 1, 2, 3 for right ankle to left ankle). The model's own skeleton tells which it is. Raises
    BadInput naming the file, and the row that belongs to another joint.
    """
    regressor = soundness.array(_read_npy(path), str(path), JOINT_COUNT, len(model.template)).astype(np.float64)
    exchanged = _exchanged_sides(regressor, model)
    legs, arms = _CHAINS
    if not exchanged:
        return regressor, ""
    if exchanged == set(legs):
        order = np.arange(JOINT_COUNT)
        order[[1, 2, 3, 4, 5, 6]] = [4, 5, 6, 1, 2, 3]
        return regressor[order], f"{path.name} has the left leg in rows 1 to 3: exchanged with the right one's"
    raise BadInput(
        f"{path}: the rows of the {', '.join(joint for joint in (*legs, *arms) if joint in exchanged)} give the joint"
        f" of the other side on {model.path.name}; expected the 17 joints in this order:"
        f" {', '.join(f'{row} {name}' for row, name in enumerate(JOINT_NAMES))}"
    )


class RegressedJoints:
    """What poses and shapes of a model make of joints regressed from its vertices."""

    def __init__(self, model: Model, regressor: Array) -> None:
        """``regressor`` (J, V)."""
        self._model = model
        self._row_sums = regressor.sum(axis=1)  # (J,)
        shares = regressor[:, None] * model.weights.T  # (J, 24, V): what a vertex gives to a joint through a bone
        self._carried = shares.sum(axis=-1)  # (J, 24)
        self._points = shares @ model.template  # (J, 24, 3)
        flat = shares.reshape(-1, len(model.template))  # (J * 24, V)
        count, bones = self._carried.shape
        self._by_shape = (flat @ model.shapes.reshape(len(model.template), -1)).reshape(count, bones, 3, BETAS)
        self._by_pose = (flat @ model.pose_terms.reshape(len(model.template), -1)).reshape(-1, _POSE_TERMS)

    def joints_m(self, poses: Array, betas: Array, translations_m: Array) -> tuple[Array, Array]:
        """The skeleton's joints (T, 24, 3) and the regressed ones (T, J, 3), metres, of one person.

        poses           (T, 72) axis times angle of the 24 joints, radians, relative to the parent
        betas           (10 or more,), of which the first 10 are used
        translations_m  (T, 3)
        """
        model = self._model
        rest = model.joint_regressor @ (model.template + model.shapes @ betas[:BETAS])  # (24, 3)
        points = self._points + self._by_shape @ betas[:BETAS]  # (J, 24, 3)
        skeleton = np.empty((len(poses), len(JOINTS), 3))
        regressed = np.empty((len(poses), len(points), 3))
        for chunk in _chunks(len(poses)):
            turns = rotations(poses[chunk].reshape(-1, len(JOINTS), 3))  # (t, 24, 3, 3)
            bones, places = _chain(turns, rest, model.parents)
            terms = (turns[:, 1:] - np.eye(3)).reshape(-1, _POSE_TERMS)  # (t, 207)
            blended = points + (terms @ self._by_pose.T).reshape(-1, *points.shape)  # (t, J, 24, 3)
            moved = places - np.einsum("tkab,kb->tka", bones, rest)  # (t, 24, 3)
            shift = translations_m[chunk, None]
            skeleton[chunk] = places + shift
            regressed[chunk] = (
                np.einsum("tkab,tjkb->tja", bones, blended, optimize=True)
                + self._carried @ moved
                + shift * self._row_sums[:, None]
            )
        return skeleton, regressed


def rotations(vectors: Array) -> Array:
    """Rotations (..., 3, 3) about the axes ``vectors`` (..., 3) by their lengths in radians (Rodrigues' formula)."""
    angles = np.linalg.norm(vectors, axis=-1)[..., None, None]
    cross = np.zeros((*vectors.shape, 3))
    x, y, z = np.moveaxis(vectors, -1, 0)
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -z, y, -x
    cross -= np.swapaxes(cross, -1, -2)
    # sin(a) / a and (1 - cos(a)) / a^2, which are 1 and 1/2 where there is no rotation.
    return np.eye(3) + np.sinc(angles / np.pi) * cross + 0.5 * np.sinc(angles / (2 * np.pi)) ** 2 * (cross @ cross)


def _chain(turns: Array, rest: Array, parents: tuple[int, ...]) -> tuple[Array, Array]:
    """Rotations (t, 24, 3, 3) and places (t, 24, 3) of the joints in the world, the pelvis at its place of rest."""
    bones, places = turns.copy(), np.empty(turns.shape[:-1])
    places[:, 0] = rest[0]
    for joint, parent in enumerate(parents):
        if parent >= 0:
            bones[:, joint] = bones[:, parent] @ turns[:, joint]
            places[:, joint] = places[:, parent] + bones[:, parent] @ (rest[joint] - rest[parent])
    return bones, places


def _chunks(frames: int) -> Iterator[slice]:
    return (slice(first, first + _CHUNK_FRAMES) for first in range(0, frames, _CHUNK_FRAMES))


def _exchanged_sides(regressor: Array, model: Model) -> set[str]:
    """Of hip, knee, …: those whose rows give, on the person at rest, the joint of the other side."""
    regressed, skeleton = regressor @ model.template, model.joint_regressor @ model.template
    wrong = set()
    for row in (*LEFT, *RIGHT):
        side, joint = JOINT_NAMES[row].split()
        other = "right" if side == "left" else "left"
        own_m, other_m = (
            np.linalg.norm(regressed[row] - skeleton[JOINTS.index(f"{one} {joint}")]) for one in (side, other)
        )
        if not own_m < other_m:
            wrong.add(joint)
    return wrong


def _parents(table: Array, where: str) -> tuple[int, ...]:
    parents = (-1, *(int(parent) for parent in table[0, 1:]))
    wrong = [joint for joint, parent in enumerate(parents) if joint and not 0 <= parent < joint]
    if wrong:
        raise BadInput(f"{where}: joint {wrong[0]} has parent {parents[wrong[0]]}; expected one before it")
    return parents


def _read_npy(path: Path) -> Array:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        return npy_array.parse(content)
    except ValueError as error:
        mistaken = "" if content.startswith(b"\x93NUMPY") else mistaken_for(content[:64])
        raise BadInput(f"{path}: is no whole .npy array but {mistaken or 'damaged or cut short'} ({error})") from error


def _array(value: Any, where: str) -> Any:
    """The array that an entry of a model's file means."""
    if not isinstance(value, _Kept):
        return value
    state = value.state if isinstance(value.state, Mapping) else {}
    try:
        if isinstance(value, _ChumpyArray):
            return _array(state["x"], where)
        if isinstance(value, _ChumpySelection):
            return np.ravel(_array(state["a"], where))[state["idxs"]].reshape(state["preferred_shape"])
        if isinstance(value, (_SparseColumns, _SparseRows)):
            return _dense(state, by_column=isinstance(value, _SparseColumns))
    except (KeyError, TypeError, ValueError, IndexError, MemoryError, OverflowError) as error:
        raise BadInput(f"{where}: cannot be made an array ({type(error).__name__}: {error}); {_CONVERT}") from error
    raise BadInput(f"{where}: is an expression of chumpy that is not worked out; {_CONVERT}")


_CONVERT = "save the model as .npz of plain arrays (the package smplx has a tool for it, clean_ch.py)"


def _dense(state: Mapping[str, Any], by_column: bool) -> Array:
    shape = tuple(state["_shape"] if "_shape" in state else state["shape"])
    majors, minors = shape[::-1] if by_column else shape
    if majors * minors > _LARGEST_DENSE:
        raise ValueError(f"a matrix of shape {(majors, minors)}")
    dense = np.zeros((majors, minors))
    major = np.repeat(np.arange(majors), np.diff(state["indptr"]))
    np.add.at(dense, (major, state["indices"]), state["data"])
    return dense.T if by_column else dense
