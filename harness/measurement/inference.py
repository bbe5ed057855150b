"""What the forward of a lifter that was just trained or loaded costs here and now: seconds and memory, one clip.

One process and one round, beside whatever it did before: for a comparison of lifters there is ``harness measure``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness.data.skeleton import JOINT_COUNT
from harness.measurement import memory, samples, timing
from harness.measurement.samples import INVALID, Samples
from harness.measurement.timing import Clock, Protocol, Series

PROTOCOL = Protocol(rounds=1, min_samples=30, min_seconds=3.0)


@dataclass(frozen=True)
class Inference:
    """One forward. An INVALID one has no figures: None rather than a number that could mislead.

    ``frames_per_s`` counts the frames that come out. ``low_ms`` to ``high_ms`` is the 95 % interval of the median.
    """

    samples: int
    calls_per_sample: int
    seconds: float
    verdict: str
    reason: str
    frames_per_s: float | None = None
    quartiles_frames_per_s: list[float] | None = None
    call_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, as stored under ``cost.inference``."""
        return asdict(self)


def measure(
    model: nn.Module,
    frames: int,
    in_channels: int,
    *,
    joints: int = JOINT_COUNT,
    batch_size: int = 1,
    clock: Clock = time.perf_counter,
    protocol: Protocol | None = None,
) -> Inference:
    """Time ``model`` in eval mode on clips (batch_size, frames, joints, in_channels); None: by PROTOCOL.

    The frames that come out are counted, so that a centre-frame model is not credited with those that it only reads.
    An output that is not finite makes the figure INVALID. The model's training mode is restored.
    """
    protocol = (protocol or PROTOCOL).on(_device(model))
    with _forward(model, (batch_size, frames, joints, in_channels)) as call:
        series = timing.sample(call, protocol, clock=clock, synchronise=timing.synchroniser(_device(model)))
    finite = series.trouble is not None or bool(torch.isfinite(series.last).all())
    trouble = series.trouble or (None if finite else "the model's output is not finite")
    found = samples.summarise([series.samples_ms]) if series.samples_ms else None
    verdict, reason = samples.judge(found, protocol.min_samples, trouble)
    figures = _figures(found, series) if found is not None and verdict != INVALID else {}
    counted = len(series.samples_ms)
    return Inference(counted, series.calls_per_sample, series.seconds, verdict, reason, **figures)


def peak_memory_bytes(model: nn.Module, frames: int, in_channels: int, joints: int = JOINT_COUNT) -> int | None:
    """Of a forward of one clip, above what the process holds; None where this machine does not tell."""
    with _forward(model, (1, frames, joints, in_channels)) as call:
        return memory.peak(call, memory.reader_for(_device(model)))


def _figures(found: Samples, series: Series) -> dict[str, Any]:
    frames = series.last.shape[0] * series.last.shape[1]
    return {
        "frames_per_s": 1000 * frames / found.median_ms,
        "quartiles_frames_per_s": [1000 * frames / found.upper_quartile_ms, 1000 * frames / found.lower_quartile_ms],
        "call_ms": found.median_ms,
        "low_ms": found.low_ms,
        "high_ms": found.high_ms,
    }


@contextmanager
def _forward(model: nn.Module, shape: tuple[int, int, int, int]) -> Iterator[Callable[[], Tensor]]:
    """A call of ``model`` in eval mode, without anything kept for a gradient, on clips of ``shape`` (B, T, J, C)."""
    clips = (0.5 * torch.randn(shape, generator=torch.Generator().manual_seed(0))).to(_device(model))
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield lambda: model(clips)
    finally:
        model.train(was_training)


def _device(model: nn.Module) -> str:
    return str(next((parameter.device for parameter in model.parameters()), torch.device("cpu")))
