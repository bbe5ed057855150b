"""One point of a sweep as it travels to a worker, and what comes back: plain data that pickles and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Task:
    """A command of the harness to be run somewhere.

    id         of the point: the run's (``config.run_id()``), or a readable one of a measurement
    words      after ``harness``, without ``--results``: ``("run", "--model", "posemamba-xs", …)``
    exclusive  nothing else may run on its cores or its GPU meanwhile: a measurement
    cores      CPU threads that it uses
    gpus       0 on a CPU
    timeout_s  after so long its whole process group is ended
    results    the store's folder, where every worker sees it; None for a scratch folder on the worker's machine, of
               which what was made travels back in the Outcome
    """

    id: str
    words: tuple[str, ...]
    exclusive: bool = False
    cores: int = 1
    gpus: int = 0
    timeout_s: float | None = None
    results: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    ending     lost: the machine or the engine's worker went, which is not the point's own fault
    exit_code  negative: the signal, as subprocess has it; None where none was seen
    reason     the last lines of its stderr, or what the engine said
    records    the new ones by the store's file name (records.jsonl); empty where ``results`` was given
    files      contents by path relative to the store's folder (runs/ID/weights.pt); empty where ``results`` was given
    """

    task_id: str
    ending: Literal["ended", "lost", "timeout"]
    exit_code: int | None = None
    reason: str = ""
    seconds: float = 0.0
    host: str = ""
    records: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
