"""The order of passes, what is stored, skipped and resumed: with tasks of the test's own; and a real survey, killed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import environment, lock
from harness.errors import BadInput, Interrupted, ResultsBusy
from harness.measurement import fresh_process, memory, plan, survey
from harness.measurement.request import Request
from harness.measurement.timing import Protocol
from harness.store.measurement import MEASUREMENTS
from harness.store.schema import Record
from harness.store.store import Store

HERE = "tests.harness.measurement.lifters:"
MODELS = ["posemamba-xs", "martinez", "mhformer"]
Answer = Callable[[dict[str, Any]], dict[str, Any]]


class FakeWorker:
    """Answers tasks at once; ``answer`` may give another part of a row, or raise."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.tasks: list[dict[str, Any]] = []
        self._answer = answer or (lambda task: {})

    def __call__(self, task: dict[str, Any]) -> dict[str, Any]:
        self.tasks.append(task)
        usual: dict[str, dict[str, Any]] = {
            "machine": {"machine": {"threads": 1, "device": "cpu", "gemm_flops_per_s": 1e9}},
            "cost": {"memory": {"peak_bytes": 1000}, "output_frames": 9},
            "probe": {"seconds": 0.001},
            "timing": {"timing": {"samples_ms": [10.0] * 10, "verdict": "STABLE", "reason": ""}},
        }
        return {"status": "ok", **usual[task["pass"]], **self._answer(task)}

    def passes(self) -> list[str]:
        return [task["pass"] for task in self.tasks]


def request(**given: Any) -> Request:
    usual = {"models": MODELS, "frames": [9, 28], "threads": [1], "device": "cpu"}
    return Request(**{**usual, **given})


def measured(folder: Path, worker: FakeWorker, processor: str = "1", **given: Any) -> list[Record]:
    said: list[str] = []
    return survey.measure(
        request(**given), folder, said.append, run_task=worker, environment_of=lambda model: {"processor": processor}
    )


def stored(folder: Path) -> list[Record]:
    return Store(folder, MEASUREMENTS).records()


def test_the_order_of_passes(tmp_path: Path) -> None:
    """The machine, all costs, then round by round all points; each round in an order of its own."""
    worker = FakeWorker()
    rows = measured(tmp_path, worker, memory_limit_bytes=1 << 30)
    # mhformer takes 9 frames, not 28: five points.
    assert worker.passes() == ["machine"] + ["cost"] * 5 + ["timing"] * 15
    points = [(task["point"]["model"], task["point"]["frames"]) for task in worker.tasks[6:]]
    rounds = [points[start : start + 5] for start in (0, 5, 10)]
    assert [len(set(one)) for one in rounds] == [5, 5, 5]
    assert rounds[0] != rounds[1] or rounds[1] != rounds[2]
    again = FakeWorker()
    measured(tmp_path, again, processor="2", memory_limit_bytes=1 << 30)
    assert again.tasks == worker.tasks, "the order is seeded"
    assert len(rows) == 1 + 6 + 15
    assert not survey.any_bad(rows)


def test_rows_say_what_they_are(tmp_path: Path) -> None:
    rows = {row["id"]: row for row in measured(tmp_path, FakeWorker())}
    assert {row["id"]: row for row in stored(tmp_path)}.keys() == rows.keys()
    timing = next(row for row in stored(tmp_path) if row["pass"] == "timing" and row["round"] == 2)
    assert timing["id"] == f"{timing['point_key']}-{timing['environment_key']}-timing-2"
    assert timing["protocol"]["min_samples"] == 10
    assert timing["environment"] == {"processor": "1", "threads": 1}
    assert timing["started"] <= timing["finished"]
    refused = next(row for row in stored(tmp_path) if row["status"] == "unsupported")
    assert (refused["pass"], refused["point"]["frames"]) == ("cost", 28)
    assert "multiple" in refused["error"]
    machine = next(row for row in stored(tmp_path) if row["pass"] == "machine")
    assert machine["machine"]["gemm_flops_per_s"] == 1e9
    assert "point" not in machine


def test_what_is_stored_is_not_measured_again(tmp_path: Path) -> None:
    first = measured(tmp_path, FakeWorker())
    worker = FakeWorker()
    second = measured(tmp_path, worker)
    assert worker.tasks == []
    assert sorted(row["id"] for row in second) == sorted(row["id"] for row in first)
    assert len(stored(tmp_path)) == len(first)
    measured(tmp_path, worker, frames=[9, 28, 81])
    assert worker.passes() == ["cost"] * 3 + ["timing"] * 9, "only the new T"
    everything = FakeWorker()
    measured(tmp_path, everything, again=True)
    assert len(everything.tasks) == 21


def test_another_environment_is_measured(tmp_path: Path) -> None:
    measured(tmp_path, FakeWorker(), processor="1")
    worker = FakeWorker()
    measured(tmp_path, worker, processor="2")
    assert len(worker.tasks) == 21


def test_a_model_that_changed_is_measured_again(tmp_path: Path) -> None:
    """That model alone, and in the same environment."""
    for model_code, tasks in (("a", 1 + 2 * 4), ("a", 0), ("b", 4)):
        worker = FakeWorker()
        rows = survey.measure(
            request(models=["martinez", HERE + "sound"], frames=[9]),
            tmp_path,
            lambda line: None,
            run_task=worker,
            environment_of=lambda model: {"model_code": model_code if model == "martinez" else "c"},  # noqa: B023
        )
        assert len(worker.tasks) == tasks
        assert len({row["environment_key"] for row in rows}) == 1


def test_what_other_code_measured_is_measured_again(tmp_path: Path) -> None:
    keys = set()
    for code, tasks in (("a", 1 + 4), ("a", 0), ("b", 1 + 4)):
        worker = FakeWorker()
        rows = survey.measure(
            request(models=["martinez"], frames=[9]),
            tmp_path,
            lambda line: None,
            run_task=worker,
            environment_of=lambda model: {"measurement_code": code},  # noqa: B023
        )
        assert len(worker.tasks) == tasks
        keys |= {row["environment_key"] for row in rows}
    assert len(keys) == 1


def test_environments_have_the_code_of_each_model_and_share_a_key() -> None:
    environments = survey.Environments()
    one, other, theirs = map(environments, ("martinez", "posemamba-xs", HERE + "sound"))
    assert len({found["model_code"] for found in (one, other, theirs)} | {None}) == 4
    assert one["measurement_code"] == other["measurement_code"] == theirs["measurement_code"]
    assert len({environment.key(found) for found in (one, other, theirs)}) == 1


def test_a_shorter_protocol_does_not_stand_for_a_longer_one(tmp_path: Path) -> None:
    measured(tmp_path, FakeWorker(), quick=True)
    worker = FakeWorker()
    measured(tmp_path, worker)
    assert worker.passes() == ["timing"] * 15, "costs and machine need no second time"
    measured(tmp_path, worker := FakeWorker(), quick=True)
    assert worker.tasks == []
    measured(tmp_path, worker := FakeWorker(), protocol=Protocol(rounds=4))
    assert worker.passes() == ["timing"] * 5


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_scheduler_may_end_it_too(tmp_path: Path) -> None:
    def terminate(task: dict[str, Any]) -> dict[str, Any]:
        if task["pass"] == "timing":
            os.kill(os.getpid(), signal.SIGTERM)
        return {}

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"7 of 22 passes"):
        measured(tmp_path, FakeWorker(terminate))
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("at", range(23))
def test_killed_at_any_pass_and_run_again(tmp_path: Path, at: int) -> None:
    """Nothing is lost but the pass in hand, nothing is done twice."""
    worker = FakeWorker()

    def die(task: dict[str, Any]) -> dict[str, Any]:
        if len(worker.tasks) == at + 1:
            raise Killed
        return {}

    worker._answer = die
    if at < 21:
        with pytest.raises(Killed):
            measured(tmp_path, worker)
    else:
        measured(tmp_path, worker)
    before = stored(tmp_path)
    after = FakeWorker()
    rows = measured(tmp_path, after)
    assert len(worker.tasks) + len(after.tasks) == (22 if at < 21 else 21)
    assert stored(tmp_path)[: len(before)] == before
    ids = [row["id"] for row in stored(tmp_path)]
    assert len(ids) == len(set(ids)) == len(rows) == 22


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    def interrupt(task: dict[str, Any]) -> dict[str, Any]:
        if task["pass"] == "timing":
            raise KeyboardInterrupt
        return {}

    with pytest.raises(Interrupted, match=r"7 of 22 passes stored .* the same command goes on") as caught:
        measured(tmp_path, FakeWorker(interrupt))
    assert caught.value.exit_code == 130
    assert len(stored(tmp_path)) == 7


def test_failures_are_rows_the_others_go_on_and_they_are_tried_again(tmp_path: Path) -> None:
    def fail(task: dict[str, Any]) -> dict[str, Any]:
        bad = task["pass"] != "machine" and task["point"]["model"] == "martinez" and task["point"]["frames"] == 9
        return {"status": "failed", "error": "the process crashed with SIGSEGV"} if bad else {}

    worker = FakeWorker(fail)
    rows = measured(tmp_path, worker)
    assert worker.passes().count("timing") == 12, "there is nothing to time where the costs failed"
    assert survey.any_bad(rows)
    assert [row["error"] for row in rows if row["status"] == "failed"] == ["the process crashed with SIGSEGV"]
    worker = FakeWorker()
    assert not survey.any_bad(measured(tmp_path, worker))
    assert worker.passes() == ["cost"] + ["timing"] * 3


def fits(most: int) -> Answer:
    def answer(task: dict[str, Any]) -> dict[str, Any]:
        too_much = task["pass"] in ("probe", "cost") and task["point"]["batch"] > most
        return {"status": "oom", "error": "not enough memory"} if too_much else {}

    return answer


def one(tmp_path: Path, worker: FakeWorker, **given: Any) -> list[Record]:
    return measured(tmp_path, worker, models=["martinez"], frames=[9], **given)


def test_the_largest_batch_is_found_and_timed(tmp_path: Path) -> None:
    worker = FakeWorker(fits(5))
    rows = one(tmp_path, worker, batches=["auto"])
    assert [task["point"]["batch"] for task in worker.tasks if task["pass"] == "probe"] == [1, 2, 4, 8]
    cost = next(row for row in rows if row["pass"] == "cost")
    assert (cost["largest_batch"], cost["largest_batch_bound"], cost["point"]["batch"]) == (4, "memory", 4)
    assert {row["point"]["batch"] for row in rows if row["pass"] == "timing"} == {4}
    assert len({row["point_key"] for row in rows if row["pass"] != "machine"}) == 1
    one(tmp_path, worker := FakeWorker(), batches=["auto"])
    assert worker.tasks == []
    one(tmp_path, worker := FakeWorker(), batches=["auto"], batch_limit=16)
    assert worker.passes() == ["probe"] * 5 + ["cost"] + ["timing"] * 3, "another limit is another search"


def test_measuring_may_need_more_than_running(tmp_path: Path) -> None:
    def answer(task: dict[str, Any]) -> dict[str, Any]:
        too_much = task["pass"] == "cost" and task["point"]["batch"] > 64
        return {"status": "oom", "error": "not enough memory"} if too_much else {}

    cost = next(row for row in one(tmp_path, FakeWorker(answer), batches=["auto"]) if row["pass"] == "cost")
    assert (cost["largest_batch"], cost["largest_batch_bound"], cost["status"]) == (64, "memory", "ok")


def test_a_batch_that_does_not_fit_is_a_row_with_the_one_that_does(tmp_path: Path) -> None:
    worker = FakeWorker(fits(5))
    rows = one(tmp_path, worker, batches=["64"])
    cost = next(row for row in rows if row["pass"] == "cost")
    assert (cost["status"], cost["largest_batch"], cost["point"]["batch"]) == ("oom", 4, 64)
    assert worker.passes() == ["machine", "cost"] + ["probe"] * 4, "it is not timed"
    assert not survey.any_bad(rows)


def test_out_of_memory_holds_for_the_memory_that_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for or available, up to a tenth more."""
    monkeypatch.setattr(memory, "available_bytes", lambda: 5000)
    for limit, tried in ((1000, True), (500, False), (1090, False), (1200, True), (None, True), (None, False)):
        one(tmp_path, worker := FakeWorker(fits(0)), memory_limit_bytes=limit)
        assert ("cost" in worker.passes()) is tried, limit
    latest = next(row for row in reversed(stored(tmp_path)) if row["pass"] == "cost")
    assert latest["protocol"]["memory_limit_bytes"] is None
    assert latest["protocol"]["memory_limit_in_effect_bytes"] == 5000
    monkeypatch.setattr(memory, "available_bytes", lambda: 5400)
    one(tmp_path, worker := FakeWorker())
    assert worker.tasks == []
    monkeypatch.setattr(memory, "available_bytes", lambda: 6000)
    one(tmp_path, worker := FakeWorker())
    assert worker.passes() == ["cost"] + ["timing"] * 3
    assert {task["memory_limit_bytes"] for task in worker.tasks} == {6000}


def killed(*calls: int) -> Answer:
    """By the system, at these calls of probes and costs."""
    count = itertools.count()

    def answer(task: dict[str, Any]) -> dict[str, Any]:
        dies = task["pass"] in ("probe", "cost") and next(count) in calls
        return fresh_process._died(-signal.SIGKILL) if dies else {}

    return answer


def test_what_the_system_killed_is_tried_again_with_the_next_survey(tmp_path: Path) -> None:
    rows = one(tmp_path, FakeWorker(killed(0)), memory_limit_bytes=1000)
    assert next(row for row in rows if row["pass"] == "cost")["status"] == "oom"
    assert not survey.any_bad(rows)
    one(tmp_path, worker := FakeWorker(), memory_limit_bytes=1000)
    assert worker.passes() == ["cost"] + ["timing"] * 3


@pytest.mark.parametrize(
    ("calls", "batch", "tried"),
    [
        ((2,), 8, [1, 2, 4, 4, 8]),
        ((2, 3), 2, [1, 2, 4, 4]),
        ((4,), 8, [1, 2, 4, 8]),
    ],
)
def test_a_search_believes_the_second_kill(
    tmp_path: Path, calls: tuple[int, ...], batch: int, tried: list[int]
) -> None:
    worker = FakeWorker(killed(*calls))
    rows = one(tmp_path, worker, batches=["auto"], batch_limit=8)
    assert [task["point"]["batch"] for task in worker.tasks if task["pass"] == "probe"] == tried
    cost = next(row for row in rows if row["pass"] == "cost")
    assert (cost["status"], cost["largest_batch"]) == ("ok", batch)


def test_two_surveys_at_once(tmp_path: Path) -> None:
    with lock.held(tmp_path / "measurements.lock", "it"), pytest.raises(ResultsBusy, match=r"measurements\.jsonl"):
        measured(tmp_path, FakeWorker())


def test_bad_input_is_found_before_anything_is_run(tmp_path: Path) -> None:
    worker = FakeWorker()
    with pytest.raises(BadInput):
        measured(tmp_path, worker, models=["martinez", "posemaba"])
    assert worker.tasks == []


def test_a_dry_run_says_what_is_to_be_done_and_does_nothing(tmp_path: Path) -> None:
    def planned(**given: Any) -> tuple[plan.Plan, list[str]]:
        said: list[str] = []
        found = plan.plan(
            request(**given),
            tmp_path,
            said.append,
            operations=lambda point: point.frames * 1e9,
            rate=90e9,
            environment_of=lambda model: {"processor": "1"},
        )
        return found, said

    found, said = planned()
    assert (found.to_do, found.stored) == (22, 0)
    assert any("mhformer T=28" in line and "unsupported" in line for line in said)
    assert sum("cost, 3 rounds, about" in line for line in said) == 5
    assert not (tmp_path / MEASUREMENTS.file_name).exists()
    assert planned(frames=[9, 2800])[0].seconds > 2 * found.seconds
    measured(tmp_path, FakeWorker())
    found, said = planned()
    assert (found.to_do, found.stored, found.seconds) == (0, 22, 0)
    assert sum("stored" in line for line in said) == 6


def test_a_dry_run_goes_on_past_a_model_that_does_not_work(tmp_path: Path) -> None:
    said: list[str] = []
    found = plan.plan(
        request(models=[HERE + "raising", "martinez"], frames=[9]),
        tmp_path,
        said.append,
        rate=90e9,
        environment_of=lambda model: {"processor": "1"},
    )
    assert (found.to_do, found.unknown) == (1 + 2 * 4, 4)
    assert found.seconds > 0
    assert "raising T=9" in said[0]
    assert said[0].endswith("cost, 3 rounds, unknown duration")
    assert "about" in said[1]
    assert "without 4 of unknown duration" in said[-1]


def test_operations_between_the_ends_go_by_a_power_of_t() -> None:
    wanted = [point for point, _ in request(models=["posemamba-xs"], frames=[9, 27, 81]).resolved().points()]
    counted = plan.Counted(wanted)
    low, middle, high = map(counted, wanted)
    assert low < middle < high
    assert middle**2 == pytest.approx(low * high)
    assert high / low == pytest.approx(9, rel=0.01), "PoseMamba is linear in T"


SURVEY = """
import sys
from pathlib import Path
from harness.measurement import survey
from harness.measurement.request import Request
from harness.measurement.timing import Protocol
short = Protocol(2, 6, 0.0, 5.0, 1, 0.1, 0.0)
models = ["martinez", *(f"tests.harness.measurement.lifters:{name}" for name in ("aborting", "not_finite"))]
request = Request(models, [1], protocol=short, threads=[1], device="cpu", timeout_s=60)
rows = survey.measure(request, Path(sys.argv[1]), print)
sys.exit(survey.any_bad(rows))
"""


def real_survey(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SURVEY, str(folder)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_real_survey_killed_midway_and_run_again(tmp_path: Path) -> None:
    path = tmp_path / MEASUREMENTS.file_name
    running = real_survey(tmp_path)
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < 2:
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    before = stored(tmp_path)
    assert real_survey(tmp_path).wait() == 1, "one of the models crashes"
    rows = stored(tmp_path)
    assert rows[: len(before)] == before
    latest = {row["id"]: row for row in rows}
    statuses = sorted(row["status"] for row in latest.values())
    assert statuses == ["failed"] + ["ok"] * (1 + 2 + 4), [row for row in rows if row["status"] == "failed"]
    repeated = [row["id"] for row in rows if row["status"] == "ok"]
    assert len(repeated) == len(set(repeated))
    bad = {row["point"]["model"] for row in rows if row["pass"] == "timing" and row["timing"]["verdict"] == "INVALID"}
    assert bad == {HERE + "not_finite"}
    assert json.dumps(rows)
