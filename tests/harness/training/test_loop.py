"""The loop: bit-exact resume, budgets, schedules, and every way to stop."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.data.normalise import TARGET_SPACES
from harness.data.sequence import Sequence
from harness.errors import BadInput, Interrupted, RunFailed
from harness.training import checkpoint
from harness.training.batches import Batch, TrainingClips
from harness.training.budget import Budget
from harness.training.loop import learning_rate, train
from harness.training.random_state import random_state, set_random_state
from harness.training.recipes import RECIPES
from harness.training.step import Step, optimizer
from harness.training.training import Progress, Training


class TinyLifter(nn.Module):
    """Draws from torch's generator (dropout), so that a resume that loses its state is noticed."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(51, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 51))

    def forward(self, clips: Tensor) -> Tensor:
        return self.layers(clips.flatten(2)).unflatten(2, (17, 3))


@pytest.fixture
def clips(sequences: list[Sequence]) -> TrainingClips:
    return TrainingClips(sequences, frames=9, in_channels=3, space=TARGET_SPACES["camera"], stride=3)


def model_of(seed: int) -> TinyLifter:
    torch.manual_seed(seed)
    return TinyLifter()


def training_in(folder: Path, **changes: object) -> Training:
    folder.mkdir(exist_ok=True)
    fixed = Training(RECIPES["common"], Budget(steps=11), 3, 0, folder, torch.device("cpu"))
    return replace(fixed, **changes)


def states_equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


class Death(BaseException):
    """Stands for SIGKILL: nothing of the loop may clean up after it."""


@pytest.mark.parametrize("stop_at", [2, 4, 5, 10])
def test_a_broken_training_ends_as_an_unbroken_one(tmp_path: Path, clips: TrainingClips, stop_at: int) -> None:
    whole = model_of(0)
    train(whole, clips, training_in(tmp_path / "whole"))

    def die(progress: Progress, share: float, loss: float) -> None:
        if progress.step == stop_at:
            raise Death

    broken = model_of(0)
    with pytest.raises(Death):
        train(broken, clips, training_in(tmp_path / "broken", report=die, save_every_s=0.0))
    random.seed(99)
    resumed = model_of(123)
    train(resumed, clips, training_in(tmp_path / "broken"))
    assert states_equal(whole, resumed)


def test_a_checkpoint_of_other_data_is_not_gone_on_with(tmp_path: Path, clips: TrainingClips) -> None:
    train(model_of(0), clips, training_in(tmp_path, data_digest="one"))
    with pytest.raises(BadInput, match=r"made on other data.*--again"):
        train(model_of(0), clips, training_in(tmp_path, data_digest="two", budget=Budget(steps=20)))


def test_three_and_three_epochs_are_six(tmp_path: Path, clips: TrainingClips) -> None:
    exponential = replace(RECIPES["common"], schedule="exponential", decay=0.9)
    whole = model_of(0)
    ended = train(whole, clips, training_in(tmp_path / "a", recipe=exponential, budget=Budget(epochs=6)))
    halves = model_of(0)
    train(halves, clips, training_in(tmp_path / "b", recipe=exponential, budget=Budget(epochs=3)))
    train(halves, clips, training_in(tmp_path / "b", recipe=exponential, budget=Budget(epochs=6)))
    assert ended.epoch == 6
    assert states_equal(whole, halves)


def test_the_same_seed_gives_the_same_weights_and_another_other_ones(tmp_path: Path, clips: TrainingClips) -> None:
    models = [model_of(0) for _ in range(3)]
    for number, (model, seed) in enumerate(zip(models, (0, 0, 1), strict=True)):
        train(model, clips, training_in(tmp_path / str(number), seed=seed))
    assert states_equal(models[0], models[1])
    assert not states_equal(models[0], models[2])


def test_it_learns(tmp_path: Path, clips: TrainingClips) -> None:
    progress = train(model_of(0), clips, training_in(tmp_path, budget=Budget(steps=150)))
    assert progress.curve[-1]["loss"] < 0.95 * progress.curve[0]["loss"]
    assert progress.curve[-1]["step"] == 150


def test_a_budget_in_seconds_counts_what_was_spent_before(tmp_path: Path, clips: TrainingClips) -> None:
    ticks = iter(range(1000))
    clock = lambda: float(next(ticks))  # noqa: E731
    done = train(model_of(0), clips, training_in(tmp_path, budget=Budget(seconds=20), clock=clock))
    assert done.elapsed_s >= 20
    again = train(model_of(0), clips, training_in(tmp_path, budget=Budget(seconds=20), clock=clock))
    assert again.step == done.step


def test_a_loss_that_is_not_finite_names_the_step(tmp_path: Path, clips: TrainingClips) -> None:
    model = model_of(0)

    def poison(progress: Progress, share: float, loss: float) -> None:
        if progress.step == 4:
            with torch.no_grad():
                model.layers[0].weight.fill_(float("nan"))

    with pytest.raises(RunFailed, match="the loss is nan at step 5"):
        train(model, clips, training_in(tmp_path, report=poison))
    assert (tmp_path / "diagnostic.pt").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(tmp_path: Path, clips: TrainingClips, number: signal.Signals) -> None:
    def interrupt(progress: Progress, share: float, loss: float) -> None:
        if progress.step == 3:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=r"step [34]"):
        train(model_of(0), clips, training_in(tmp_path, report=interrupt))
    assert signal.getsignal(number) is before
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found["progress"]["step"] in (3, 4)


def test_schedules() -> None:
    common, published = RECIPES["common"], RECIPES["posemamba"]
    assert learning_rate(common, 0, 0, 0.0) == pytest.approx(common.learning_rate / common.warmup_steps)
    assert learning_rate(common, 500, 0, 0.5) == pytest.approx(common.learning_rate / 2)
    assert learning_rate(common, 999, 0, 1.0) == pytest.approx(0)
    assert learning_rate(published, 10**6, 3, 0.9) == pytest.approx(2e-4 * 0.99**3)


def test_random_states_are_restored() -> None:
    state = random_state()
    drawn = (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random())  # noqa: NPY002
    set_random_state(state)
    assert drawn == (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random())  # noqa: NPY002


class TwoHeads(TinyLifter):
    """Answers for the centre frame, and for all of them beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = nn.Linear(51, 51)

    def forward(self, clips: Tensor, auxiliary: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        centre = super().forward(clips[:, 4:5])
        return (centre, self.whole(clips.flatten(2)).unflatten(2, (17, 3))) if auxiliary else centre


def test_an_auxiliary_output_is_trained_as_well(tmp_path: Path, sequences: list[Sequence]) -> None:
    space = TARGET_SPACES["camera"]
    clips = TrainingClips(sequences, 9, 3, space, stride=1, position=4, whole_targets=True)
    torch.manual_seed(0)
    model = TwoHeads()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, clips, training_in(tmp_path))
    assert not any(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_momentum_of_batch_norms_falls_over_the_budget(tmp_path: Path, clips: TrainingClips) -> None:
    class Normed(TinyLifter):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(51)
            self.seen: list[float] = []

        def forward(self, clips: Tensor) -> Tensor:
            self.seen.append(self.norm.momentum or 0.0)
            return super().forward(self.norm(clips.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (17, 3)))

    model = Normed()
    recipe = replace(RECIPES["common"], norm_momentum=(0.1, 0.001))
    train(model, clips, training_in(tmp_path, recipe=recipe, budget=Budget(steps=4)))
    assert model.seen == pytest.approx([0.1 * 0.01 ** (step / 4) for step in range(4)])


def test_a_squared_loss_has_the_gradient_times_the_loss(clips: TrainingClips, tmp_path: Path) -> None:
    gradients, losses_ = [], []
    for number, squared in enumerate((False, True)):
        model = model_of(0).eval()
        recipe = replace(RECIPES["common"], squared_loss=squared)
        batch = next(clips.epoch(0, 0, 3, flip=False))
        losses_.append(Step(model, training_in(tmp_path / str(number), recipe=recipe)).gradient(batch))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert losses_[1] == pytest.approx(losses_[0] ** 2 / 2)
    torch.testing.assert_close(gradients[1], losses_[0] * gradients[0])


def test_the_optimiser_is_the_recipe_s() -> None:
    adam = optimizer(model_of(0), RECIPES["videopose3d"])
    assert type(adam) is torch.optim.Adam
    assert (adam.defaults["amsgrad"], adam.defaults["weight_decay"]) == (True, 0.0)
    adamw = optimizer(model_of(0), RECIPES["mixste"])
    assert type(adamw) is torch.optim.AdamW
    assert (adamw.defaults["amsgrad"], adamw.defaults["weight_decay"]) == (False, 0.1)


def test_another_objective_replaces_the_loss_on_poses(clips: TrainingClips, tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []

    def objective(model: nn.Module, batch: Batch) -> Tensor:
        seen.append(tuple(batch.targets.shape))
        return 7 + 0 * model(batch.inputs).sum()

    progress = train(model_of(0), clips, training_in(tmp_path, budget=Budget(steps=2), objective=objective))
    assert seen == [(3, 9, 17, 3)] * 2
    assert {stretch["loss"] for stretch in progress.curve} == {7.0}


def test_a_budget_of_processor_time_counts_over_a_resume(tmp_path: Path, clips: TrainingClips) -> None:
    """Four seconds a step by a clock that waits do not move; the first process is stopped after three steps."""
    core = iter(range(0, 1000, 4))
    budget = Budget(core_seconds=26.0)

    def die(progress: Progress, share: float, loss: float) -> None:
        if progress.step == 4:
            raise Death

    fixed = {"budget": budget, "core_clock": lambda: float(next(core)), "save_every_s": 0.0}
    with pytest.raises(Death):
        train(model_of(0), clips, training_in(tmp_path / "run", report=die, **fixed))
    progress = train(model_of(0), clips, training_in(tmp_path / "run", **fixed))
    assert (progress.step, progress.core_s) == (7, 28.0)
