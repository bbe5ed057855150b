"""Joint positions at another frame rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def resample(joints: Array, fps: float, wanted_fps: float) -> Array:
    """(T, J, 3) at ``fps`` to (T2, J, 3) at ``wanted_fps``, linear in time, first frame kept.

    Linear interpolation shortens bones a little where motion is fast; it adds no overshoot.
    """
    if fps == wanted_fps or len(joints) == 1:
        return joints
    # Multiplied first: whole rates then divide without rounding, and a last frame that is due is not lost.
    count = int((len(joints) - 1) * wanted_fps / fps) + 1
    place = np.arange(count) * (fps / wanted_fps)  # (T2,)
    before = np.minimum(place.astype(int), len(joints) - 2)
    weight = (place - before)[:, None, None]
    return joints[before] * (1.0 - weight) + joints[before + 1] * weight
