"""One run: check everything first, train, evaluate, measure, record.

Whatever happens after the checks, one record is appended to the store with a status that says it.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness import allocator, atomic_file, contract, data, determinism, environment, lock, models, recorded_run
from harness.assessment import assess, assist, cutting, describe, require_fitting, require_precision
from harness.config import AUTO, RunConfig
from harness.data.normalise import TargetSpace, target_space
from harness.data.sequence import Dataset
from harness.errors import BadInput, HarnessError, is_out_of_memory
from harness.evaluation.protocol import protocol
from harness.precision import FLOAT32
from harness.progress import ProgressLine, Say, clock_text, warnings_said
from harness.store.schema import Record
from harness.store.store import Store
from harness.training import activation_checkpointing, tensorboard_log
from harness.training.batches import TrainingClips
from harness.training.budget import Budget
from harness.training.loop import train
from harness.training.share import Share
from harness.training.step import autocast
from harness.training.tensorboard_log import TensorBoardLog
from harness.training.training import Progress, Training
from harness.world import ALONE, World


@dataclass(frozen=True)
class Prepared:
    """A run whose inputs have all been checked: nothing expensive has happened yet.

    ``described`` is the record's ``data`` entry, with the digests of the very arrays, read once.
    """

    config: RunConfig
    model: nn.Module
    dataset: Dataset
    described: Mapping[str, Any]
    space: TargetSpace
    clips: TrainingClips
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Begun:
    """What is to be done, or ``shown``, the record of a run that is finished. ``before`` is the newest one there is."""

    prepared: Prepared
    before: Record | None
    shown: Record | None


def run(
    config: RunConfig,
    results: Path,
    say: Say,
    again: bool = False,
    tensorboard: bool = False,
    world: World = ALONE,
) -> dict[str, Any]:
    """Train, evaluate, measure and record; returns the record. A run already finished is returned as it is stored.

    ``results`` is the store's folder, ``say`` gets one-line messages, ``again`` repeats an earlier run of this
    config, ``tensorboard`` logs the training beside its weights. Raises what the stages raise, after a record with the
    status has been stored; none is where a finished run is repeated and that fails.

    Of a ``world`` of processes all call this with the same arguments; the record is the first one's, the others
    return {} and write nothing.
    """
    folder = results / "runs" / config.run_id()
    if not world.is_first:
        if world.of_first(lambda: False):
            with world.speaking():
                _require_same_run(config, world)
                _assist(config, results, folder, world)
        return {}
    store = Store(results)
    with contextlib.ExitStack() as held:
        begun: list[_Begun] = []

        def begin() -> bool:
            begun.append(_begin(config, store, folder, held, say, again, tensorboard, world))
            return begun[0].shown is None

        if not world.of_first(begin):
            assert begun[0].shown is not None
            return begun[0].shown
        _require_same_run(config, world)
        log = TensorBoardLog(folder / "tensorboard", config.as_dict(), say) if tensorboard else None
        return _run_and_record(begun[0], folder, store, say, log, world)


def _begin(
    config: RunConfig, store: Store, folder: Path, held: contextlib.ExitStack, say: Say, again: bool,
    tensorboard: bool, world: World,
) -> _Begun:  # fmt: skip
    """Check everything, in the first process; the run's folder is ``held`` from now on."""
    if tensorboard:
        tensorboard_log.require_available()
    store.preflight()
    held.enter_context(lock.held(folder / "lock", str(folder)))
    prepared = prepare(config, store.folder, say, world)
    before = recorded_run.newest(store, config.run_id(), say)
    repeated = recorded_run.repeated(folder, before, again, say)
    shown = None if repeated else recorded_run.finished(before, prepared.described, config.data)
    if shown is not None:
        say(f"{config.run_id()} is already finished; shown from {store.path}. Repeat it with --again")
        recorded_run.tidy(folder)  # a kill may have come between the record and this
        return _Begun(prepared, before, shown)
    shared = "" if world.is_alone else f", {world.size} processes"
    say(f"{config.run_id()}: {config.model} on {config.data}, T = {config.frames}, {config.budget}{shared}")
    return _Begun(prepared, before, None)


def _assist(config: RunConfig, results: Path, folder: Path, world: World) -> None:
    """This process's share of a run that the first one has begun; what there is to say that one says."""
    prepared = prepare(config, results, lambda line: None, world)
    _require_same_data(prepared, world)
    _train(prepared, folder, world)
    assist(prepared.model, prepared.dataset, config, prepared.space, world)


def _require_same_run(config: RunConfig, world: World) -> None:
    """Raises BadInput where another process was started for another run, or by another version."""
    version = environment.capture()["harness"]
    decided = json.dumps({**config.as_dict(), "harness": version, "torch": torch.__version__}, sort_keys=True)
    world.require_same("what is to be run (options, --threads, --device, versions of harness and torch)", decided)


def _require_same_data(prepared: Prepared, world: World) -> None:
    """Raises BadInput where another machine has other data under the same name."""
    digests = f"{prepared.described['digest_train']} {prepared.described['digest_test']}"
    world.require_same(f"{prepared.config.data} (its sequences' digest)", digests)


def prepare(config: RunConfig, results: Path, say: Say, world: World = ALONE) -> Prepared:
    """Build the model and load the data. Raises BadInput for whatever of them does not work."""
    allocator.keep_freed_memory()
    torch.set_num_threads(world.threads(config.threads))
    determinism.prefer_deterministic()
    torch.manual_seed(config.seed)
    with warnings_said(say) as said:
        model = build(config)
        dataset = data.load(config.data, detector=config.detector, seed=config.data_seed, cache=results / "cache")
    if not dataset.test:
        raise BadInput(f"{config.data} has no test sequences, so that a training on it could not be scored")
    if config.batch_size < 2 * config.accumulate:
        _require_trainable_on_one_clip(model, config)
    space = _space(config, dataset)
    require_fitting(dataset, config, space)
    clips = training_clips(model, dataset, config, space)
    Share(0, world.size, config.accumulate).require_enough(min(config.batch_size, len(clips)))
    return Prepared(config, model, dataset, describe(dataset, config.data), space, clips, tuple(said))


def training_clips(model: nn.Module, dataset: Dataset, config: RunConfig, space: TargetSpace) -> TrainingClips:
    """What ``model`` is trained on: windows of T frames as its contract and the recipe have them."""
    chosen, stated = config.training_recipe(), contract.of(model)
    return TrainingClips(
        dataset.train,
        config.frames,
        config.in_channels,
        space,
        chosen.clip_stride(stated.output_frames(config.frames)),
        position=stated.position(config.frames),
        whole_targets=stated.auxiliary,
        mirrored=chosen.flip == "both",
    )


def _space(config: RunConfig, dataset: Dataset) -> TargetSpace:
    """What the lifter is trained to put out: as asked, else in the image where the truth is, else the recipe's."""
    if config.space != AUTO:
        return target_space(config.space)
    in_image = protocol(config.protocol).truth_of(dataset.space) == "image"
    return target_space("image" if in_image else config.training_recipe().target_space)


def _require_trainable_on_one_clip(model: nn.Module, config: RunConfig) -> None:
    """Some batch norms have one value a channel in a batch of one clip, and no spread."""
    try:
        copy.deepcopy(model).train()(torch.zeros(1, config.frames, 17, config.in_channels))
    except ValueError as error:
        parts = f" in {config.accumulate} parts" if config.accumulate > 1 else ""
        raise BadInput(
            f"{config.model} cannot be trained with --batch-size {config.batch_size}{parts} ({error}); use at least"
            f" {2 * config.accumulate}"
        ) from error


def build(config: RunConfig) -> nn.Module:
    """The run's model with fresh weights, in eval mode.

    Raises BadInput if it breaks the contract, cannot be run in the run's precision, or has nothing to recompute where
    that was asked for.
    """
    model = models.build(config.model, config.frames, config.in_channels, **config.options)
    example = torch.zeros(1, config.frames, 17, config.in_channels)
    model.eval()
    with torch.no_grad():
        try:
            output = model(example)
        except ValueError as error:
            raise BadInput(f"{config.model}: {error}") from error
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error) or isinstance(error, HarnessError):
                raise
            what = f"{type(error).__name__}: {error}"
            raise BadInput(f"{config.model} fails on {tuple(example.shape)}: {what}. See harness check") from error
    contract.require_output_shape(model, config.model, output, example)
    require_precision(model, config)
    _require_training_precision(model, config)
    cutting(model, config)
    if config.activation_checkpointing and not activation_checkpointing.blocks(model):
        raise BadInput(
            f"--activation-checkpointing: {config.model} has no blocks in an nn.ModuleList, so that there is nothing "
            "to recompute; leave the option out"
        )
    return model


def _require_training_precision(model: nn.Module, config: RunConfig) -> None:
    """Raises BadInput, from one step of a copy, where ``model`` cannot be trained in the config's precision."""
    if config.training_precision == FLOAT32:
        return
    device = torch.device(config.device)
    tried = copy.deepcopy(model).to(device).train()
    example = torch.zeros(2, config.frames, 17, config.in_channels, device=device)
    try:
        # What is not deterministic is told of the training itself.
        with determinism.doubts_noted(), torch.random.fork_rng([]), autocast(config.training_precision, device):
            if not torch.is_autocast_enabled(device.type):
                raise RuntimeError(f"torch has no autocast to it for {device}")
            output = tried(example)
        output.float().square().mean().backward()
    except (RuntimeError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        why = str(error).strip().partition("\n")[0]
        raise BadInput(
            f"--training-precision {config.training_precision}: {config.model} cannot be trained in it on"
            f" {config.device} ({why}); use {FLOAT32}"
        ) from error


def _run_and_record(
    begun: _Begun, folder: Path, store: Store, say: Say, log: TensorBoardLog | None, world: World
) -> dict[str, Any]:
    prepared = begun.prepared
    _require_same_data(prepared, world)
    record = _opening(prepared)
    described = json.dumps(prepared.config.as_dict(), indent=2, sort_keys=True) + "\n"
    atomic_file.write(folder / "config.json", described.encode())
    with recorded_run.recording(record, store, begun.before, folder):
        progress = _train(prepared, folder, world, log)
        record |= _training_entry(prepared, progress)
        # As they were trained: the assessment calls a third party's model.
        weights = copy.deepcopy(prepared.model.state_dict())
        assessed = assess(prepared.model, prepared.dataset, prepared.config, prepared.space, say, world)
        record |= assessed.entries
        record["warnings"] = [*prepared.warnings, *record["warnings"]]
        record["cost"]["train_frames_per_s"] = record["training"]["frames_per_s"]
        # Last: a repetition that fails before leaves the finished run its files.
        content = {"config": prepared.config.as_dict(), "space": prepared.space.name}
        record["weights"] = recorded_run.keep_weights(folder, {"model": weights, **content})
        record["traces"] = recorded_run.keep_traces(folder, assessed.traces)
    recorded_run.tidy(folder)
    if log is not None:
        scores = {f"accuracy/{name}": record["accuracy"][name] for name in ("p1_mm", "p2_mm")}
        log.scores(progress.step, scores)
    return record


def _opening(prepared: Prepared) -> dict[str, Any]:
    config, dataset = prepared.config, prepared.dataset
    return {
        "id": config.run_id(),
        "status": "failed",
        "config": config.as_dict(),
        "config_hash": config.digest(),
        "seed": config.seed,
        "started": recorded_run.now(),
        "environment": environment.capture(config.precision, config.training_precision),
        "data": prepared.described,
        "warnings": [*prepared.warnings, *dataset.notes],
    }


def _train(prepared: Prepared, folder: Path, world: World, log: TensorBoardLog | None = None) -> Progress:
    config = prepared.config
    line = ProgressLine(f"training {config.model} (seed {config.seed})")

    def report(progress: Progress, share: float, loss: float) -> None:
        if world.is_first:
            line.update(share, f"step {progress.step}  loss {loss:.4f}")

    training = Training(
        recipe=config.training_recipe(),
        budget=config.budget,
        batch_size=config.batch_size,
        seed=config.seed,
        folder=folder,
        device=world.device(config.device),
        data_digest=prepared.described["digest_train"],
        **_ways(config),
        world=world,
        save_every_s=float(os.environ.get("HARNESS_SAVE_EVERY_S", "60")),
        report=report,
        observe=None if log is None else log.step,
    )
    try:
        return train(prepared.model, prepared.clips, training)
    finally:
        line.close()


def _ways(config: RunConfig) -> dict[str, Any]:
    """How a step is taken, beside what it is."""
    return {
        "activation_checkpointing": config.activation_checkpointing,
        "accumulate": config.accumulate,
        "precision": config.training_precision,
        "compiled": config.compiled,
    }


def _training_entry(prepared: Prepared, progress: Progress) -> dict[str, Any]:
    config = prepared.config
    clips = min(config.batch_size, len(prepared.clips))
    answered = contract.of(prepared.model).output_frames(config.frames)
    entry = {
        "recipe": {**dataclasses.asdict(config.training_recipe()), "target_space": prepared.space.name},
        "steps": progress.step,
        "epochs": progress.step / prepared.clips.batches_per_epoch(config.batch_size),
        "seconds": round(progress.elapsed_s, 2),
        "core_seconds": round(progress.core_s, 2),
        "batch_size": config.batch_size,
        "processes": progress.processes,
        "frames_per_s": progress.step * clips * answered / progress.elapsed_s,
        "model_selection": "last step",
        "curve": progress.curve,
    }
    return {"training": entry}


def plan(prepared: Prepared, say: Say, processes: int = 1) -> None:
    """Say what ``run`` would do and about how long it would take, from two training steps of one process timed here."""
    config, dataset, clips = prepared.config, prepared.dataset, prepared.clips
    per_epoch = clips.batches_per_epoch(config.batch_size)
    step_s = _seconds_per_step(prepared)
    if config.budget.seconds is not None or config.budget.core_seconds is not None:
        # As if every thread computed all the time.
        training_s = config.budget.seconds or (config.budget.core_seconds or 0.0) / config.threads
        steps = int(training_s / step_s)
    else:
        steps = config.budget.steps or (config.budget.epochs or 0) * per_epoch
        training_s = steps * step_s
    parameters = sum(parameter.numel() for parameter in prepared.model.parameters())
    train_frames, test_frames = (sum(map(len, part)) for part in (dataset.train, dataset.test))
    say(config.run_id())
    say(f"  model     {config.model}, {parameters:,} parameters, options {dict(config.options)}")
    say(f"  scan      {models.scan_backend(prepared.model, config.device) or 'none in this model'}")
    say(f"  data      {config.data}: {train_frames:,} training and {test_frames:,} test frames")
    say(f"  protocol  {config.protocol}, in {config.precision}; the lifter answers in {prepared.space.name} space")
    say(f"  training  recipe {config.recipe}, {config.budget}: about {steps:,} steps of {1000 * step_s:.0f} ms")
    if config.activation_checkpointing:
        say("            each block is computed anew in the backward pass")
    if processes > 1:
        say(f"            shared by {processes} processes; the steps were timed in one, which does all of each")
    if config.accumulate > 1:
        say(f"            a step of {config.batch_size} clips in {config.accumulate} parts")
    if config.training_precision != FLOAT32 or config.compiled:
        say(f"            forward in {config.training_precision}{', compiled' if config.compiled else ''}")
    say(f"            {steps / per_epoch:.1f} epochs, {clock_text(training_s)}; then evaluation and measurement")
    say("  nothing was trained or stored")


def _seconds_per_step(prepared: Prepared) -> float:
    config = prepared.config
    timed = dataclasses.replace(config, budget=Budget(steps=3))
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        training = Training(
            recipe=timed.training_recipe(),
            budget=timed.budget,
            batch_size=timed.batch_size,
            seed=timed.seed,
            folder=Path(folder),
            device=torch.device(timed.device),
            **_ways(timed),
            report=lambda progress, share, loss: times.append(time.monotonic()),
        )
        train(copy.deepcopy(prepared.model), prepared.clips, training)
    # The first step pays for buffers and lazy initialisation.
    return (times[-1] - times[0]) / (len(times) - 1)
