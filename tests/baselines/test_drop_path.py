"""Stochastic depth: what is kept, how much, and by what it is scaled."""

from __future__ import annotations

import pytest
import torch

from baselines.drop_path import DropPath, growing


def test_each_clip_is_dropped_as_a_whole_and_the_mean_is_kept() -> None:
    torch.manual_seed(0)
    branch = DropPath(0.25)(torch.ones(4000, 3, 2))
    assert set(branch[:, 0, 0].tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert torch.equal(branch, branch[:, :1, :1].expand_as(branch))
    assert abs(branch.mean().item() - 1) < 0.03


def test_nothing_is_dropped_outside_training() -> None:
    branch = torch.ones(8, 2)
    assert DropPath(0.9).eval()(branch) is branch
    assert DropPath(0.0)(branch) is branch


@pytest.mark.parametrize(("count", "expected"), [(1, [0.0]), (3, [0.0, 0.1, 0.2]), (5, [0.0, 0.05, 0.1, 0.15, 0.2])])
def test_drop_paths_grow_evenly(count: int, expected: list[float]) -> None:
    assert growing(0.2, count) == pytest.approx(expected)
