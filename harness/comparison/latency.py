"""How long a frame takes that comes out, with the interval, the verdict and the machine of the timing.

The seed of the weights does not change how long a forward takes, so the runs of an entry are repetitions of one
timing. Its interval is the envelope of theirs: the interval that is stored with a run is of the median in one process,
and processes differ by more than that.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass

from harness.comparison.group import Entry
from harness.measurement.samples import INVALID, NOISY, STABLE
from harness.store.schema import Record, look_up

#: What of a run's environment can change how long a forward takes, apart from threads and precision.
_MACHINE = (
    "processor", "cores", "cpu_capability", "gpu", "system", "python", "openmp_wait_policy", "float32_matmul_precision",
)  # fmt: skip


@dataclass(frozen=True)
class Latency:
    """Of one frame that comes out: median over runs, and the envelope of the runs' intervals where they have one.

    ``verdict`` is STABLE where the figures are of STABLE timings, NOISY where there are only noisy ones, and INVALID
    where there is no figure at all. ``settings`` are of machine, software, threads and precision, one where all runs
    were timed alike; ``machine`` has them in words.
    """

    ms: float | None
    low_ms: float | None
    high_ms: float | None
    verdict: str
    runs: int
    settings: frozenset[str]
    machine: str

    def was_timed_like(self, other: Latency) -> bool:
        """Whether both are of one machine, with the same software, threads and precision."""
        return len(self.settings) == 1 and self.settings == other.settings


def of(entry: Entry) -> Latency | None:
    """None where no run was timed."""
    timed = [run for run in entry.runs if look_up(run, "cost.inference.verdict")]
    for verdict in (STABLE, NOISY, INVALID):
        chosen = [run for run in timed if look_up(run, "cost.inference.verdict") == verdict]
        if chosen:
            return _of_runs(chosen, verdict)
    return None


def _of_runs(runs: list[Record], verdict: str) -> Latency:
    settings = {_setting(run): _in_words(run) for run in runs}
    medians, lows, highs = (
        [value for run in runs if (value := _per_frame(run, name)) is not None]
        for name in ("call_ms", "low_ms", "high_ms")
    )
    usable = verdict != INVALID and bool(medians)
    whole = usable and len(lows) == len(highs) == len(runs)
    return Latency(
        ms=statistics.median(medians) if usable else None,
        low_ms=min(lows) if whole else None,
        high_ms=max(highs) if whole else None,
        verdict=verdict if usable else INVALID,
        runs=len(runs),
        settings=frozenset(settings),
        machine=" / ".join(dict.fromkeys(settings.values())),
    )


def _per_frame(run: Record, name: str) -> float | None:
    duration_ms = look_up(run, f"cost.inference.{name}")
    frames = look_up(run, "cost.output_frames") or look_up(run, "cost.frames")
    return duration_ms / frames if duration_ms and frames else None


def _setting(run: Record) -> str:
    environment = run.get("environment") or {}
    packages = environment.get("packages") or {}
    return json.dumps(
        [
            *(environment.get(name) for name in _MACHINE),
            packages.get("torch"),
            _threads(run),
            _device(run),
            _precision(run),
        ]
    )


def _in_words(run: Record) -> str:
    environment = run.get("environment") or {}
    on_gpu = _device(run).startswith("cuda")
    machine = environment.get("gpu") if on_gpu else environment.get("processor")
    threads = "" if on_gpu else f", {_threads(run)} of {environment.get('cores') or '?'} cores"
    return f"{machine or 'unknown machine'}{threads}, {_precision(run)}"


def _threads(run: Record) -> int | None:
    return look_up(run, "cost.threads") or look_up(run, "environment.threads")


def _device(run: Record) -> str:
    return str(run["config"].get("device") or "cpu")


def _precision(run: Record) -> str:
    return str(run["config"].get("precision") or "fp32")
