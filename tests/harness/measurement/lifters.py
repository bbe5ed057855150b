"""Third party's lifters with one vice each, named as ``tests.harness.measurement.lifters:attribute``."""

from __future__ import annotations

import os
import time
from typing import Any

import torch
from torch import Tensor, nn


class Lifter(nn.Module):
    """One linear layer for every joint of every frame; ``vice`` is called with what comes out."""

    def __init__(self, in_channels: int, vice: Any = None) -> None:
        super().__init__()
        self.layer, self.vice = nn.Linear(in_channels, 3), vice

    def forward(self, clips: Tensor) -> Tensor:
        output = self.layer(clips)
        return output if self.vice is None else self.vice(output)


def sound(frames: int, in_channels: int, **options: Any) -> nn.Module:
    return Lifter(in_channels)


def aborting(frames: int, in_channels: int) -> nn.Module:
    return Lifter(in_channels, lambda output: os.abort())


def sleeping(frames: int, in_channels: int) -> nn.Module:
    return Lifter(in_channels, lambda output: time.sleep(60))


def raising(frames: int, in_channels: int) -> nn.Module:
    def fail(output: Tensor) -> Tensor:
        raise ValueError("this one never works")

    return Lifter(in_channels, fail)


def not_finite(frames: int, in_channels: int) -> nn.Module:
    return Lifter(in_channels, lambda output: output / 0)


def warning(frames: int, in_channels: int) -> nn.Module:
    import warnings

    def warn(output: Tensor) -> Tensor:
        warnings.warn("an approximation is used", stacklevel=1)
        return output

    return Lifter(in_channels, warn)


def revealing(frames: int, in_channels: int) -> nn.Module:
    """Warns of its weights."""
    import warnings

    lifter = Lifter(in_channels)
    warnings.warn(f"{lifter.layer.weight.flatten().tolist()}", stacklevel=1)
    return lifter


def wandering(frames: int, in_channels: int) -> nn.Module:
    """Gives something else with every call."""
    calls: list[int] = []

    def wander(output: Tensor) -> Tensor:
        calls.append(1)
        return output + len(calls)

    return Lifter(in_channels, wander)


def hungry(frames: int, in_channels: int) -> nn.Module:
    """32 MB a clip."""

    def eat(output: Tensor) -> Tensor:
        return output + torch.zeros(len(output), 8 << 20).sum(dim=1)[:, None, None, None]

    return Lifter(in_channels, eat)


def last(frames: int, in_channels: int) -> nn.Module:
    lifter = Lifter(in_channels, lambda output: output[:, -1:])
    lifter.answers_for = "last"
    return lifter


class Stepping(Lifter):
    """The running mean of the frames so far; in one go, or frame by frame with the sum and the number as its state."""

    def forward(self, clips: Tensor) -> Tensor:
        counts = torch.arange(1, clips.shape[1] + 1)[:, None, None]
        return self.layer(clips.cumsum(dim=1) / counts)

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        total, count = state or (torch.zeros_like(frame), 0)
        total, count = total + frame, count + 1
        return self.layer(total / count), (total, count)


def stepping(frames: int, in_channels: int) -> nn.Module:
    return Stepping(in_channels)


class WrongStep(Stepping):
    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.layer(frame), None


def wrong_step(frames: int, in_channels: int) -> nn.Module:
    return WrongStep(in_channels)


def half_refusing(frames: int, in_channels: int) -> nn.Module:
    def refuse(output: Tensor) -> Tensor:
        if output.dtype != torch.float32:
            raise RuntimeError("\"kernel\" not implemented for 'BFloat16'")
        return output

    return Lifter(in_channels, refuse)


def short(frames: int, in_channels: int) -> nn.Module:
    """Breaks the contract: one frame too few."""
    return Lifter(in_channels, lambda output: output[:, 1:])


def choosy(frames: int, in_channels: int) -> nn.Module:
    if frames != 27:
        raise ValueError("27 frames or nothing")
    return Lifter(in_channels)
