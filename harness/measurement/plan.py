"""``harness measure --dry-run``: what would be measured, what is there already, and about how long it would take.

A point that was timed before takes as long again. The operations of any other are counted, at the least and the
greatest T of its model and by a power of T in between, and taken to run at a third of the rate of a matrix product.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import models
from harness.errors import BadInput
from harness.measurement import machine
from harness.measurement.point import AUTO, Point
from harness.measurement.request import Request
from harness.measurement.survey import Environment, Environments, Job, Survey, in_fresh_processes
from harness.measurement.timing import Protocol
from harness.progress import Say, clock_text
from harness.store.measurement import MEASUREMENTS
from harness.store.schema import Record, look_up
from harness.store.store import Store

#: Operations of one clip's forward.
Operations = Callable[[Point], float]

#: Of a matrix product's rate that a whole lifter reaches, roughly.
_SHARE_OF_PRODUCT = 1 / 3
#: A process: to start, to build the model and, for the costs, to count it.
_START_S, _COUNT_S, _MACHINE_S = 0.3, 2.0, 7.0
#: Forwards in a cost pass; some of them are slower than usual.
_COST_FORWARDS = 6


@dataclass(frozen=True)
class Plan:
    """Passes to be run, passes stored, the estimate for those to be run, and how many of them it leaves out."""

    to_do: int
    stored: int
    seconds: float
    unknown: int = 0


def plan(
    request: Request,
    results: Path,
    say: Say,
    *,
    operations: Operations | None = None,
    rate: float | None = None,
    environment_of: Environment | None = None,
) -> Plan:
    """Say line by line what ``survey.measure`` would do; nothing is measured or stored.

    ``operations`` and ``rate`` (operations a second) are for tests. Raises what ``survey.measure`` raises beforehand.
    """
    request = request.resolved()
    survey = Survey(
        request, Store(results, MEASUREMENTS), say, in_fresh_processes(request), environment_of or Environments()
    )  # fmt: skip
    estimate = _Estimate(
        survey, operations or Counted([point for point, refusal in survey.points if refusal is None]), rate
    )
    for point, refusal in survey.points:
        jobs = [job for job in survey.jobs if job.point == point and job.kind != "machine"]
        say(f"  {point.name()}: {_described(jobs, refusal, survey, estimate)}")
    waiting = [job for job in survey.jobs if survey.kept(job) is None]
    durations_s = [estimate.job_s(job) for job in waiting]
    known_s = [duration_s for duration_s in durations_s if duration_s is not None]
    total = Plan(len(waiting), len(survey.jobs) - len(waiting), sum(known_s), len(waiting) - len(known_s))
    without = f" without {total.unknown} of unknown duration" if total.unknown else ""
    say(
        f"{total.to_do} passes to run, {total.stored} stored; about {clock_text(total.seconds)}{without}. "
        "Nothing was measured"
    )
    return total


def _described(jobs: list[Job], refusal: str | None, survey: Survey, estimate: _Estimate) -> str:
    if refusal is not None:
        return f"unsupported, {refusal}"
    waiting = [job for job in jobs if survey.kept(job) is None]
    if not waiting:
        return "stored"
    words = ["cost"] * any(job.kind == "cost" for job in waiting)
    rounds = sum(job.kind == "timing" for job in waiting)
    words += [f"{rounds} round{'s' * (rounds != 1)}"] * bool(rounds)
    known_s = [duration_s for job in waiting if (duration_s := estimate.job_s(job)) is not None]
    duration = f"about {clock_text(sum(known_s))}" if len(known_s) == len(waiting) else "unknown duration"
    return f"{', '.join(words)}, {duration}"


class Counted:
    """Operations of one clip, counted at the least and the greatest T of a model, by a power of T in between."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._ends: dict[str, list[int]] = defaultdict(list)
        for point in points:
            self._ends[_without_frames(point)].append(point.frames)
        self._known: dict[tuple[str, int], float] = {}

    def __call__(self, point: Point) -> float:
        """Raises BadInput for a point that its model does not take, and whatever the model raises."""
        name = _without_frames(point)
        least, most = min(self._ends[name]), max(self._ends[name])
        low, high = (self._counted(dataclasses.replace(point, frames=frames)) for frames in (least, most))
        if least == most:
            return low
        return low * (high / low) ** (math.log(point.frames / least) / math.log(most / least))

    def _counted(self, point: Point) -> float:
        from harness.measurement import ledger

        key = (_without_frames(point), point.frames)
        if key not in self._known:
            model = models.build(point.model, point.frames, point.in_channels, **point.options)
            self._known[key] = float(ledger.of_model(model, point.frames, point.in_channels).total.flops)
        return self._known[key]


def _without_frames(point: Point) -> str:
    return f"{point.model} {point.in_channels} {sorted(point.options.items())}"


def _medians_s(rows: Iterable[Record]) -> dict[str, float]:
    """Point key -> median duration of a forward in the stored rows."""
    samples_ms: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        samples_ms[row.get("point_key") or ""] += look_up(row, "timing.samples_ms") or []
    return {key: statistics.median(samples) / 1000 for key, samples in samples_ms.items() if samples}


class _Estimate:
    def __init__(self, survey: Survey, operations: Operations, rate: float | None) -> None:
        self._survey, self._operations, self._rate = survey, operations, rate
        self._medians_s = _medians_s(survey.stored.values())
        self._forwards_s: dict[Point, float | None] = {}

    def job_s(self, job: Job) -> float | None:
        """Seconds of a pass; None where they cannot be known."""
        if job.kind == "machine":
            return _MACHINE_S
        forward_s = self._forward_s(job.point)
        if forward_s is None:
            return None
        if job.kind == "timing":
            return _START_S + _round_s(forward_s, self._survey.protocol)
        search_s = 2 * forward_s if job.point.batch_asked == AUTO else 0.0
        return _START_S + _COUNT_S + _COST_FORWARDS * forward_s + search_s

    def _forward_s(self, point: Point) -> float | None:
        if point not in self._forwards_s:
            self._forwards_s[point] = self._medians_s.get(point.key()) or self._guessed_s(point)
        return self._forwards_s[point]

    def _guessed_s(self, point: Point) -> float | None:
        try:
            clip_s = self._operations(point) / self._operations_per_s()
        except BadInput:  # refused by its model; nothing will be run
            return 0.0
        except Exception:  # a third party's model may raise anything; measuring it will tell
            return None
        request = self._survey.request
        if point.batch_asked == AUTO:
            return max(clip_s, min(clip_s * request.batch_limit, request.batch_seconds))
        return clip_s * (point.batch or 1)

    def _operations_per_s(self) -> float:
        if self._rate is None:
            self._rate = _SHARE_OF_PRODUCT * machine.product_rate(self._survey.request.device)
        return self._rate


def _round_s(forward_s: float, protocol: Protocol) -> float:
    warm_up_s = max(forward_s, min(protocol.warm_up_calls * forward_s, protocol.warm_up_seconds))
    block_s = max(forward_s, protocol.block_seconds)
    samples_s = max(protocol.min_samples * block_s, protocol.min_seconds)
    return max(min(warm_up_s + block_s + samples_s, protocol.max_seconds + forward_s), 2 * forward_s)
