"""Models beside each other in interleaved runs: forward, training step, and memory and time of long clips.

    python -m benchmarks.models --frames 27 81 243 729 --threads 2 --json models.json

The subject runs by itself, in bf16, with its scan as a loop over ``unbind`` (up to --loop-frames), and, where asked
for, compiled; each peer with both of its forms of attention. All forms of one T, on every number of threads, take
turns. Weights are by chance, the same for every form of a lifter.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from benchmarks import lifter, long_clip, training_step
from benchmarks.lifter import BF16, BY_ITSELF, COMPILED, UNBIND
from benchmarks.report import (
    TIMES,
    Column,
    Derived,
    Pieces,
    Report,
    Section,
    Skipped,
    carry_out,
    count,
    giga,
    per_second,
    percent,
    ratio,
    times,
)  # fmt: skip
from benchmarks.training_step import NO_GRADIENTS, STEP, TRAINING_MODE
from benchmarks.turns import Effort, Peer, Row, Tell
from harness import models
from harness.complexity import growth
from harness.environment import usable_cores
from harness.measurement import fresh_process
from harness.precision import FLOAT32
from harness.quantity import MISSING, speed

INFERENCE, TRAINING, MEMORY = PARTS = ("inference", "training", "memory")
PRELOAD = ("torch", "benchmarks.long_clip", "posemamba.model")
MIB = 2**20
#: Of one fresh process, beyond what its samples are given.
_TIMEOUT_S = 600.0
#: How long parts take, roughly, in ms for each frame: for the progress line.
_WEIGHTS = {"plain": 150.0, "loop": 700.0, "step": 150.0, "long": 9.0}
_PEAKS_MS = 15_000.0


# ---- tables ----

_SIZE = (
    Column("threads", lambda row: str(row["threads"])),
    Column("batch", lambda row: str(row["batch"])),
    Column("T", lambda row: str(row["frames"])),
    Column("model", lambda row: row["model"], words=True),
)
_RATES = (
    Column("GFLOP/s", lambda row: giga(row["flops_per_s"])),
    Column("of product peak", lambda row: percent(row["share_of_gemm_peak"])),
)


def inference_section(report: Report, subject: str) -> Section:
    """The empty table of forwards."""

    def derive(rows: list[Row]) -> list[Derived]:
        for row in rows:
            row["over_subject"] = ratio(row, _found(rows, row, model=subject, form=BY_ITSELF))
            _add_rates(report, row)
        return list(_of_forms(rows, subject))

    columns = (
        *_SIZE,
        Column("form", lambda row: row["form"], words=True),
        *TIMES,
        times(f"time over {subject}", "over_subject"),
        *_RATES,
        Column("difference", lambda row: f"{row['difference']:.0e}" if "difference" in row else MISSING),
    )
    remark = (
        "One forward without gradients. Operations are flops_exact of the lifter by itself; only float32 has a share "
        "of the peak, a product's in float32. The difference is the largest from the lifter's first form, over its "
        "root mean square."
    )
    return Section("Models, inference", columns, remark, derive)


def training_section(report: Report, subject: str) -> Section:
    """The empty table of training steps."""

    def derive(rows: list[Row]) -> list[Derived]:
        for row in rows:
            row["over_subject"] = ratio(row, _found(rows, row, model=subject))
            _add_rates(report, row)
        return list(_of_steps(rows))

    ratios = times(f"time over {subject}", "over_subject")
    columns = (*_SIZE, Column("pass", lambda row: row["pass"], words=True), *TIMES, ratios, *_RATES)
    remark = "The step is forward in training mode, loss, backward and AdamW; operations are of forward and backward."
    return Section("Models, training step", columns, remark, derive)


def memory_section(subject: str) -> Section:
    """The empty table of long clips."""

    def derive(rows: list[Row]) -> list[Derived]:
        known = {row["frames"]: float(row["peak_bytes"]) for row in rows if row["peak_bytes"]}
        exponent = growth.fit_values(list(known), list(known.values()), minimum=min(known)) if known else None
        if exponent is None:
            return []
        sure = f", 95 % interval {exponent.low:.3f} to {exponent.high:.3f}" if exponent.low and exponent.high else ""
        return [Derived("exponent of peak memory", f"T = {', '.join(map(str, exponent.frames))}{sure}", exponent.value)]

    columns = (
        *_SIZE,
        Column("peak MiB", lambda row: MISSING if row["peak_bytes"] is None else f"{row['peak_bytes'] / MIB:.1f}"),
        Column("KiB a frame", lambda row: MISSING if row["peak_bytes"] is None else _kib_a_frame(row)),
        *TIMES,
        Column("frames/s", lambda row: speed(per_second(row, row["frames"]))),
    )
    remark = f"One forward of {subject} over the whole clip, in a fresh process; memory is above what it held before."
    return Section("Long clips in one pass", columns, remark, derive)


def _kib_a_frame(row: Row) -> str:
    return f"{row['peak_bytes'] / 1024 / row['frames']:.1f}"


def _add_rates(report: Report, row: Row) -> None:
    row["flops_per_s"] = per_second(row, row["flops_exact"])
    in_float32 = row.get("precision", FLOAT32) == FLOAT32
    row["share_of_gemm_peak"] = report.share(row, row["flops_exact"], "gemm_flops_per_s") if in_float32 else None


def _found(rows: Sequence[Row], like: Row, **others: object) -> Row | None:
    """The row that is as ``like`` but for ``others``."""
    names = ("threads", "batch", "frames", "model", "form", "pass")
    wanted = {**{name: like.get(name) for name in names}, **others}
    return next((row for row in rows if all(row.get(name) == value for name, value in wanted.items())), None)


def _of_forms(rows: Sequence[Row], subject: str) -> Iterator[Derived]:
    for base in (row for row in rows if row["model"] == subject and row["form"] == BY_ITSELF):
        where = _where(base)
        for other in dict.fromkeys(row["model"] for row in rows if row["model"] != subject):
            found = [_found(rows, base, model=other, form=form) for form in ("sdpa", "explicit", BY_ITSELF)]
            factors = [factor for row in found if (factor := ratio(row, base))]
            if factors:
                yield Derived(f"time of {other} in its faster form over {subject}", where, min(factors))
        for form in (BF16, COMPILED, UNBIND):
            if factor := ratio(base, _found(rows, base, form=form)):
                slow = form == UNBIND
                what = f"speed of {subject} over its {UNBIND}" if slow else f"speed of {subject} {form} over by itself"
                yield Derived(what, where, 1 / factor if slow else factor)
        if base["threads"] > 1 and (factor := ratio(_found(rows, base, threads=1), base)):
            yield Derived(f"speed of {base['threads']} threads over 1, {subject}", f"T = {base['frames']}", factor)


def _of_steps(rows: Sequence[Row]) -> Iterator[Derived]:
    for step in (row for row in rows if row["pass"] == STEP):
        for name in (TRAINING_MODE, NO_GRADIENTS):
            if factor := ratio(step, _found(rows, step, **{"pass": name})):
                yield Derived(f"time of a step over a {name}, {step['model']}", _where(step), factor)


def _where(row: Row) -> str:
    return f"T = {row['frames']}, {row['threads']} thread{'s' * (row['threads'] > 1)}"


# ---- the three parts ----


def measure_inference(given: argparse.Namespace, table: Section, effort: Effort, pieces: Pieces) -> None:
    for frames in given.frames:
        table.measure(_inference_peers(given, frames), effort, pieces.piece(_inference_weight(given, frames)))
        if frames > given.loop_frames:
            where = f"{given.model}, {UNBIND}, T = {frames}"
            table.skipped.append(Skipped(where, f"T above --loop-frames {given.loop_frames}"))


def _inference_peers(given: argparse.Namespace, frames: int) -> list[Peer]:
    with_loop = frames <= given.loop_frames
    forms = [*lifter.subject_forms(given.model, with_loop=with_loop, compiled=given.compiled)]
    forms += [form for model in given.peers for form in lifter.peer_forms(model)]
    outputs: dict[str, Tensor] = {}
    return [lifter.inference(form, frames, number, outputs) for number in given.threads for form in forms]


def measure_training(given: argparse.Namespace, table: Section, effort: Effort, pieces: Pieces) -> None:
    batch, frames = given.training_batch, given.training_frames
    peers = [
        peer
        for model in (given.model, *given.peers)
        for number in given.threads
        for peer in training_step.peers(model, batch, frames, number)
    ]
    table.measure(peers, effort, pieces.piece(_WEIGHTS["step"] * batch * frames))


def measure_memory(given: argparse.Namespace, table: Section, effort: Effort, pieces: Pieces) -> None:
    for frames in given.memory:
        tell: Tell = pieces.piece(_WEIGHTS["long"] * frames)
        tell(0.0, f"{given.model}, T = {frames}, in a fresh process")
        task = {"model": given.model, "frames": frames, "threads": max(given.threads), "effort": asdict(effort)}
        timeout_s = _TIMEOUT_S + effort.seconds
        result = fresh_process.call(long_clip.measured, task, timeout_s=timeout_s, preload=PRELOAD)
        if result["status"] == "ok":
            table.add([result["row"]])
        else:
            table.skipped.append(Skipped(f"{given.model}, T = {frames}", f"{result['status']}: {result['error']}"))


def _inference_weight(given: argparse.Namespace, frames: int) -> float:
    return frames * _WEIGHTS["loop" if frames <= given.loop_frames else "plain"]


# ---- the command ----


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    given = _parser().parse_args(words)
    report = Report(f"{given.model} beside its peers", Effort(given.samples, given.seconds))
    pieces = Pieces("models", _weight(given))

    def measure() -> None:
        for name in (given.model, *given.peers):
            models.preset(name)  # an unknown name is said before anything is measured
        report.measure_peaks(given.threads, pieces.piece(_PEAKS_MS * len(given.threads)))
        for part, section, run in (
            (INFERENCE, inference_section(report, given.model), measure_inference),
            (TRAINING, training_section(report, given.model), measure_training),
            (MEMORY, memory_section(given.model), measure_memory),
        ):
            if part in given.parts:
                report.sections.append(section)
                run(given, section, report.effort, pieces)

    return carry_out(report, measure, pieces, given.json)


def _weight(given: argparse.Namespace) -> float:
    parts = {
        INFERENCE: sum(_inference_weight(given, frames) for frames in given.frames),
        TRAINING: _WEIGHTS["step"] * given.training_batch * given.training_frames,
        MEMORY: _WEIGHTS["long"] * sum(given.memory),
    }
    return _PEAKS_MS * len(given.threads) + sum(parts[part] for part in given.parts)


def _parser() -> argparse.ArgumentParser:
    effort = Effort()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default="posemamba-s", help="the subject, a PoseMamba (default: %(default)s)")
    add("--peers", nargs="*", default=["motionagformer-xs"], metavar="MODEL", help="default: motionagformer-xs")
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    add("--frames", type=count, nargs="+", default=[27, 81, 243, 729], metavar="T", help="of inference")
    add("--threads", type=count, nargs="+", default=[usable_cores() or 1], metavar="N", help="default: all")
    add("--loop-frames", type=int, default=243, metavar="T",
        help="the unbind loop only up to this T (default: %(default)s)")  # fmt: skip
    add("--compiled", action="store_true", help="the subject compiled by torch.compile, too; minutes for each T")
    add("--training-frames", type=count, default=81, metavar="T", help="default: %(default)s")
    add("--training-batch", type=count, default=4, metavar="B", help="default: %(default)s")
    add("--memory", type=count, nargs="+", default=[243, 729, 2187, 10_000], metavar="T", help="lengths of long clips")
    add("--samples", type=count, default=effort.samples, help="of each form (default: %(default)s)")
    add("--seconds", type=float, default=effort.seconds,
        help="fewer samples, but six, of a form that would take longer (default: %(default)s)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write all figures here, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
