"""One classification run: check everything first, train, evaluate, measure, record.

Whatever happens after the checks, one record is appended to the store with a status that says it.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness import allocator, atomic_file, determinism, environment, lock, models, recorded_run
from harness.classification import cost, floors, point_model, predict, scores, source
from harness.classification.cloud_set import CloudSet
from harness.classification.config import ClassificationConfig
from harness.classification.predict import Logits
from harness.classification.training_clouds import TrainingClouds
from harness.errors import BadInput
from harness.progress import ProgressLine, Say, warnings_said
from harness.store.classification import CLASSIFICATIONS
from harness.store.schema import Record
from harness.store.store import Store
from harness.training.batches import Batch
from harness.training.loop import train
from harness.training.training import Progress, Training

#: ``harness.classification.source.load``, or what stands for it.
Load = Callable[[str, int, int, Path | None], CloudSet]


@dataclass(frozen=True)
class Prepared:
    """A run whose inputs have all been checked; ``described`` is the record's ``data`` entry."""

    config: ClassificationConfig
    model: nn.Module
    data: CloudSet
    described: Mapping[str, Any]
    warnings: tuple[str, ...]


def run(
    config: ClassificationConfig, results: Path, say: Say, again: bool = False, load: Load = source.load
) -> dict[str, Any]:
    """Train, evaluate, measure and record; returns the record. A run already finished is returned as it is stored.

    ``results`` is the store's folder, ``say`` gets one-line messages, ``again`` repeats an earlier run of this
    config, ``load`` gives the data, as one that keeps them for the next run. Raises what the stages raise, after a
    record with the status has been stored; none is where a finished run is repeated and that fails.
    """
    store = Store(results, CLASSIFICATIONS)
    store.preflight()
    folder = results / "runs" / config.run_id()
    with lock.held(folder / "lock", str(folder)):
        prepared = _prepare(config, results, say, load)
        before = recorded_run.newest(store, config.run_id(), say)
        if not recorded_run.repeated(folder, before, again, say) and (
            shown := recorded_run.finished(before, prepared.described, config.data)
        ):
            say(f"{config.run_id()} is already finished; shown from {store.path}. Repeat it with --again")
            recorded_run.tidy(folder)  # a kill may have come between the record and this
            if missing := set(config.cost_points) - set(shown["config"]["cost_points"]):
                say(f"its cost was not measured at {', '.join(map(str, sorted(missing)))} points; that needs --again")
            return shown
        say(f"{config.run_id()}: {config.model} on {config.data}, {config.points} points, {config.budget}")
        return _run_and_record(prepared, folder, store, before, say)


def require_buildable(config: ClassificationConfig) -> None:
    """Raises BadInput, before anything is loaded, where the model cannot be built or run on such clouds."""
    # How many classes the data have is known when they are loaded; any number will do here.
    point_model.build(config.model, config.points, classes=2, options=config.options)


def _prepare(config: ClassificationConfig, results: Path, say: Say, load: Load) -> Prepared:
    allocator.keep_freed_memory()
    torch.set_num_threads(config.threads)
    determinism.prefer_deterministic()
    with warnings_said(say) as said:
        data = load(config.data, config.points, config.data_seed, results / "cache")
        for part, clouds in (("training", data.train), ("test", data.test)):
            if not len(clouds):
                raise BadInput(f"{config.data} has no {part} clouds")
        if len(data.train) < 2:
            raise BadInput(f"{config.data} has one training cloud; batches need at least two")
        torch.manual_seed(config.seed)
        model = point_model.build(config.model, config.points, len(data.classes), config.options)
    return Prepared(config, model, data, _describe(data, config.data), tuple(said))


def _describe(data: CloudSet, spec: str) -> dict[str, Any]:
    return {
        "spec": spec,
        "name": data.name,
        "classes": list(data.classes),
        "normalised": data.normalised,
        "sampled": data.sampled,
        "digest_train": data.train.digest(),
        "digest_test": data.test.digest(),
        "train_clouds": len(data.train),
        "test_clouds": len(data.test),
    }


def _run_and_record(prepared: Prepared, folder: Path, store: Store, before: Record | None, say: Say) -> dict[str, Any]:
    config = prepared.config
    record = _opening(prepared)
    described = json.dumps(config.as_dict(), indent=2, sort_keys=True) + "\n"
    atomic_file.write(folder / "config.json", described.encode())
    with recorded_run.recording(record, store, before, folder):
        progress = _train(prepared, folder)
        record["training"] = _training_entry(prepared, progress)
        # As they were trained: what follows calls a third party's model.
        weights = copy.deepcopy(prepared.model.state_dict())
        found = _predict(prepared)
        record |= _scored(prepared, found)
        record["warnings"] += _doubts(prepared, record, found, say)
        # After the accuracy is in the record: it was dear, and the measurement calls a third party's model.
        costs, doubts = _cost(prepared, progress, say)
        record["cost"] = costs
        record["warnings"] += doubts
        # Last: a repetition that fails before leaves the finished run its files.
        content = {"model": weights, "config": config.as_dict()}
        record["weights"] = recorded_run.keep_weights(folder, content)
    recorded_run.tidy(folder)
    return record


def _opening(prepared: Prepared) -> dict[str, Any]:
    config = prepared.config
    return {
        "id": config.run_id(),
        "status": "failed",
        "config": config.as_dict(),
        "config_hash": config.digest(),
        "seed": config.seed,
        "started": recorded_run.now(),
        "environment": environment.capture(),
        "data": prepared.described,
        "warnings": list(prepared.warnings),
    }


def _train(prepared: Prepared, folder: Path) -> Progress:
    config = prepared.config
    line = ProgressLine(f"training {config.model} (seed {config.seed})")

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return functional.cross_entropy(model(batch.inputs), batch.targets, label_smoothing=config.label_smoothing)

    training = Training(
        recipe=config.recipe(),
        budget=config.budget,
        batch_size=config.batch_size,
        seed=config.seed,
        folder=folder,
        device=torch.device(config.device),
        data_digest=prepared.described["digest_train"],
        objective=loss,
        save_every_s=float(os.environ.get("HARNESS_SAVE_EVERY_S", "60")),
        report=lambda progress, share, value: line.update(share, f"step {progress.step}  loss {value:.4f}"),
    )
    try:
        return train(prepared.model, TrainingClouds(prepared.data, config.points), training)
    finally:
        line.close()


def _training_entry(prepared: Prepared, progress: Progress) -> dict[str, Any]:
    config = prepared.config
    per_epoch = TrainingClouds(prepared.data, config.points).batches_per_epoch(config.batch_size)
    return {
        "recipe": config.training(prepared.data.augmentation),
        "steps": progress.step,
        "epochs": progress.step / per_epoch,
        "seconds": round(progress.elapsed_s, 2),
        "model_selection": "last step",
        "curve": progress.curve,
    }


def _predict(prepared: Prepared) -> Logits:
    config = prepared.config
    line = ProgressLine(f"evaluating {config.model}")
    try:
        return predict.logits(prepared.model, config.model, prepared.data, config.device, line.update)
    finally:
        line.close()


def _scored(prepared: Prepared, found: Logits) -> dict[str, Any]:
    """The record's ``signature``, ``accuracy``, ``floors`` and ``beats_floors`` entries."""
    points, data = prepared.config.points, prepared.data
    scored = scores.score(found.argmax(axis=1), data.test.labels, len(data.classes))
    beside = floors.floors(data, points)
    return {
        "signature": scores.signature(data, points),
        "accuracy": scored.as_dict(data.classes),
        "floors": {
            name: {"overall_percent": floor.overall, "class_mean_percent": floor.class_mean}
            for name, floor in beside.items()
        },
        "beats_floors": all(scored.overall > floor.overall for floor in beside.values()),
    }


def _doubts(prepared: Prepared, record: Mapping[str, Any], found: Logits, say: Say) -> list[str]:
    """Sentences about what in the accuracy is in doubt; that a floor is not beaten is said as well."""
    doubts = [*prepared.data.doubts, *predict.doubts(prepared.model, prepared.data, prepared.config.device, found)]
    overall = record["accuracy"]["overall_percent"]
    unbeaten = [name for name, floor in record["floors"].items() if not overall > floor["overall_percent"]]
    if unbeaten:
        doubts.append(f"{overall:.1f} % does not beat the floor {', '.join(unbeaten)}")
        say(f"{prepared.config.model}: {doubts[-1]}")
    return doubts


def _cost(prepared: Prepared, progress: Progress, say: Say) -> tuple[dict[str, Any], list[str]]:
    """The record's ``cost`` entry, and sentences about what in it is in doubt."""
    config, model = prepared.config, prepared.model
    costs, doubts = cost.measure(model, config.points, config.cost_points, say)
    batch = min(config.batch_size, len(prepared.data.train))
    return {
        **costs,
        "scan_backend": models.scan_backend(model, config.device),
        "train_clouds_per_s": progress.step * batch / progress.elapsed_s,
    }, doubts  # fmt: skip
