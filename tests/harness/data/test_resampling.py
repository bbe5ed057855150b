from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.resampling import resample


def ramp(frames: int) -> NDArray[Any]:
    return np.arange(frames, dtype=float)[:, None, None] * np.ones((17, 3))


@pytest.mark.parametrize(
    ("frames", "fps", "wanted", "values"),
    [
        (11, 100.0, 50.0, [0, 2, 4, 6, 8, 10]),
        (4, 50.0, 100.0, [0, 0.5, 1, 1.5, 2, 2.5, 3]),
        # 120 to 50: every 2.4 frames, the last one at or before frame 8.
        (9, 120.0, 50.0, [0, 2.4, 4.8, 7.2]),
        (13, 120.0, 50.0, [0, 2.4, 4.8, 7.2, 9.6, 12]),
        # 29 / 25 * 50 is 57.99999999999999 in floating point.
        (30, 25.0, 50.0, [number / 2 for number in range(59)]),
        (1, 120.0, 50.0, [0]),
        (2, 50.0, 50.0, [0, 1]),
    ],
)
def test_a_ramp_stays_a_ramp(frames: int, fps: float, wanted: float, values: list[float]) -> None:
    result = resample(ramp(frames), fps, wanted)
    assert result.shape == (len(values), 17, 3)
    assert result[:, 3, 1] == pytest.approx(values)
