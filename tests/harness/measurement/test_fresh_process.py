"""Every way in which a process can end, and what it is to begin with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.measurement import fresh_process
from harness.measurement.worker import PRELOAD


def called(run: fresh_process.Run, timeout_s: float = 60.0, **task: Any) -> dict[str, Any]:
    return fresh_process.call(run, task, timeout_s=timeout_s, preload=PRELOAD)


def echo(task: dict[str, Any]) -> dict[str, Any]:
    return {"status": "ok", "heard": task["word"]}


def large(task: dict[str, Any]) -> dict[str, Any]:
    return {"status": "ok", "numbers": list(range(200_000))}


def untouched(task: dict[str, Any]) -> dict[str, Any]:
    """Threads before and after a product, here and in the server."""
    import torch

    threads = lambda process: len(os.listdir(f"/proc/{process}/task"))  # noqa: E731
    before, server = threads("self"), threads(os.getppid())
    torch.set_num_threads(task["threads"])
    torch.ones(400, 400) @ torch.ones(400, 400)
    return {
        "before": before,
        "after": threads("self"),
        "server": server,
        "threads": torch.get_num_threads(),
        "imported": "torch" in sys.modules,
    }


def abort(task: dict[str, Any]) -> dict[str, Any]:
    os.abort()


def be_killed(task: dict[str, Any]) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def sleep(task: dict[str, Any]) -> dict[str, Any]:
    time.sleep(60)
    return {}


def leave(task: dict[str, Any]) -> dict[str, Any]:
    os._exit(3)


def fail(task: dict[str, Any]) -> dict[str, Any]:
    raise {"value": ValueError, "memory": MemoryError, "runtime": RuntimeError, "system": SystemExit}[task["kind"]](
        task["text"]
    )


def test_a_result_comes_back_whatever_its_size() -> None:
    assert called(echo, word="hello") == {"status": "ok", "heard": "hello"}
    assert len(called(large)["numbers"]) == 200_000


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc here")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_process_begins_untouched_with_torch_imported(threads: int) -> None:
    found = called(untouched, threads=threads)
    assert found["imported"]
    assert found["threads"] == threads
    assert found["server"] == 1, "the server computed something"
    assert found["before"] == 2, "itself and the watch over its parent"
    assert found["after"] >= found["before"] + threads - 1


def test_a_crash_is_a_failure_with_its_signal() -> None:
    assert called(abort) == {"status": "failed", "error": "the process crashed with SIGABRT"}


def test_killed_from_outside_is_out_of_memory() -> None:
    found = called(be_killed)
    assert found["status"] == "oom"
    assert "SIGKILL" in found["error"]
    assert fresh_process.was_killed(found)
    assert not fresh_process.was_killed(called(fail, kind="memory", text=""))


def test_too_long_is_a_timeout() -> None:
    start = time.monotonic()
    found = called(sleep, timeout_s=0.3)
    assert found["status"] == "timeout"
    assert "0.3 s" in found["error"]
    assert time.monotonic() - start < 20


def test_no_result_is_a_failure() -> None:
    assert called(leave) == {"status": "failed", "error": "the process ended with exit code 3 and no result"}


@pytest.mark.parametrize(
    ("kind", "text", "status"),
    [
        ("value", "wrong", "failed"),
        ("system", "1", "failed"),
        ("memory", "", "oom"),
        ("runtime", "DefaultCPUAllocator: can't allocate memory: you tried …", "oom"),
        ("runtime", "DefaultCPUAllocator: not enough memory: you tried …", "oom"),
        ("runtime", "CUDA out of memory", "oom"),
    ],
)
def test_an_exception_is_a_status(kind: str, text: str, status: str) -> None:
    found = called(fail, kind=kind, text=text)
    assert found["status"] == status
    assert text in found["error"]


NAPPING = """
import os, sys, time
from harness.measurement import fresh_process

def nap(task):
    with open(task["note"] + ".part", "w") as note:
        note.write(str(os.getpid()))
    os.replace(task["note"] + ".part", task["note"])
    time.sleep(60)
    return {}
"""


def test_a_process_ends_with_the_one_that_waits_for_it(tmp_path: Path) -> None:
    """Also when that one is killed and can do nothing more."""
    (tmp_path / "napping.py").write_text(NAPPING)
    note = tmp_path / "pid"
    program = f"import napping as n; n.fresh_process.call(n.nap, {{'note': {str(note)!r}}}, timeout_s=60)"
    path = os.pathsep.join([str(Path(__file__).parents[3]), str(tmp_path)])
    waiting = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path})
    pid = int(_eventually(lambda: note.exists() and note.read_text()))
    assert _alive(pid)
    waiting.kill()
    waiting.wait()
    _eventually(lambda: not _alive(pid))


def _eventually(look: Any) -> Any:
    deadline = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return found


def _alive(pid: int) -> bool:
    """A process that has ended and is not yet collected is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
