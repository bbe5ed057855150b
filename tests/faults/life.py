"""A command's life in a process of its own, with a fault injected; the process may die of it.

It is forked from a server that has imported torch, so that a life costs no more than the command itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import cli
from harness.measurement import fresh_process, inference, worker
from harness.measurement.timing import Protocol

#: Twelve seconds of training, six of testing; clips of nine frames, six steps of two clips.
DATA = "synthetic:train_minutes=0.2,test_minutes=0.1"
TINY = ("--data", DATA, "--frames", "9", "--batch-size", "2", "--threads", "1", "--device", "cpu")
HERE = "tests.faults.lifters:"


@dataclass(frozen=True)
class Ended:
    """``code`` is None where the process was killed."""

    code: int | None
    out: str = ""
    err: str = ""


def live(*words: str | Path, fault: Callable[..., None] | None = None, **given: Any) -> Ended:
    """``harness WORDS`` in a process in which ``fault(**given)`` was called before; a checkpoint after every step."""
    task = {"words": [str(word) for word in words], "fault": fault, "given": given}
    found = fresh_process.call(_live, task, timeout_s=120.0, preload=worker.PRELOAD)
    if fresh_process.was_killed(found):
        return Ended(None)
    assert "code" in found, found
    return Ended(**found)


def train(results: Path, *models: str, steps: int = 6, words: tuple[str, ...] = (), **fault: Any) -> Ended:
    """``harness run`` of lifters of this package on tiny data, with these ``words`` more."""
    names = [HERE + name for name in models or ("plain",)]
    return live("run", "--model", *names, *TINY, "--steps", str(steps), *words, "--results", results, **fault)


def _live(task: dict[str, Any]) -> dict[str, Any]:
    inference.PROTOCOL = Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1)
    os.environ["HARNESS_SAVE_EVERY_S"] = "0"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if task["fault"] is not None:
            task["fault"](**task["given"])
        try:
            cli.main(task["words"])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def remains(results: Path) -> list[str]:
    """Files below ``results`` that only a process at work should have."""
    return sorted(path.relative_to(results).as_posix() for path in results.rglob("*") if is_temporary(path.name))


def is_temporary(name: str) -> bool:
    """Parts of files, checkpoints, marks of repetitions."""
    return name.endswith((".part", ".partial", ".tmp")) or name.startswith(("step-", "checkpoint.json", "again"))
