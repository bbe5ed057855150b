"""A results folder that cannot be written, is in use, is a link, or lies on a file system of its own."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import lock
from harness.errors import CannotWrite
from harness.store.store import Store
from tests.faults import injections, life
from tests.harness.cli.command import harness

#: What each command would stumble over next: data or a run that there is not.
COMMANDS = {
    "run": ["run", "--model", "posemamba-xs", "--data", "motion:nowhere"],
    "evaluate": ["evaluate", "--run", "nothing"],
    "classify": ["classify", "--model", "mamba3d-xs", "--data", "modelnet40:nowhere"],
    "measure": ["measure", "--model", "posemamba-xs", "--frames", "9", "--quick"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", ["a file", "no parent", "closed"])
def test_a_folder_that_cannot_be_written_is_found_before_anything_is_loaded(
    command: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    if fault == "a file":
        results.write_text("")
    elif fault == "no parent":
        results = tmp_path / "missing" / "results"
    elif Path("/proc/self/task").is_dir():
        results = Path("/proc/self/task")  # closed to root as well
    else:
        pytest.skip("there is no folder here that even root cannot write to")
    code, out, err = harness(*COMMANDS[command], "--results", results, capsys=capsys)
    remedy = {"a file": "it is not a folder", "no parent": "make it first", "closed": ""}[fault]
    assert (code, out) == (4, "")
    assert f"results folder {results}: " in err
    assert remedy in err


def test_a_file_where_the_runs_should_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    ended = life.train(tmp_path)
    assert ended.code == 4, ended
    assert f"cannot lock {tmp_path}/runs/" in ended.err
    assert "choose another --results folder" in ended.err


def test_a_file_system_without_locks_is_not_taken_for_a_busy_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(handle: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(CannotWrite, match=r"cannot lock .*: No locks available"), lock.held(tmp_path / "lock", "it"):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from harness import lock
with lock.held(Path(sys.argv[1]) / "lock", "it"):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """The results of one run."""
    assert life.train(tmp_path).code == 0
    return tmp_path


@pytest.fixture
def holder(finished: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the run's folder."""
    (folder,) = (finished / "runs").iterdir()
    command = [sys.executable, "-c", HOLDER, str(folder)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_run_is_told_who_has_the_folder_and_a_dead_one_does_not_block(
    finished: Path, holder: subprocess.Popen[str]
) -> None:
    ended = life.train(finished)
    assert ended.code == 3, ended
    assert f"is in use by process {holder.pid} on {socket.gethostname()}; wait for it" in ended.err
    assert life.train(finished, steps=7).code == 0, "another run in the same results is not kept waiting"
    holder.kill()
    holder.wait()
    ended = life.train(finished)
    assert (ended.code, "is already finished" in ended.err) == (0, True)


def test_linked_results_on_a_device_of_their_own(tmp_path: Path) -> None:
    """Folder and file are links, and nothing can be renamed from one folder to another."""
    disk, results = tmp_path / "disk", tmp_path / "results"
    (disk / "folder").mkdir(parents=True)
    (disk / "folder" / "records.jsonl").symlink_to(disk / "kept.jsonl")
    results.symlink_to(disk / "folder")
    ended = life.train(results, fault=injections.another_device_everywhere)
    assert ended.code == 0, ended
    (record,) = Store(results).records()
    assert (results / "records.jsonl").is_symlink()
    assert (disk / "kept.jsonl").read_bytes().count(b"\n") == 1
    assert not Path(record["weights"]["path"]).is_absolute()
    fault = {"fault": injections.another_device_everywhere}
    ended = life.live(
        "evaluate",
        "--run",
        record["id"],
        "--model",
        life.HERE + "plain",
        "--threads",
        "1",
        "--results",
        results,
        **fault,
    )
    assert ended.code == 0, ended
    assert Store(results).latest()[1]["accuracy"] == record["accuracy"]
    ended = life.live("compare", "report", "--results", results, **fault)
    assert ended.code == 0, ended
    assert life.remains(disk) == []
