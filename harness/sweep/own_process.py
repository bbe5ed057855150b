"""A run in a process of its own, before the eyes of whoever started it: one that crashes or hangs is a row, no more."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import BadInput, CannotWrite, Interrupted, ResultsBusy, RunFailed
from harness.store.schema import Record
from harness.store.store import Store
from harness.sweep import ending, worker
from harness.sweep.point import Point

_KINDS = {kind.exit_code: kind for kind in (BadInput, ResultsBusy, CannotWrite, Interrupted)}


def run(point: Point, results: Path, timeout_s: float | None) -> Record:
    """The record of ``point``, whose process says what there is to say on this one's stderr.

    Raises what the run raised there, RunFailed where it crashed or took longer than ``timeout_s``: then a record that
    says so is appended, since the process could not, unless the run was finished before and this was its repetition.
    """
    store = Store(results)
    before = store.find(point.id)
    outcome = worker.run(point.task(timeout_s, os.path.abspath(results)), shown=True)
    newest = store.find(point.id)
    if ending.code(outcome) == 0 and newest is not None:
        return newest
    why = ending.why(outcome, timeout_s)
    if (kind := _KINDS.get(ending.code(outcome) or 0)) is not None:
        raise kind(why)
    finished = before is not None and before["status"] == "ok"
    if not finished and (newest == before or outcome.ending == "timeout"):
        store.append(ending.record(point, outcome, why))
    raise RunFailed(why)
