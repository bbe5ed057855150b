"""Marks, and how many takes a test needs to come out at all."""

from __future__ import annotations

import pytest

from harness.comparison.significance import fewest_takes, marks


@pytest.mark.parametrize(("p_value", "shown"), [(0.0009, "***"), (0.009, "**"), (0.049, "*"), (0.05, "")])
def test_marks(p_value: float, shown: str) -> None:
    assert marks(p_value) == shown


@pytest.mark.parametrize(
    ("takes", "fewest"),
    [
        ([5], None),  # 2 / 32 is no less than 0.05
        ([6], 6),
        ([6, 6], None),
        ([7, 7], 7),
        ([6, 9, 9], 9),  # the one with six would be the third: 3 · 2 / 64
        ([8, 9, 9], 8),
        ([10] * 25, 10),
        ([10] * 26, None),
        ([], None),
    ],
)
def test_all_tests_that_are_made_can_come_out(takes: list[int], fewest: int | None) -> None:
    assert fewest_takes(takes) == fewest
