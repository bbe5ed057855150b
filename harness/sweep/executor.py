"""What a sweep asks of an engine, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.sweep.task import Outcome, Task


class Executor(Protocol):
    """Runs ``harness.sweep.worker.run`` of each task on some machine, and says how it ended.

    ``shared`` says whether its workers see the store's folder, so that tasks may name it.
    """

    shared: bool

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take all of them; the executor queues them, and keeps exclusive ones alone."""

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Those that ended since the last call, possibly none; returns at the first, or after ``timeout_s``."""

    def close(self) -> None:
        """End what still runs, by SIGTERM first, so that a training saves its checkpoint; free what was started."""
