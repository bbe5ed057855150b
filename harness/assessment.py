"""What a finished lifter is worth and what it costs: the entries of a record that any weights can have."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from harness import contract, models
from harness.config import RunConfig
from harness.data.clips import Cutting, padded_sequences
from harness.data.normalise import TargetSpace, model_input
from harness.data.sequence import Dataset, digest
from harness.evaluation import floors, predict, scores
from harness.evaluation.scores import Scores
from harness.evaluation.signature import Signature
from harness.measurement import flops, throughput
from harness.progress import ProgressLine, Say


def assess(model: nn.Module, dataset: Dataset, config: RunConfig, space: TargetSpace, say: Say) -> dict[str, Any]:
    """Score ``model`` on the test sequences, beside the floors, and count what it costs.

    Returns the record's ``signature``, ``accuracy``, ``floors``, ``beats_floors``, ``cost`` and ``warnings`` entries.
    Raises RunFailed for a prediction that is not a number, naming sequence and frame.
    """
    scored = _score(model, dataset, config, space)
    accuracy = scored.as_dict()
    beside = floors.score(dataset.train, dataset.test) if dataset.train else {}
    unbeaten = [name for name, floor in beside.items() if not accuracy["p1_mm"] < floor["p1_mm"]]
    cost, doubts = _cost(model, config)
    warnings = [*dataset.notes, *doubts]
    if unbeaten:
        warnings.append(f"{accuracy['p1_mm']:.1f} mm does not beat {', '.join(unbeaten)}: it has not learned to lift")
        say(f"{config.model}: {warnings[-1]}")
    signature = _signature(dataset, config, space, scored, _cutting(model, config).name)
    return {
        "signature": {"long": signature.long(), "short": signature.short(), "fields": signature.fields()},
        "accuracy": accuracy,
        "floors": beside,
        "beats_floors": not unbeaten if beside else None,
        "cost": cost,
        "warnings": warnings,
    }


def describe(dataset: Dataset, spec: str) -> dict[str, Any]:
    """The record's ``data`` entry: names, sizes, and digests that prove what was trained and tested on."""
    return {
        "spec": spec,
        "name": dataset.name,
        "detector": dataset.detector,
        "digest_train": digest(dataset.train),
        "digest_test": digest(dataset.test),
        "train_sequences": len(dataset.train),
        "test_sequences": len(dataset.test),
        "train_frames": sum(map(len, dataset.train)),
        "test_frames": sum(map(len, dataset.test)),
        "notes": list(dataset.notes),
    }


def _score(model: nn.Module, dataset: Dataset, config: RunConfig, space: TargetSpace) -> Scores:
    line = ProgressLine(f"evaluating {config.model}")
    try:
        predictions = predict.predict(
            model,
            dataset.test,
            cutting=_cutting(model, config),
            inputs=lambda sequence: model_input(sequence, config.in_channels),
            decode=space.decode,
            flip=config.flip_test,
            device=config.device,
            progress=lambda done, total: line.update(done / total),
        )
    finally:
        line.close()
    return scores.score(predictions, dataset.test)


def _cutting(model: nn.Module, config: RunConfig) -> Cutting:
    return contract.of(model).cutting(config.frames, config.windows)


def _signature(dataset: Dataset, config: RunConfig, space: TargetSpace, scored: Scores, clips: str) -> Signature:
    return Signature(
        data=dataset.name,
        detector=dataset.detector,
        test=tuple(sorted({sequence.subject for sequence in dataset.test})),
        window=config.frames,
        scored_frames=scored.frames,
        clips=clips,
        flip=config.flip_test,
        space=space.name,
        padded_sequences=padded_sequences(map(len, dataset.test), config.frames),
        missing_truth_frames=scored.missing_truth_frames,
    )


def _cost(model: nn.Module, config: RunConfig) -> tuple[dict[str, Any], list[str]]:
    """The record's ``cost`` entry, and sentences about what in it is in doubt."""
    cost = flops.count(model, config.frames, config.in_channels)
    speed = throughput.frames_per_second(model, config.frames, config.in_channels)
    doubts = [f"no formula for the operations of {name}" for name in flops.without_formula(cost)]
    if speed.verdict != "STABLE":
        doubts.append(f"inference speed is {speed.verdict}: {speed.reason}")
    return {
        **cost,
        "scan_backend": models.scan_backend(model, config.device),
        "inference": speed.as_dict(),
        "inference_frames_per_s": speed.frames_per_s,
        "threads": torch.get_num_threads(),
    }, doubts
