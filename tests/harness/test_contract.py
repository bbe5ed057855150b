"""The contract's check on lifters that keep it and lifters that break one line each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness import contract, models
from harness.errors import BadInput


class Good(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, clips: Tensor) -> Tensor:
        return self.layer(clips)


class CentreFrame(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips)[:, :1]


class NotANumber(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips) * float("nan")


class Random(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips) + torch.rand(clips.shape)


class Mixing(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips) + clips.mean(0, keepdim=True)


class Detached(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips).detach()


class Crashing(Good):
    def forward(self, clips: Tensor) -> Tensor:
        raise RuntimeError("boom")


def broken(model: nn.Module) -> set[str]:
    return {finding.name for finding in contract.check(model, "m", 9, 3) if not finding.holds}


def test_a_good_one_and_the_registered_ones_keep_it() -> None:
    assert broken(Good()) == set()
    assert broken(models.build("posemamba-xs", 9, 3)) == set()
    assert broken(models.build("motionagformer-xxs", 9, 3)) == set()


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (CentreFrame, "output shape"),
        (NotANumber, "finite output"),
        (Random, "same answer twice"),
        (Mixing, "clips do not influence each other"),
        (Detached, "gradients reach the parameters"),
        (Crashing, "output shape"),
    ],
)
def test_a_broken_line_is_found(kind: type[nn.Module], line: str) -> None:
    assert line in broken(kind())


def test_the_shape_is_spelled_out() -> None:
    with pytest.raises(BadInput, match=r"m returned \(2, 1, 17, 3\); the contract is .* = \(2, 27, 17, 3\)"):
        contract.require_output_shape("m", torch.zeros(2, 1, 17, 3), torch.zeros(2, 27, 17, 2))


def broken_factory(frames: int, in_channels: int) -> nn.Module:
    """A model that breaks the contract, for the command line's test."""
    return CentreFrame()
