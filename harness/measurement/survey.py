"""``harness measure``: every point in fresh processes, the rounds of all points interleaved, every row stored at once.

What a slow change of the machine does to one point it then does to all of them, and what differs between processes lies
inside the intervals. A row that is stored is not measured again, so that the same command goes on after any end.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness import environment, lock, models, source_code, termination
from harness.errors import Interrupted
from harness.measurement import fresh_process, largest_batch, memory, worker
from harness.measurement.fresh_process import Result, Task
from harness.measurement.largest_batch import Trial
from harness.measurement.point import AUTO, Point
from harness.measurement.request import Request
from harness.measurement.timing import Protocol
from harness.progress import ProgressLine, Say
from harness.store.measurement import MEASUREMENTS
from harness.store.schema import Record, look_up
from harness.store.store import Store

#: Runs a task in a fresh process.
RunTask = Callable[[Task], Result]
#: The environment of a model's points, with ``model_code`` and ``measurement_code``.
Environment = Callable[[str], Mapping[str, Any]]

#: Statuses that measuring again would not change.
_SETTLED = ("ok", "oom", "unsupported")
#: Statuses that make the command fail.
BAD = ("failed", "timeout")
#: What did not fit is tried again where a process may take more than this many times what it might then.
_MORE_MEMORY = 1.1


@dataclass(frozen=True)
class Job:
    """One pass over one point: a row to be."""

    kind: str
    point: Point
    environment_key: str
    round: int | None = None

    @property
    def id(self) -> str:
        """The row's."""
        if self.kind == "machine":
            return f"machine-{self.environment_key}-{self.point.device}-{self.point.threads}"
        end = "" if self.round is None else f"-{self.round}"
        return f"{self.point.key()}-{self.environment_key}-{self.kind}{end}"

    def name(self) -> str:
        """For a line of progress."""
        if self.kind == "machine":
            return f"the machine itself, {self.point.device}, {self.point.threads} threads"
        return f"{self.point.name()}, " + (self.kind if self.round is None else f"round {self.round + 1}")


def measure(
    request: Request,
    results: Path,
    say: Say,
    *,
    run_task: RunTask | None = None,
    environment_of: Environment | None = None,
) -> list[Record]:
    """Measure what of ``request`` is not stored in ``results`` yet; returns the rows of all its points.

    A row is stored as soon as it is there. Raises BadInput for what cannot be asked for, CannotWrite, ResultsBusy
    while another survey writes there, and Interrupted on Ctrl-C and SIGTERM, when only the pass in hand is lost.
    ``run_task`` and ``environment_of`` are for tests.
    """
    request = request.resolved()
    store = Store(results, MEASUREMENTS)
    store.preflight()
    with lock.held(results / "measurements.lock", f"{store.path}"), termination.as_interrupt():
        survey = Survey(request, store, say, run_task or in_fresh_processes(request), environment_of or Environments())
        try:
            return survey.measure()
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"stopped with {survey.done} of {survey.total} passes stored in {store.path}; the same command goes on"
            ) from error
        finally:
            survey.line.close()


def in_fresh_processes(request: Request) -> RunTask:
    """Each task in a process of its own, which is ended after the request's timeout."""
    timeout_s = request.timeout_s or 0.0
    return lambda task: fresh_process.call(worker.run, task, timeout_s=timeout_s, preload=worker.PRELOAD)


class Environments:
    """The environment as it is now, captured once, with digests of the code that measures and of each model's."""

    def __init__(self) -> None:
        self._captured = {**environment.capture(), "measurement_code": source_code.of_measurement()}
        self._of_model: dict[str, Mapping[str, Any]] = {}

    def __call__(self, model: str) -> Mapping[str, Any]:
        if model not in self._of_model:
            code = source_code.of_model(models.module_of(model))
            self._of_model[model] = {**self._captured, "model_code": code}
        return self._of_model[model]


class Survey:
    """A request against what is stored. ``request`` is resolved."""

    def __init__(
        self, request: Request, store: Store, say: Say, run_task: RunTask, environment_of: Environment
    ) -> None:
        self.request, self.store, self.say = request, store, say
        self._run_task, self._environment_of = run_task, environment_of
        self.points = request.points()
        self.protocol = (request.protocol or Protocol()).on(request.device)
        self.stored = {row["id"]: row for row in store.latest()}
        self.line = ProgressLine("measuring")
        self._limit_bytes = self._limit_at_start = self._limit_now()
        self._keys = {point.model: environment.key(environment_of(point.model)) for point, _ in self.points}
        self._rows: dict[str, Record] = {}
        self._durations_s: dict[tuple[str, str], float] = {}
        self.jobs = self._ordered()
        self._to_do = [job for job in self.jobs if self.kept(job) is None]
        self.total, self.done = len(self.jobs), 0

    def _ordered(self) -> list[Job]:
        """Every pass in the order in which it is taken: machine, costs, then rounds of all points, each shuffled."""
        shuffled = random.Random(self.request.seed)
        taken = [point for point, refusal in self.points if refusal is None]
        machines = {job.id: job for job in (self._job("machine", point) for point in taken)}
        costs = [self._job("cost", point) for point, _ in self.points]
        shuffled.shuffle(costs)
        jobs = [*machines.values(), *costs]
        for index in range(self.protocol.rounds):
            timings = [self._job("timing", point, index) for point in taken]
            shuffled.shuffle(timings)
            jobs += timings
        return jobs

    def _job(self, kind: str, point: Point, index: int | None = None) -> Job:
        return Job(kind, point, self._keys[point.model], index)

    def measure(self) -> list[Record]:
        """All rows, stored and new."""
        refusals = {point.key(): refusal for point, refusal in self.points}
        for job in self.jobs:
            self.line.update(*self._progress(job))
            row = self.kept(job) or self._made(job, refusals.get(job.point.key()))
            if row is not None:
                self._rows[job.id] = row
            if self._to_do and self._to_do[0] is job:
                self._to_do.pop(0)
            self.done += 1
        self.line.update(1.0)
        self._conclude()
        return list(self._rows.values())

    def kept(self, job: Job) -> Record | None:
        """The stored row that makes ``job`` unnecessary."""
        row = None if self.request.again else self.stored.get(job.id)
        if row is None or row["status"] not in _SETTLED or fresh_process.was_killed(row):
            return None
        return row if self._as_wanted(job, row) else None

    def _as_wanted(self, job: Job, row: Record) -> bool:
        stored = row.get("protocol") or {}
        if not self._is_of_todays_code(job, row):
            return False
        if job.kind == "timing":
            names = Protocol.__dataclass_fields__
            protocol = Protocol(**{name: value for name, value in stored.items() if name in names})
            cost_id = self._job("cost", job.point).id
            cost = self._rows.get(cost_id) or self.stored.get(cost_id)
            same_batch = cost is None or look_up(cost, "point.batch") == look_up(row, "point.batch")
            if not (protocol.covers(self.protocol) and same_batch):
                return False
        searched = job.point.batch_asked == AUTO and job.kind == "cost"
        if searched and any(stored.get(name) != value for name, value in self._batch_protocol().items()):
            return False
        if row["status"] != "oom":
            return True
        then = _or_endless(stored.get("memory_limit_in_effect_bytes"))
        return _or_endless(self._limit_at_start) <= _MORE_MEMORY * then

    def _is_of_todays_code(self, job: Job, row: Record) -> bool:
        today = self._environment_of(job.point.model)
        codes = ("measurement_code",) if job.kind == "machine" else ("measurement_code", "model_code")
        return all(look_up(row, f"environment.{code}") == today.get(code) for code in codes)

    def _batch_protocol(self) -> dict[str, float]:
        return {"batch_limit": self.request.batch_limit, "batch_seconds": self.request.batch_seconds}

    def _memory_protocol(self) -> dict[str, Any]:
        return {
            "memory_limit_bytes": self.request.memory_limit_bytes,
            "memory_limit_in_effect_bytes": self._limit_bytes,
        }

    def _limit_now(self) -> int | None:
        """Of a process that starts now; None where that is not known, and on a GPU, whose own memory is the limit."""
        if self.request.device.startswith("cuda"):
            return None
        return self.request.memory_limit_bytes or memory.available_bytes()

    def _made(self, job: Job, refusal: str | None) -> Record | None:
        """A new row, stored; None where the point's cost pass has shown that there is nothing to time."""
        started, start = _now(), time.monotonic()
        self._limit_bytes = self._limit_now()
        if job.kind == "timing":
            cost = self._rows[self._job("cost", job.point).id]
            if cost["status"] != "ok":
                return None
            point = job.point.of_batch(cost["point"]["batch"])
            part = self._run(job, point)
        elif refusal is not None:
            point, part = job.point, {"status": "unsupported", "error": refusal}
        elif job.kind == "cost":
            point, part = self._cost(job)
        else:
            point, part = job.point, self._run(job, job.point)
        row = self._row(job, point, part, started)
        self.store.append(row)
        self._durations_s[job.kind, job.point.key()] = time.monotonic() - start
        if row["status"] != "ok":
            self.say(f"{job.name()}: {row['status']}, {row['error']}")
        return row

    def _run(self, job: Job, point: Point, kind: str | None = None) -> Result:
        return self._run_task({
            "pass": kind or job.kind,
            "point": point.as_dict(),
            "seed": self.request.seed,
            "protocol": self.protocol.as_dict(),
            "memory_limit_bytes": self._limit_bytes,
        })  # fmt: skip

    def _run_surely(self, job: Job, point: Point, kind: str | None = None) -> Result:
        """A pass that says whether a batch fits; once more where the system killed it, perhaps for another's memory."""
        part = self._run(job, point, kind)
        return self._run(job, point, kind) if fresh_process.was_killed(part) else part

    def _cost(self, job: Job) -> tuple[Point, Result]:
        """The point with its batch found where that was asked for, and the pass over it."""

        def attempt(batch: int) -> Trial:
            self.line.update(*self._progress(job, f", trying a batch of {batch}"))
            tried = self._run_surely(job, job.point.of_batch(batch), "probe")
            return Trial(tried["status"], tried.get("seconds"), tried.get("error"))

        if job.point.batch_asked != AUTO:
            part = self._run(job, job.point)
            if part["status"] == "oom":
                part = {**part, "largest_batch": largest_batch.below(attempt, job.point.batch or 1)}
                part["largest_batch_bound"] = "memory"
            return job.point, part
        found = largest_batch.search(attempt, self.request.batch_limit, self.request.batch_seconds)
        if found.batch == 0:
            part = {"status": found.last.status, "error": found.last.error, "largest_batch": 0}
            return job.point, {**part, "largest_batch_bound": found.bound}
        return self._cost_of_largest(job, found)

    def _cost_of_largest(self, job: Job, found: largest_batch.Largest) -> tuple[Point, Result]:
        """Measuring takes a little more than running, so the largest that ran may not quite do."""
        batch, bound = found.batch, found.bound
        while True:
            part = self._run_surely(job, job.point.of_batch(batch))
            if part["status"] != "oom" or batch == 1:
                return job.point.of_batch(batch), {**part, "largest_batch": batch, "largest_batch_bound": bound}
            batch, bound = batch // 2, "memory"

    def _row(self, job: Job, point: Point, part: Result, started: str) -> Record:
        captured = {**self._environment_of(point.model), "threads": point.threads}
        row: Record = {
            "id": job.id,
            **part,
            "pass": job.kind,
            "round": job.round,
            "started": started,
            "finished": _now(),
            "environment": captured,
            "environment_key": job.environment_key,
            "protocol": self._protocol_entry(),
        }
        return row if job.kind == "machine" else {**row, "point": point.as_dict(), "point_key": job.point.key()}

    def _protocol_entry(self) -> dict[str, Any]:
        own = {"seed": self.request.seed, "timeout_s": self.request.timeout_s}
        return {**self.protocol.as_dict(), **self._batch_protocol(), **self._memory_protocol(), **own}

    def _progress(self, job: Job, more: str = "") -> tuple[float, str]:
        """(share of the work done, what is being done), by the durations of what is done."""
        past, to_come = sum(self._durations_s.values()), sum(map(self._expected_s, self._to_do))
        return past / (
            past + to_come
        ) if past + to_come > 0 else 0.0, f"{self.done + 1}/{self.total} {job.name()}{more}"

    def _expected_s(self, job: Job) -> float:
        known = self._durations_s.get((job.kind, job.point.key()))
        if known is not None:
            return known
        alike = [seconds for (kind, _), seconds in self._durations_s.items() if kind == job.kind]
        return statistics.mean(alike or self._durations_s.values() or [1.0])

    def _conclude(self) -> None:
        counted = {status: sum(row["status"] == status for row in self._rows.values()) for status in (*_SETTLED, *BAD)}
        words = [f"{count} {status}" for status, count in counted.items() if count]
        self.say(f"{', '.join(words)} in {self.store.path}")


def any_bad(rows: Sequence[Record]) -> bool:
    """Whether a point failed, so that the command's exit code is 1: not for what does not fit or is not supported."""
    return any(row["status"] in BAD for row in rows)


def _or_endless(limit_bytes: float | None) -> float:
    return math.inf if limit_bytes is None else limit_bytes


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
