"""A sweep from its points to its records, on whatever engine: skips what is finished, submits, gathers, tries again."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import atomic_file, termination
from harness.errors import BadInput, Interrupted, ResultsBusy
from harness.progress import ProgressLine, Say, warnings_said
from harness.store.measurement import MEASUREMENTS
from harness.store.record import RUNS
from harness.store.run_file import run_file
from harness.store.schema import Record, Schema
from harness.store.store import Store
from harness.sweep import ending
from harness.sweep.executor import Executor
from harness.sweep.point import Point
from harness.sweep.remaining import Remaining
from harness.sweep.task import Outcome

#: A machine that goes is nobody's fault; so many of them under one point are no accident any more.
MOST_LOST = 10
_WAIT_S = 1.0
#: Exit codes after which the same again would come to the same: bad input, and the user's interruption.
_FINAL_CODES = (BadInput.exit_code, Interrupted.exit_code)
#: Those of which ``harness run`` by itself leaves no record, either.
_UNRECORDED_CODES = (*_FINAL_CODES, ResultsBusy.exit_code)
_SCHEMAS: Mapping[str, Schema] = {schema.file_name: schema for schema in (RUNS, MEASUREMENTS)}


@dataclass(frozen=True)
class Rules:
    """retries            how often a point that failed is tried again
    timeout_s          of one attempt; None: as long as it takes
    measure_in_store   whether measurements may write to the store themselves, as they may where all are on one machine:
                       two of them cannot at once
    """

    retries: int = 1
    timeout_s: float | None = None
    measure_in_store: bool = True


@dataclass
class Result:
    """finished  ids of points that are in the store, those that were there before among them
    failed    id -> why, of the others
    """

    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


class Conductor:
    """``points`` on ``executor`` into the store in ``results``. ``skipped`` are the ids of those that are finished.

    ``at_once`` is how many points are worked on at the same time, as far as that is known: for the time that is left.
    """

    def __init__(
        self,
        points: Sequence[Point],
        executor: Executor,
        results: Path,
        say: Say,
        *,
        rules: Rules,
        skipped: Collection[str] = (),
        at_once: int | None = None,
        line: ProgressLine | None = None,
    ) -> None:
        self._points = {point.id: point for point in points}
        self._executor, self._results, self._say, self._rules = executor, results, say, rules
        self._stores = {name: Store(results, schema) for name, schema in _SCHEMAS.items()}
        self._result = Result([point.id for point in points if point.id in skipped])
        self._open = {point.id: point for point in points if point.id not in skipped}
        self._failures: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._arrived: set[tuple[str, str]] = set()
        self._line = line or ProgressLine("sweep")
        self._remaining = Remaining(self._open.values(), at_once)

    def conduct(self) -> Result:
        """Everything that is not finished, to its end. The executor is closed in any case.

        Raises Interrupted on Ctrl-C and SIGTERM, when the same command goes on, CannotWrite where the store cannot be
        written, and what the executor raises.
        """
        for store in self._stores.values():
            store.preflight()
        with warnings_said(lambda warning: None):  # whoever asked what is finished has said them
            records = self._stores[RUNS.file_name].latest()
        self._before: dict[str, Record | None] = {record["id"]: record for record in records}
        with termination.as_interrupt():
            try:
                self._work()
            except KeyboardInterrupt as error:
                self._line.close()
                self._say("stopping: trainings save their checkpoints; interrupt once more to give these up")
                self._close()
                done = f"{len(self._result.finished)} of {len(self._points)} points finished"
                raise Interrupted(f"stopped with {done} in {self._results}; the same command goes on") from error
            finally:
                self._line.close()
                self._executor.close()
        return self._result

    def _work(self) -> None:
        self._submit(list(self._open.values()))
        while self._open:
            self._show()
            for outcome in self._executor.wait(_WAIT_S):
                self._take(outcome)
        self._show()

    def _close(self) -> None:
        """End what runs, and keep what it has brought until then."""
        self._executor.close()
        for outcome in self._executor.wait(0.0):
            self._gather(outcome)

    def _submit(self, points: Sequence[Point]) -> None:
        shared = os.path.abspath(self._results) if self._executor.shared else None
        tasks = [
            point.task(self._rules.timeout_s, shared if self._rules.measure_in_store or not point.exclusive else None)
            for point in points
        ]
        if tasks:
            self._executor.submit(tasks)

    def _take(self, outcome: Outcome) -> None:
        """What an outcome says, unless its point has ended before: a machine that was thought lost may come back."""
        self._gather(outcome)
        point = self._open.get(outcome.task_id)
        if point is None:
            return
        if self._is_finished(point, outcome):
            self._end(point)
            self._result.finished.append(point.id)
            self._remaining.ended(point.id, outcome.seconds)
        elif outcome.ending == "lost":
            self._lost(point, outcome)
        else:
            self._failed(point, outcome)

    def _is_finished(self, point: Point, outcome: Outcome) -> bool:
        """By the record of a run, which is the truth, whatever its process did afterwards."""
        if point.config is None:
            return outcome.ending == "ended" and outcome.exit_code == 0
        newest = self._newest(point.id)
        return newest is not None and newest.get("status") == "ok"

    def _lost(self, point: Point, outcome: Outcome) -> None:
        self._losses[point.id] += 1
        times = self._losses[point.id]
        if times > MOST_LOST:
            self._give_up(point, outcome, f"lost {times} times, the last time: {outcome.reason}")
            return
        self._say(f"{point.id}: {outcome.reason or 'its machine was lost'}; started elsewhere")
        self._submit([point])

    def _failed(self, point: Point, outcome: Outcome) -> None:
        why = ending.why(outcome, self._rules.timeout_s)
        self._failures[point.id] += 1
        again = self._failures[point.id]
        if again > self._rules.retries or ending.code(outcome) in _FINAL_CODES:
            self._give_up(point, outcome, why)
            return
        self._before[point.id] = self._newest(point.id)
        self._say(f"{point.id}: {why}; tried again ({again} of {self._rules.retries})")
        self._submit([point])

    def _give_up(self, point: Point, outcome: Outcome, why: str) -> None:
        self._end(point)
        self._result.failed[point.id] = why
        self._remaining.ended(point.id, None)
        said = self._newest(point.id) != self._before.get(point.id) and outcome.ending != "timeout"
        if point.config is not None and ending.code(outcome) not in _UNRECORDED_CODES and not said:
            self._stores[RUNS.file_name].append(ending.record(point, outcome, why))
        if self._open:
            self._say(f"{point.id}: {why}. The others go on")

    def _end(self, point: Point) -> None:
        del self._open[point.id]

    def _newest(self, run_id: str) -> Record | None:
        """The newest record of a run. Of a store of thousands, only the lines that name it are looked at."""
        path = self._stores[RUNS.file_name].path
        content = path.read_bytes() if path.exists() else b""
        name, end = json.dumps(run_id).encode(), len(content)
        while (place := content.rfind(name, 0, end)) >= 0:
            end, after = content.rfind(b"\n", 0, place) + 1, content.find(b"\n", place)
            with contextlib.suppress(ValueError):  # cut short; whoever reads the store says so
                record = json.loads(content[end : after if after >= 0 else None])
                if isinstance(record, dict) and record.get("id") == run_id:
                    return record
        return None

    def _gather(self, outcome: Outcome) -> None:
        """Records and files that came with it into the store; the files first, since records name them.

        What has come once with status ok is not taken again.
        """
        new = [
            (file, record)
            for file, records in outcome.records.items()
            for record in records
            if (file, record["id"]) not in self._arrived
        ]
        if outcome.records and not new:
            return
        for path, content in outcome.files.items():
            atomic_file.write(run_file(self._results, path), content)
        for file, record in new:
            self._stores[file].append(record)
            if record["status"] == "ok":
                self._arrived.add((file, record["id"]))

    def _show(self) -> None:
        finished, failed = len(self._result.finished), len(self._result.failed)
        detail = f"{finished} of {len(self._points)} points finished"
        if self._open:
            detail += f", {self._remaining.running()}"
        self._line.update(self._remaining.share(), detail + f", {failed} failed" * (failed > 0))
