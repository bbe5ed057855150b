"""Memory and time of one forward over a long clip, each length in a fresh process."""

from __future__ import annotations

from benchmarks import lifter
from benchmarks.lifter import Form
from benchmarks.turns import Effort, take_turns
from harness.measurement import memory
from harness.measurement.fresh_process import Result, Task


def measured(task: Task) -> Result:
    """``row`` with ``peak_bytes`` and ``reader`` of lifter ``model`` on ``frames`` by ``threads``.

    ``effort`` is that of the timing, as keywords. Peak memory is above what the process holds before, weights included.
    """
    peer = lifter.inference(Form(task["model"]), task["frames"], task["threads"], {})
    reader = memory.reader_for("cpu")
    peer.run_on_its_threads()
    peak_bytes = memory.peak(peer.call, reader)
    take_turns([peer], Effort(**task["effort"]), lambda share, detail: None)
    if peer.reason:
        return {"status": "failed", "error": peer.reason}
    return {"status": "ok", "row": {**peer.row(), "peak_bytes": peak_bytes, "reader": reader.name}}
