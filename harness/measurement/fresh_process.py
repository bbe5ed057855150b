"""A task in a process of its own, so that nothing earlier is in its caches and nothing it does can hurt.

The process is forked from a server that has imported torch and never computed anything: it starts in a few hundredths
of a second, with allocator and thread pools untouched. However it ends, a result comes back.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.errors import is_out_of_memory

Task = dict[str, Any]
Result = dict[str, Any]
Run = Callable[[Task], Result]

_KILLED = "killed by the system (SIGKILL), as it does when memory runs out"


def call(run: Run, task: Task, *, timeout_s: float, preload: Sequence[str] = ()) -> Result:
    """What ``run(task)`` returns in a fresh process, or ``{"status": …, "error": …}`` where it does not return.

    ``oom`` where memory ran out or the system killed it, ``timeout`` after ``timeout_s``, ``failed`` for an exception
    and for any other signal. ``run`` is a module's function, ``preload`` the modules that it needs. The process ends
    with this one, even if this one is killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, run, task), daemon=True)
    try:
        process.start()
        theirs.close()
        return _awaited(ours, process, timeout_s)
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
        ours.close()


def _awaited(ours: Connection, process: Any, timeout_s: float) -> Result:
    deadline = time.monotonic() + timeout_s
    if not wait([ours, process.sentinel], timeout_s):
        return {"status": "timeout", "error": f"stopped after {timeout_s:g} s; allow more, or measure a shorter clip"}
    try:
        if ours.poll(max(0.0, min(1.0, deadline - time.monotonic()))):
            result: Result = ours.recv()
            return result
    except (EOFError, ConnectionResetError):
        pass
    process.join()
    return _died(process.exitcode)


def _died(exit_code: int) -> Result:
    if exit_code >= 0:
        return {"status": "failed", "error": f"the process ended with exit code {exit_code} and no result"}
    name = signal.Signals(-exit_code).name
    if name == "SIGKILL":
        return {"status": "oom", "error": _KILLED}
    return {"status": "failed", "error": f"the process crashed with {name}"}


def was_killed(result: Mapping[str, Any]) -> bool:
    """Whether a task ended by SIGKILL: it need not have been for what the task took, another may do in its place."""
    return result.get("status") == "oom" and result.get("error") == _KILLED


def _work(theirs: Connection, run: Run, task: Task) -> None:
    # Ctrl-C reaches every process of the terminal; the one that was started by the user decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_with, args=(theirs,), daemon=True).start()
    try:
        result = run(task)
    except BaseException as error:
        result = failure(error)
    theirs.send(result)


def failure(error: BaseException) -> Result:
    """Status and text of an exception."""
    text = f"{type(error).__name__}: {error}".strip(": ")
    return {"status": "oom" if is_out_of_memory(error) else "failed", "error": text}


def _end_with(theirs: Connection) -> None:
    """Nobody sends anything: the other end closes when the process that waits for the result is gone."""
    with contextlib.suppress(OSError):
        wait([theirs])
        os._exit(1)
