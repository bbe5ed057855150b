"""Causal lifters as streams: a frame's latency beside a window for every frame, and memory as the stream goes on.

    python -m benchmarks.streaming --threads 2 --json streaming.json

Step and window of one lifter are of the same weights and take turns; ``--beside`` names lifters that have no stream,
whose window is what a frame costs with them. Long streams run in fresh processes, one after the other.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import stream
from benchmarks.report import TIMES, Column, Derived, Pieces, Report, Section, Skipped, carry_out, count, ratio, times
from benchmarks.stream import STEP, WINDOW
from benchmarks.turns import Effort, Row
from harness import models
from harness.environment import usable_cores
from harness.measurement import fresh_process

PRELOAD = ("torch", "benchmarks.stream", "posemamba.model", "baselines.posemagic")
KIB = 2**10
#: How long a long stream may take for each of its frames.
_LONGEST_S = 0.2
_TIMEOUT_S = 600.0
#: Roughly, in ms: for the progress line.
_TURNS_MS, _FRAME_MS = 20_000.0, 8.0


def latency_section() -> Section:
    """The empty table of steps and windows."""

    def derive(rows: list[Row]) -> list[Derived]:
        for row in rows:
            row["over_step"] = ratio(row, _step_of(rows, row))
        return list(_ratios(rows))

    columns = (
        Column("threads", lambda row: str(row["threads"])),
        Column("model", lambda row: row["model"], words=True),
        Column("way", lambda row: _way(row), words=True),
        *TIMES,
        times("time over its step", "over_step"),
    )
    remark = "What one new frame costs, one stream, float32. A window is a forward of the last T frames."
    return Section("Latency of a frame", columns, remark, derive)


def long_section() -> Section:
    """The empty table of long streams."""
    columns = (
        Column("threads", lambda row: str(row["threads"])),
        Column("model", lambda row: row["model"], words=True),
        Column("frames", lambda row: f"{row['frames']:,}"),
        Column("state KiB", lambda row: f"{row['state_bytes'] / KIB:,.0f}"),
        Column("growth KiB", lambda row: f"{row['growth_bytes'] / KIB:,.0f}"),
        Column("of it in the second half", lambda row: f"{_late_growth_bytes(row) / KIB:,.0f}"),
        Column("early ms", lambda row: f"{row['early_ms']:.3g}"),
        Column("late ms", lambda row: f"{row['late_ms']:.3g}"),
    )
    remark = (
        "One stream in a fresh process. Growth is of the resident size from the second hundredth of the stream to its "
        "end; early and late are the mean time of a frame in the second and in the last hundredth."
    )
    return Section("Long streams", columns, remark)


def _late_growth_bytes(row: Row) -> int:
    resident = row["resident_bytes"]
    return int(resident[-1] - resident[len(resident) // 2 - 1])


def _way(row: Row) -> str:
    return STEP if row["way"] == STEP else f"{WINDOW}, T = {row['frames']}"


def _step_of(rows: Sequence[Row], like: Row) -> Row | None:
    same = ("threads", "model")
    return next((row for row in rows if row["way"] == STEP and all(row[name] == like[name] for name in same)), None)


def _ratios(rows: Sequence[Row]) -> Iterator[Derived]:
    for row in rows:
        where = f"T = {row['frames']}, {row['threads']} thread{'s' * (row['threads'] > 1)}"
        if row["way"] == WINDOW and row["over_step"]:
            yield Derived(f"{WINDOW} over a step, {row['model']}", where, row["over_step"])


def measure_latency(given: argparse.Namespace, table: Section, effort: Effort, pieces: Pieces) -> None:
    """All ways of all lifters take turns."""
    for threads in given.threads:
        peers = [peer for model in given.model for peer in stream.peers(model, given.frames, threads)]
        peers += [stream.window(model, given.frames, threads) for model in given.beside]
        table.measure(peers, effort, pieces.piece(_TURNS_MS))


def measure_long(given: argparse.Namespace, table: Section, pieces: Pieces) -> None:
    """Each lifter's long stream in a process of its own."""
    for model in given.long_model:
        tell = pieces.piece(_FRAME_MS * given.long)
        tell(0.0, f"{model}, {given.long:,} frames, in a fresh process")
        task = {"model": model, "frames": given.long, "threads": max(given.threads)}
        timeout_s = _TIMEOUT_S + _LONGEST_S * given.long
        result = fresh_process.call(stream.long, task, timeout_s=timeout_s, preload=PRELOAD)
        if result["status"] == "ok":
            table.add([result["row"]])
        else:
            table.skipped.append(Skipped(f"{model}, {given.long} frames", f"{result['status']}: {result['error']}"))


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    given = _parser().parse_args(words)
    report = Report("Causal lifters as streams", Effort(given.samples, given.seconds))
    long_ms = _FRAME_MS * given.long * len(given.long_model)
    pieces = Pieces("streaming", _TURNS_MS * len(given.threads) + long_ms)

    def measure() -> None:
        for name in (*given.model, *given.long_model):
            stream.build(name, frames=9)  # what has no stream is said before anything is measured
        for name in given.beside:
            models.preset(name)
        latency, long = latency_section(), long_section()
        report.sections += [latency, long]
        measure_latency(given, latency, report.effort, pieces)
        measure_long(given, long, pieces)

    return carry_out(report, measure, pieces, given.json)


def _parser() -> argparse.ArgumentParser:
    effort = Effort()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    causal = ["posemamba-causal", "posemagic-causal"]
    add("--model", nargs="+", default=causal, metavar="MODEL", help="lifters with a stream (default: %(default)s)")
    add("--beside", nargs="*", default=["posemamba-s", "motionagformer-xs", "videopose3d-causal"], metavar="MODEL",
        help="lifters without one (default: %(default)s)")  # fmt: skip
    add("--frames", type=count, default=243, metavar="T", help="of a window (default: %(default)s)")
    add("--threads", type=count, nargs="+", default=[usable_cores() or 1], metavar="N", help="default: all")
    add("--long", type=count, default=100_000, metavar="FRAMES", help="of a long stream (default: %(default)s)")
    add("--long-model", nargs="*", default=["posemamba-causal-xs", "posemagic-causal-xs"], metavar="MODEL",
        help="lifters with a long stream (default: %(default)s)")  # fmt: skip
    add("--samples", type=count, default=effort.samples, help="of each way (default: %(default)s)")
    add("--seconds", type=float, default=effort.seconds,
        help="fewer samples, but six, of a way that would take longer (default: %(default)s)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write all figures here, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
