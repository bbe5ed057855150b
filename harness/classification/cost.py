"""What a point model costs, for one cloud: parameters, operations, and how latency and memory grow with P.

In this one process, beside whatever it did before, as ``harness.measurement.inference`` does it for lifters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from harness.classification.point_model import reason
from harness.measurement import counts, memory, samples, timing
from harness.measurement.samples import INVALID, STABLE
from harness.measurement.timing import Protocol
from harness.progress import Say

PROTOCOL = Protocol(rounds=1, min_samples=20, min_seconds=0.5, max_seconds=10.0, warm_up_calls=5, warm_up_seconds=0.5)


def measure(
    model: nn.Module, points: int, cost_points: Sequence[int], say: Say, protocol: Protocol | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The record's ``cost`` entry for clouds of ``points`` points, and sentences about what in it is in doubt.

    ``by_points`` has an entry for each of ``cost_points`` and for ``points``; where the model cannot take so many, or
    so few, or cannot be counted, the entry has the reason beside what figures there are. ``protocol`` None: PROTOCOL.
    """
    rows = []
    for number in sorted({*cost_points, points}):
        say(f"measuring one cloud of {number} points")
        rows.append(_at(model, number, protocol or PROTOCOL))
    own = next(row for row in rows if row["points"] == points)
    counted, doubts = _counted(model, points)
    doubts += [f"one cloud of {row['points']} points: {row['error']}" for row in rows if row.get("error")]
    if own.get("verdict") not in (None, STABLE):
        doubts.append(f"latency is {own['verdict']}: {own['reason']}")
    figures = {name: own.get(name) for name in ("latency_ms", "low_ms", "high_ms", "verdict", "peak_memory_bytes")}
    return {
        **counted, **figures, "points": points, "by_points": rows, "threads": torch.get_num_threads(),
    }, doubts  # fmt: skip


def _counted(model: nn.Module, points: int) -> tuple[dict[str, Any], list[str]]:
    """All counts of one cloud, and doubts about them; where there are none, the row of so many points says why."""
    try:
        counted = counts.count_on(model, (points, 3))
    except Exception:  # whatever a third party's model raises
        return {"params_total": sum(parameter.numel() for parameter in model.parameters())}, []
    return counted, [f"no formula for the operations of {name}" for name in counts.without_formula(counted)]


def _at(model: nn.Module, points: int, protocol: Protocol) -> dict[str, Any]:
    row: dict[str, Any] = {"points": points}
    try:
        row |= _timed(model, points, protocol)
        row |= _operations(model, points)
    except Exception as error:  # whatever a third party's model raises
        row["error"] = reason(error)
    return row


def _operations(model: nn.Module, points: int) -> dict[str, int]:
    counted = counts.count_on(model, (points, 3), training=False)
    return {name: counted[name] for name in ("macs_fvcore", "flops_exact")}


def _timed(model: nn.Module, points: int, protocol: Protocol) -> dict[str, Any]:
    device = _device(model)
    with _forward(model, points) as call:
        series = timing.sample(call, protocol.on(device), synchronise=timing.synchroniser(device))
        peak = memory.peak(call, memory.reader_for(device))
    found = samples.summarise([series.samples_ms]) if series.samples_ms else None
    finite = series.trouble is not None or bool(torch.isfinite(series.last).all())
    trouble = series.trouble or (None if finite else "the model's output is not finite")
    verdict, reason = samples.judge(found, protocol.min_samples, trouble)
    if found is None or verdict == INVALID:
        return {"verdict": verdict, "reason": reason, "peak_memory_bytes": peak}
    return {
        "latency_ms": found.median_ms,
        "low_ms": found.low_ms,
        "high_ms": found.high_ms,
        "verdict": verdict,
        "reason": reason,
        "peak_memory_bytes": peak,
    }


@contextmanager
def _forward(model: nn.Module, points: int) -> Iterator[Callable[[], Tensor]]:
    """A call of ``model`` in eval mode on one cloud of points spread evenly over the unit sphere, by chance."""
    cloud = torch.randn(1, points, 3, generator=torch.Generator().manual_seed(0))
    cloud = (cloud / cloud.norm(dim=-1, keepdim=True)).to(_device(model))
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield lambda: model(cloud)
    finally:
        model.train(was_training)


def _device(model: nn.Module) -> str:
    return str(next((parameter.device for parameter in model.parameters()), torch.device("cpu")))
