"""Whether an array can be the joints of a person in metres, z up.

Size is judged by a height that no pose changes: the bones from ankle to head, one after another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.skeleton import BONES, JOINT_COUNT, JOINT_NAMES
from harness.errors import BadInput

Array = NDArray[Any]

#: Bones from ankle to head, summed: from a small child to a very tall adult.
HEIGHT_RANGE_M = (0.8, 2.4)

_CHAINS = tuple(
    tuple(JOINT_NAMES.index(name) for name in (f"{side} ankle", f"{side} knee", f"{side} hip"))
    for side in ("left", "right")
)
_BACK = tuple(JOINT_NAMES.index(name) for name in ("pelvis", "spine", "thorax", "neck", "head"))
_ANKLES = [chain[0] for chain in _CHAINS]
_OTHER_UNITS_M = {"millimetres": 0.001, "centimetres": 0.01, "inches": 0.0254}

#: A body whose long axis leans this much of its height towards y or x on average is suspect.
_LEAN = 0.5


def check_joints(joints: Array, where: str) -> None:
    """Raises BadInput unless ``joints`` is (T >= 1, 17, 3) of finite floating-point numbers; ``where`` names it."""
    if joints.dtype not in (np.float32, np.float64):
        raise BadInput(f"{where}: holds {joints.dtype}; expected float32 metres")
    if joints.ndim != 3 or joints.shape[2] != 3:
        raise BadInput(f"{where}: has shape {joints.shape}; expected (frames, {JOINT_COUNT}, 3)")
    if joints.shape[1] != JOINT_COUNT:
        order = ", ".join(f"{index} {name}" for index, name in enumerate(JOINT_NAMES))
        raise BadInput(
            f"{where}: has {joints.shape[1]} joints; expected the {JOINT_COUNT} of Human3.6M in this order: {order}"
        )
    if len(joints) < 1:
        raise BadInput(f"{where}: has no frame; expected at least 1")
    wrong = np.argwhere(~np.isfinite(joints))
    if len(wrong):
        frame, joint, _ = wrong[0]
        more = f" ({len(wrong)} such values in all)" if len(wrong) > 1 else ""
        raise BadInput(
            f"{where}: frame {frame} (from 0), joint {joint} ({JOINT_NAMES[joint]}): {joints[tuple(wrong[0])]} in the"
            f" 3D{more}. Cut these frames out or fill them"
        )


def height(joints: Array) -> float:
    """Bones from ankle to head (mean of both legs), median over frames, in the array's own unit."""
    legs = sum(_chain_length(joints, chain) for chain in _CHAINS) / 2  # (T,)
    return float(np.median(legs + _chain_length(joints, _BACK)))


def check_height(joints: Array, where: str) -> None:
    """Raises BadInput, naming the height and the likely unit, where the joints (T, 17, 3) are no person in metres."""
    tall = height(joints)
    if HEIGHT_RANGE_M[0] <= tall <= HEIGHT_RANGE_M[1]:
        return
    likely = next((unit for unit, metres in _OTHER_UNITS_M.items() if _plausible(tall * metres)), None)
    guess = f"these look like {likely}; convert to metres" if likely else "are the joints in the right order?"
    raise BadInput(
        f"{where}: the person would be {tall:.4g} m from ankle to head (expected {HEIGHT_RANGE_M[0]} to"
        f" {HEIGHT_RANGE_M[1]} m): {guess}"
    )


def bone_lengths(joints: Array) -> Array:
    """(16,), median over frames, in the array's own unit and the order of ``skeleton.BONES``."""
    starts, ends = np.array(BONES).T
    return np.median(np.linalg.norm(joints[:, ends] - joints[:, starts], axis=-1), axis=0)


def leaning_axis(takes: list[Array]) -> str:
    """ "x" or "y" when people stand along that axis rather than z, mean over all takes; else ""."""
    upward = np.mean(
        [(joints[:, _BACK[-1]] - joints[:, _ANKLES].mean(axis=1)).mean(axis=0) for joints in takes], axis=0
    )
    tall = float(np.mean([height(joints) for joints in takes]))
    axis = int(np.argmax(np.abs(upward)))
    return "xy"[axis] if axis < 2 and abs(upward[axis]) > _LEAN * tall else ""


def _plausible(height_m: float) -> bool:
    return HEIGHT_RANGE_M[0] <= height_m <= HEIGHT_RANGE_M[1]


def _chain_length(joints: Array, chain: tuple[int, ...]) -> Array:
    """(T,)"""
    return np.linalg.norm(np.diff(joints[:, chain], axis=1), axis=-1).sum(axis=-1)
