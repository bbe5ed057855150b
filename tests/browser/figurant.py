"""A person whom no mirror leaves as he is: he faces the camera and lifts an arm, or stretches his legs towards it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.data.skeleton import JOINT_COUNT
from harness.traces import Excerpt, Reason

#: Joints, mm in camera space: right, down, away. Who faces the camera has his left side on its right.
STANDS = (
    (0, 0, 0), (-130, 0, 0), (-130, 440, 0), (-130, 870, 0), (130, 0, 0), (130, 440, 0), (130, 870, 0),
    (0, -230, 0), (0, -480, 0), (0, -590, 0), (0, -710, 0), (170, -460, 0), (190, -180, 0), (190, 70, 0),
    (-170, -460, 0), (-190, -180, 0), (-190, 70, 0),
)  # fmt: skip
#: The elbow and the wrist of an arm that is lifted, and knee and ankle of a leg that is stretched to the camera.
_LEFT_ARM, _RIGHT_ARM, _LEFT_LEG, _RIGHT_LEG = (12, 13), (15, 16), (5, 6), (2, 3)


def lifts(side: str) -> NDArray[np.float32]:
    """(17, 3) with the left or the right arm up and aside."""
    pose = np.array(STANDS, np.float32)
    arm, sign = (_LEFT_ARM, 1) if side == "left" else (_RIGHT_ARM, -1)
    pose[list(arm)] = [(sign * 400, -640, 0), (sign * 600, -840, 0)]
    return pose


def sits() -> NDArray[np.float32]:
    """(17, 3) with both legs straight to the camera, as of somebody who sits, and the arms up."""
    pose = np.array(STANDS, np.float32)
    for arm in (_LEFT_ARM, _RIGHT_ARM):
        pose[list(arm), 1] = -640, -840
    for leg in (_LEFT_LEG, _RIGHT_LEG):
        pose[list(leg), 1:] = [(0, -430), (0, -860)]
    return pose


def excerpt(
    truth: NDArray[np.float32], prediction: NDArray[np.float32], take: str = "s1/stand-1", reason: Reason = "unusual"
) -> Excerpt:
    """Of ten poses that are all alike."""
    poses = (np.broadcast_to(pose, (10, JOINT_COUNT, 3)).astype(np.float32) for pose in (truth, prediction))
    return Excerpt(f"{take}@camera0", take, "stand", reason, 0.0, 12.5, *poses)
