"""What becomes of a run whose process ended, by how it ended and what was there before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.config import RunConfig
from harness.errors import BadInput, CannotWrite, Interrupted, ResultsBusy, RunFailed
from harness.store.store import Store
from harness.sweep import ending as words
from harness.sweep import own_process, worker
from harness.sweep.point import Point
from harness.sweep.task import Outcome, Task

CONFIG = RunConfig("posemamba-xs")
POINT = Point(CONFIG.run_id(), ("run", "--model", "posemamba-xs"), CONFIG)


def row(status: str) -> dict[str, Any]:
    return {**words.record(POINT, Outcome(POINT.id, "ended", 1), "why"), "status": status}


def ending(monkeypatch: pytest.MonkeyPatch, results: Path, outcome: Outcome, *records: dict[str, Any]) -> list[Task]:
    """The process appends ``records`` and ends with ``outcome``."""
    tasks: list[Task] = []

    def run(task: Task, shown: bool = False) -> Outcome:
        assert shown
        tasks.append(task)
        for record in records:
            Store(results).append(record)
        return outcome

    monkeypatch.setattr(worker, "run", run)
    return tasks


def statuses(results: Path) -> list[str]:
    return [record["status"] for record in Store(results).records()]


def test_its_record_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = ending(monkeypatch, tmp_path, Outcome(POINT.id, "ended", 0), row("ok"))
    assert own_process.run(POINT, tmp_path, 7.0)["status"] == "ok"
    assert (tasks[0].words, tasks[0].timeout_s, tasks[0].results) == (POINT.words, 7.0, str(tmp_path))


@pytest.mark.parametrize("kind", [BadInput, ResultsBusy, CannotWrite, Interrupted])
def test_an_error_is_of_the_kind_that_it_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BadInput]
) -> None:
    ending(monkeypatch, tmp_path, Outcome(POINT.id, "ended", kind.exit_code, "why"))
    with pytest.raises(kind, match=r"^why$"):
        own_process.run(POINT, tmp_path, None)
    assert statuses(tmp_path) == []


@pytest.mark.parametrize(
    ("outcome", "said", "status"),
    [
        (Outcome(POINT.id, "ended", -6, "its last words"), "crashed with SIGABRT: its last words", "failed"),
        (Outcome(POINT.id, "ended", 3221225477, ""), "ended with exit code 3221225477", "failed"),
        (Outcome(POINT.id, "timeout", 130), r"stopped after 0\.5 minutes", "timeout"),
    ],
)
def test_a_process_that_could_not_say_so_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, said: str, status: str
) -> None:
    ending(monkeypatch, tmp_path, outcome)
    with pytest.raises(RunFailed, match=said):
        own_process.run(POINT, tmp_path, 30.0)
    assert statuses(tmp_path) == [status]


def test_one_that_said_so_has_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ending(monkeypatch, tmp_path, Outcome(POINT.id, "ended", 1, "the loss is nan"), row("failed"))
    with pytest.raises(RunFailed, match="the loss is nan"):
        own_process.run(POINT, tmp_path, None)
    assert statuses(tmp_path) == ["failed"]


@pytest.mark.parametrize("outcome", [Outcome(POINT.id, "ended", 1, "no"), Outcome(POINT.id, "timeout", 130)])
def test_a_repetition_that_fails_leaves_what_was_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    Store(tmp_path).append(row("ok"))
    ending(monkeypatch, tmp_path, outcome)
    with pytest.raises(RunFailed):
        own_process.run(POINT, tmp_path, 30.0)
    assert statuses(tmp_path) == ["ok"]
