"""The training loop: one model, one recipe, one budget; resumable to the last bit on a CPU.

Where several processes share a training, all of them take the same decisions at the same step: what they are taken by
(loss, time, Ctrl-C) is added up over the processes once a step. The first one alone reads and writes files.
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.errors import BadInput, FirstFailed, Interrupted, RunFailed, is_out_of_memory
from harness.training import checkpoint
from harness.training.batches import Batch
from harness.training.interruption import Interruption
from harness.training.random_state import random_state, set_random_state
from harness.training.recipe import Recipe
from harness.training.step import Step
from harness.training.training import Examples, Progress, Training

#: Points of the learning curve that a record keeps, spread evenly over the budget.
CURVE_POINTS = 200


def train(model: nn.Module, clips: Examples, training: Training) -> Progress:
    """Train ``model`` in place until the budget is spent, going on from the folder's checkpoint if there is one.

    Raises RunFailed when the loss is no longer finite (naming the step) or another process is gone, Interrupted after
    Ctrl-C or SIGTERM with the checkpoint saved, BadInput for a damaged checkpoint or a batch that is too small for the
    processes, CannotWrite when a checkpoint cannot be saved.
    """
    # Before the optimiser is restored: its state follows the device that the weights are on at that moment.
    model.to(training.device).train()
    step = Step(model, training)
    progress = _restore(model, step, training)
    with Interruption() as interruption, step.ready(), training.world.speaking():
        _run(model, step, clips, training, progress, interruption)
    return progress


def _run(
    model: nn.Module, step: Step, clips: Examples, training: Training, progress: Progress, interruption: Interruption
) -> None:
    world, per_epoch = training.world, clips.batches_per_epoch(training.batch_size)
    before_s, core_before_s = progress.elapsed_s, progress.core_s
    started = saved = training.clock()
    core_started = training.core_clock()
    while (share := _spent(training, progress, per_epoch)) < 1:
        by_chance = training.recipe.flip == "random"
        epoch = clips.epoch(training.seed, progress.epoch, training.batch_size, by_chance, progress.batch, step.share)
        for batch in epoch:
            rate = learning_rate(training.recipe, progress.step, progress.epoch, share)
            _set_norm_momentum(model, training.recipe, share)
            added = step.gradient(batch)
            passed_s = training.clock() - started if world.is_first else 0.0
            core_s = training.core_clock() - core_started
            loss, passed_s, core_s, asked = world.sums([added, passed_s, core_s, interruption.asked])
            _require_finite(loss, model, batch, training, rate, progress.step)
            step.update(rate)
            _note_processes(progress, world.size)
            _advance(progress, per_epoch)
            progress.elapsed_s, progress.core_s = before_s + passed_s, core_before_s + core_s
            share = _spent(training, progress, per_epoch)
            _note(progress, share, loss, rate)
            if training.observe is not None:
                training.observe(progress.step, loss, rate)
            training.report(progress, share, loss)
            if asked or (world.is_alone and interruption.asked):  # or since then
                _save(model, step, training, progress)
                raise Interrupted(f"stopped after step {progress.step}; the same command goes on from there")
            if world.is_first and training.clock() - saved >= training.save_every_s and share < 1:
                _save(model, step, training, progress)
                saved = training.clock()
            if share >= 1:
                break
    _save(model, step, training, progress)


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


def _require_finite(loss: float, model: nn.Module, batch: Batch, training: Training, rate: float, step: int) -> None:
    """Raises RunFailed, after the clips and weights of the step have been saved, for a loss that is not finite."""
    if math.isfinite(loss):
        return
    # Another process may have the clip that it comes from.
    inputs, targets = (training.world.gathered(part) for part in (batch.inputs, batch.targets))
    where = ""
    if training.world.is_first:
        clips = {"inputs": torch.cat(inputs), "targets": torch.cat(targets)}
        content = {"model": model.state_dict(), **clips, "step": step + 1}
        where = f"; weights and clips of that step are in {checkpoint.save_diagnosis(training.folder, content)}"
    problem = f"the loss is {loss} at step {step + 1} (learning rate {rate:.2e}){where}"
    kind = RunFailed if training.world.is_first else FirstFailed
    raise kind(f"{problem}. A smaller --learning-rate usually helps")


def _note_processes(progress: Progress, processes: int) -> None:
    """Before a step. A checkpoint from before they were noted is of one alone."""
    if not progress.processes:
        progress.processes.append({"from_step": 0, "processes": 1 if progress.step else processes})
    if progress.processes[-1]["processes"] != processes:
        progress.processes.append({"from_step": progress.step, "processes": processes})


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


def _save(model: nn.Module, step: Step, training: Training, progress: Progress) -> None:
    if not training.world.is_first:
        return
    content = {
        "model": model.state_dict(),
        **step.state(),
        "progress": vars(progress),
        "random": random_state(training.device),
        "data_digest": training.data_digest,
    }
    checkpoint.save(training.folder, progress.step, content)


def _restore(model: nn.Module, step: Step, training: Training) -> Progress:
    found = training.world.of_first(lambda: _checkpoint(training))
    if found is None:
        torch.manual_seed(training.seed)
        np.random.seed(training.seed)  # noqa: NPY002
        random.seed(training.seed)
        return Progress()
    try:
        model.load_state_dict(found["model"])
        step.restore(found)
        set_random_state(found["random"], training.device)
        return Progress(**found["progress"])
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        why = str(error).strip().partition("\n")[0]
        raise BadInput(
            f"the checkpoint in {training.folder} was made by another version of the model or the harness ({why}); go "
            "on with that version, or start afresh with --again"
        ) from error


def _checkpoint(training: Training) -> dict[str, Any] | None:
    found = checkpoint.load(training.folder)
    if found is not None and found.get("data_digest") != training.data_digest:
        raise BadInput(
            f"the checkpoint in {training.folder} was made on other data than there is now; restore the data, "
            "or start afresh with --again"
        )
    return found
