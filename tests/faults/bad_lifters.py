"""Lifters of a third party that are not as they should be."""

from __future__ import annotations

import torch
from torch import Tensor, nn

not_callable = 3


class _First(nn.Module):
    """Answers for the first frame alone, and does not say so."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.head = nn.Linear(in_channels, 3)

    def forward(self, clips: Tensor) -> Tensor:
        return torch.as_tensor(self.head(clips)[:, :1])


def first_frame(frames: int, in_channels: int) -> nn.Module:
    return _First(in_channels)


def of_five_channels(frames: int, in_channels: int) -> nn.Module:
    return nn.Linear(5, 3)


def raising(frames: int, in_channels: int) -> nn.Module:
    raise RuntimeError("no such backbone")


def leaving(frames: int, in_channels: int) -> nn.Module:
    raise SystemExit(0)
