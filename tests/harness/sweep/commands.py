"""A stand-in for the Python that tasks are run with: commands of a few milliseconds that end in one way each."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.sweep.task import Task

#: Called as ``python -m harness WORD … --results FOLDER``.
_SCRIPT = """#!/bin/sh
word=$3
for folder; do :; done
case $word in
  fine) echo "a table";;
  fail) echo "step 1"; echo "harness: it does not work" >&2; exit 1;;
  crash) echo "on its way"; kill -s ABRT $$;;
  hang) exec sleep 60;;
  stubborn) trap '' TERM; touch "$folder/ready"; sleep 60;;
  save) trap 'touch "$folder/saved"; exit 130' TERM; touch "$folder/ready"; sleep 60 & wait;;
  late) trap 'exit 0' TERM; touch "$folder/ready"; sleep 60 & wait;;
  orphan) sleep 60 & echo $! > "$folder/orphan";;
  gpus) echo "harness: sees $CUDA_VISIBLE_DEVICES"; exit 1;;
  make) mkdir -p "$folder/runs/x/deep"
        for name in weights.pt lock step-00000002.pt checkpoint.json again.json half.part deep/events; do
          printf "$name" > "$folder/runs/x/$name"; done
        printf '{"schema": 1, "id": "x", "status": "ok"}\\n{"schema": 1, "id": "y", "sta' > "$folder/records.jsonl"
        printf '{"schema": 1, "id": "m", "status": "ok"}\\n' > "$folder/measurements.jsonl"
        ls -d "$folder/cache" >&2;;
esac
"""


def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on tasks are run with the stand-in."""
    script = tmp_path / "python-stand-in"
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def task(word: str, results: Path | None = None, task_id: str = "t", **more: Any) -> Task:
    """A task whose command is one of the stand-in's."""
    return Task(task_id, (word,), results=None if results is None else str(results), **more)


def is_running(process: int) -> bool:
    """Whether there is one of this number that has not ended, waited for or not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Fails where it does not come to hold."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it has not come to hold"
        time.sleep(0.01)


def children() -> set[int]:
    """Processes that this one has started and that have not been waited for."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(path.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return found
