"""The 17 joints of Human3.6M, in the order that every array of this project uses.

Order, parents and left/right pairs follow VideoPose3D's and MotionBERT's readers (facts, not code).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

JOINT_NAMES: tuple[str, ...] = (
    "pelvis", "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle",
    "spine", "thorax", "neck", "head", "left shoulder", "left elbow", "left wrist",
    "right shoulder", "right elbow", "right wrist",
)  # fmt: skip
JOINT_COUNT = len(JOINT_NAMES)
ROOT = 0
PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
LEFT: tuple[int, ...] = (4, 5, 6, 11, 12, 13)
RIGHT: tuple[int, ...] = (1, 2, 3, 14, 15, 16)
BONES: tuple[tuple[int, int], ...] = tuple((p, j) for j, p in enumerate(PARENTS) if p >= 0)
#: ``array[..., MIRRORED, :]`` exchanges the left and the right joints.
MIRRORED: NDArray[np.intp] = np.arange(JOINT_COUNT)
MIRRORED[list(LEFT + RIGHT)] = list(RIGHT + LEFT)
