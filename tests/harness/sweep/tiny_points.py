"""Points that are whole runs and yet short: a perceptron of one's own, of which the speed is hardly measured."""

from __future__ import annotations

import json
from pathlib import Path

from harness.sweep.task import Task

#: A run spends most of its time on measuring its lifter's; this one, imported by it, shortens that.
_LIFTER = """
from torch import nn

from harness.measurement import inference
from harness.measurement.timing import Protocol

inference.PROTOCOL = Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1)


class Tiny(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.layer = nn.Linear(in_channels, 3)

    def forward(self, clips):
        return self.layer(clips)


def build(frames, in_channels):
    return Tiny(in_channels)
"""
DATA = "synthetic:train_minutes=0.1,test_minutes=0.05"


def write_lifter(folder: Path) -> None:
    """The module ``tiny_lifter``, to be found by processes with ``folder`` in PYTHONPATH."""
    (folder / "tiny_lifter.py").write_text(_LIFTER)


def tasks(count: int, results: Path | None = None) -> list[Task]:
    """A grid of ``count`` seeds."""
    words = (
        "run", "--model", "tiny_lifter:build", "--data", DATA, "--frames", "3", "--batch-size", "4", "--steps", "2",
        "--device", "cpu", "--threads", "1", "--seed",
    )  # fmt: skip
    where = None if results is None else str(results)
    return [Task(f"seed-{seed}", (*words, str(seed)), timeout_s=120.0, results=where) for seed in range(count)]


def write_grid(path: Path, count: int) -> None:
    """The same as a GRID.toml."""
    path.write_text(
        f'model = "tiny_lifter:build"\ndata = "{DATA}"\nframes = 3\nbatch-size = 4\nsteps = 2\n'
        f'device = "cpu"\nthreads = 1\nseed = {list(range(count))}\n'
    )


def seeds_in(results: Path) -> list[int]:
    """Of the records in a store's folder, of finished runs; of none where there is no store yet."""
    path = results / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [record["seed"] for record in lines if record["status"] == "ok"]
