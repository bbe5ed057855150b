"""One point of a sweep as it is planned: a run, or a measurement, that ``harness`` would do by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.sweep.task import Task

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.measurement.request import Request


@dataclass(frozen=True)
class Point:
    """Either ``config`` is set, of a run, or ``request``, resolved and of one measurement alone.

    id     the run's (``config.run_id()``), or a readable one of the measurement
    words  after ``harness``, without ``--results``; device and threads are among them, so that it is the same point
           on whatever machine
    cores  CPU threads, ``gpus`` GPUs that it uses
    """

    id: str
    words: tuple[str, ...]
    config: RunConfig | None = None
    request: Request | None = None
    cores: int = 1
    gpus: int = 0

    @property
    def model(self) -> str:
        """Registered name or package.module:attribute."""
        return self.words[self.words.index("--model") + 1]

    @property
    def exclusive(self) -> bool:
        """Whether nothing else may run beside it, as of a measurement."""
        return self.request is not None

    def task(self, timeout_s: float | None, results: str | None) -> Task:
        """What is sent to a worker."""
        return Task(self.id, self.words, self.exclusive, self.cores, self.gpus, timeout_s, results)
