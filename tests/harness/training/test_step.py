"""Ways to take a step: in parts, in 16 bits, compiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.data.normalise import TARGET_SPACES
from harness.data.sequence import Sequence
from harness.training import checkpoint
from harness.training.batches import TrainingClips
from harness.training.budget import Budget
from harness.training.loop import train
from harness.training.recipes import RECIPES
from harness.training.training import Progress, Training


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(51, 32), nn.ReLU(), nn.Linear(32, 51))
        self.seen: list[torch.dtype] = []

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        poses = self.layers(clips.flatten(2))
        self.seen.append(poses.dtype)
        return poses.unflatten(2, (17, 3))


@pytest.fixture
def clips(sequences: list[Sequence]) -> TrainingClips:
    return TrainingClips(sequences, 9, 3, TARGET_SPACES["camera"], 3)


def trained(folder: Path, clips: TrainingClips, **changes: Any) -> tuple[Perceptron, Progress]:
    torch.manual_seed(0)
    model = Perceptron()
    training = Training(RECIPES["common"], Budget(steps=8), 6, 0, folder, torch.device("cpu"))
    folder.mkdir(exist_ok=True)
    return model, train(model, clips, replace(training, **changes))


def close(one: nn.Module, other: nn.Module, tolerance: float) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(a, b, atol=tolerance) for a, b in pairs)


def test_a_batch_in_parts_is_the_batch(tmp_path: Path, clips: TrainingClips) -> None:
    whole, whole_progress = trained(tmp_path / "whole", clips)
    parts, progress = trained(tmp_path / "parts", clips, accumulate=4)  # of 1, 2, 1 and 2 clips
    assert close(whole, parts, 1e-5)
    assert progress.curve[-1]["loss"] == pytest.approx(whole_progress.curve[-1]["loss"], abs=1e-5)
    assert (len(whole.seen), len(parts.seen)) == (8, 32)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_forward_in_16_bits_trains_weights_in_float32(
    tmp_path: Path, clips: TrainingClips, precision: str, dtype: torch.dtype
) -> None:
    whole, _ = trained(tmp_path / "whole", clips)
    reduced, _ = trained(tmp_path / "reduced", clips, precision=precision)
    assert set(reduced.seen) == {dtype}
    assert {parameter.dtype for parameter in reduced.parameters()} == {torch.float32}
    assert close(whole, reduced, 5e-3)
    assert not close(whole, reduced, 1e-7)


def test_the_scale_of_gradients_is_kept_with_a_checkpoint(tmp_path: Path, clips: TrainingClips) -> None:
    """Half a training and the other half are a whole one, to the last bit."""
    exponential = replace(RECIPES["common"], schedule="exponential")
    fixed = {"precision": "fp16", "recipe": exponential}
    whole, _ = trained(tmp_path / "whole", clips, **fixed)
    trained(tmp_path / "halves", clips, **fixed, budget=Budget(steps=4))
    found = checkpoint.load(tmp_path / "halves")
    assert found is not None
    assert found["scaler"]["scale"] > 1
    assert found["scaler"]["_growth_tracker"] == 4
    halves, _ = trained(tmp_path / "halves", clips, **fixed)
    assert close(whole, halves, 0.0)


def test_a_step_whose_scaled_gradient_overflows_is_left_out_and_the_scale_halved(
    tmp_path: Path, clips: TrainingClips
) -> None:
    class Steep(Perceptron):
        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            poses = super().forward(clips)
            poses.register_hook(lambda gradient: gradient * 1e6) if len(self.seen) == 1 else None
            return poses

    torch.manual_seed(0)
    model = Steep()
    before = [parameter.clone() for parameter in model.parameters()]
    training = Training(RECIPES["common"], Budget(steps=1), 6, 0, tmp_path, torch.device("cpu"), precision="fp16")
    train(model, clips, training)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found["scaler"]["scale"] == 2.0**15


def test_compiled_it_trains_alike(tmp_path: Path, clips: TrainingClips) -> None:
    compiled: list[nn.Module] = []
    whole, _ = trained(tmp_path / "whole", clips)

    def compile_(model: nn.Module) -> nn.Module:
        compiled.append(model)
        return model

    with pytest.MonkeyPatch.context() as patch:  # the compiler itself takes a minute
        patch.setattr(torch, "compile", compile_)
        alike, _ = trained(tmp_path / "compiled", clips, compiled=True)
    assert close(whole, alike, 0.0)
    assert compiled == [alike]
