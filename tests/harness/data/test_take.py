from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.errors import BadInput
from tests.harness.data.figures import take


def test_name() -> None:
    assert take("S1", "two", action="Walk").name == "S1/Walk/two"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints_mm": np.zeros((5, 16, 3))}, r"S1/Stand/one: joints of shape \(5, 16, 3\)"),
        ({"joints_mm": np.zeros((0, 17, 3))}, "frames >= 1"),
        ({"joints_mm": np.full((1, 17, 3), np.inf)}, "not a number"),
        ({"fps": 0.0}, "0.0 frames per second"),
        ({"fps": float("nan")}, "frames per second"),
        ({"part": "valid"}, "part 'valid'"),
    ],
)
def test_a_take_that_cannot_be_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replace(take("S1"), **change)
