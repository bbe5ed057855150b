"""Tiny files in the layout of MPI-INF-3DHP as P-STMO's authors prepare it: a standing person before known cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.skeleton import JOINT_NAMES
from tests.harness.data.figures import standing

TRAIN_FILE, TEST_FILE = "data_train_3dhp.npz", "data_test_3dhp.npz"

#: The files' joints, each by its number in Human3.6M's order; written out by hand, from both sets' names.
FILE_ORDER = (
    10,  # head top: head
    8,  # neck: thorax
    14, 15, 16,  # right arm
    11, 12, 13,  # left arm
    1, 2, 3,  # right leg
    4, 5, 6,  # left leg
    0,  # pelvis
    7,  # spine
    9,  # head: neck
)  # fmt: skip

#: Focal lengths and centre of the cameras, pixels.
STUDIO_LENS = ((1497.5, 1502.0), (1024.7, 1031.3))
OUTDOOR_LENS = ((1683.0, 1671.5), (940.0, 560.0))
#: Two runs of valid frames with a gap between them.
VALID = np.r_[np.zeros(4), np.ones(6), np.zeros(9), np.ones(11)].astype(bool)

View = dict[str, Any]


def walk_mm(frames: int, start: float) -> NDArray[np.float64]:
    """(T, 17, 3) millimetres in camera space, Human3.6M's order: walking across the image and away from the camera."""
    x, depth, up = np.moveaxis(1000.0 * standing(frames).astype(np.float64), -1, 0)
    step = (start + np.arange(frames))[:, None]
    return np.stack([x - 900.0 + 20.0 * step, 950.0 - up, depth + 3500.0 + 15.0 * step], axis=-1)


def shown(poses_mm: NDArray[Any], lens: Any = STUDIO_LENS) -> NDArray[np.float64]:
    """(T, J, 2) where a pinhole camera sees them."""
    focal, centre = lens
    return poses_mm[..., :2] / poses_mm[..., 2:] * np.array(focal) + np.array(centre)


def view(poses_mm: NDArray[Any], keypoints: NDArray[Any]) -> View:
    """An entry of a file, from Human3.6M's order."""
    assert len(FILE_ORDER) == len(JOINT_NAMES)
    return {"data_2d": keypoints[:, FILE_ORDER], "data_3d": poses_mm[:, FILE_ORDER]}


def walk(frames: int, start: float, lens: Any = STUDIO_LENS) -> View:
    poses_mm = walk_mm(frames, start)
    return view(poses_mm, shown(poses_mm, lens))


def train_recordings() -> dict[str, Any]:
    """Two recordings, two cameras, two frame rates; the first not in the order that they are named in."""
    return {
        "S3 Seq2": [{"0": walk(30, 7.0)}, 50],
        "S1 Seq1": [{"4": walk(40, 3.0), "0": walk(40, 0.0)}, 25],
    }


def scored_recordings() -> dict[str, Any]:
    return {
        "TS1": {**walk(len(VALID), 11.0), "valid": VALID.astype(np.uint8)},
        "TS5": {**walk(len(VALID), 13.0, OUTDOOR_LENS), "valid": VALID.astype(np.float64)},
    }


def write(path: Path, recordings: Any, key: str = "data") -> Path:
    """An .npz whose array ``key`` is the object ``recordings``, as numpy saves a dictionary."""
    holder = np.empty((), dtype=object)
    holder[()] = recordings
    np.savez(path, **{key: holder})  # type: ignore[arg-type]
    return path


def write_all(folder: Path) -> Path:
    """Both files in ``folder``."""
    write(folder / TRAIN_FILE, train_recordings())
    write(folder / TEST_FILE, scored_recordings())
    return folder
