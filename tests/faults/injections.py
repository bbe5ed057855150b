"""Faults to be injected into a process before a command runs in it. Nothing is put back: the process ends with it."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.progress import ProgressLine
from harness.sweep import worker
from harness.sweep.task import Outcome

#: The first bytes of every stored record.
_RECORD = b'{"schema":'


def die() -> None:
    """As ``kill -9`` has it: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_replacement(name: str, when: str) -> None:
    """Die before or after a file of this name is put in place."""
    replace = os.replace

    def dying(source: Any, target: Any) -> None:
        here = Path(target).name == name
        if here and when == "before":
            die()
        replace(source, target)
        if here and when == "after":
            die()

    os.replace = dying


def kill_in_append(share: float) -> None:
    """Die when this share of a record's bytes has been written."""
    write = os.write

    def dying(handle: int, content: bytes) -> int:
        if bytes(content[: len(_RECORD)]) != _RECORD:
            return write(handle, content)
        write(handle, content[: int(share * len(content))])
        die()
        return 0

    os.write = dying


def signals_at(text: str, numbers: Sequence[int]) -> None:
    """These signals, when a line of progress has ``text`` in its title or its detail."""
    update, left = ProgressLine.update, list(numbers)

    def interrupted(line: ProgressLine, share: float, detail: str = "") -> None:
        while left and (line._title.startswith(text) or detail.startswith(text)):
            os.kill(os.getpid(), left.pop(0))
        update(line, share, detail)

    ProgressLine.update = interrupted  # type: ignore[method-assign]


def signal_while_at_work(name: str, number: int) -> None:
    """This signal to the command that has started a process for each run, when that of ``name`` trains."""
    poll, left = worker.Running.poll, [number]

    def interrupted(running: worker.Running) -> Outcome | None:
        folder = Path(str(running.task.results)) / "runs" / running.task.id
        if left and name in running.task.id and (folder / "checkpoint.json").exists():
            os.kill(os.getpid(), left.pop())
        return poll(running)

    worker.Running.poll = interrupted  # type: ignore[method-assign]


def small_disk(most_bytes: int) -> None:
    """No file may grow beyond this: what a full disk looks like. Python ignores SIGXFSZ by itself."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def little_memory(more_bytes: int) -> None:
    """The process may take so much beyond what it has."""
    held = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (held + more_bytes, held + more_bytes))


def another_device_everywhere() -> None:
    """Every folder is a file system of its own: nothing can be renamed from one to another."""
    replace = os.replace

    def bounded(source: Any, target: Any) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source), None, str(target))
        replace(source, target)

    os.replace = bounded


def environment(name: str, value: str) -> None:
    os.environ[name] = value


def signal_in_append(number: int) -> None:
    """The signal, when a record is about to be written."""
    write = os.write

    def interrupted(handle: int, content: bytes) -> int:
        if bytes(content[: len(_RECORD)]) == _RECORD:
            os.kill(os.getpid(), number)
        return write(handle, content)

    os.write = interrupted


def signal_in_preparation(number: int) -> None:
    """The signal, when the data are about to be loaded."""
    from harness import data

    def interrupted(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), number)

    data.load = interrupted  # type: ignore[assignment]


def little_grace() -> None:
    """What is told to end and does not is killed at once."""
    worker.GRACE_S = 0.5
