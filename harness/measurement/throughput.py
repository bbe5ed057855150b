"""How many frames a second a call processes, with a verdict on whether the figure can be trusted.

Warm up, calibrate a block of calls so long that the clock resolves it, then time blocks until there are enough of
them; the median with the interquartile range is reported. The clock is a parameter, so that tests use one of their own.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness.data.skeleton import JOINT_COUNT

Clock = Callable[[], float]

WARM_UP_CALLS = 10
BLOCK_SECONDS = 0.010
MOST_CALLS = 4096
NOISY_ABOVE = 0.1


@dataclass(frozen=True)
class Throughput:
    """Frames a second over timed blocks of equal work.

    ``verdict`` is STABLE, NOISY (interquartile range above a tenth of the median) or INVALID; ``reason`` says why.
    An INVALID one has no figures: None rather than a number that could mislead.
    """

    frames_per_s: float | None
    quartiles_frames_per_s: tuple[float, float] | None
    call_ms: float | None
    samples: int
    calls_per_sample: int
    seconds: float
    verdict: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, as stored under ``cost.inference``."""
        return {**asdict(self), "quartiles_frames_per_s": list(self.quartiles_frames_per_s or ()) or None}


def measure(
    call: Callable[[], object],
    frames_per_call: int,
    *,
    clock: Clock = time.perf_counter,
    min_seconds: float = 3.0,
    min_samples: int = 30,
    max_seconds: float = 30.0,
) -> Throughput:
    """Time ``call``, which processes ``frames_per_call`` frames and returns when they are done.

    Sampling ends with ``min_samples`` samples that last ``min_seconds`` together, or after ``max_seconds`` (warm-up
    included), in which case too few samples make the figure INVALID rather than the wait long.
    """
    deadline = clock() + max_seconds
    _warm_up(call, clock, deadline)
    calls = _calibrate(call, clock, deadline)
    samples_s: list[float] = []
    while (len(samples_s) < min_samples or sum(samples_s) < min_seconds) and clock() < deadline:
        samples_s.append(_timed(call, calls, clock))
        if samples_s[-1] <= 0:
            break
    return _judged(samples_s, calls, frames_per_call, min_samples)


def frames_per_second(
    model: nn.Module,
    frames: int,
    in_channels: int,
    *,
    joints: int = JOINT_COUNT,
    batch_size: int = 1,
    clock: Clock = time.perf_counter,
    min_seconds: float = 3.0,
    min_samples: int = 30,
    max_seconds: float = 30.0,
) -> Throughput:
    """Inference frames a second of ``model`` in eval mode on clips (batch_size, frames, joints, in_channels).

    The frames that come out are counted, so that a centre-frame model is not credited with the frames it only reads.
    An output that is not finite makes the figure INVALID. The model's device is synchronised on both sides of a block
    and its training mode is restored.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    clips = (0.5 * torch.randn(batch_size, frames, joints, in_channels, generator=generator)).to(device)  # (B, T, J, C)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            output = model(clips)
            if not bool(torch.isfinite(output).all()):
                return _invalid("the model's output is not finite")
            return measure(
                lambda: model(clips),
                frames_per_call=_frames_out(output),
                clock=lambda: _synchronised(clock, device),
                min_seconds=min_seconds,
                min_samples=min_samples,
                max_seconds=max_seconds,
            )
    finally:
        model.train(was_training)


def _frames_out(output: Tensor) -> int:
    return output.shape[0] * output.shape[1]


def _synchronised(clock: Clock, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock()


def _warm_up(call: Callable[[], object], clock: Clock, deadline: float) -> None:
    for _ in range(WARM_UP_CALLS):
        if clock() >= deadline:
            return
        call()


def _calibrate(call: Callable[[], object], clock: Clock, deadline: float) -> int:
    """Calls in a block of at least BLOCK_SECONDS, by doubling: neither a coarse nor a stopped clock is a trap."""
    calls = 1
    while calls < MOST_CALLS and clock() < deadline and _timed(call, calls, clock) < BLOCK_SECONDS:
        calls *= 2
    return calls


def _timed(call: Callable[[], object], calls: int, clock: Clock) -> float:
    start = clock()
    for _ in range(calls):
        call()
    return clock() - start


def _judged(samples_s: list[float], calls: int, frames_per_call: int, min_samples: int) -> Throughput:
    if any(not (math.isfinite(sample) and sample > 0) for sample in samples_s):
        return _invalid("the clock stood still or went backwards during a sample", samples_s, calls)
    if len(samples_s) < max(min_samples, 2):
        reason = (
            f"only {len(samples_s)} of {min_samples} samples in the time allowed; allow more or measure a shorter clip"
        )
        return _invalid(reason, samples_s, calls)
    lower_s, median_s, upper_s = statistics.quantiles(samples_s, n=4, method="inclusive")
    spread = (upper_s - lower_s) / median_s
    noisy = spread > NOISY_ABOVE
    frames = calls * frames_per_call
    return Throughput(
        frames_per_s=frames / median_s,
        quartiles_frames_per_s=(frames / upper_s, frames / lower_s),
        call_ms=1000 * median_s / calls,
        samples=len(samples_s),
        calls_per_sample=calls,
        seconds=sum(samples_s),
        verdict="NOISY" if noisy else "STABLE",
        reason=f"interquartile range is {100 * spread:.1f} % of the median"
        + ("; close other programs and measure again" if noisy else ""),
    )


def _invalid(reason: str, samples_s: list[float] | None = None, calls: int = 0) -> Throughput:
    samples_s = samples_s or []
    usable_s = [sample for sample in samples_s if math.isfinite(sample) and sample > 0]
    return Throughput(None, None, None, len(samples_s), calls, sum(usable_s), "INVALID", reason)
