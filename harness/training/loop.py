"""The training loop: one model, one recipe, one budget; resumable to the last bit on a CPU."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import BadInput, Interrupted, RunFailed, is_out_of_memory
from harness.training import checkpoint, losses
from harness.training.activation_checkpointing import recomputing
from harness.training.batches import Batch
from harness.training.budget import Budget
from harness.training.interruption import Interruption
from harness.training.recipe import Recipe

#: Points of the learning curve that a record keeps, spread evenly over the budget.
CURVE_POINTS = 200


class Examples(Protocol):
    """What a training goes over, such as ``harness.training.batches.TrainingClips``: see there."""

    def batches_per_epoch(self, batch_size: int) -> int: ...

    def epoch(self, seed: int, number: int, batch_size: int, flip: bool, skip_batches: int = 0) -> Iterator[Batch]: ...


#: The loss of a batch whose inputs and targets are on the model's device.
Objective = Callable[[nn.Module, Batch], Tensor]


@dataclass
class Progress:
    """Where a training stands; the part of a checkpoint that is neither weights nor random state."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    core_s: float = 0.0
    recent_loss: float = 0.0
    recent_steps: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Training:
    """What stays fixed over one training; ``report`` gets progress, share of the budget and loss after every step.

    ``observe`` gets the number of the step (from 1), its loss and its learning rate, for a log.
    ``data_digest`` names the data: a checkpoint made on other data is not gone on with. ``activation_checkpointing``:
    see there; it changes memory and time of a step, and not its result. ``objective`` replaces the recipe's loss on
    poses for what has other targets.
    """

    recipe: Recipe
    budget: Budget
    batch_size: int
    seed: int
    folder: Path
    device: torch.device
    data_digest: str = ""
    activation_checkpointing: bool = False
    objective: Objective | None = None
    save_every_s: float = 60.0
    report: Callable[[Progress, float, float], None] = lambda progress, share, loss: None
    observe: Callable[[int, float, float], None] | None = None
    clock: Callable[[], float] = time.monotonic
    core_clock: Callable[[], float] = time.process_time


def train(model: nn.Module, clips: Examples, training: Training) -> Progress:
    """Train ``model`` in place until the budget is spent, going on from the folder's checkpoint if there is one.

    Raises RunFailed when the loss is no longer finite (naming the step), Interrupted after Ctrl-C or SIGTERM with the
    checkpoint saved, BadInput for a damaged checkpoint, CannotWrite when it cannot be saved.
    """
    # Before the optimiser is restored: its state follows the device that the weights are on at that moment.
    model.to(training.device).train()
    optimizer = _optimizer(model, training.recipe)
    progress = _restore(model, optimizer, training)
    with Interruption() as interruption:
        _run(model, optimizer, clips, training, progress, interruption)
    return progress


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[recipe.optimizer]
    return kind(
        model.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        amsgrad=recipe.amsgrad,
        fused=True,
    )


def _run(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    clips: Examples,
    training: Training,
    progress: Progress,
    interruption: Interruption,
) -> None:
    per_epoch = clips.batches_per_epoch(training.batch_size)
    before_s, core_before_s = progress.elapsed_s, progress.core_s
    started = saved = training.clock()
    core_started = training.core_clock()
    while (share := _spent(training, progress, per_epoch)) < 1:
        by_chance = training.recipe.flip == "random"
        epoch = clips.epoch(training.seed, progress.epoch, training.batch_size, by_chance, progress.batch)
        for batch in epoch:
            rate = learning_rate(training.recipe, progress.step, progress.epoch, share)
            _set_norm_momentum(model, training.recipe, share)
            loss = _step(model, optimizer, batch, training, rate, progress.step)
            _advance(progress, per_epoch)
            progress.elapsed_s = before_s + training.clock() - started
            progress.core_s = core_before_s + training.core_clock() - core_started
            share = _spent(training, progress, per_epoch)
            _note(progress, share, loss, rate)
            if training.observe is not None:
                training.observe(progress.step, loss, rate)
            training.report(progress, share, loss)
            if interruption.asked:
                _save(model, optimizer, training, progress)
                raise Interrupted(f"stopped after step {progress.step}; the same command goes on from there")
            if training.clock() - saved >= training.save_every_s and share < 1:
                _save(model, optimizer, training, progress)
                saved = training.clock()
            if share >= 1:
                break
    _save(model, optimizer, training, progress)


def _spent(training: Training, progress: Progress, per_epoch: int) -> float:
    return training.budget.spent(progress.step, progress.elapsed_s, progress.core_s, per_epoch)


def learning_rate(recipe: Recipe, step: int, epoch: int, share: float) -> float:
    """The rate of step ``step`` (from 0) in ``epoch``, with ``share`` of the budget spent."""
    if recipe.schedule == "exponential":
        large = epoch // recipe.large_decay_epochs if recipe.large_decay_epochs else 0
        return recipe.learning_rate * recipe.decay ** (epoch - large) * recipe.large_decay**large
    warmup = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    return recipe.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _set_norm_momentum(model: nn.Module, recipe: Recipe, share: float) -> None:
    if recipe.norm_momentum is None:
        return
    first, last = recipe.norm_momentum
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = first * (last / first) ** min(share, 1.0)


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, training: Training, rate: float, step: int
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    with recomputing(model) if training.activation_checkpointing else contextlib.nullcontext():
        loss = _loss(model, batch, training)
    if not math.isfinite(value := loss.item()):
        content = {"model": model.state_dict(), "inputs": batch.inputs, "targets": batch.targets, "step": step + 1}
        diagnosis = checkpoint.save_diagnosis(training.folder, content)
        raise RunFailed(
            f"the loss is {value} at step {step + 1} (learning rate {rate:.2e}); weights and clips of that step are in "
            f"{diagnosis}. A smaller --learning-rate usually helps"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if training.recipe.gradient_clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), training.recipe.gradient_clip)
    optimizer.step()
    return value


def _loss(model: nn.Module, batch: Batch, training: Training) -> Tensor:
    loss = _terms(model, batch, training)
    return loss.square() / 2 if training.recipe.squared_loss else loss


def _terms(model: nn.Module, batch: Batch, training: Training) -> Tensor:
    inputs, targets = batch.inputs.to(training.device), batch.targets.to(training.device)
    if training.objective is not None:
        return training.objective(model, Batch(inputs, targets))
    if batch.whole_targets is None:
        return losses.total(model(inputs), targets, training.recipe.loss)
    prediction, whole = model(inputs, auxiliary=True)  # (B, K, J, 3), (B, T, J, 3)
    both = losses.total(prediction, targets, training.recipe.loss)
    return both + losses.total(whole, batch.whole_targets.to(training.device), training.recipe.loss)


def _advance(progress: Progress, per_epoch: int) -> None:
    progress.step += 1
    progress.batch += 1
    if progress.batch == per_epoch:
        progress.epoch, progress.batch = progress.epoch + 1, 0


def _note(progress: Progress, share: float, loss: float, rate: float) -> None:
    progress.recent_loss += loss
    progress.recent_steps += 1
    if share * CURVE_POINTS >= len(progress.curve) + 1 or share >= 1:
        progress.curve.append(
            {
                "step": progress.step,
                "seconds": round(progress.elapsed_s, 2),
                "loss": progress.recent_loss / progress.recent_steps,
                "learning_rate": rate,
            }
        )
        progress.recent_loss, progress.recent_steps = 0.0, 0


def _save(model: nn.Module, optimizer: torch.optim.Optimizer, training: Training, progress: Progress) -> None:
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(progress),
        "random": random_state(),
        "data_digest": training.data_digest,
    }
    checkpoint.save(training.folder, progress.step, content)


def _restore(model: nn.Module, optimizer: torch.optim.Optimizer, training: Training) -> Progress:
    found = checkpoint.load(training.folder)
    if found is None:
        torch.manual_seed(training.seed)
        np.random.seed(training.seed)  # noqa: NPY002
        random.seed(training.seed)
        return Progress()
    if found.get("data_digest") != training.data_digest:
        raise BadInput(
            f"the checkpoint in {training.folder} was made on other data than there is now; restore the data, "
            "or start afresh with --again"
        )
    try:
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
        set_random_state(found["random"])
        return Progress(**found["progress"])
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        why = str(error).strip().partition("\n")[0]
        raise BadInput(
            f"the checkpoint in {training.folder} was made by another version of the model or the harness ({why}); go "
            "on with that version, or start afresh with --again"
        ) from error


def random_state() -> dict[str, Any]:
    """The state of every generator a training may draw from, in types that weights-only loading takes."""
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(legacy, dict)
    version, internal, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": {
            "bit_generator": legacy["bit_generator"],
            "key": torch.from_numpy(legacy["state"]["key"].astype(np.int64)),
            "pos": int(legacy["state"]["pos"]),
            "has_gauss": int(legacy["has_gauss"]),
            "gauss": float(legacy["gauss"]),
        },
        "python": [version, list(internal), gauss_next],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put every generator back where ``random_state`` found it."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    legacy = dict(state["numpy"])
    legacy["state"] = {"key": legacy.pop("key").numpy().astype(np.uint32), "pos": legacy.pop("pos")}
    np.random.set_state(legacy)  # noqa: NPY002
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
