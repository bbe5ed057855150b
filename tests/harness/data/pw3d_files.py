"""3DPW in small: sequence files, SMPL's model and a regressor, in the layout of the real ones.

The people are those of ``figures``; everything that is checked follows from them by plain loops over frames.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tests.harness.data.figures import standing

Array = NDArray[Any]

FRAMES = 20
PORTRAIT = np.array([[1961.0, 0.0, 540.0], [0.0, 1969.0, 960.0], [0.0, 0.0, 1.0]])
LANDSCAPE = np.array([[1961.0, 0.0, 960.0], [0.0, 1969.0, 540.0], [0.0, 0.0, 1.0]])
#: World with z up to a camera's axes, looking along the world's y.
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])

#: Of the 17 joints, the one where each of SMPL's 24 is: those that have no namesake are near it.
_NEAR = (0, 4, 1, 0, 5, 2, 7, 6, 3, 8, 6, 3, 8, 8, 8, 9, 11, 14, 12, 15, 13, 16, 13, 16)
_SHIFTS_M = {3: (0, 0, 0.06), 9: (0, 0, -0.1), 10: (0, -0.1, -0.04), 11: (0, -0.1, -0.04), 13: (0.07, 0, 0),
             14: (-0.07, 0, 0), 22: (0.08, 0, 0), 23: (-0.08, 0, 0)}  # fmt: skip
#: Of the 17 joints, the ones in whose middle each of OpenPose's 18 is.
_OPENPOSE = (9, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 10, 10, 10, 10)
#: Eyes and ears beside the head joint, pixels.
_FACE_PX = {14: -6.0, 15: 6.0, 16: -14.0, 17: 14.0}

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def skeleton_of(joints_m: Array) -> Array:
    """SMPL's 24 joints (N, 24, 3) of a person with these 17 (N, 17, 3)."""
    skeleton = np.asarray(joints_m, dtype=np.float64)[:, list(_NEAR)]
    for joint, shift in _SHIFTS_M.items():
        skeleton[:, joint] += shift
    return skeleton


def pan(frames: int, turn_rad: float = 0.1) -> Array:
    """World-to-camera matrices (N, 4, 4) of a camera 6 m away that turns a little and goes nearer."""
    poses = np.tile(np.eye(4), (frames, 1, 1))
    for frame in range(frames):
        angle = turn_rad * frame / frames
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        poses[frame, :3, :3] = turn @ UPRIGHT
        poses[frame, :3, 3] = turn @ np.array([0.0, 0.9, 6.0 - 0.02 * frame])
    return poses


def project(pose: Array, intrinsics: Array, point_m: Array) -> Array:
    """Pixel (2,) of one point of the world."""
    image = intrinsics @ (pose[:3, :3] @ point_m + pose[:3, 3])
    return image[:2] / image[2]


def detections_of(joints_m: Array, poses: Array, intrinsics: Array) -> Array:
    """OpenPose's 18 detections (N, 3, 18): the joints' pixels, scores by frame and joint."""
    found = np.zeros((len(joints_m), 3, 18))
    for frame, pose in enumerate(poses):
        for joint, source in enumerate(_OPENPOSE):
            found[frame, :2, joint] = project(pose, intrinsics, joints_m[frame, source])
            found[frame, 0, joint] += _FACE_PX.get(joint, 0.0)
            found[frame, 2, joint] = 0.5 + 0.02 * joint + 0.001 * frame
    return found


def people(frames: int = FRAMES, count: int = 2) -> list[Array]:
    """The 17 joints (N, 17, 3) of persons side by side in the world, z up, metres."""
    return [
        standing(frames, 1.0 - 0.05 * number) + np.array([0.4 * number - 0.2, 0.1 * number, 0.0])
        for number in range(count)
    ]


def contents(
    joints_m: Sequence[Array], poses: Array | None = None, intrinsics: Array = PORTRAIT, **changes: Any
) -> dict[str, Any]:
    """What a sequence file holds, keys that are not read among it; ``changes`` replace entries."""
    frames, count = len(joints_m[0]), len(joints_m)
    poses = pan(frames) if poses is None else poses
    return {
        "sequence": "downtown_cafe_00",
        "betas": [np.zeros(10) for _ in joints_m],
        "poses": [np.zeros((frames, 72)) for _ in joints_m],
        "trans": [np.zeros((frames, 3)) for _ in joints_m],
        "poses_60Hz": [np.zeros((2 * frames, 72)) for _ in joints_m],
        "trans_60Hz": [np.zeros((2 * frames, 3)) for _ in joints_m],
        "betas_clothed": [np.zeros(10) for _ in joints_m],
        "v_template_clothed": [np.zeros((6890, 3), dtype=np.float32) for _ in joints_m],
        "genders": ["m", "f"][:count],
        "texture_maps": [np.zeros((2, 2, 3), dtype=np.uint8) for _ in joints_m],
        "poses2d": [detections_of(joints, poses, intrinsics) for joints in joints_m],
        "jointPositions": [skeleton_of(joints).reshape(frames, 72) for joints in joints_m],
        "img_frame_ids": np.arange(frames) * 2,
        "cam_poses": poses,
        "campose_valid": [np.ones(frames, dtype=np.int64) for _ in joints_m],
        "cam_intrinsics": intrinsics,
        **changes,
    }


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


class _Python2Pickler(pickle._Pickler):
    """Text and bytes as Python 2, which the set's files were written with, has them: one and the same."""

    def save_string(self, text: str | bytes) -> None:
        content = text.encode("latin1") if isinstance(text, str) else text
        self.write(b"T" + len(content).to_bytes(4, "little") + content)
        self.memoize(text)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, str: save_string, bytes: save_string}


def write_as_python2(path: Path, content: Any) -> Path:
    """The same, as Python 2 with numpy 1 would have written it."""
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(content)
    path.write_bytes(stream.getvalue().replace(b"cnumpy._core.", b"cnumpy.core."))
    return path


def write_set(folder: Path, **changes: Any) -> Path:
    """A set of one sequence of two persons for training, one for validation and one person to test on."""
    files = folder / "sequenceFiles"
    write(files / "train" / "downtown_cafe_00.pkl", contents(people(), **changes))
    write(files / "validation" / "courtyard_hug_00.pkl", contents(people(5)))
    write(files / "test" / "flat_guitar_01.pkl", contents(people(12, 1), intrinsics=LANDSCAPE))
    return folder


def smpl_arrays(vertices: int, seed: int = 0) -> dict[str, Array]:
    """A model of SMPL with so many vertices, all of its blend shapes at work, on the standing person's skeleton.

    The first 24 vertices are the joints at rest, y up and facing z as the real model does; vertex 24 is the top of the
    head. The others are anywhere, and belong to bones at random.
    """
    rng = np.random.default_rng(seed)
    rest = skeleton_of(standing(1))[0][:, [0, 2, 1]] * [1.0, 1.0, -1.0]
    top = standing(1)[0, 10, [0, 2, 1]] * [1.0, 1.0, -1.0]
    template = np.concatenate([rest, top[None], rng.normal(0, 0.5, (max(vertices - 25, 0), 3))])[:vertices]
    regressor = np.zeros((24, vertices))
    regressor[:, : min(24, vertices)] = np.eye(24)[:, :vertices]
    if vertices < 24:
        regressor = rng.dirichlet(np.ones(vertices), 24)
    return {
        "v_template": template,
        "shapedirs": rng.normal(0, 0.01, (vertices, 3, 12)),
        "posedirs": rng.normal(0, 0.001, (vertices, 3, 207)),
        "J_regressor": regressor,
        "weights": rng.dirichlet(np.full(24, 0.3), vertices),
        "kintree_table": np.array([[2**32 - 1, *SMPL_PARENTS[1:]], range(24)], dtype=np.uint32),
        "f": np.zeros((4, 3), dtype=np.uint32),
    }


def h36m_regressor(vertices: int) -> Array:
    """(17, V): the joints of the standing person from the vertices of ``smpl_arrays``."""
    regressor = np.zeros((17, vertices))
    for row, vertex in enumerate((0, 2, 5, 8, 1, 4, 7, 6, 12, 15, 24, 16, 18, 20, 17, 19, 21)):
        regressor[row, vertex] = 1.0
    return regressor


def posed_slowly(arrays: dict[str, Array], poses: Array, betas: Array, translations_m: Array) -> tuple[Array, Array]:
    """Joints (T, 24, 3) and vertices (T, V, 3) of SMPL, one frame, bone and vertex after the other."""
    shaped = arrays["v_template"] + arrays["shapedirs"][..., :10] @ betas[:10]
    rest = arrays["J_regressor"] @ shaped
    joints, vertices = [], []
    for frame, pose in enumerate(poses):
        turns = [_rodrigues(pose[3 * joint : 3 * joint + 3]) for joint in range(24)]
        world: list[Array] = []
        for joint, parent in enumerate(SMPL_PARENTS):
            local = np.eye(4)
            local[:3, :3] = turns[joint]
            local[:3, 3] = rest[joint] - (rest[parent] if parent >= 0 else 0.0)
            world.append(local if parent < 0 else world[parent] @ local)
        terms = np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])
        blended = shaped + arrays["posedirs"] @ terms
        posed = []
        for vertex, weights in zip(blended, arrays["weights"], strict=True):
            skinned = np.zeros(3)
            for joint, weight in enumerate(weights):
                back = np.eye(4)
                back[:3, 3] = -rest[joint]
                skinned += weight * (world[joint] @ back @ np.append(vertex, 1.0))[:3]
            posed.append(skinned + translations_m[frame])
        joints.append([bone[:3, 3] + translations_m[frame] for bone in world])
        vertices.append(posed)
    return np.array(joints), np.array(vertices)


def _rodrigues(vector: Array) -> Array:
    """By the series of the exponential, which needs no axis."""
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    term, total = np.eye(3), np.eye(3)
    for power in range(1, 40):
        term = term @ cross / power
        total = total + term
    return total
