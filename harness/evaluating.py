"""Score weights that already exist: a finished run's or an imported checkpoint's, on any data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness import config as configuration
from harness import contract, data, determinism, environment, models, recorded_run
from harness import weights as checkpoints
from harness.assessment import assess, assist, cutting, describe, require_fitting, require_precision
from harness.config import AUTO, RunConfig
from harness.data import source
from harness.data.normalise import target_space
from harness.errors import BadInput, suggestion
from harness.precision import FLOAT32
from harness.progress import Say, warnings_said
from harness.store.run_file import run_file
from harness.store.schema import Record, look_up
from harness.store.store import Store
from harness.training.recipes import recipe
from harness.world import ALONE, World

#: Of a record's ``config``, what decides how its weights are scored.
_READ: Mapping[str, type] = {
    "model": str,
    "options": dict,
    "frames": int,
    "in_channels": int,
    "seed": int,
    "data": str,
    "detector": str,
    "data_seed": int,
}


@dataclass(frozen=True)
class Request:
    """What to score: ``run_id``, or ``model`` with ``weights``; None elsewhere takes the run's or the model's value.

    A run of a third party's model wants its name as ``model``, too: a record alone makes no code run.
    """

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
        if (self.run_id is None) == (self.weights is None):
            needs = "; --model needs --weights FILE" if self.model is not None and self.run_id is None else ""
            raise BadInput(f"give either --run RUN, or --model NAME with --weights FILE{needs}")
        if self.model is None and self.weights is not None:
            raise BadInput("--weights needs --model NAME: a checkpoint does not say what it is of")


def evaluate(request: Request, results: Path, say: Say, world: World = ALONE) -> dict[str, Any]:
    """Score what ``request`` names, store the record and return it.

    Of a ``world`` of processes all call this with the same request, and see the same weights and data; the record is
    the first one's, the others return {} and write nothing.

    Raises BadInput for an unknown run or model, a checkpoint that does not fit, data that cannot be read, or a
    precision that the model cannot do; nothing is evaluated then. What ends the evaluation itself is recorded with its
    status, and raised.
    """
    store = Store(results)
    if not world.is_first:
        say = lambda line: None  # noqa: E731 (the first says it)
    store.preflight()
    with warnings_said(say):
        stored = store.latest()
    config, weights_path, trained_space = (
        _from_run(request, store, stored) if request.run_id else _from_weights(request)
    )
    torch.set_num_threads(world.threads(config.threads))
    determinism.prefer_deterministic()
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
    described = describe(dataset, config.data)
    world.require_same(f"{config.data} (its sequences' digest)", described["digest_test"])
    world.require_same("the weights' sha256", loaded.sha256)
    if not world.is_first:
        assist(model, dataset, config, space, world)
        return {}
    run_id = f"evaluation-{config.run_id()}-{space.name}-{loaded.sha256[:8]}"
    record: dict[str, Any] = {
        "id": run_id,
        "config": {**config.as_dict(), "budget": None, "recipe": None, "learning_rate": None, "batch_size": None},
        "config_hash": config.digest(),
        "seed": config.seed,
        "started": recorded_run.now(),
        "environment": environment.capture(config.precision),
        "data": described,
        "weights": {"path": str(weights_path), "sha256": loaded.sha256},
        "warnings": [*loaded.notes, *said],
    }
    before = next((one for one in stored if one["id"] == run_id), None)
    with recorded_run.recording(record, store, before):
        assessed = assess(model, dataset, config, space, say, world)
        warnings = [*record["warnings"], *assessed.entries["warnings"]]
        record |= {**assessed.entries, "warnings": warnings}
        record["traces"] = recorded_run.keep_traces(results / "runs" / run_id, assessed.traces)
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


def _from_run(request: Request, store: Store, records: Sequence[Record]) -> tuple[RunConfig, Path, str]:
    """The run's config on the requested data, its weights, and the target space it was trained in."""
    record = next((one for one in records if one["id"] == request.run_id), None)
    if record is None or not record.get("weights"):
        known = [one["id"] for one in records if one.get("weights")]
        raise BadInput(
            f"no run {request.run_id!r} with weights is stored. {suggestion(request.run_id or '', known)}"
            "All: harness list runs"
        )
    _require_whole(record, store)
    _require_named(record["config"]["model"], request)
    stored, weights_path = record["config"], run_file(store.folder, record["weights"]["path"])
    if weights_path.is_file() and checkpoints.file_digest(weights_path) != record["weights"]["sha256"]:
        raise BadInput(
            f"{weights_path} holds other weights than run {record['id']} ended with; score them by --weights"
        )
    config = configuration.resolve(
        stored["model"],
        options={**stored["options"], **request.options},
        frames=stored["frames"] if request.frames is None else request.frames,
        in_channels=stored["in_channels"] if request.in_channels is None else request.in_channels,
        seed=stored["seed"],
        **_data_and_device(request, stored),
    )
    return config, weights_path, look_up(record, "signature.fields.space") or recipe(stored["recipe"]).target_space


def _require_whole(record: Record, store: Store) -> None:
    """Raises BadInput where what is read of the record here is not there, or of another kind: it was edited."""
    read = ("schema", "id", "status", "error", "config", "weights", "signature")
    store.schema.validate({name: record[name] for name in read if name in record})
    wanted = {**{f"config.{name}": kind for name, kind in _READ.items()}, "weights.path": str, "weights.sha256": str}
    wanted["signature.fields.space" if record.get("signature") else "config.recipe"] = str
    if "protocol" in record["config"]:
        wanted["config.protocol"] = str
    for path, kind in wanted.items():
        if not isinstance(found := look_up(record, path), kind) or isinstance(found, bool):
            what = "no " + path if found is None else f"{path} {found!r:.40}"
            raise BadInput(
                f"record {record['id']!r} in {store.path} has {what}, and cannot be scored by --run; mend it"
            )


def _from_weights(request: Request) -> tuple[RunConfig, Path, str | None]:
    assert request.model is not None
    assert request.weights is not None
    preset = None if ":" in request.model else models.preset(request.model)
    config = configuration.resolve(
        request.model,
        options=request.options,
        frames=_given(request.frames, preset, "frames", configuration.DEFAULT_FRAMES),
        in_channels=_given(request.in_channels, preset, "in_channels", 3),
        **_data_and_device(request, configuration.RunConfig(request.model).as_dict()),
    )
    return config, request.weights, None


def _given(asked: int | None, preset: Any, name: str, otherwise: int) -> int:
    """``asked``, or the value that the model is published with."""
    return int(getattr(preset, name, otherwise)) if asked is None else asked


def _require_named(model: str, request: Request) -> None:
    """Raises BadInput unless the user has named the code that would run, or it is the harness's own."""
    if request.model not in (None, model):
        raise BadInput(f"run {request.run_id} is of {model}, not of {request.model}; leave --model out or name that")
    if ":" in model and request.model is None:
        raise BadInput(
            f"run {request.run_id} is of {model}, which is not the harness's code: to have it imported, name it: "
            f"--model {model}"
        )


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
