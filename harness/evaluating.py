"""Score weights that already exist: a finished run's or an imported checkpoint's, on any data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness import config as configuration
from harness import contract, data, environment, models, recorded_run
from harness import weights as checkpoints
from harness.assessment import assess, cutting, describe, require_fitting, require_precision
from harness.config import AUTO, RunConfig
from harness.data import source
from harness.data.normalise import target_space
from harness.errors import BadInput, suggestion
from harness.precision import FLOAT32
from harness.progress import Say, warnings_said
from harness.store.store import Store
from harness.training.recipes import recipe


@dataclass(frozen=True)
class Request:
    """What to score: ``run_id``, or ``model`` with ``weights``; None elsewhere takes the run's or the model's value."""

    run_id: str | None = None
    model: str | None = None
    weights: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    detector: str | None = None
    data_seed: int | None = None
    frames: int | None = None
    in_channels: int | None = None
    space: str | None = None
    flip_test: bool = True
    windows: str = AUTO
    protocol: str | None = None
    xy: str = "predicted"
    root: str = "zeroed"
    device: str = AUTO
    threads: int | None = None
    precision: str = FLOAT32

    def __post_init__(self) -> None:
        if (self.run_id is None) == (self.model is None):
            raise BadInput("give either --run RUN, or --model NAME with --weights FILE")
        if self.model is not None and self.weights is None:
            raise BadInput("--model needs --weights FILE; without weights there is nothing worth scoring")


def evaluate(request: Request, results: Path, say: Say) -> dict[str, Any]:
    """Score what ``request`` names, store the record and return it.

    Raises BadInput for an unknown run or model, a checkpoint that does not fit, data that cannot be read, or a
    precision that the model cannot do; nothing is evaluated then.
    """
    store = Store(results)
    store.preflight()
    config, weights_path, trained_space = _from_run(request, store) if request.run_id else _from_weights(request)
    torch.set_num_threads(config.threads)
    model = models.build(config.model, config.frames, config.in_channels, **config.options)
    cutting(model, config)  # refuses what the model cannot answer for
    require_precision(model, config)
    loaded = checkpoints.load(model, weights_path, config.model)
    for line in (_account(loaded), *loaded.notes):
        say(line)
    space = target_space(request.space or trained_space or _space_of(loaded, contract.of(model)))
    with warnings_said(say) as said:
        dataset = data.load(config.data, detector=config.detector, seed=config.data_seed, cache=results / "cache")
    if not dataset.test:
        raise BadInput(f"{config.data} has no test sequences to score")
    require_fitting(dataset, config, space)
    model.to(config.device)
    started = recorded_run.now()
    run_id = f"evaluation-{config.run_id()}-{space.name}-{loaded.sha256[:8]}"
    assessed = assess(model, dataset, config, space, say)
    record = {
        "id": run_id,
        "config": {**config.as_dict(), "budget": None, "recipe": None, "learning_rate": None, "batch_size": None},
        "config_hash": config.digest(),
        "seed": config.seed,
        "started": started,
        "environment": environment.capture(config.precision),
        "data": describe(dataset, config.data),
        "weights": {"path": str(weights_path), "sha256": loaded.sha256},
        **assessed.entries,
        "traces": recorded_run.keep_traces(results / "runs" / run_id, assessed.traces),
        "status": "ok",
    }
    record["warnings"] = [*loaded.notes, *said, *record["warnings"]]
    record["finished"] = recorded_run.now()
    store.append(record)
    return record


def _space_of(loaded: checkpoints.Loaded, stated: contract.Contract) -> str:
    """The space that a checkpoint's model was trained in: by the run that wrote it, or as its authors did."""
    if isinstance(space := loaded.extra.get("space"), str):
        return space
    trained = loaded.extra.get("config")
    if isinstance(trained, Mapping) and isinstance(trained.get("recipe"), str):
        return recipe(trained["recipe"]).target_space
    return stated.target_space


def _account(loaded: checkpoints.Loaded) -> str:
    names = "the authors' names" if loaded.official else "our names"
    return f"{loaded.path}: {names}, {f'under {loaded.wrapper!r}' if loaded.wrapper else 'bare'}, every entry fits"


def _from_run(request: Request, store: Store) -> tuple[RunConfig, Path, str]:
    """The run's config on the requested data, its weights, and the target space it was trained in."""
    record = store.find(request.run_id or "")
    if record is None or "weights" not in record:
        known = [stored["id"] for stored in store.latest() if "weights" in stored]
        raise BadInput(
            f"no run {request.run_id!r} with weights is stored. {suggestion(request.run_id or '', known)}"
            "All: harness list runs"
        )
    stored, weights_path = record["config"], store.folder / record["weights"]["path"]
    if weights_path.is_file() and checkpoints.file_digest(weights_path) != record["weights"]["sha256"]:
        raise BadInput(
            f"{weights_path} holds other weights than run {record['id']} ended with; score them by --weights"
        )
    config = configuration.resolve(
        stored["model"],
        options={**stored["options"], **request.options},
        frames=request.frames or stored["frames"],
        in_channels=request.in_channels or stored["in_channels"],
        seed=stored["seed"],
        **_data_and_device(request, stored),
    )
    space = record["signature"]["fields"]["space"] if record.get("signature") else recipe(stored["recipe"]).target_space
    return config, weights_path, space


def _from_weights(request: Request) -> tuple[RunConfig, Path, str | None]:
    assert request.model is not None
    assert request.weights is not None
    preset = None if ":" in request.model else models.preset(request.model)
    config = configuration.resolve(
        request.model,
        options=request.options,
        frames=request.frames or getattr(preset, "frames", configuration.DEFAULT_FRAMES),
        in_channels=request.in_channels or getattr(preset, "in_channels", 3),
        **_data_and_device(request, configuration.RunConfig(request.model).as_dict()),
    )
    return config, request.weights, None


def _data_and_device(request: Request, otherwise: Mapping[str, Any]) -> dict[str, Any]:
    """What the request says of data and machine; ``otherwise`` has the data where it says nothing.

    Other data than a run's own have a protocol of their own, and its detector only if they know it.
    """
    data_spec = request.data or otherwise["data"]
    kept = otherwise["detector"] if otherwise["detector"] in source.detectors(data_spec) else AUTO
    protocol = AUTO if request.data else otherwise.get("protocol", "all")
    return {
        "data": data_spec,
        "detector": request.detector or kept,
        "data_seed": otherwise["data_seed"] if request.data_seed is None else request.data_seed,
        "protocol_name": request.protocol or protocol,
        "xy": request.xy,
        "root": request.root,
        "flip_test": request.flip_test,
        "windows": request.windows,
        "device": request.device,
        "threads": request.threads,
        "precision": request.precision,
    }
