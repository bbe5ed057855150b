"""The clocks of trainings and timings: fine enough, never backwards, and agreed on how long a second is."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

from harness.doctor.check import Broken, Check, Need

PART = "clock"
Clock = Callable[[], float]
#: A hundredth of the shortest sample that is timed on a GPU.
COARSEST_S = 1e-5
_READINGS = 100_000
_SECONDS = 0.2
#: What two clocks may disagree by, as a share of that time.
_DISAGREEMENT = 0.02
_ATTEMPTS = 5
_REMEDY = "cat /sys/devices/system/clocksource/clocksource0/current_clocksource   (tsc or kvm-clock are fine ones)"


def resolution(results: Path) -> str:
    """The smallest step of the clock that samples are timed with."""
    step = smallest_step(time.perf_counter)
    if not step <= COARSEST_S:
        raise Broken(f"it moves in steps of {step:.2g} s; samples want {COARSEST_S:.0e} s or finer")
    return f"moves in steps of {1e9 * step:.0f} ns"


def smallest_step(clock: Clock) -> float:
    """Seconds between two readings that differ; infinite where none do."""
    readings = [clock() for _ in range(_READINGS)]
    steps = [after - before for before, after in itertools.pairwise(readings) if after > before]
    return min(steps, default=math.inf)


def forwards(results: Path) -> str:
    """Of all three clocks: real time for trainings and for samples, and the processor's time."""
    for name in ("perf_counter", "monotonic", "process_time"):
        if back := steps_back(getattr(time, name)):
            raise Broken(f"time.{name} went backwards {back} times in {_READINGS:,} readings")
    return f"no step back in {_READINGS:,} readings of each"


def steps_back(clock: Clock) -> int:
    """How many readings are earlier than the one before."""
    readings = [clock() for _ in range(_READINGS)]
    return sum(after < before for before, after in itertools.pairwise(readings))


def steady(results: Path) -> str:
    """The clock of samples against the one of trainings and the wall clock."""
    return agreed((time.perf_counter, time.monotonic, time.time), time.sleep)


def agreed(clocks: tuple[Clock, ...], sleep: Callable[[float], None]) -> str:
    """What each clock says of the same time. Raises Broken where they disagree every time, or say less than was slept.

    On a busy machine this process may be put aside between two readings; hardly ever in each of several attempts.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(Broken):
            return _agreed_once(clocks, sleep)
    return _agreed_once(clocks, sleep)


def _agreed_once(clocks: tuple[Clock, ...], sleep: Callable[[float], None]) -> str:
    before = [clock() for clock in clocks]
    sleep(_SECONDS)
    passed = [clock() - start for clock, start in zip(clocks, before, strict=True)]
    said = ", ".join(f"{1000 * seconds:.1f}" for seconds in passed)
    if max(passed) - min(passed) > _DISAGREEMENT * _SECONDS:
        raise Broken(f"of the same time they say {said} ms", "timedatectl   (is the system's clock being set?)")
    if min(passed) < (1 - _DISAGREEMENT) * _SECONDS:
        raise Broken(f"of a sleep of {1000 * _SECONDS:.0f} ms they say {said} ms")
    return f"three clocks say {said} ms of the same time"


CHECKS = (
    Check(PART, "resolution", "a sample is as exact as the clock is fine", resolution, Need.ALWAYS, _REMEDY),
    Check(PART, "forwards", "no duration is negative", forwards, Need.ALWAYS, _REMEDY),
    Check(PART, "steady", "budgets in minutes and samples are the same seconds", steady, Need.NEVER, _REMEDY),
)
