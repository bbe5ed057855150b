"""OpenPose's 18 joints (its COCO model, the layout of 3DPW's ``poses2d``) and how they make the 17 of this project.

Order by OpenPose's documentation of its output. Joints that have no namesake are means of others, as in MMPose's
conversion from COCO to Human3.6M: the pelvis of the hips, the thorax of the shoulders, the spine halfway between,
joint 9 is the nose, the head the middle of the eyes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.skeleton import JOINT_NAMES

Array = NDArray[Any]

JOINTS: tuple[str, ...] = (
    "nose", "openpose's neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow",
    "left wrist", "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle", "right eye",
    "left eye", "right ear", "left ear",
)  # fmt: skip
#: Of whose mean the joint is; limbs are what they are called.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "pelvis": ("right hip", "left hip"),
    "spine": ("right hip", "left hip", "right shoulder", "left shoulder"),
    "thorax": ("right shoulder", "left shoulder"),
    "neck": ("nose",),
    "head": ("right eye", "left eye"),
}

_SOURCES = [[JOINTS.index(source) for source in SOURCES.get(name, (name,))] for name in JOINT_NAMES]
#: Those of the 18 that any of the 17 is made of.
USED: tuple[int, ...] = tuple(sorted({source for sources in _SOURCES for source in sources}))


def keypoints(detections: Array) -> tuple[Array, Array]:
    """Places (T, 17, 2) and confidence (T, 17) from x, y and score (T, 18, 3), a score of 0 where nothing was found.

    The confidence is the mean of the sources' scores, 0 if one of them was not found. Every joint has a place: see
    ``filled``.
    """
    places, scores = filled(detections), detections[..., 2]
    means = np.stack([places[:, sources].mean(axis=1) for sources in _SOURCES], axis=1)
    confidence = np.stack(
        [np.where((scores[:, sources] > 0).all(axis=1), scores[:, sources].mean(axis=1), 0.0) for sources in _SOURCES],
        axis=1,
    )
    return means, confidence


def filled(detections: Array) -> Array:
    """Places (T, 18, 2): a joint that is not found is where it was last, at the start where it is found first.

    One that is never found is in the middle of the others that are used.
    """
    found = detections[..., 2] > 0  # (T, 18)
    last = np.maximum.accumulate(np.where(found, np.arange(len(found))[:, None], -1), axis=0)
    source = np.where(last >= 0, last, found.argmax(axis=0))
    places = np.take_along_axis(detections[..., :2], source[..., None], axis=0)
    ever = np.asarray(found.any(axis=0))
    known = [joint for joint in USED if ever[joint]]
    if known:
        places[:, ~ever] = places[:, known].mean(axis=1, keepdims=True)
    return places
