"""Half a training and the other half are a whole one: every generator goes on where it stood."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import models
from harness.data.normalise import TARGET_SPACES
from harness.evaluation import metrics
from harness.training.batches import TrainingClips
from harness.training.budget import Budget
from harness.training.loop import train
from harness.training.random_state import random_state, set_random_state
from harness.training.recipes import RECIPES
from harness.training.training import Progress, Training
from tests.harness.training.conftest import make_sequence

FRAMES = 9


def clips() -> TrainingClips:
    sequences = [make_sequence(f"s/walk/{number}", length, number) for number, length in enumerate((20, 33, 12))]
    return TrainingClips(sequences, FRAMES, in_channels=3, space=TARGET_SPACES["camera"], stride=3)


def lifter(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return models.build("tests.faults.lifters:drawing", FRAMES, 3)


def trained(folder: Path, *epochs: int) -> tuple[nn.Module, Progress]:
    """By one process for each number of ``epochs``: what the last one left the generators in is lost."""
    folder.mkdir()
    recipe = replace(RECIPES["common"], flip="random", schedule="exponential", decay=0.9)
    for total in epochs:
        model = lifter(seed=0)
        random.seed(total)
        np.random.seed(total)  # noqa: NPY002
        torch.manual_seed(total)
        budget = Budget(epochs=total)
        progress = train(model, clips(), Training(recipe, budget, 4, 0, folder, torch.device("cpu")))
    return model, progress


def test_three_and_three_epochs_are_six(tmp_path: Path) -> None:
    """Dropout, numpy's and Python's draws, the order of the clips and their flips among them."""
    whole, at_once = trained(tmp_path / "whole", 6)
    halves, in_two = trained(tmp_path / "halves", 3, 6)
    assert at_once.epoch == in_two.epoch == 6
    losses = [[stretch["loss"] for stretch in progress.curve] for progress in (at_once, in_two)]
    assert losses[0] == losses[1]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, halves.state_dict()[name]), name
    assert scores(whole) == scores(halves)
    other, _ = trained(tmp_path / "other", 5)
    assert scores(whole) != scores(other), "the scores would be equal in any case"


def scores(model: nn.Module) -> list[float]:
    """P1 of the frames of a clip, in mm."""
    batch = next(clips().epoch(seed=1, number=0, batch_size=4, flip=False))
    with torch.no_grad():
        predicted: Tensor = model.eval()(batch.inputs)
    errors = metrics.mpjpe(predicted.flatten(0, 1).numpy(), batch.targets.flatten(0, 1).numpy())
    return np.asarray(errors).tolist()


@pytest.mark.parametrize("left_out", ["torch", "numpy", "python"])
def test_each_generator_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: str) -> None:
    """Without the state of one of them the second half is another one, so that the test above sees it."""
    whole, _ = trained(tmp_path / "whole", 2)
    here = random_state
    monkeypatch.setattr(
        "harness.training.loop.set_random_state",
        lambda state, device: set_random_state({**state, left_out: here()[left_out]}, device),
    )
    halves, _ = trained(tmp_path / "halves", 1, 2)
    assert scores(whole) != scores(halves)


def test_the_state_of_the_gpu_is_kept_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """By stand-ins for torch's functions: this runs without a GPU. Another GPU may take it over."""
    of_gpu, put_back = torch.tensor([1], dtype=torch.uint8), {}
    cuda: Any = torch.cuda
    monkeypatch.setattr(cuda, "get_rng_state", lambda device: of_gpu)
    monkeypatch.setattr(cuda, "set_rng_state", lambda state, device: put_back.update({device.index: state}))
    set_random_state(random_state(torch.device("cuda:0")), torch.device("cuda:1"))
    assert put_back == {1: of_gpu}
    set_random_state(random_state(torch.device("cuda:0")))  # gone on with on a CPU
    assert put_back == {1: of_gpu}
