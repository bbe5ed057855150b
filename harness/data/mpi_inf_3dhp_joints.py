"""The joints of one view of MPI-INF-3DHP: checked, and put into the order of Human3.6M.

P-STMO's authors keep 17 of the set's 28 joints (read in its ``common/data_to_npz_3dhp.py``); which of them stands for
which of Human3.6M's follows from their names. The set has neither a thorax nor a nose: neck and head stand in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import soundness
from harness.data.body import HEIGHT_RANGE_M, bone_lengths, height
from harness.data.sequence import FloatArray
from harness.data.skeleton import JOINT_COUNT, JOINT_NAMES, MIRRORED
from harness.errors import BadInput

#: The 17 in the files' order.
JOINTS: tuple[str, ...] = (
    "head top", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle", "pelvis", "spine", "head",
)  # fmt: skip
#: Which of the set's 28 they are, from 0.
OF_THE_28: tuple[int, ...] = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
#: For each of Human3.6M's 17 the joint of the files: neck for its thorax, head for its neck, head top for its head.
IN_FILE: tuple[int, ...] = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
#: In Human3.6M's numbering the 14 that the owners' PCK and AUC are over: all but pelvis, spine and head.
PCK_JOINTS: tuple[int, ...] = tuple(
    joint for joint, source in enumerate(IN_FILE) if JOINTS[source] not in ("pelvis", "spine", "head")
)

#: Limbs that are rigid, by their outer end; left and right of one person differ by less than this factor.
_LIMB_ENDS = [JOINT_NAMES.index(f"left {end}") for end in ("knee", "ankle", "elbow", "wrist")]
_LARGEST_UNEVENNESS = 1.25


def read_keypoints(value: Any, where: str) -> FloatArray:
    """(T, 17, 2) pixels in Human3.6M's order. Raises BadInput for another shape, NaN, or what cannot be pixels."""
    found = _joints(value, where, 2)
    soundness.pixels(found, where)
    return found


def read_poses_mm(value: Any, where: str) -> FloatArray:
    """(T, 17, 3) millimetres in Human3.6M's order. Raises BadInput for another shape or NaN."""
    return _joints(value, where, 3)


def read_valid(value: Any, where: str) -> NDArray[np.bool_]:
    """(T,) frames to score, from (T,) or (T, 1) of 0 and 1. Raises BadInput for other values, or where all are 0."""
    is_column = isinstance(value, np.ndarray) and value.shape[1:] == (1,)
    found = soundness.array(value[:, 0] if is_column else value, where, None)
    wrong = np.flatnonzero((found != 0) & (found != 1))
    if len(wrong):
        raise BadInput(f"{where}: {found[wrong[0]]} at frame {wrong[0]} (from 0); expected 0 or 1")
    if not found.any():
        raise BadInput(f"{where}: no frame is valid, so that none would be scored; leave this recording out")
    return found.astype(bool)


def check_person(poses_mm: FloatArray, where: str) -> None:
    """Raises BadInput where poses (T, 17, 3) cannot be a person in millimetres with the joints in their order."""
    tall_mm = height(poses_mm)
    if HEIGHT_RANGE_M[0] <= tall_mm <= HEIGHT_RANGE_M[1]:
        raise BadInput(
            f"{where}: the person would be {tall_mm:.3g} mm from ankle to head, so these are metres; multiply by 1000"
        )
    lengths = bone_lengths(poses_mm)
    pairs = {JOINT_NAMES[end]: (lengths[end - 1], lengths[MIRRORED[end] - 1]) for end in _LIMB_ENDS}
    uneven = [name for name, pair in pairs.items() if max(pair) > _LARGEST_UNEVENNESS * min(pair)]
    if uneven or not HEIGHT_RANGE_M[0] <= tall_mm / 1000.0 <= HEIGHT_RANGE_M[1]:
        measured = f"{tall_mm:.4g} mm from ankle to head" + (f", {uneven[0]} unlike the right one" if uneven else "")
        raise BadInput(
            f"{where}: this is no person in millimetres ({measured}); expected univ_annot3 with the joints in this"
            f" order: {_order()}"
        )


def _joints(value: Any, where: str, channels: int) -> FloatArray:
    if isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[1] != JOINT_COUNT:
        raise BadInput(
            f"{where}: has {value.shape[1]} joints; expected the {JOINT_COUNT} of P-STMO's preparation, which are"
            f" numbers {', '.join(map(str, OF_THE_28))} of the set's 28 (from 0), in this order: {_order()}"
        )
    found = soundness.array(value, where, None, JOINT_COUNT, channels)
    if not len(found):
        raise BadInput(f"{where}: has no frame; expected at least 1")
    soundness.finite(found, where, JOINTS)
    return found[:, IN_FILE].astype(np.float32)


def _order() -> str:
    return ", ".join(f"{index} {name}" for index, name in enumerate(JOINTS))
