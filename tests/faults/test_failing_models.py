"""Lifters that answer with NaN, run out of memory, raise, crash or hang: rows that say so, and the others go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import lock, models
from harness.measurement import fresh_process, survey, worker
from harness.measurement.request import Request
from harness.measurement.timing import Protocol
from harness.store.measurement import MEASUREMENTS
from harness.store.store import Store
from tests.faults import injections, life
from tests.faults.life import HERE

THEIRS = "tests.harness.measurement.lifters:"


def statuses(results: Path) -> dict[str, str]:
    """Of the newest record of each model of this package."""
    return {record["config"]["model"].removeprefix(HERE): record["status"] for record in Store(results).latest()}


def test_one_answer_that_is_no_number_fails_the_run_and_no_mean_is_taken(tmp_path: Path) -> None:
    ended = life.train(tmp_path, "without_an_answer")
    assert (ended.code, ended.out) == (1, "")
    (record,) = Store(tmp_path).records()
    for text in (ended.err, record["error"]):
        assert f"{HERE}without_an_answer: " in text
        assert ": the prediction is not finite at frame 4 (" in text
    assert record["status"] == "failed"
    assert "accuracy" not in record
    assert "signature" not in record


def test_an_imported_checkpoint_that_answers_with_nan_is_a_failed_row(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    torch.save({"model": models.build(HERE + "without_an_answer", 9, 3).state_dict()}, path)
    words = ("evaluate", "--model", HERE + "without_an_answer", "--weights", path, "--data", life.DATA)
    ended = life.live(*words, "--frames", "9", "--threads", "1", "--results", tmp_path / "results")
    assert (ended.code, ended.out) == (1, "")
    assert f"{HERE}without_an_answer: " in ended.err
    (record,) = Store(tmp_path / "results").records()
    assert (record["status"], "frame 4" in record["error"], "accuracy" in record) == ("failed", True, False)


def test_a_loss_that_is_no_number_leaves_what_its_step_worked_on(tmp_path: Path) -> None:
    ended = life.live(
        "run", "--model", HERE + "plain", *life.TINY, "--steps", "200", "--learning-rate", "1e30", "--results", tmp_path
    )
    assert ended.code == 1, ended
    (record,) = Store(tmp_path).records()
    assert record["status"] == "failed"
    (diagnosis,) = tmp_path.rglob("diagnostic.pt")
    found = torch.load(diagnosis, weights_only=True)
    assert f" at step {found['step']} " in record["error"]
    assert str(diagnosis) in record["error"]
    model = models.build(HERE + "plain", 9, 3)
    model.load_state_dict(found["model"])
    loss = (model(found["inputs"]) - found["targets"]).norm(dim=-1).mean()
    assert not torch.isfinite(loss), "weights and clips do not show what went wrong"


def test_runs_that_fail_are_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    """CUDA's error is raised by a lifter here: the handler is tested, not the device."""
    vices = {"out_of_gpu_memory": "oom", "out_of_cpu_memory": "oom", "broken": "failed"}
    ended = life.train(tmp_path, *vices, "plain")
    assert ended.code == 1, ended
    assert statuses(tmp_path) == {**vices, "plain": "ok"}
    assert "3 of 4 runs failed: " in ended.err
    assert "a bug of a third party's" in ended.err
    assert "plain" in ended.out, "the table of what was finished is shown"
    assert "broken" not in ended.out


def test_a_model_that_leaves_by_sys_exit_has_failed_and_the_others_go_on(tmp_path: Path) -> None:
    ended = life.train(tmp_path, "leaving", "plain")
    assert ended.code == 1, ended
    assert statuses(tmp_path) == {"leaving": "failed", "plain": "ok"}
    assert "1 of 2 runs failed: " in ended.err
    assert "the model left by SystemExit: 0" in Store(tmp_path).records()[0]["error"]
    assert ("plain" in ended.out, "leaving" in ended.out) == (True, False)


def test_a_model_that_leaves_in_the_check_before_a_run_is_refused(tmp_path: Path) -> None:
    ended = life.train(tmp_path, "LeavingAtOnce")
    assert (ended.code, ended.out) == (2, "")
    assert f"{HERE}LeavingAtOnce fails on (1, 9, 17, 3): SystemExit: 0" in ended.err


def test_what_concerns_one_run_does_not_keep_the_others_from_being_run(tmp_path: Path) -> None:
    """The first one's checkpoint is damaged, the second one's folder busy."""
    killed = {"fault": injections.kill_at_replacement, "name": "step-00000003.pt", "when": "before"}
    for name in ("wide", "drawing"):
        assert life.train(tmp_path, name, **killed).code is None
    damaged, busy = (next((tmp_path / "runs").glob(f"*{name}*")) for name in ("wide", "drawing"))
    (damaged / "checkpoint.json").write_text("")
    with lock.held(busy / "lock", str(busy)):
        ended = life.train(tmp_path, "wide", "drawing", "plain")
    assert ended.code == 2, ended
    assert "2 of 3 runs failed: " in ended.err
    assert "checkpoint.json is damaged" in ended.err
    assert f"{busy} is in use by process " in ended.err
    assert statuses(tmp_path) == {"wide": "failed", "plain": "ok"}
    assert "plain" in ended.out


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_that_runs_out_in_earnest(tmp_path: Path) -> None:
    """Sixty-four clips of 32 MB in a process that may take 700 MB more."""
    words = ("run", "--model", HERE + "hungry", *life.TINY, "--batch-size", "64", "--steps", "2")
    ended = life.live(*words, "--results", tmp_path, fault=injections.little_memory, more_bytes=700 << 20)
    assert ended.code == 1, ended
    (record,) = Store(tmp_path).records()
    assert record["status"] == "oom", record["error"]


def test_a_model_that_crashes_is_a_row_and_the_others_go_on(tmp_path: Path) -> None:
    ended = life.train(tmp_path, "aborting", "plain")
    assert ended.code == 1, ended
    assert statuses(tmp_path) == {"aborting": "failed", "plain": "ok"}
    assert Store(tmp_path).records()[0]["error"].startswith("crashed with SIGABRT")
    assert "1 of 2 runs failed: " in ended.err
    assert ("plain" in ended.out, "aborting" in ended.out) == (True, False)


def test_a_model_that_hangs_is_ended_after_the_time_it_was_given(tmp_path: Path) -> None:
    ended = life.train(tmp_path, "hanging", words=("--timeout", "0.1"), fault=injections.little_grace)
    assert ended.code == 1, ended
    assert statuses(tmp_path) == {"hanging": "timeout"}
    assert "stopped after 0.1 minutes (--timeout)" in ended.err


def test_a_model_that_crashes_alone_takes_its_run_along_and_nothing_else(tmp_path: Path) -> None:
    """A single run trains in the command's own process: its row is missing, its folder is not blocked."""
    assert life.train(tmp_path).code == 0
    found = fresh_process.call(crash, {"results": str(tmp_path)}, timeout_s=120.0, preload=worker.PRELOAD)
    assert found == {"status": "failed", "error": "the process crashed with SIGABRT"}
    assert statuses(tmp_path) == {"plain": "ok"}
    found = fresh_process.call(crash, {"results": str(tmp_path)}, timeout_s=120.0, preload=worker.PRELOAD)
    assert found["error"] == "the process crashed with SIGABRT", "the crashed process blocks the folder"


def crash(task: dict[str, Any]) -> dict[str, Any]:
    words = ["run", "--model", HERE + "aborting", *life.TINY, "--steps", "2", "--results", task["results"]]
    return life._live({"words": words, "fault": None, "given": {}})


def test_in_a_survey_crash_hang_and_hunger_are_rows_and_the_others_go_on(tmp_path: Path) -> None:
    protocol = Protocol(1, 6, 0.0, 5.0, 1, 0.1, 0.0)
    names = ["aborting", "sleeping", "sound", "hungry"]
    request = Request(
        [THEIRS + name for name in names], [9], batches=["32"], protocol=protocol, threads=[1], device="cpu",
        memory_limit_bytes=300 << 20,
    )  # fmt: skip

    def run_task(task: dict[str, Any]) -> dict[str, Any]:
        hangs = task["point"].get("model", "").endswith("sleeping") and task["pass"] != "machine"
        return fresh_process.call(worker.run, task, timeout_s=1.0 if hangs else 60.0, preload=worker.PRELOAD)

    rows = survey.measure(request, tmp_path, lambda line: None, run_task=run_task)
    assert Store(tmp_path, MEASUREMENTS).latest() == [{"schema": 1, **row} for row in rows]
    found = {_name(row): row for row in rows if row["pass"] == "cost"}
    assert {name: row["status"] for name, row in found.items()} == {
        "aborting": "failed", "sleeping": "timeout", "sound": "ok", "hungry": "oom",
    }  # fmt: skip
    assert "SIGABRT" in found["aborting"]["error"]
    assert "stopped after 1 s" in found["sleeping"]["error"]
    assert [_name(row) for row in rows if row["pass"] == "timing"] == ["sound"]
    assert survey.any_bad(rows)


def _name(row: Mapping[str, Any]) -> str:
    return str(row["point"]["model"]).removeprefix(THEIRS)


def test_the_timeout_that_was_asked_for_is_the_one_that_counts() -> None:
    request = Request([THEIRS + "sleeping"], [9], threads=[1], device="cpu", timeout_s=0.3).resolved()
    task = {"pass": "probe", "point": request.points()[0][0].as_dict(), "seed": 0, "memory_limit_bytes": None}
    found = survey.in_fresh_processes(request)(task)
    assert (found["status"], "stopped after 0.3 s" in found["error"]) == ("timeout", True)
