"""The conductor on an engine that does as it is told: what is stored, tried again, given up, and when it ends."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.comparison.group import group
from harness.config import RunConfig
from harness.errors import BadInput, CannotWrite, Interrupted
from harness.measurement.request import Request
from harness.reporting import table
from harness.store.measurement import MEASUREMENTS
from harness.store.store import Store
from harness.sweep import conductor
from harness.sweep.conductor import Conductor, Result, Rules
from harness.sweep.point import Point
from harness.sweep.task import Outcome, Task
from harness.training.budget import Budget

#: How a task ends, several outcomes that come at once, or what is raised while it is waited for.
Ending = Outcome | tuple[Outcome, ...] | BaseException


def point(seed: int) -> Point:
    config = RunConfig("posemamba-xs", seed=seed, budget=Budget(steps=1))
    return Point(config.run_id(), ("run", "--model", config.model, "--seed", str(seed)), config)


def record(of: Point, status: str = "ok", **more: Any) -> dict[str, Any]:
    assert of.config is not None
    error = {} if status == "ok" else {"error": "it does not work"}
    plain = json.loads(json.dumps(of.config.as_dict()))
    return {"schema": 1, "id": of.id, "status": status, **error, "config": plain, **more}


class Engine:
    """Answers each task with the next of its ``endings``, one in each ``wait``; the default is a finished run.

    Where it is ``shared`` its tasks append their records themselves, as processes on this machine do.
    """

    def __init__(self, points: Sequence[Point], endings: Mapping[str, Sequence[Ending]], shared: bool) -> None:
        self.shared = shared
        self._points = {one.id: one for one in points}
        self._endings = {point_id: deque(those) for point_id, those in endings.items()}
        self.submitted: list[Task] = []
        self._queue: deque[Task] = deque()
        self.late: list[Outcome] = []
        self.closed = 0

    def submit(self, tasks: Sequence[Task]) -> None:
        self.submitted += tasks
        self._queue += tasks

    def wait(self, timeout_s: float) -> list[Outcome]:
        if not self._queue:
            late, self.late = self.late, []
            return late
        task = self._queue.popleft()
        endings = self._endings.get(task.id)
        ending = endings.popleft() if endings else ended(self._points[task.id], record(self._points[task.id]))
        if isinstance(ending, BaseException):
            raise ending
        if isinstance(ending, tuple) or task.results is None:
            return list(ending) if isinstance(ending, tuple) else [ending]
        for made in ending.records.get("records.jsonl", ()):
            Store(task.results).append(made)
        return [Outcome(ending.task_id, ending.ending, ending.exit_code, ending.reason, ending.seconds, ending.host)]

    def close(self) -> None:
        self.closed += 1
        self._queue.clear()


def ended(of: Point, *records: Mapping[str, Any], code: int | None = 0, **more: Any) -> Outcome:
    return Outcome(
        of.id, "ended", code, seconds=2.0, host="node-1", records={"records.jsonl": records} if records else {}, **more
    )


class Sweep:
    """A sweep that has ended: ``endings`` by the seed of the point."""

    def __init__(
        self,
        results: Path,
        endings: Mapping[int, Sequence[Ending]] | None = None,
        *,
        seeds: int = 3,
        shared: bool = False,
        rules: Rules | None = None,
        skipped: Sequence[int] = (),
        late: Sequence[Outcome] = (),
    ) -> None:
        self.points = [point(seed) for seed in range(seeds)]
        by_id = {self.points[seed].id: those for seed, those in (endings or {}).items()}
        self.engine = Engine(self.points, by_id, shared)
        self.engine.late = list(late)
        self.said: list[str] = []
        self.store = Store(results)
        self.error: BaseException | None = None
        self.result = Result()
        work = Conductor(
            self.points,
            self.engine,
            results,
            self.said.append,
            rules=rules or Rules(),
            skipped=[self.points[seed].id for seed in skipped],
        )
        try:
            self.result = work.conduct()
        except BaseException as error:
            self.error = error

    def rows(self, seed: int) -> list[tuple[str, str | None]]:
        """(status, error) of each record of a point."""
        mine = [one for one in self.store.records() if one["id"] == self.points[seed].id]
        return [(one["status"], one.get("error")) for one in mine]

    def seeds(self, ids: Sequence[str]) -> list[int]:
        order = [one.id for one in self.points]
        return sorted(order.index(one) for one in ids)


both = pytest.mark.parametrize("shared", [False, True])


@both
def test_all_finish(tmp_path: Path, shared: bool) -> None:
    sweep = Sweep(tmp_path, shared=shared)
    assert (sweep.seeds(sweep.result.finished), sweep.result.failed, sweep.error) == ([0, 1, 2], {}, None)
    assert [sweep.rows(seed) for seed in range(3)] == 3 * [[("ok", None)]]
    assert {task.results for task in sweep.engine.submitted} == {str(tmp_path) if shared else None}
    assert sweep.engine.closed


def test_a_relative_folder_is_sent_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = Sweep(Path("results"), shared=True)
    assert {task.results for task in sweep.engine.submitted} == {os.path.realpath(tmp_path / "results")}


def test_what_is_finished_is_not_sent(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, skipped=[0, 2])
    assert sweep.seeds([task.id for task in sweep.engine.submitted]) == [1]
    assert sweep.seeds(sweep.result.finished) == [0, 1, 2]


@both
def test_a_crash_is_a_failed_row_with_the_signal_and_the_others_finish(tmp_path: Path, shared: bool) -> None:
    crash = ended(point(1), code=-signal.SIGABRT, reason="free(): invalid pointer")
    sweep = Sweep(tmp_path, {1: [crash, crash]}, shared=shared)
    assert sweep.rows(1) == [("failed", "crashed with SIGABRT: free(): invalid pointer")]
    assert (sweep.seeds(sweep.result.finished), sweep.seeds(list(sweep.result.failed))) == ([0, 2], [1])
    assert len(sweep.engine.submitted) == 4
    assert f"{sweep.points[1].id}: crashed with SIGABRT: free(): invalid pointer; tried again (1 of 1)" in sweep.said
    row = sweep.store.find(sweep.points[1].id)
    assert row is not None
    assert (row["environment"], row["data"], row["seed"]) == ({"host": "node-1"}, {"spec": "synthetic"}, 1)
    assert "failed" in table.text(group(sweep.store.latest()))


@both
def test_a_timeout_is_a_row_whatever_the_point_said_when_it_was_ended(tmp_path: Path, shared: bool) -> None:
    stopped = Outcome(point(0).id, "timeout", 130, records={"records.jsonl": [record(point(0), "interrupted")]})
    sweep = Sweep(tmp_path, {0: [stopped]}, shared=shared, rules=Rules(retries=0, timeout_s=90.0))
    assert sweep.rows(0)[-1] == ("timeout", "stopped after 1.5 minutes (--timeout)")
    assert sweep.engine.submitted[0].timeout_s == 90.0


def test_a_timeout_is_tried_again_though_the_point_ended_as_one_that_was_interrupted(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, {0: [Outcome(point(0).id, "timeout", 130)]}, rules=Rules(timeout_s=90.0))
    assert sweep.rows(0) == [("ok", None)]


@both
def test_one_that_works_the_second_time(tmp_path: Path, shared: bool) -> None:
    failed = ended(point(0), record(point(0), "failed"), code=1, reason="it does not work")
    sweep = Sweep(tmp_path, {0: [failed]}, shared=shared)
    assert sweep.rows(0) == [("failed", "it does not work"), ("ok", None)]
    assert sweep.result.failed == {}


@both
def test_its_own_record_is_the_truth(tmp_path: Path, shared: bool) -> None:
    failed = ended(point(0), record(point(0), "failed"), code=1)
    crashed_at_exit = ended(point(1), record(point(1)), code=-signal.SIGSEGV)
    sweep = Sweep(tmp_path, {0: [failed], 1: [crashed_at_exit]}, shared=shared, rules=Rules(retries=0))
    assert sweep.rows(0) == [("failed", "it does not work")], "no second row beside its own"
    assert sweep.rows(1) == [("ok", None)]
    assert sweep.seeds(list(sweep.result.failed)) == [0]


@both
def test_a_row_of_an_earlier_attempt_does_not_speak_for_the_last_one(tmp_path: Path, shared: bool) -> None:
    failed = ended(point(0), record(point(0), "failed"), code=1)
    sweep = Sweep(tmp_path, {0: [failed, ended(point(0), code=-signal.SIGKILL)]}, shared=shared)
    assert sweep.rows(0) == [("failed", "it does not work"), ("failed", "crashed with SIGKILL")]


def test_an_end_without_a_record_is_a_failure(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, {0: [ended(point(0))]}, rules=Rules(retries=0))
    assert sweep.rows(0) == [("failed", "ended without a record")]


@pytest.mark.parametrize("code", [2, 130])
def test_what_would_come_to_the_same_is_not_tried_again(tmp_path: Path, code: int) -> None:
    sweep = Sweep(tmp_path, {0: [ended(point(0), code=code, reason="no such file")]}, rules=Rules(retries=5))
    assert len(sweep.engine.submitted) == 3
    assert sweep.result.failed == {sweep.points[0].id: "no such file"}
    assert sweep.rows(0) == [], "as by harness run"


def test_a_lost_machine_is_not_counted_as_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Outcome(point(0).id, "lost", reason="node-1 went")
    sweep = Sweep(tmp_path, {0: 9 * [lost]}, rules=Rules(retries=0))
    assert sweep.result.failed == {}
    assert sweep.said.count(f"{sweep.points[0].id}: node-1 went; started elsewhere") == 9
    monkeypatch.setattr(conductor, "MOST_LOST", 2)
    sweep = Sweep(tmp_path / "other", {0: 9 * [lost]})
    assert sweep.rows(0) == [("failed", "lost 3 times, the last time: node-1 went")]


def test_a_record_that_comes_twice_is_stored_once(tmp_path: Path) -> None:
    """A machine that was thought lost was not: what it and the second attempt come to arrives, whichever is first."""
    first = ended(point(0), record(point(0), started="first"), files={f"runs/{point(0).id}/weights.pt": b"first"})
    second = ended(point(0), record(point(0), started="second"), files={f"runs/{point(0).id}/weights.pt": b"second"})
    failed = ended(point(0), record(point(0), "failed"), code=1)
    lost = Outcome(point(0).id, "lost")
    others = [ended(point(seed), record(point(seed))) for seed in range(3)]
    sweep = Sweep(tmp_path, {0: [lost], 1: [(first, others[1])], 2: [(second, failed, others[2])]})
    assert sweep.error is None
    assert sweep.rows(0) == [("ok", None)]
    assert (tmp_path / f"runs/{point(0).id}/weights.pt").read_bytes() == b"first"
    assert sweep.seeds(sweep.result.finished) == [0, 1, 2]


def test_files_are_there_before_the_record_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[bool] = []
    append = Store.append
    monkeypatch.setattr(
        Store,
        "append",
        lambda self, made: (there.append((tmp_path / f"runs/{point(0).id}/w").exists()), append(self, made)),
    )
    Sweep(tmp_path, {0: [ended(point(0), record(point(0)), files={f"runs/{point(0).id}/w": b"weights"})]}, seeds=1)
    assert there == [True]
    assert (tmp_path / f"runs/{point(0).id}/w").read_bytes() == b"weights"


OWN, OTHER = point(0).id, point(1).id


@pytest.mark.parametrize(
    ("brought", "message"),
    [
        ({"files": {"../w": b""}}, "the file '../w' is in no place that"),
        ({"files": {f"runs/{OWN}/../w": b""}}, "is in no place that"),
        ({"files": {f"runs/{OTHER}/w": b""}}, "is in no place that"),
        ({"files": {f"runs/{OWN}": b""}}, "is in no place that"),
        ({"files": {"records.jsonl": b""}}, "is in no place that"),
        ({"files": {f"runs/{OWN}/link/w": b""}}, "is in no place that"),
        ({"files": {f"runs/{OWN}/a\0b": b""}}, "null byte"),
        ({"files": {f"runs/{OWN}/{300 * 'w'}": b""}}, "File name too long"),
        ({"files": {f"runs/{OWN}/w": b"", f"runs/{OWN}/w/w": b""}}, "cannot write 0 bytes to"),
        ({"records": {"records.jsonl": [record(point(1))]}}, f"the record '{OTHER}' in records.jsonl is none of {OWN}"),
        ({"records": {"measurements.jsonl": [record(point(0))]}}, "in measurements.jsonl is none of"),
        ({"records": {"../records.jsonl": [record(point(0))]}}, "in ../records.jsonl is none of"),
        ({"records": {"records.jsonl": [record(point(0)), {"id": OWN}]}}, "has no status"),
        ({"records": {"records.jsonl": [record(point(0), colour="red")]}}, "colour is no field of the schema"),
        ({"records": {"records.jsonl": [record(point(0), schema="1")]}}, "is refused: "),
        ({"records": {"records.jsonl": ["nonsense"]}}, "is refused: "),
    ],
)
def test_what_is_not_of_its_point_is_refused_and_ends_nothing_else(
    tmp_path: Path, brought: Mapping[str, Any], message: str
) -> None:
    (tmp_path / "r" / "runs" / OWN).mkdir(parents=True)
    (tmp_path / "r" / "runs" / OWN / "link").symlink_to(tmp_path)
    wrong = Outcome(OWN, "ended", 0, **brought)
    others = [ended(point(seed), record(point(seed))) for seed in (1, 2)]
    sweep = Sweep(tmp_path / "r", {0: [(wrong, *others)]}, rules=Rules(retries=0))
    assert sweep.error is None
    assert message in sweep.result.failed[OWN]
    assert [sweep.rows(seed) for seed in (1, 2)] == 2 * [[("ok", None)]]
    assert [status for status, _ in sweep.rows(0)] == ["failed"]
    assert not (tmp_path / "w").exists()


def test_of_what_was_finished_before_nothing_is_taken(tmp_path: Path) -> None:
    forged = ended(point(1), record(point(1), started="forged"))
    own = ended(point(0), record(point(0)))
    assert Sweep(tmp_path, {0: [(forged, own)]}, skipped=[1], seeds=2).rows(1) == []


def test_a_busy_folder_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conductor, "BUSY_PAUSE_S", 0.0)
    monkeypatch.setattr(conductor, "_WAIT_S", 0.0)
    busy = ended(point(0), code=3, reason="it is in use by process 7")
    sweep = Sweep(tmp_path, {0: 5 * [busy]}, rules=Rules(retries=0))
    assert (sweep.result.failed, sweep.rows(0)) == ({}, [("ok", None)])
    assert [line for line in sweep.said if "in use" in line] == [f"{OWN}: {busy.reason}; tried again every 0 s"]
    monkeypatch.setattr(conductor, "MOST_BUSY", 2)
    sweep = Sweep(tmp_path / "other", {0: 5 * [busy]}, seeds=1)
    assert (sweep.result.failed, sweep.rows(0)) == ({OWN: "it is in use by process 7"}, [])
    assert len(sweep.engine.submitted) == 3


def test_a_busy_folder_is_not_asked_for_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    sweep = Sweep(tmp_path, {0: [ended(point(0), code=3)]}, seeds=1)
    assert (len(sweep.engine.submitted), slept) == (1, [1.0, 1.0, 1.0])


def test_a_store_that_cannot_be_written_ends_the_sweep(tmp_path: Path) -> None:
    full = ended(point(0), code=4, reason="no space left on the disk")
    sweep = Sweep(tmp_path, {0: [full]}, shared=True)
    assert isinstance(sweep.error, CannotWrite)
    assert str(sweep.error) == "no space left on the disk"
    assert (len(sweep.engine.submitted), sweep.engine.closed) == (3, 1)
    sweep = Sweep(tmp_path / "other", {0: [full]})
    assert (sweep.error, sweep.rows(0)) == (None, [("ok", None)]), "the disk of its machine"


def test_an_interruption_while_outcomes_are_stored_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, interruptions = Store.append, iter([None, KeyboardInterrupt()])

    def interrupted(store: Store, made: Mapping[str, Any]) -> None:
        if (error := next(interruptions, None)) is not None:
            raise error
        append(store, made)

    monkeypatch.setattr(Store, "append", interrupted)
    sweep = Sweep(tmp_path, {0: [tuple(ended(point(seed), record(point(seed))) for seed in range(3))]})
    assert str(sweep.error).startswith("stopped with 3 of 3 points finished")
    assert [sweep.rows(seed) for seed in range(3)] == 3 * [[("ok", None)]]


def test_what_finishes_while_it_is_stopped_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = ended(point(2), record(point(2)))
    sweep = Sweep(tmp_path / "other", {1: [KeyboardInterrupt()]}, late=[late])
    assert str(sweep.error).startswith("stopped with 2 of 3 points finished")
    close = Engine.close
    monkeypatch.setattr(Engine, "close", lambda engine: (Store(tmp_path).append(record(point(2))), close(engine)))
    sweep = Sweep(tmp_path, {1: [KeyboardInterrupt()]}, shared=True)
    assert str(sweep.error).startswith("stopped with 2 of 3 points finished")


def test_so_is_a_measurement_that_does(tmp_path: Path) -> None:
    of = [Point(f"measure-{name}", ("measure", "--model", name), request=Request([name])) for name in "ab"]
    engine = Engine(of, {of[0].id: [KeyboardInterrupt()]}, shared=False)
    engine.late = [Outcome(of[1].id, "ended", 0)]
    with pytest.raises(Interrupted, match="stopped with 1 of 2 points finished"):
        Conductor(of, engine, tmp_path, lambda line: None, rules=Rules()).conduct()


def test_an_error_of_the_engine_loses_nothing_that_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = Engine.submit

    def refusing(engine: Engine, tasks: Sequence[Task]) -> None:
        if engine.submitted:
            raise BadInput("no such partition")
        submit(engine, tasks)

    monkeypatch.setattr(Engine, "submit", refusing)
    others = [ended(point(seed), record(point(seed))) for seed in (1, 2)]
    sweep = Sweep(tmp_path, {0: [(ended(point(0), code=1), *others)]})
    assert (str(sweep.error), sweep.rows(2)) == ("no such partition", [("ok", None)])


def test_an_interruption_keeps_what_has_come_and_says_how_to_go_on(tmp_path: Path) -> None:
    late = ended(point(2), record(point(2), "interrupted"), code=130)
    sweep = Sweep(tmp_path, {1: [KeyboardInterrupt()]}, late=[late])
    assert isinstance(sweep.error, Interrupted)
    assert str(sweep.error) == f"stopped with 1 of 3 points finished in {tmp_path}; the same command goes on"
    assert sweep.engine.closed
    assert sweep.rows(0) == [("ok", None)]
    assert sweep.rows(1) == []
    assert sweep.rows(2) == [("interrupted", "it does not work")], "what came while it was closed"


def test_a_measurement_is_finished_by_its_exit_code_and_has_no_row_of_ours(tmp_path: Path) -> None:
    of = [Point(f"measure-{name}", ("measure", "--model", name), request=Request([name])) for name in "ab"]
    rows = [{"schema": 1, "id": "k", "status": "ok", "pass": "cost", "environment_key": "e"}]
    engine = Engine(
        of,
        {
            of[0].id: [Outcome(of[0].id, "ended", 0, records={"measurements.jsonl": rows})],
            of[1].id: 2 * [Outcome(of[1].id, "ended", 1, "2 of 3 passes failed")],
        },
        shared=True,
    )
    work = Conductor(of, engine, tmp_path, lambda line: None, rules=Rules(measure_in_store=False))
    result = work.conduct()
    assert (result.finished, result.failed) == ([of[0].id], {of[1].id: "2 of 3 passes failed"})
    assert [row["id"] for row in Store(tmp_path, MEASUREMENTS).records()] == ["k"]
    assert Store(tmp_path).records() == []
    assert {(task.exclusive, task.results) for task in engine.submitted} == {(True, None)}, "two cannot share a store"
