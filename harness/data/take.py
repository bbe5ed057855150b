"""One recorded performance before any camera saw it: what a source yields and ``harness.data.rig`` films.

Joint order is ``harness.data.skeleton.JOINT_NAMES``; world space is millimetres, z up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.skeleton import JOINT_COUNT
from harness.errors import BadInput

Part = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class Take:
    """3D joints of one person over time.

    subject    person, the unit by which training and test are parted
    action     what is done, the unit of per-action figures
    clip       tells takes of the same subject and action apart
    fps        frames per second, positive
    joints_mm  (T, 17, 3) float64, world millimetres, z up, T >= 1, finite
    part       ``"train"`` or ``"test"``

    Raises BadInput, naming the take, when a field does not hold what is said here.
    """

    subject: str
    action: str
    clip: str
    fps: float
    joints_mm: NDArray[np.float64]
    part: Part

    def __post_init__(self) -> None:
        shape = self.joints_mm.shape
        if len(shape) != 3 or shape[0] < 1 or shape[1:] != (JOINT_COUNT, 3):
            raise BadInput(f"take {self.name}: joints of shape {shape}; expected (frames >= 1, {JOINT_COUNT}, 3)")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise BadInput(f"take {self.name}: {self.fps} frames per second; expected a positive number")
        if self.part not in ("train", "test"):
            raise BadInput(f"take {self.name}: part {self.part!r}; expected 'train' or 'test'")
        if not np.isfinite(self.joints_mm).all():
            raise BadInput(f"take {self.name}: a joint is not a number (NaN or infinite)")

    @property
    def name(self) -> str:
        """``subject/action/clip``, unique in its data set."""
        return f"{self.subject}/{self.action}/{self.clip}"
