"""A sweep from its points to its records, on whatever engine: skips what is finished, submits, gathers, tries again."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import termination
from harness.errors import BadInput, CannotWrite, Interrupted, ResultsBusy
from harness.progress import ProgressLine, Say, warnings_said
from harness.store.measurement import MEASUREMENTS
from harness.store.schema import Record
from harness.store.store import Store
from harness.sweep import ending
from harness.sweep.delivery import Deliveries
from harness.sweep.executor import Executor
from harness.sweep.point import Point
from harness.sweep.remaining import Remaining
from harness.sweep.task import Outcome

#: A machine that goes is nobody's fault; so many of them under one point are no accident any more.
MOST_LOST = 10
#: A run's folder is another process's as long as that works there: between two tries, and how often.
BUSY_PAUSE_S, MOST_BUSY = 60.0, 120
_WAIT_S = 1.0
#: Exit codes after which the same again would come to the same: bad input, the user's interruption, and a folder that
#: has been busy for too long. ``harness run`` by itself leaves no record of these, either.
_FINAL_CODES = (BadInput.exit_code, Interrupted.exit_code, ResultsBusy.exit_code)


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
        self._count = len(points)
        self._executor, self._results, self._say, self._rules = executor, results, say, rules
        self._runs, self._deliveries = Store(results), Deliveries(results)
        self._result = Result([point.id for point in points if point.id in skipped])
        self._points = {point.id: point for point in points if point.id not in skipped}
        self._open = dict(self._points)
        self._failures: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()
        self._later: list[tuple[float, Point]] = []  # when to try again, by time.monotonic
        self._arrivals: deque[Outcome] = deque()
        self._line = line or ProgressLine("sweep")
        self._remaining = Remaining(self._open.values(), at_once)

    def conduct(self) -> Result:
        """Everything that is not finished, to its end. The executor is closed in any case.

        Raises Interrupted on Ctrl-C and SIGTERM, when the same command goes on, CannotWrite where the store cannot be
        written, and what the executor raises.
        """
        for store in (self._runs, Store(self._results, MEASUREMENTS)):
            store.preflight()
        self._before: dict[str, Record | None] = {**self._latest()}
        with termination.as_interrupt():
            try:
                self._work()
            except KeyboardInterrupt as error:
                self._line.close()
                kept = "save their checkpoints" if self._executor.shared else "end, and only finished ones are kept"
                self._say(f"stopping: trainings {kept}; interrupt once more to give these up")
                self._close()
                done = f"{len(self._result.finished)} of {self._count} points finished"
                raise Interrupted(f"stopped with {done} in {self._results}; the same command goes on") from error
            except Exception:
                self._gather_all()  # what came with the one at fault
                raise
            finally:
                self._line.close()
                self._executor.close()
        return self._result

    def _work(self) -> None:
        self._submit(list(self._open.values()))
        while self._open:
            self._show()
            self._submit_what_waited()
            if len(self._later) == len(self._open):  # the executor has nothing to wait for
                time.sleep(_WAIT_S)
            self._arrivals.extend(self._executor.wait(_WAIT_S))
            while self._arrivals:
                self._judge(self._next_arrival())
        self._show()

    def _close(self) -> None:
        """Keep what has come, end what runs, keep what that has brought until then, and count what is finished."""
        self._gather_all()
        self._executor.close()
        self._arrivals.extend(self._executor.wait(0.0))
        self._gather_all()
        stored = self._latest()
        for point in [*self._open.values()]:
            if stored.get(point.id, {}).get("status") == "ok":
                self._finish(point)

    def _gather_all(self) -> None:
        while self._arrivals:
            outcome = self._next_arrival()
            point = self._open.get(outcome.task_id)
            if point is not None and self._is_finished(point, outcome):
                self._finish(point)

    def _next_arrival(self) -> Outcome:
        """Stored, as far as it brought something; what an interruption finds undone is done when it closes."""
        outcome = self._gather(self._arrivals[0])
        self._arrivals.popleft()
        return outcome

    def _submit(self, points: Sequence[Point]) -> None:
        shared = os.path.abspath(self._results)
        tasks = [point.task(self._rules.timeout_s, shared if self._in_store(point) else None) for point in points]
        if tasks:
            self._executor.submit(tasks)

    def _submit_what_waited(self) -> None:
        now = time.monotonic()
        waiting = [(until, point) for until, point in self._later if point.id in self._open]
        self._later = [(until, point) for until, point in waiting if until > now]
        self._submit([point for until, point in waiting if until <= now])

    def _in_store(self, point: Point) -> bool:
        """Whether its process writes there by itself."""
        return self._executor.shared and (self._rules.measure_in_store or not point.exclusive)

    def _judge(self, outcome: Outcome) -> None:
        """What an outcome says, unless its point has ended before: a machine that was thought lost may come back."""
        point = self._open.get(outcome.task_id)
        if point is None:
            return
        if self._is_finished(point, outcome):
            self._finish(point, outcome.seconds)
        elif outcome.ending == "lost":
            self._lost(point, outcome)
        elif ending.code(outcome) == ResultsBusy.exit_code and self._busy[point.id] < MOST_BUSY:
            self._wait_for(point, outcome)
        elif ending.code(outcome) == CannotWrite.exit_code and self._in_store(point):
            raise CannotWrite(ending.why(outcome, None))  # and so it would be for all others
        else:
            self._failed(point, outcome)

    def _is_finished(self, point: Point, outcome: Outcome) -> bool:
        """By the record of a run, which is the truth, whatever its process did afterwards."""
        if point.config is None:
            return outcome.ending == "ended" and outcome.exit_code == 0
        newest = self._newest(point.id)
        return newest is not None and newest.get("status") == "ok"

    def _finish(self, point: Point, seconds: float | None = None) -> None:
        self._end(point, seconds)
        self._result.finished.append(point.id)

    def _wait_for(self, point: Point, outcome: Outcome) -> None:
        """For another process, which may be one of this point on a machine that was thought lost."""
        if not self._busy[point.id]:
            self._say(f"{point.id}: {outcome.reason}; tried again every {BUSY_PAUSE_S:.0f} s")
        self._busy[point.id] += 1
        self._later.append((time.monotonic() + BUSY_PAUSE_S, point))

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
        self._end(point, None)
        self._result.failed[point.id] = why
        said = self._newest(point.id) != self._before.get(point.id) and outcome.ending != "timeout"
        if point.config is not None and ending.code(outcome) not in _FINAL_CODES and not said:
            self._runs.append(ending.record(point, outcome, why))
        if self._open:
            self._say(f"{point.id}: {why}. The others go on")

    def _end(self, point: Point, seconds: float | None) -> None:
        del self._open[point.id]
        self._remaining.ended(point.id, seconds)

    def _newest(self, run_id: str) -> Record | None:
        with warnings_said(lambda warning: None):  # a line that another process is writing
            return self._runs.find(run_id, skip_bad=True)

    def _latest(self) -> dict[str, Record]:
        with warnings_said(lambda warning: None):  # whoever asked what is finished has said them
            return {record["id"]: record for record in self._runs.latest()}

    def _gather(self, outcome: Outcome) -> Outcome:
        """What came with it into the store; an outcome that says why not, where that cannot be taken."""
        try:
            if (point := self._points.get(outcome.task_id)) is not None:
                self._deliveries.take(point, outcome)
        except CannotWrite:
            raise
        except Exception as error:  # whatever a machine sends is no reason to end the sweep
            why = f"what it brought is refused: {error or type(error).__name__}"
            return dataclasses.replace(outcome, ending="ended", exit_code=1, reason=why, records={}, files={})
        return outcome

    def _show(self) -> None:
        finished, failed = len(self._result.finished), len(self._result.failed)
        detail = f"{finished} of {self._count} points finished"
        if self._open:
            detail += f", {self._remaining.running()}"
        self._line.update(self._remaining.share(), detail + f", {failed} failed" * (failed > 0))
