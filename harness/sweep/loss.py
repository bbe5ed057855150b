"""Telling a point that was lost with its machine from one that failed by itself."""

from __future__ import annotations

import dataclasses
import signal

from harness.errors import Interrupted
from harness.sweep.task import Outcome, Task

#: How a point ends that was asked to stop. Nobody asked for it here, so that it was the machine or its scheduler:
#: both send SIGTERM to every process before they take a machine away.
_STOPPED = (Interrupted.exit_code, -signal.SIGTERM, -signal.SIGINT)


def judged(outcome: Outcome, task: Task) -> Outcome:
    """``outcome`` of ``task`` on another machine, whatever that calls it; ``lost`` where somebody there stopped it."""
    outcome = dataclasses.replace(outcome, task_id=task.id)
    if outcome.ending == "ended" and outcome.exit_code in _STOPPED:
        return dataclasses.replace(outcome, ending="lost", reason=f"stopped on {outcome.host}: {outcome.reason}")
    return outcome
