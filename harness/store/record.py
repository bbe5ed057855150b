"""The record: one finished measurement with everything needed to trust it, and the one place that says what it holds.

A record is one JSON object; ``RUNS`` says what each of its fields means, in which unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import BadInput
from harness.store.schema import ANYTHING, NUMBER, TEXT, WHOLE, YES_NO, Schema, look_up

FIELDS: Mapping[str, tuple[str, str]] = {
    "schema": (WHOLE, "version of this table"),
    "id": (TEXT, "name of the run, such as posemamba-xs-t27-s0-1a2b3c4d; a later record of the same id replaces it"),
    "status": (TEXT, "one of STATUSES"),
    "error": (TEXT, "why the status is not ok"),
    "started": (TEXT, "UTC, ISO 8601"),
    "finished": (TEXT, "UTC, ISO 8601"),
    "warnings[]": (TEXT, "what a reader of the figures should know"),
    "seed": (WHOLE, "of the weights and of the order of training"),
    "config_hash": (TEXT, "sha256 of config, without choices that came later where they are as they were before"),
    "config.*": (ANYTHING, "every choice that can change a figure: model, frames (T), in_channels, options, recipe, …"),
    "config.precision": (TEXT, "of inference, in accuracy and cost: fp32 (where it is not given, too), bf16 or fp16"),
    "config.activation_checkpointing": (
        YES_NO, "whether training computed each block anew in the backward pass; false where it is not given"
    ),
    "environment.*": (ANYTHING, "machine and software: versions, commit, processor, threads, determinism, precision"),

    "data.spec": (TEXT, "the --data that was asked for"),
    "data.name": (TEXT, "what it is"),
    "data.detector": (TEXT, "source of the 2D keypoints"),
    "data.digest_train": (TEXT, "sha256 of the 2D and 3D arrays trained on"),
    "data.digest_test": (TEXT, "sha256 of the 2D and 3D arrays evaluated on"),
    "data.train_sequences": (WHOLE, "one camera's view of one take is a sequence"),
    "data.test_sequences": (WHOLE, ""),
    "data.train_frames": (WHOLE, ""),
    "data.test_frames": (WHOLE, ""),
    "data.notes[]": (TEXT, "what the loader left out, padded or masked"),

    "weights.path": (TEXT, "file of the evaluated weights; of a run of ours, relative to the results folder"),
    "weights.sha256": (TEXT, "its digest"),

    "signature.long": (TEXT, "protocol of the accuracy figures; only equal ones may be ranked"),
    "signature.short": (TEXT, "the same, abbreviated"),
    "signature.fields.*": (ANYTHING, "the same, field by field"),

    "accuracy.p1_mm": (NUMBER, "P1, mean per joint position error, averaged as the protocol says"),
    "accuracy.p2_mm": (NUMBER, "P2, after Procrustes alignment of every frame"),
    "accuracy.n_mpjpe_mm": (NUMBER, "N-MPJPE, after the best scale of every frame"),
    "accuracy.mpjve_mm_per_frame": (NUMBER, "velocity error"),
    "accuracy.acceleration_mm_per_frame2": (NUMBER, "acceleration error"),
    "accuracy.acceleration_mm_per_s2": (NUMBER, "acceleration error with the frame rate"),
    "accuracy.acceleration_motionagformer_mm_per_frame2": (
        NUMBER, "protocol motionbert: as MotionAGFormer publishes it, two frames of every clip counting as 0"
    ),
    "accuracy.pck150_percent": (NUMBER, "protocol 3dhp: joints nearer than 150 mm"),
    "accuracy.auc_percent": (NUMBER, "protocol 3dhp: the same, mean over the thresholds 0, 5, … 150 mm"),
    "accuracy.p1_by_action_mean_mm": (NUMBER, "mean of the actions' P1, the average of Human3.6M's papers"),
    "accuracy.frames": (WHOLE, "frames scored"),
    "accuracy.missing_truth_frames": (WHOLE, "frames left out for want of truth"),
    "accuracy.distribution.bin_mm": (NUMBER, "width of the bins from 0 mm on; the last has all that is beyond"),
    "accuracy.distribution.joint_share[]": (NUMBER, "share of joint errors in each bin, the pelvis left out"),
    "accuracy.distribution.frame_share[]": (NUMBER, "share of frames by their P1 in each bin"),
    "accuracy.distribution.frame_median_mm": (NUMBER, "median of the frames' P1"),
    "accuracy.distribution.frame_p90_mm": (NUMBER, "the P1 that 90 % of the frames stay below"),
    "accuracy.distribution.frame_p99_mm": (NUMBER, "the same of 99 %"),
    "accuracy.distribution.frame_max_mm": (NUMBER, "of the worst frame"),
    "accuracy.per_action.*.p1_mm": (NUMBER, ""),
    "accuracy.per_action.*.p2_mm": (NUMBER, ""),
    "accuracy.per_action.*.frames": (WHOLE, ""),
    "accuracy.per_action.*.pck150_percent": (NUMBER, ""),
    "accuracy.per_action.*.auc_percent": (NUMBER, ""),
    "accuracy.per_joint.*.p1_mm": (NUMBER, "mean error of one joint"),
    "accuracy.per_sequence[].sequence": (TEXT, "name of the sequence"),
    "accuracy.per_sequence[].take": (TEXT, "name of the take, all cameras together: the unit of resampling"),
    "accuracy.per_sequence[].action": (TEXT, ""),
    "accuracy.per_sequence[].frames": (WHOLE, ""),
    "accuracy.per_sequence[].p1_mm": (NUMBER, ""),
    "accuracy.per_sequence[].p2_mm": (NUMBER, ""),

    "traces.path": (TEXT, "errors over time and some poses, relative to the results folder: harness/store/traces.py"),
    "traces.sha256": (TEXT, "its digest"),

    "floors.*.p1_mm": (NUMBER, "P1 of a guess that learns nothing from the network, on the same frames"),
    "floors.*.p2_mm": (NUMBER, "P2 of it"),
    "beats_floors": (YES_NO, "whether accuracy.p1_mm is below every floor"),

    "cost.params_total": (WHOLE, "parameters"),
    "cost.params_thop": (WHOLE, "parameters of layers that thop has a rule for"),
    "cost.macs_thop": (WHOLE, "multiply-accumulates of one clip by thop's rules, see harness.measurement.counts"),
    "cost.macs_fvcore": (WHOLE, "multiply-accumulates of all products, convolutions, norms and scans"),
    "cost.flops_torch": (WHOLE, "floating-point operations by torch.utils.flop_counter"),
    "cost.flops_exact": (WHOLE, "every operation of every operator"),
    "cost.transcendentals": (WHOLE, "exponentials, logarithms and the like among them"),
    "cost.flops_9bldn": (WHOLE, "floating-point operations of the scans by mamba's own convention"),
    "cost.bytes": (WHOLE, "read and written by all operators, each tensor once"),
    "cost.per_frame.*": (NUMBER, "each of these conventions for a frame that comes out"),
    "cost.by_kind.*.*": (WHOLE, "convention, kind of work: its part"),
    "cost.by_operator.*.*": (WHOLE, "convention, operator: its part"),
    "cost.uncounted.*.*": (WHOLE, "convention, operator with the reason: calls that it does not count"),
    "cost.unseen_by_thop.*": (WHOLE, "class of module: parameters of it that are not in params_thop"),
    "cost.no_training_step": (TEXT, "why there is none"),
    "cost.training_step.what": (TEXT, "what one is"),
    "cost.training_step.flops_torch": (WHOLE, "of forward and backward"),
    "cost.training_step.flops_exact": (WHOLE, ""),
    "cost.training_step.bytes": (WHOLE, ""),
    "cost.training_step.by_kind.*.*": (WHOLE, "convention, kind of work: its part"),
    "cost.counted_on.*": (TEXT, "convention: what the count was made on"),
    "cost.macs_fvcore_per_frame": (NUMBER, "macs_fvcore for a frame that comes out"),
    "cost.macs_by_operator.*": (WHOLE, "only of early records, now in by_operator"),
    "cost.uncounted_operators.*": (WHOLE, "only of early records, now in uncounted"),
    "cost.scan_flops_9bldn": (WHOLE, "only of early records, now flops_9bldn"),
    "cost.frames": (WHOLE, "T of the counted and timed clip"),
    "cost.output_frames": (WHOLE, "frames that come out for it"),
    "cost.in_channels": (WHOLE, ""),
    "cost.scan_backend": (TEXT, "implementation of the selective scan that ran"),
    "cost.threads": (WHOLE, "CPU threads"),
    "cost.train_frames_per_s": (NUMBER, "frames answered for in training in a second"),
    "cost.peak_memory_bytes": (WHOLE, "highest during one clip's forward, above what the process holds"),
    "cost.inference_frames_per_s": (NUMBER, "median, one clip at a time; null where the verdict is INVALID"),
    "cost.inference.frames_per_s": (NUMBER, "the same"),
    "cost.inference.quartiles_frames_per_s[]": (NUMBER, "lower and upper quartile"),
    "cost.inference.call_ms": (NUMBER, "median duration of one clip's forward"),
    "cost.inference.low_ms": (NUMBER, "lower end of the 95 % interval of that median, in this one process"),
    "cost.inference.high_ms": (NUMBER, "upper end"),
    "cost.inference.samples": (WHOLE, "timed blocks"),
    "cost.inference.calls_per_sample": (WHOLE, "forwards in a block"),
    "cost.inference.seconds": (NUMBER, "all blocks together"),
    "cost.inference.verdict": (TEXT, "STABLE, NOISY or INVALID"),
    "cost.inference.reason": (TEXT, "why"),

    "training.recipe.*": (ANYTHING, "loss, optimiser and schedule"),
    "training.steps": (WHOLE, "optimiser steps"),
    "training.epochs": (NUMBER, "passes over the training clips"),
    "training.seconds": (NUMBER, "wall-clock time of training alone"),
    "training.core_seconds": (NUMBER, "processor time of training, all threads together"),
    "training.batch_size": (WHOLE, "clips"),
    "training.frames_per_s": (NUMBER, "frames answered for in training in a second"),
    "training.model_selection": (TEXT, "which step's weights were evaluated"),
    "training.curve[].step": (WHOLE, "optimiser step at the end of the stretch"),
    "training.curve[].seconds": (NUMBER, "training time until then"),
    "training.curve[].loss": (NUMBER, "mean training loss of the stretch"),
    "training.curve[].learning_rate": (NUMBER, "at that step"),
}  # fmt: skip


class _RunSchema(Schema):
    """Accuracy without its protocol and test set is refused."""

    def validate(self, record: Mapping[str, Any]) -> None:
        super().validate(record)
        if record.get("accuracy") and not (look_up(record, "signature.long") and look_up(record, "data.digest_test")):
            name = f"record {record['id']!r}"
            raise BadInput(f"{name} has accuracy without signature.long and data.digest_test: nobody could compare it")


RUNS = _RunSchema(
    file_name="records.jsonl",
    version=1,
    required=("schema", "id", "status", "config", "config.model", "config.frames", "config.in_channels"),
    fields=FIELDS,
    where="harness/store/record.py",
)
