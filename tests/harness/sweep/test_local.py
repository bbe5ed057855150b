"""Tasks on this machine: how many at once, on which GPU, and a measurement by itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from harness.sweep import local, worker
from harness.sweep.local import VISIBLE, Local
from harness.sweep.task import Outcome, Task
from tests.harness.sweep import commands
from tests.harness.sweep.commands import task, wait_until


class Held:
    """In place of a process: runs until ``end`` names its task."""

    running: ClassVar[dict[str, Held]] = {}
    begun: ClassVar[list[str]] = []

    def __init__(self, of: Task, environment: Mapping[str, str] | None = None) -> None:
        self.task, self.environment, self.has_ended = of, dict(environment or {}), False
        self.running[of.id] = self
        self.begun.append(of.id)

    def poll(self) -> Outcome | None:
        return Outcome(self.task.id, "ended", 0) if self.has_ended else None

    @classmethod
    def end(cls, *ids: str) -> None:
        for task_id in ids:
            cls.running.pop(task_id).has_ended = True


@pytest.fixture(autouse=True)
def _nothing_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    Held.running.clear()
    Held.begun.clear()
    monkeypatch.setattr(local, "Running", Held)


def tasks(*ids: str, exclusive: bool = False, cores: int = 1, gpus: int = 0) -> list[Task]:
    return [Task(name, ("run",), exclusive, cores, gpus) for name in ids]


def now(executor: Local) -> list[str]:
    """Ids of the tasks that run, after what has ended was taken."""
    executor.wait(0.0)
    executor.wait(0.0)
    return sorted(Held.running)


def test_as_many_as_there_are_cores_for() -> None:
    executor = Local(cores=4)
    executor.submit([*tasks("a", cores=2), *tasks("b", "c"), *tasks("d", cores=3)])
    assert now(executor) == ["a", "b", "c"]
    Held.end("b", "c")
    assert now(executor) == ["a"], "d needs three"
    Held.end("a")
    assert now(executor) == ["d"]


def test_one_that_needs_more_than_there_is_has_all_of_it() -> None:
    executor = Local(cores=2)
    executor.submit([*tasks("a", cores=8), *tasks("b")])
    assert now(executor) == ["a"]
    Held.end("a")
    assert now(executor) == ["b"]


def test_as_many_as_are_asked_for() -> None:
    executor = Local(cores=1, at_once=2)
    executor.submit(tasks("a", "b", "c"))
    assert now(executor) == ["a", "b"]


def test_a_measurement_runs_by_itself_after_all_others() -> None:
    executor = Local(cores=4)
    executor.submit([*tasks("m", "n", exclusive=True), *tasks("a", "b")])
    assert now(executor) == ["a", "b"]
    Held.end("a")
    assert now(executor) == ["b"]
    Held.end("b")
    assert now(executor) == ["m"]
    executor.submit(tasks("c"))
    assert now(executor) == ["m"], "nothing beside it"
    Held.end("m")
    assert now(executor) == ["c"]
    Held.end("c")
    assert now(executor) == ["n"]


def test_one_task_a_gpu() -> None:
    executor = Local(cores=1, gpus=("3", "5"))
    executor.submit([*tasks("a", "b", "c", cores=16, gpus=1), *tasks("d", cores=2)])
    assert now(executor) == ["a", "b"]
    assert {name: held.environment for name, held in Held.running.items()} == {"a": {VISIBLE: "3"}, "b": {VISIBLE: "5"}}
    Held.end("a")
    assert now(executor) == ["b", "c", "d"], "d needs no GPU"
    assert Held.running["c"].environment == {VISIBLE: "3"}
    assert Held.running["d"].environment == {}


def test_what_cannot_be_started_has_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(of: Task, environment: Mapping[str, str]) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(local, "Running", refuse)
    executor = Local(cores=1)
    executor.submit(tasks("a"))
    (outcome,) = executor.wait(0.0)
    assert (outcome.task_id, outcome.ending, outcome.exit_code) == ("a", "ended", None)
    assert "could not be started: [Errno 11] Resource temporarily unavailable" in outcome.reason


def test_closing_asks_all_before_it_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Held, "terminate", lambda held: asked.append(f"end {held.task.id}"), raising=False)
    monkeypatch.setattr(Held, "stop", lambda held: asked.append(f"wait for {held.task.id}"), raising=False)
    executor = Local(cores=2)
    executor.submit(tasks("a", "b"))
    executor.wait(0.0)
    executor.close()
    assert asked == ["end a", "end b", "wait for a", "wait for b"]


class TestProcesses:
    """With processes in place of Held."""

    @pytest.fixture(autouse=True)
    def _processes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(local, "Running", worker.Running)
        commands.use(tmp_path, monkeypatch)

    def test_outcomes_come_as_they_end(self, tmp_path: Path) -> None:
        executor = Local(cores=2, gpus=("7",))
        executor.submit([task("fail", tmp_path, "a"), task("gpus", tmp_path, "b", gpus=1), task("fine", tmp_path, "c")])
        found: dict[str, Outcome] = {}
        wait_until(lambda: found.update({one.task_id: one for one in executor.wait(1.0)}) or len(found) == 3)
        assert {name: outcome.exit_code for name, outcome in found.items()} == {"a": 1, "b": 1, "c": 0}
        assert found["b"].reason == "sees 7"
        executor.close()

    def test_closing_lets_all_of_them_save(self, tmp_path: Path) -> None:
        folders = [tmp_path / name for name in "ab"]
        executor = Local(cores=2)
        executor.submit([task("save", folder, folder.name) for folder in folders] + [task("hang", tmp_path, "waiting")])
        executor.wait(0.0)
        wait_until(lambda: all((folder / "ready").exists() for folder in folders))
        before = commands.children()
        executor.close()
        assert all((folder / "saved").exists() for folder in folders)
        assert len(commands.children()) == len(before) - 4, "two commands and their guards"
        assert executor.wait(0.0) == []

    def test_a_second_interruption_ends_them_at_once(self, tmp_path: Path) -> None:
        folders = [tmp_path / name for name in "ab"]
        before = commands.children()
        executor = Local(cores=2)
        executor.submit([task("stubborn", folder, folder.name) for folder in folders])
        executor.wait(0.0)
        wait_until(lambda: all((folder / "ready").exists() for folder in folders))
        timer = threading.Timer(0.2, lambda: signal.raise_signal(signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            executor.close()
        assert commands.children() == before
        executor.close()  # as the conductor does after whatever has happened
