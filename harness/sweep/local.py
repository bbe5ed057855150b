"""Sweeps on this machine: one process a point, as many at once as there are cores, or GPUs, for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence

from harness.sweep.task import Outcome, Task
from harness.sweep.worker import Running

_LOOK_S = 0.05
#: What a process sees of the GPUs.
VISIBLE = "CUDA_VISIBLE_DEVICES"


class Local:
    """An executor. ``cores`` are for the tasks on the CPU, ``gpus`` the names of GPUs, each for one task at a time.

    ``at_once`` is the most tasks at a time, None for as many as there is room for. A task that needs more than there is
    gets all of it. Exclusive tasks come last, one at a time, and nothing beside them.
    """

    shared = True

    def __init__(self, cores: int, gpus: Sequence[str] = (), at_once: int | None = None) -> None:
        self._cores, self._gpus, self._at_once = cores, tuple(gpus), at_once
        self._waiting: deque[Task] = deque()
        self._alone: deque[Task] = deque()
        self._running: dict[str, tuple[Running, tuple[str, ...]]] = {}
        self._not_started: list[Outcome] = []

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queue them."""
        for task in tasks:
            (self._alone if task.exclusive else self._waiting).append(task)

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Start what there is room for, and return what has ended."""
        until = time.monotonic() + timeout_s
        while True:
            self._start_what_fits()
            outcomes = self._ended()
            if outcomes or time.monotonic() >= until:
                return outcomes
            time.sleep(max(0.0, min(_LOOK_S, until - time.monotonic())))

    def close(self) -> None:
        """SIGTERM to all that run at once, then wait for each; a second interruption kills them."""
        self._waiting.clear()
        self._alone.clear()
        at_work = [running for running, _ in self._running.values()]
        try:
            for running in at_work:
                running.terminate()
            for running in at_work:
                running.stop()
        except BaseException:
            for running in at_work:
                running.kill()
            raise
        finally:
            self._running.clear()

    def _ended(self) -> list[Outcome]:
        outcomes, self._not_started = self._not_started, []
        for task_id, (running, _) in list(self._running.items()):
            if (outcome := running.poll()) is not None:
                del self._running[task_id]
                outcomes.append(outcome)
        return outcomes

    def _start_what_fits(self) -> None:
        for task in self._next():
            gpus = self._free_gpus()[: task.gpus]
            environment = {VISIBLE: ",".join(gpus)} if gpus else {}
            try:
                self._running[task.id] = Running(task, environment), gpus
            except OSError as error:
                why = f"its process could not be started: {error}"
                self._not_started.append(Outcome(task.id, "ended", None, why))

    def _next(self) -> Iterator[Task]:
        """Tasks that may start now, in their order."""
        while self._waiting and self._fits(self._waiting[0]):
            yield self._waiting.popleft()
        if self._alone and not self._running:  # then nothing waits, either
            yield self._alone.popleft()

    def _fits(self, task: Task) -> bool:
        tasks = [running.task for running, _ in self._running.values()]
        if not tasks:
            return True
        if any(other.exclusive for other in tasks) or (self._at_once is not None and len(tasks) >= self._at_once):
            return False
        if task.gpus:
            return len(self._free_gpus()) >= task.gpus
        used = sum(other.cores for other in tasks if not other.gpus)
        return self._at_once is not None or used == 0 or used + task.cores <= self._cores

    def _free_gpus(self) -> tuple[str, ...]:
        taken = {gpu for _, gpus in self._running.values() for gpu in gpus}
        return tuple(gpu for gpu in self._gpus if gpu not in taken)
