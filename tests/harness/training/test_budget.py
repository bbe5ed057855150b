"""Budgets: shares and refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.errors import BadInput
from harness.training.budget import Budget


def test_shares() -> None:
    assert Budget(steps=10).spent(5, 99.0, 98.0, 7) == 0.5
    assert Budget(epochs=2).spent(7, 99.0, 98.0, 7) == 0.5
    assert Budget(seconds=60).spent(5, 45.0, 98.0, 7) == 0.75
    assert Budget(core_seconds=60).spent(5, 99.0, 15.0, 7) == 0.25


def test_a_later_kind_leaves_older_runs_their_ids() -> None:
    assert Budget(steps=5).as_dict() == {"epochs": None, "steps": 5, "seconds": None}
    for budget in (Budget(steps=5), Budget(core_seconds=30.0)):
        assert Budget(**budget.as_dict()) == budget


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"steps": 1, "epochs": 1},
        {"seconds": 1.0, "core_seconds": 1.0},
        {"core_seconds": 0.0},
        {"steps": 0},
        {"seconds": -1.0},
        {"seconds": math.inf},
        {"epochs": -3},
    ],
)
def test_exactly_one_and_positive(given: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="budget"):
        Budget(**given)


def test_says_itself() -> None:
    budgets = [Budget(steps=5), Budget(epochs=2), Budget(seconds=90), Budget(core_seconds=90)]
    assert list(map(str, budgets)) == ["5 steps", "2 epochs", "1.5 minutes", "1.5 minutes of processor time"]
