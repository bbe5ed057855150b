"""``harness WORDS`` in a process that is forked from this one, and killed after a while where that is asked for.

This process imports and never computes: a fork of it begins as the command does, without its seconds of imports.
"""

from __future__ import annotations

import importlib
import multiprocessing.forkserver
import os
import signal
import time
import traceback
from pathlib import Path

from harness import cli
from harness.measurement import inference, worker
from harness.measurement.timing import Protocol

#: A command that takes longer hangs, even on a machine that is busy with other work.
MOST_S = 1800.0
#: What commands import when they come to it.
_IMPORTED = ("harness.run", "harness.evaluating", "harness.reporting.report", "harness.reporting.cost_table",
             "harness.measurement.survey", "harness.data.mpi_inf_3dhp")  # fmt: skip
_LOOK_EVERY_S = 0.001


class Hang(Exception):
    """A command did not come to an end."""


def prepare() -> None:
    """Import what commands need, and start the server that passes of a measurement are forked from, once for all."""
    for module in _IMPORTED:
        importlib.import_module(module)
    multiprocessing.set_forkserver_preload(list(worker.PRELOAD))
    multiprocessing.forkserver.ensure_running()


def run(words: list[str], log: Path, kill_after_s: float | None = None) -> int | None:
    """The command's exit code, or None where it was killed before it came to its end. Its messages go to ``log``."""
    process = os.fork()
    if process == 0:
        os._exit(_live(words, log))
    started, killed = time.monotonic(), False
    while (ended := os.waitpid(process, os.WNOHANG))[0] == 0:
        passed_s = time.monotonic() - started
        if not killed and passed_s > (MOST_S if kill_after_s is None else kill_after_s):
            os.kill(process, signal.SIGKILL)
            killed = True
        time.sleep(_LOOK_EVERY_S)
    if killed and kill_after_s is None:
        raise Hang(f"harness {' '.join(words)} did not end in {MOST_S:.0f} s; see {log}")
    return None if os.WIFSIGNALED(ended[1]) else os.waitstatus_to_exitcode(ended[1])


def _live(words: list[str], log: Path) -> int:
    """In the child. Never returns by an exception: it would go on as the parent."""
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        # The server is the parent's child, and so not to be waited for here, as multiprocessing would.
        multiprocessing.forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
        inference.PROTOCOL = Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1)
        os.environ["HARNESS_SAVE_EVERY_S"] = "0"
        cli.main(words)
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    return 70
