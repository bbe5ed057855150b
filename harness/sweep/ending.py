"""How a point ended, in words, and the record that its process did not come to write."""

from __future__ import annotations

import json
import signal
from datetime import datetime, timedelta, timezone
from typing import Any

from harness.sweep.point import Point
from harness.sweep.task import Outcome


def code(outcome: Outcome) -> int | None:
    """What it ended with by itself; one whose time is over is interrupted, which is not its user's doing."""
    return outcome.exit_code if outcome.ending == "ended" else None


def why(outcome: Outcome, timeout_s: float | None) -> str:
    """A sentence on an outcome that is no success."""
    if outcome.ending == "timeout":
        return f"stopped after {(timeout_s or 0.0) / 60:g} minutes (--timeout)"
    ended, reason = outcome.exit_code, outcome.reason
    if ended is not None and ended < 0:
        return f"crashed with {_signal_name(-ended)}{': ' if reason else ''}{reason}"
    return reason or ("ended without a record" if ended == 0 else f"ended with exit code {ended}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def record(point: Point, outcome: Outcome, error: str) -> dict[str, Any]:
    """Of a run whose process appended none: ``error`` is why."""
    assert point.config is not None
    config, ended = point.config, datetime.now(timezone.utc)
    return {
        "id": point.id,
        "status": "timeout" if outcome.ending == "timeout" else "failed",
        "error": error,
        "config": json.loads(json.dumps(config.as_dict())),
        "config_hash": config.digest(),
        "seed": config.seed,
        "started": (ended - timedelta(seconds=outcome.seconds)).isoformat(timespec="seconds"),
        "finished": ended.isoformat(timespec="seconds"),
        "environment": {"host": outcome.host},
        "data": {"spec": config.data},
        "warnings": [],
    }
