"""The measurement row: what one fresh process found out about one point, with what is needed to trust it.

A point is one model at one T, batch, device, number of threads and precision (``harness.measurement.point``). Its rows
are one of pass ``cost`` (counts, peak memory, time by kind of work) and one of pass ``timing`` for each round. A row of
pass ``machine`` holds the peaks of the machine itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.store.record import FIELDS as RUN_FIELDS
from harness.store.schema import ANYTHING, NUMBER, TEXT, WHOLE, YES_NO, Schema

PASSES: Mapping[str, str] = {
    "cost": "counts, peak memory and time by kind of work, in one fresh process",
    "timing": "durations of the forward in one fresh process: one round",
    "machine": "what the machine itself attains",
}

#: What harness.measurement.counts.count of one clip holds, here and in the cost of a run.
_COUNTS = (
    "params_", "macs_thop", "macs_fvcore", "flops_", "transcendentals", "bytes", "per_frame.", "by_kind.",
    "by_operator.", "uncounted.", "unseen_by_thop.", "no_training_step", "training_step.", "counted_on.", "frames",
    "output_frames", "in_channels",
)  # fmt: skip
_EARLY = ("cost.macs_fvcore_per_frame",)


def _counts() -> dict[str, tuple[str, str]]:
    starts = tuple(f"cost.{name}" for name in _COUNTS)
    of_runs = {path: entry for path, entry in RUN_FIELDS.items() if path.startswith(starts) and path not in _EARLY}
    return {path.replace("cost.", "counts.", 1): entry for path, entry in of_runs.items()}


FIELDS: Mapping[str, tuple[str, str]] = {
    "schema": (WHOLE, "version of this table"),
    "id": (TEXT, "point, environment, pass and round; a later row of the same id replaces it"),
    "status": (TEXT, "one of STATUSES"),
    "error": (TEXT, "why the status is not ok"),
    "started": (TEXT, "UTC, ISO 8601"),
    "finished": (TEXT, "UTC, ISO 8601"),
    "warnings[]": (TEXT, "what a reader of the figures should know"),
    "pass": (TEXT, "one of PASSES"),
    "round": (WHOLE, "of pass timing, from 0"),

    "point_key": (TEXT, "digest of point"),
    "point.model": (TEXT, "registered name or package.module:attribute"),
    "point.frames": (WHOLE, "T, frames of a clip"),
    "point.in_channels": (WHOLE, "2 or 3"),
    "point.options.*": (ANYTHING, "the model's, attention form and scan backend among them"),
    "point.batch": (WHOLE, "clips a forward; null while the largest one is not known yet"),
    "point.batch_asked": (TEXT, "the batch as asked for: a number, or auto"),
    "point.device": (TEXT, "cpu, cuda, cuda:0"),
    "point.threads": (WHOLE, "CPU threads"),
    "point.precision": (TEXT, "fp32, bf16 or fp16"),
    "point.compiled": (YES_NO, "torch.compile"),
    "point.streaming": (YES_NO, "one new frame a call, of a causal lifter"),

    "environment.*": (ANYTHING, "machine and software, as in a record of a run"),
    "environment_key": (TEXT, "digest of what of it can change a figure, whatever the model"),
    "protocol.*": (NUMBER, "how it was measured: rounds, warm-up, samples, seconds, see harness.measurement.timing"),

    "output_frames": (WHOLE, "frames of a clip that it answers for"),
    "scan_backend": (TEXT, "implementation of the selective scan that ran"),
    "output_difference": (NUMBER, "largest, of the timed forward from the float32 one, over its root mean square"),

    "timing.samples_ms[]": (NUMBER, "duration of one forward, the mean of a block, block by block"),
    "timing.calls_per_sample": (WHOLE, "forwards in a block"),
    "timing.warm_up_calls": (WHOLE, "forwards before the first block"),
    "timing.seconds": (NUMBER, "all blocks together"),
    "timing.compile_s": (NUMBER, "first call of a compiled model"),
    "timing.verdict": (TEXT, "STABLE, NOISY or INVALID, of this round"),
    "timing.reason": (TEXT, "why"),

    "memory.peak_bytes": (WHOLE, "highest during a forward, above the process that holds weights and clips"),
    "memory.weights_bytes": (WHOLE, "parameters and buffers"),
    "memory.reader": (TEXT, "where the figure comes from"),
    "largest_batch": (WHOLE, "that ran, in a search for the largest"),
    "largest_batch_bound": (TEXT, "what bounds it: memory, time or the search's own limit"),

    "energy.joules_per_call": (NUMBER, "mean of one forward"),
    "energy.meter": (TEXT, "where the figure comes from"),

    **_counts(),
    "kinds.*.calls": (WHOLE, "operators of this kind (harness.measurement.kind) in one forward"),
    "kinds.*.seconds": (NUMBER, "their time in one forward whose operators were timed one by one"),
    "kinds.*.flops": (WHOLE, "their flops_exact, of all clips of the batch"),
    "kinds.*.transcendentals": (WHOLE, "exponentials, logarithms and the like among them"),
    "kinds.*.bytes": (WHOLE, "read and written by them, each tensor once"),

    "machine.threads": (WHOLE, "CPU threads"),
    "machine.device": (TEXT, "cpu, cuda, cuda:0"),
    "machine.gemm_flops_per_s": (NUMBER, "highest rate of a float32 matrix product"),
    "machine.copy_bytes_per_s": (NUMBER, "highest rate of a copy, bytes read and written"),
    "machine.exp_per_s": (NUMBER, "highest rate of exponentials, torch.exp or the selective scan, on data in cache"),
}  # fmt: skip

MEASUREMENTS = Schema(
    file_name="measurements.jsonl",
    version=1,
    required=("schema", "id", "status", "pass", "environment_key"),
    fields=FIELDS,
    where="harness/store/measurement.py",
)
