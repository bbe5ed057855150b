"""One person, one camera, one take: where every loader ends and the rest of the harness begins."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.data.camera import Camera

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Sequence:
    """2D detections and 3D truth of one take seen by one camera.

    name        unique in its data set, ``subject/action/clip/camera``
    take        ``subject/action/clip``: all cameras together, the unit of resampling in statistics
    keypoints   (T, 17, 2) detected joints, pixels
    confidence  (T, 17) detector's score, 0 to 1
    poses_mm    (T, 17, 3) true joints in camera space, millimetres (not root-relative)
    fps         frames per second
    """

    name: str
    subject: str
    action: str
    take: str
    camera: Camera
    fps: float
    keypoints: FloatArray
    confidence: FloatArray
    poses_mm: FloatArray

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True)
class Dataset:
    """Training and test sequences of one source, with what a record must say of them.

    name      short name in signatures, such as ``motion`` or ``synthetic``
    detector  2D source in signatures: ``gt``, ``sh``, ``cpn``, ``wild``
    notes     sentences a reader of the results must know (unseen actions, skipped files)
    """

    name: str
    detector: str
    train: tuple[Sequence, ...]
    test: tuple[Sequence, ...]
    notes: tuple[str, ...] = field(default=())


def digest(sequences: Iterable[Sequence]) -> str:
    """sha256 over names and arrays: proves that two runs saw the same data."""
    total = hashlib.sha256()
    for sequence in sequences:
        total.update(sequence.name.encode())
        for array in (sequence.keypoints, sequence.confidence, sequence.poses_mm):
            total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
