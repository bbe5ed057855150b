"""Budgets: shares and refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.errors import BadInput
from harness.training.budget import Budget


def test_shares() -> None:
    assert Budget(steps=10).spent(5, 99.0, 7) == 0.5
    assert Budget(epochs=2).spent(7, 99.0, 7) == 0.5
    assert Budget(seconds=60).spent(5, 45.0, 7) == 0.75


@pytest.mark.parametrize(
    "given", [{}, {"steps": 1, "epochs": 1}, {"steps": 0}, {"seconds": -1.0}, {"seconds": math.inf}, {"epochs": -3}]
)
def test_exactly_one_and_positive(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="budget"):
        Budget(**given)


def test_says_itself() -> None:
    assert [str(Budget(steps=5)), str(Budget(epochs=2)), str(Budget(seconds=90))] == [
        "5 steps",
        "2 epochs",
        "1.5 minutes",
    ]
