"""Rows of a store, made up: finished runs and timed points that obey a law, so that a test knows what follows."""

from __future__ import annotations

from typing import Any

from harness.config import RunConfig
from tests.harness.complexity import rows

PROCESSOR, OTHER = "AMD EPYC 9R14", "Xeon"
#: Seconds of everything but training beside the clips answered, and of one clip answered.
FIXED_S, FORWARD_S = 30.0, 0.010
TEST_FRAMES = 2700


def finished(
    config: RunConfig,
    clip_s: float,
    *,
    steps: int = 100,
    machine: str = PROCESSOR,
    core_share: float | None = None,
    step_operations: int | None = None,
    answered: int | None = None,
    rest_s: float | None = None,
    resumed: bool = False,
    processes: tuple[int, ...] = (),
) -> dict[str, Any]:
    """The record of a run with ``config`` whose training step took ``clip_s`` for each clip of it.

    ``core_share``: processor time over wall-clock time of training. ``rest_s``: everything else; by the constants above
    where it is not given. ``resumed``: the last start saw but a part of the training. ``processes``: how many shared
    it, one stretch after the other.
    """
    outputs = answered or config.frames
    seconds = steps * config.batch_size * clip_s
    rest_s = FIXED_S + 2 * TEST_FRAMES / outputs * FORWARD_S if rest_s is None else rest_s
    lasted_s = 1 if resumed else round(seconds + rest_s)
    minutes, left_s = divmod(lasted_s, 60)
    hours, minutes = divmod(minutes, 60)
    return {
        "schema": 1,
        "id": config.run_id(),
        "status": "ok",
        "started": "2026-03-01T00:00:00+00:00",
        "finished": f"2026-03-01T{hours:02d}:{minutes:02d}:{left_s:02d}+00:00",
        "config": config.as_dict(),
        "environment": {"processor": machine, "gpu": None},
        "training": {
            "steps": steps,
            "seconds": seconds,
            "core_seconds": None if core_share is None else seconds * core_share,
            "frames_per_s": outputs / clip_s,
            "processes": [{"from_step": step, "processes": number} for step, number in enumerate(processes)],
        },
        "signature": {"long": "made up"},
        "data": {"digest_test": "made up"},
        "accuracy": {"frames": TEST_FRAMES},
        "cost": {
            "output_frames": outputs,
            "inference": {"call_ms": 1000 * FORWARD_S},
            "training_step": {"flops_exact": step_operations},
        },
    }


def timed(model: str, frames: int, forward_s: float, **fields: Any) -> list[dict[str, Any]]:
    """The rows of a point whose forward takes so long; ``fields`` replace the point's usual ones."""
    of = rows.point(model, frames, **{"in_channels": 3, "threads": 1, **fields})
    law = rows.power_law(0.0, 1000 * forward_s)
    return rows.of_point(law, of, noise=0.0)
