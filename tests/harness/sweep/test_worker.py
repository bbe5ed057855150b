"""A task in a process of its own: how each end is told, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.sweep import worker
from harness.sweep.task import Outcome
from harness.sweep.worker import Running
from tests.harness.sweep import commands
from tests.harness.sweep.commands import is_running, task, wait_until


@pytest.fixture(autouse=True)
def _stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands.use(tmp_path, monkeypatch)
    monkeypatch.setattr(worker, "GRACE_S", 5.0)


def test_the_command_and_what_it_prints(tmp_path: Path) -> None:
    outcome = worker.run(task("fine", tmp_path))
    assert (outcome.task_id, outcome.ending, outcome.exit_code) == ("t", "ended", 0)
    assert (outcome.host, outcome.records, outcome.files) == (socket.gethostname(), {}, {})
    assert outcome.seconds > 0
    assert worker.log_path(tmp_path, "t").read_text() == f"$ harness fine --results {tmp_path}\na table\n"


def test_an_error_is_what_it_said_of_it(tmp_path: Path) -> None:
    outcome = worker.run(task("fail", tmp_path))
    assert (outcome.ending, outcome.exit_code, outcome.reason) == ("ended", 1, "it does not work")
    outcome = worker.run(task("fine", tmp_path))  # what an earlier attempt said is in the same file
    assert outcome.reason == "a table"


def test_its_log_may_be_removed_meanwhile(tmp_path: Path) -> None:
    running = Running(task("save", tmp_path))
    wait_until((tmp_path / "ready").exists)
    worker.log_path(tmp_path, "t").unlink()
    outcome = running.stop()
    assert (outcome.exit_code, outcome.reason) == (130, "")


def test_what_has_ended_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(task("fail", tmp_path))
    code = running.stop().exit_code
    monkeypatch.setattr(os, "killpg", lambda group, number: pytest.fail("its number may be another's by now"))
    assert running.stop().exit_code == code
    running.kill()


def test_a_signal(tmp_path: Path) -> None:
    outcome = worker.run(task("crash", tmp_path))
    assert (outcome.ending, outcome.exit_code) == ("ended", -signal.SIGABRT)
    assert outcome.reason.startswith("on its way")


def over(word: str, results: Path) -> Outcome:
    """Of a command whose time is over as soon as it has settled."""
    running = Running(task(word, results, timeout_s=0.0))
    wait_until((results / "ready").exists)
    outcomes: list[Outcome] = []
    wait_until(lambda: outcomes.extend(filter(None, [running.poll()])) or outcomes)
    return outcomes[0]


def test_one_that_saves_when_its_time_is_over(tmp_path: Path) -> None:
    outcome = over("save", tmp_path)
    assert (outcome.ending, outcome.exit_code) == ("timeout", 130)
    assert (tmp_path / "saved").exists()


def test_one_that_finishes_when_its_time_is_over(tmp_path: Path) -> None:
    assert over("late", tmp_path).ending == "ended"


def test_one_that_takes_no_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "GRACE_S", 0.1)
    outcome = over("stubborn", tmp_path)
    assert (outcome.ending, outcome.exit_code) == ("timeout", -signal.SIGKILL)


def test_what_it_leaves_running_is_ended(tmp_path: Path) -> None:
    before = commands.children()
    worker.run(task("orphan", tmp_path))
    left = int((tmp_path / "orphan").read_text())
    wait_until(lambda: not is_running(left))
    assert commands.children() == before, "its guard"


def test_without_the_store_s_folder_what_it_made_comes_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcome = worker.run(task("make"))
    assert {name: [record["id"] for record in records] for name, records in outcome.records.items()} == {
        "records.jsonl": ["x"],
        "measurements.jsonl": ["m"],
    }
    log = outcome.files["sweeps/t.log"]
    assert {**outcome.files, "sweeps/t.log": b""} == {
        "runs/x/weights.pt": b"weights.pt",
        "runs/x/deep/events": b"deep/events",
        "sweeps/t.log": b"",
    }
    assert b"/cache\n" in log
    assert [path.name for path in tmp_path.glob("harness-*")] == [f"harness-cache-{os.getuid()}"]


def test_a_cache_that_others_may_write_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"harness-cache-{os.getuid()}").mkdir()
    (tmp_path / f"harness-cache-{os.getuid()}").chmod(0o777)
    assert b"No such file" in worker.run(task("make")).files["sweeps/t.log"]


def test_an_interruption_ends_it_and_lets_it_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poll, interruptions = Running.poll, iter([KeyboardInterrupt()])

    def interrupted(running: Running) -> Outcome | None:
        if (tmp_path / "ready").exists() and (error := next(interruptions, None)) is not None:
            raise error
        return poll(running)

    monkeypatch.setattr(Running, "poll", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.run(task("save", tmp_path))
    assert (tmp_path / "saved").exists()


def killed_after_starting(tmp_path: Path, results: Path | None, ready: Callable[[], object]) -> int:
    """Number of the process of a task whose starter was killed when it was ``ready``."""
    script = (
        "import sys; from pathlib import Path; from harness.sweep import worker; from harness.sweep.task import Task\n"
        f"sys.executable = {sys.executable!r}; worker.GRACE_S = 1.0\n"
        f"running = worker.Running(Task('t', ('save',), results={results and str(results)!r}))\n"
        "print(running._process.pid, flush=True)\nsys.stdin.read()"
    )
    # The interpreter of this test: sys.executable is the stand-in.
    words = [os.path.realpath("/proc/self/exe"), "-c", script]
    path = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=environment) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        wait_until(ready)
        assert is_running(child)
        starter.kill()
    return child


def test_it_ends_with_the_process_that_started_it_even_if_that_is_killed(tmp_path: Path) -> None:
    child = killed_after_starting(tmp_path, tmp_path, (tmp_path / "ready").exists)
    wait_until(lambda: not is_running(child))
    assert (tmp_path / "saved").exists()


def test_so_does_its_scratch_folder(tmp_path: Path) -> None:
    killed_after_starting(tmp_path, None, lambda: list(tmp_path.glob("harness-sweep-*/ready")))
    wait_until(lambda: not list(tmp_path.glob("harness-sweep-*")))


def test_killed_at_once(tmp_path: Path) -> None:
    before = commands.children()
    running = Running(task("stubborn", tmp_path))
    running.kill()
    assert commands.children() == before
