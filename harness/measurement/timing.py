"""How long a call takes: warm up, calibrate, take samples.

A sample is the mean of a block of calls, so long that the clock resolves it. Clock and synchronisation are parameters:
on a GPU a call returns before its work is done, and tests use a clock of their own.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.errors import BadInput
from harness.measurement.samples import is_duration

Clock = Callable[[], float]
#: Returns when the device has done all that it was asked to do.
Synchronise = Callable[[], None]
#: Energy in joules that a meter has counted so far.
Joules = Callable[[], float]

MOST_CALLS = 4096
GPU_BLOCK_SECONDS = 0.001
#: The later half of the warm-up calls may be this much faster than the earlier one when the warm-up ends.
_STILL_WARMING = 0.05


@dataclass(frozen=True)
class Protocol:
    """How a point is timed. Except for ``rounds`` every number is that of one round, one fresh process.

    rounds           fresh processes, interleaved with those of all other points
    min_samples      samples a round, and
    min_seconds      what they last together, at least; but
    max_seconds      when a round ends whatever it has, warm-up included (there is always one sample)
    warm_up_calls    calls before, until they no longer get faster; but no more after
    warm_up_seconds  (one call there always is)
    block_seconds    the shortest sample
    """

    rounds: int = 3
    min_samples: int = 10
    min_seconds: float = 1.0
    max_seconds: float = 30.0
    warm_up_calls: int = 10
    warm_up_seconds: float = 1.0
    block_seconds: float = 0.010

    def __post_init__(self) -> None:
        for name, least in (
            *(("rounds", 1), ("min_samples", 1), ("warm_up_calls", 1), ("max_seconds", 0.001)),
            *((name, 0) for name in ("min_seconds", "warm_up_seconds", "block_seconds")),
        ):
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise BadInput(f"{name} {value} is out of range; it must be finite and at least {least}")

    @classmethod
    def quick(cls) -> Protocol:
        """A coarse answer: one round of a few seconds."""
        return cls(
            rounds=1, min_samples=10, min_seconds=0.3, max_seconds=6.0, warm_up_calls=5, warm_up_seconds=0.3
        )  # fmt: skip

    def changed(self, **values: Any) -> Protocol:
        """With what is given; None leaves a number as it is. Raises BadInput for one out of range."""
        given: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        return dataclasses.replace(self, **given)

    def on(self, device: str) -> Protocol:
        """For ``device``: a GPU's own clock needs no long blocks."""
        if device.startswith("cuda"):
            return dataclasses.replace(self, block_seconds=min(self.block_seconds, GPU_BLOCK_SECONDS))
        return self

    def covers(self, wanted: Protocol) -> bool:
        """Whether a round timed by this protocol is at least what a round by ``wanted`` would be."""
        return all(
            getattr(self, one.name) >= getattr(wanted, one.name)
            for one in dataclasses.fields(self)
            if one.name != "rounds"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, as stored under ``protocol``."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Series:
    """The samples of one round. ``trouble`` says what is wrong with the clock; there are no samples then.

    first, last       what the first call (of the warm-up) and the last timed one returned
    joules_per_call   mean over the timed calls, None without a meter
    """

    samples_ms: tuple[float, ...]
    calls_per_sample: int
    warm_up_calls: int
    seconds: float
    trouble: str | None = None
    joules_per_call: float | None = None
    first: Any = field(default=None, repr=False)
    last: Any = field(default=None, repr=False)


def nothing_to_wait_for() -> None:
    """On a CPU a call returns when its work is done."""


def synchroniser(device: str) -> Synchronise:
    """What to call on both sides of a block on ``device``."""
    if not device.startswith("cuda"):
        return nothing_to_wait_for
    import torch

    return lambda: torch.cuda.synchronize(device)


def sample(
    call: Callable[[], Any],
    protocol: Protocol,
    *,
    clock: Clock = time.perf_counter,
    synchronise: Synchronise = nothing_to_wait_for,
    joules: Joules | None = None,
) -> Series:
    """Time ``call`` by ``protocol``."""
    stopwatch = _Stopwatch(call, clock, synchronise)
    deadline = clock() + protocol.max_seconds
    warm_up_calls, first = _warm_up(stopwatch, protocol, deadline)
    calls, block_s = _calibrate(stopwatch, protocol, deadline)
    # Where a single call is that long the time is short, and its block is as good as any.
    is_long = calls == 1 and is_duration(block_s) and block_s >= protocol.min_seconds / protocol.min_samples
    samples_s = [block_s] if is_long else []
    timed_anew, energy_before = len(samples_s), joules() if joules else 0.0
    while not samples_s or (not _enough(samples_s, protocol) and clock() < deadline):
        samples_s.append(stopwatch.block(calls))
        if not is_duration(samples_s[-1]):
            return Series((), calls, warm_up_calls, 0.0, _CLOCK_TROUBLE)
    used = (len(samples_s) - timed_anew) * calls
    return Series(
        samples_ms=tuple(1000 * block / calls for block in samples_s),
        calls_per_sample=calls,
        warm_up_calls=warm_up_calls,
        seconds=sum(samples_s),
        joules_per_call=(joules() - energy_before) / used if joules and used else None,
        first=first,
        last=stopwatch.last,
    )


_CLOCK_TROUBLE = "the clock stood still or went backwards during a sample"


def _enough(samples_s: list[float], protocol: Protocol) -> bool:
    return len(samples_s) >= protocol.min_samples and sum(samples_s) >= protocol.min_seconds


class _Stopwatch:
    def __init__(self, call: Callable[[], Any], clock: Clock, synchronise: Synchronise) -> None:
        self.call, self.clock, self.synchronise = call, clock, synchronise
        self.last: Any = None

    def block(self, calls: int) -> float:
        """Seconds of ``calls`` calls in a row."""
        self.synchronise()
        start = self.clock()
        for _ in range(calls):
            self.last = self.call()
        self.synchronise()
        return self.clock() - start


def _warm_up(stopwatch: _Stopwatch, protocol: Protocol, deadline: float) -> tuple[int, Any]:
    """(number of calls, what the first returned)."""
    end = min(deadline, stopwatch.clock() + protocol.warm_up_seconds)
    durations_s = [stopwatch.block(1)]
    first = stopwatch.last
    while stopwatch.clock() < end and len(durations_s) < MOST_CALLS:
        if len(durations_s) >= protocol.warm_up_calls and _settled(durations_s[-protocol.warm_up_calls :]):
            break
        durations_s.append(stopwatch.block(1))
    return len(durations_s), first


def _settled(durations_s: list[float]) -> bool:
    half = len(durations_s) // 2
    if half == 0:
        return True
    return statistics.median(durations_s[-half:]) >= (1 - _STILL_WARMING) * statistics.median(durations_s[:half])


def _calibrate(stopwatch: _Stopwatch, protocol: Protocol, deadline: float) -> tuple[int, float]:
    """(calls in a block, how long it took), by doubling: neither a coarse nor a stopped clock is a trap."""
    calls = 1
    while (block_s := stopwatch.block(calls)) < protocol.block_seconds:
        if calls >= MOST_CALLS or stopwatch.clock() >= deadline:
            break
        calls *= 2
    return calls, block_s
