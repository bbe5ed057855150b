"""Lifters that go wrong in one way each, named as ``tests.faults.lifters:attribute``; ``plain`` does not.

They go wrong on real clips only: what is checked before a run is a clip of zeros.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

Vice = Callable[["Lifter", Tensor, Tensor], Tensor]


class Lifter(nn.Module):
    """(B, T, J, C) -> (B, T, J, 3) by one linear layer; ``vice(lifter, clips, output)`` decides what comes out."""

    def __init__(self, in_channels: int, vice: Vice | None = None) -> None:
        super().__init__()
        self.layer, self.vice = nn.Linear(in_channels, 3), vice

    def forward(self, clips: Tensor) -> Tensor:
        output = self.layer(clips)
        return output if self.vice is None or not clips.any() else self.vice(self, clips, output)


def plain(frames: int, in_channels: int) -> nn.Module:
    return Lifter(in_channels)


def drawing(frames: int, in_channels: int) -> nn.Module:
    """Draws from each generator that a training may use: a resume that loses the state of one is noticed."""

    def draw(lifter: Lifter, clips: Tensor, output: Tensor) -> Tensor:
        if not lifter.training:
            return output
        noise = random.random() + np.random.rand()  # noqa: NPY002
        return nn.functional.dropout(output, 0.2) + 0.01 * noise

    return Lifter(in_channels, draw)


def wide(frames: int, in_channels: int) -> nn.Module:
    """Weights of 400 kB."""
    lifter = Lifter(in_channels)
    lifter.unused = nn.Parameter(torch.zeros(100_000))
    return lifter


def without_an_answer(frames: int, in_channels: int) -> nn.Module:
    """Is trained well, and gives NaN for the fifth frame of the first clip of a batch."""

    def fail(lifter: Lifter, clips: Tensor, output: Tensor) -> Tensor:
        return output if lifter.training else output.index_put((torch.tensor(0), torch.tensor(4)), torch.tensor(np.nan))

    return Lifter(in_channels, fail)


def _raising(error: Exception) -> Vice:
    def fail(lifter: Lifter, clips: Tensor, output: Tensor) -> Tensor:
        raise error

    return fail


def out_of_gpu_memory(frames: int, in_channels: int) -> nn.Module:
    """What CUDA raises."""
    return Lifter(in_channels, _raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")))


def out_of_cpu_memory(frames: int, in_channels: int) -> nn.Module:
    """What the CPU's allocator raises, which is no torch.OutOfMemoryError."""
    text = "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to allocate"
    return Lifter(in_channels, _raising(RuntimeError(text)))


def broken(frames: int, in_channels: int) -> nn.Module:
    return Lifter(in_channels, _raising(KeyError("a bug of a third party's")))


def hungry(frames: int, in_channels: int) -> nn.Module:
    """32 MB a clip."""

    def eat(lifter: Lifter, clips: Tensor, output: Tensor) -> Tensor:
        return output + torch.zeros(len(output), 8 << 20).sum(dim=1)[:, None, None, None]

    return Lifter(in_channels, eat)


def aborting(frames: int, in_channels: int) -> nn.Module:
    return Lifter(in_channels, lambda lifter, clips, output: os.abort())


def hanging(frames: int, in_channels: int) -> nn.Module:
    return Lifter(in_channels, lambda lifter, clips, output: (time.sleep(600), output)[1])


def hanging_in_one(frames: int, in_channels: int) -> nn.Module:
    """In the second of two processes, where the first one's wait for it is in code that hears no signal."""

    def hang(lifter: Lifter, clips: Tensor, output: Tensor) -> Tensor:
        while os.environ.get("RANK") == "1":
            time.sleep(1)
        return output

    return Lifter(in_channels, hang)


def leaving(frames: int, in_channels: int) -> nn.Module:
    """Ends the process, as it thinks, and says that all is well."""
    return Lifter(in_channels, lambda lifter, clips, output: sys.exit(0))


class LeavingAtOnce(Lifter):
    """The same on any clip: the check before a run meets it."""

    def __init__(self, frames: int, in_channels: int) -> None:
        super().__init__(in_channels)

    def forward(self, clips: Tensor) -> Tensor:
        sys.exit(0)


def failing_where_asked(frames: int, in_channels: int) -> nn.Module:
    """Raises in the evaluation while the environment has FAIL: what worked once may not do so again."""

    def fail(lifter: Lifter, clips: Tensor, output: Tensor) -> Tensor:
        if not lifter.training and "FAIL" in os.environ:
            raise RuntimeError("no longer")
        return output

    return Lifter(in_channels, fail)
