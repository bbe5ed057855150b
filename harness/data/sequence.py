"""One person, one camera, one take: where every loader ends and the rest of the harness begins."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.camera import Camera
from harness.data.skeleton import JOINT_COUNT
from harness.errors import BadInput

FloatArray = NDArray[np.float32]
Truth = Literal["camera", "image"]


@dataclass(frozen=True, eq=False)
class Sequence:
    """2D detections and 3D truth of one take seen by one camera.

    name          unique in its data set, ``subject/action/clip/camera``
    action        what is done (of MPI-INF-3DHP the scene): the unit of figures by action
    take          ``subject/action/clip``: all cameras together, the unit of resampling in statistics
    keypoints     (T, 17, 2) detected joints, pixels
    confidence    (T, 17) detector's score, 0 to 1
    truth         (T, 17, 3) true joints (not root-relative): millimetres in camera space; or, where ``mm_per_pixel``
                  is given, in the image: x and y in pixels, depth in pixels of the same size from the pelvis's
    mm_per_pixel  (T,) what takes the truth in the image to millimetres, NaN where unknown; None for camera space
    valid         (T,) frames that the owners of the set score; None: all of them
    fps           frames per second

    The arrays may be memory maps; nothing writes to them.
    """

    name: str
    subject: str
    action: str
    take: str
    camera: Camera
    fps: float
    keypoints: FloatArray
    confidence: FloatArray
    truth: FloatArray
    mm_per_pixel: FloatArray | NDArray[np.float64] | None = None
    valid: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def space(self) -> Truth:
        """Where its truth is: in camera space or in the image."""
        return "camera" if self.mm_per_pixel is None else "image"

    @property
    def poses_mm(self) -> FloatArray:
        """(T, 17, 3) truth in camera space, millimetres. Raises BadInput where it is known in the image alone."""
        if self.mm_per_pixel is not None:
            raise BadInput(
                f"{self.name}: these files give the truth in the image (2.5-D), not in camera space; use a recipe or"
                " --space of the image space"
            )
        return self.truth

    @property
    def image_size(self) -> NDArray[np.float64]:
        """(2,) width and height, pixels."""
        return np.array([self.camera.width, self.camera.height], dtype=np.float64)

    @property
    def focal(self) -> NDArray[np.float64]:
        """(2,) pixels."""
        return np.array(self.camera.focal, dtype=np.float64)

    def at(self, frames: Any) -> Sequence:
        """The same with these frames alone: a slice, a mask or indices, which may repeat."""
        return dataclasses.replace(
            self,
            keypoints=self.keypoints[frames],
            confidence=self.confidence[frames],
            truth=self.truth[frames],
            mm_per_pixel=None if self.mm_per_pixel is None else self.mm_per_pixel[frames],
            valid=None if self.valid is None else self.valid[frames],
        )


@dataclass(frozen=True)
class Dataset:
    """Training and test sequences of one source, with what a record must say of them.

    name         short name in signatures, such as ``motion`` or ``synthetic``
    detector     2D source in signatures: ``gt``, ``sh``, ``cpn``, ``wild``, …
    notes        sentences a reader of the results must know (unseen actions, skipped files)
    joints       those with a truth worth scoring, of the 17
    joints_name  of them in signatures: ``17``, or another set's name such as ``14``
    grouped_by   what the sequences' ``action`` says, ``action`` or ``scene``
    """

    name: str
    detector: str
    train: tuple[Sequence, ...]
    test: tuple[Sequence, ...]
    notes: tuple[str, ...] = field(default=())
    joints: tuple[int, ...] = tuple(range(JOINT_COUNT))
    joints_name: str = str(JOINT_COUNT)
    grouped_by: str = "action"

    @property
    def space(self) -> Truth:
        """Where the truth is known: ``image`` if it is of any sequence that alone, else ``camera``."""
        return "image" if any(sequence.space == "image" for sequence in (*self.train, *self.test)) else "camera"


def digest(sequences: Iterable[Sequence]) -> str:
    """sha256 over names and arrays: proves that two runs saw the same data."""
    total = hashlib.sha256()
    for sequence in sequences:
        total.update(sequence.name.encode())
        for array in (sequence.keypoints, sequence.confidence, sequence.truth, sequence.mm_per_pixel, sequence.valid):
            if array is not None:
                total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
