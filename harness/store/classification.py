"""The record of one classification run, and the one place that says what it holds."""

from __future__ import annotations

from collections.abc import Mapping

from harness.store.record import FIELDS as RUN_FIELDS
from harness.store.schema import ANYTHING, NUMBER, TEXT, WHOLE, YES_NO, Schema

#: What every kind of run has, and what a count holds, wherever it is of one clip or of one cloud.
_SHARED = ("schema", "status", "error", "started", "finished", "warnings[]", "seed", "environment.*", "weights.")
_COUNTS = (
    "params_", "macs_thop", "macs_fvcore", "flops_", "transcendentals", "bytes", "by_kind.", "by_operator.",
    "uncounted.", "unseen_by_thop.", "no_training_step", "training_step.", "counted_on.", "threads",
    "peak_memory_bytes",
)  # fmt: skip
_NOT_OF_CLOUDS = ("cost.macs_fvcore_per_frame",)


def _from_runs() -> dict[str, tuple[str, str]]:
    starts = (*_SHARED, *(f"cost.{name}" for name in _COUNTS), "training.curve[].")
    return {path: entry for path, entry in RUN_FIELDS.items() if path.startswith(starts) and path not in _NOT_OF_CLOUDS}


FIELDS: Mapping[str, tuple[str, str]] = {
    "schema": RUN_FIELDS["schema"],
    "id": (TEXT, "name of the run, such as mamba3d-xs-p1024-s0-1a2b3c4d; a later record of the same id replaces it"),
    **_from_runs(),
    "config_hash": (TEXT, "sha256 of config"),
    "config.*": (ANYTHING, "every choice that can change a figure: model, options, data, points (P), budget, …"),

    "data.spec": (TEXT, "the --data that was asked for"),
    "data.name": (TEXT, "what it is"),
    "data.classes[]": (TEXT, "in the order of their labels"),
    "data.normalised": (TEXT, "ball: mean at the origin, farthest point at distance 1; stored: as in the files"),
    "data.sampled": (TEXT, "how the points of a cloud were chosen: area, farthest, stored"),
    "data.digest_train": (TEXT, "sha256 of the clouds and labels trained on"),
    "data.digest_test": (TEXT, "sha256 of the clouds and labels evaluated on"),
    "data.train_clouds": (WHOLE, "clouds trained on"),
    "data.test_clouds": (WHOLE, "clouds evaluated on"),

    "signature": (TEXT, "protocol of the accuracy figures; only equal ones may be ranked"),
    "accuracy.overall_percent": (NUMBER, "OA, test clouds of which the class was found"),
    "accuracy.low_percent": (NUMBER, "lower end of Wilson's 95 % interval of OA, over clouds"),
    "accuracy.high_percent": (NUMBER, "upper end"),
    "accuracy.class_mean_percent": (NUMBER, "mAcc, mean of the classes' accuracies"),
    "accuracy.clouds": (WHOLE, "clouds scored"),
    "accuracy.per_class.*.percent": (NUMBER, "accuracy of one class"),
    "accuracy.per_class.*.clouds": (WHOLE, "test clouds of it"),
    "accuracy.confusion[][]": (WHOLE, "row: class, column: prediction, test clouds"),
    "floors.*.overall_percent": (NUMBER, "OA of a guess that needs no network, on the same clouds"),
    "floors.*.class_mean_percent": (NUMBER, "mAcc of it"),
    "beats_floors": (YES_NO, "whether OA is above every floor"),

    "cost.points": (WHOLE, "P of the counted and timed cloud"),
    "cost.scan_backend": (TEXT, "implementation of the selective scan that ran"),
    "cost.train_clouds_per_s": (NUMBER, "clouds seen in training in a second"),
    "cost.latency_ms": (NUMBER, "median duration of one cloud's forward; null where the verdict is INVALID"),
    "cost.low_ms": (NUMBER, "lower end of the 95 % interval of that median, in this one process"),
    "cost.high_ms": (NUMBER, "upper end"),
    "cost.verdict": (TEXT, "STABLE, NOISY or INVALID"),
    "cost.by_points[].points": (WHOLE, "P; the rest is of one cloud of so many"),
    "cost.by_points[].macs_fvcore": (WHOLE, "multiply-accumulates of products, convolutions, norms and scans"),
    "cost.by_points[].flops_exact": (WHOLE, "every operation of every operator"),
    "cost.by_points[].latency_ms": (NUMBER, "median duration of one cloud's forward"),
    "cost.by_points[].low_ms": (NUMBER, "lower end of its 95 % interval"),
    "cost.by_points[].high_ms": (NUMBER, "upper end"),
    "cost.by_points[].verdict": (TEXT, "STABLE, NOISY or INVALID"),
    "cost.by_points[].reason": (TEXT, "why"),
    "cost.by_points[].peak_memory_bytes": (WHOLE, "highest during the forward"),
    "cost.by_points[].error": (TEXT, "why there are no figures, or not all"),

    "training.recipe.*": (ANYTHING, "optimiser, schedule, augmentation"),
    "training.steps": (WHOLE, "optimiser steps"),
    "training.epochs": (NUMBER, "passes over the training clouds"),
    "training.seconds": (NUMBER, "wall-clock time of training alone"),
    "training.model_selection": (TEXT, "which step's weights were evaluated"),
}  # fmt: skip


CLASSIFICATIONS = Schema(
    file_name="classifications.jsonl",
    version=1,
    required=("schema", "id", "status", "config", "config.model", "config.points"),
    fields=FIELDS,
    where="harness/store/classification.py",
    accuracy_needs=("signature", "data.digest_test"),
)
