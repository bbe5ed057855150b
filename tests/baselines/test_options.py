"""Messages of the checks that configurations share."""

from __future__ import annotations

import pytest

from baselines.options import require_count, require_input, require_known, require_probability


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None])
def test_counts(value: object) -> None:
    require_count("depth", 1)
    with pytest.raises(ValueError, match="depth must be a whole number of at least 1"):
        require_count("depth", value)


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_probabilities(value: float) -> None:
    require_probability("dropout", 0.0)
    with pytest.raises(ValueError, match="dropout must be a probability"):
        require_probability("dropout", value)


def test_known_names() -> None:
    require_known("form", "sdpa", ("sdpa", "explicit"))
    with pytest.raises(ValueError, match=r"unknown form 'explicid'\. Did you mean: explicit\? Known: sdpa, explicit"):
        require_known("form", "explicid", ("sdpa", "explicit"))


def test_inputs() -> None:
    require_input((2, 9, 17, 3), frames=9, joints=17, channels=3)
    require_input((2, 4, 17, 3), frames=None, joints=17, channels=3)
    with pytest.raises(ValueError, match=r"shape \(9, 17, 3\); wanted \(batch, 9, 17, 3\)"):
        require_input((9, 17, 3), frames=9, joints=17, channels=3)
    with pytest.raises(ValueError, match="build it with frames=4"):
        require_input((2, 4, 17, 3), frames=9, joints=17, channels=3)
    with pytest.raises(ValueError, match=r"17 joints of 2 channels.*wanted \(batch, frames, 17, 3\)"):
        require_input((2, 4, 17, 2), frames=None, joints=17, channels=3)
