"""Recomputing blocks: the same numbers to the last bit, less kept, and no trace of it outside a forward pass."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from harness import models
from harness.data.normalise import TARGET_SPACES
from harness.data.sequence import Sequence
from harness.training.activation_checkpointing import blocks, recomputing
from harness.training.batches import TrainingClips
from harness.training.budget import Budget
from harness.training.loop import train
from harness.training.recipes import RECIPES
from harness.training.training import Progress, Training
from tests.harness.test_every_lifter import FRAMES, NAMES, TINY

#: Both draw from torch's generator in every block; the second has batch norms in them, too.
DRAWING: dict[str, dict[str, Any]] = {
    "posemamba-xs": {"dim": 16, "depth": 2, "drop_path": 0.4},
    "motionagformer-xxs": {
        "dim": 16, "representation_dim": 8, "heads": 2, "dropout": 0.2, "attention_dropout": 0.2, "drop_path": 0.2,
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before)


def lifter(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return models.build(name, FRAMES, 3, **options)


def trained(model: nn.Module, sequences: list[Sequence], folder: Path, **changes: Any) -> nn.Module:
    folder.mkdir(exist_ok=True)
    clips = TrainingClips(sequences, frames=FRAMES, in_channels=3, space=TARGET_SPACES["camera"], stride=3)
    recipe = replace(RECIPES["common"], warmup_steps=0)
    fixed = Training(recipe, Budget(steps=6), 3, 0, folder, torch.device("cpu"), activation_checkpointing=True)
    train(model, clips, replace(fixed, **changes))
    return model


def require_equal(one: nn.Module, other: nn.Module) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def gradients(model: nn.Module, clips: Tensor, recompute: bool) -> list[Tensor]:
    """Of a sum with uneven weights, to the clips and to all parameters that have one."""
    clips = clips.clone().requires_grad_()
    torch.manual_seed(1)
    output = forward(model, clips, recompute)
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    return [one.grad for one in (clips, *model.parameters()) if one.grad is not None]


def forward(model: nn.Module, clips: Tensor, recompute: bool) -> Tensor:
    if not recompute:
        return model(clips)
    with recomputing(model):
        return model(clips)


def kept_bytes(model: nn.Module, clips: Tensor, recompute: bool) -> int:
    """What a forward pass leaves for the backward pass beside the parameters: saved tensors and inputs of blocks."""
    storages: dict[int, torch.UntypedStorage] = {}

    def note(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    def note_inputs(block: nn.Module, inputs: tuple[Any, ...]) -> None:
        for tensor in inputs:
            if isinstance(tensor, Tensor):
                note(tensor)

    handles = [block.register_forward_pre_hook(note_inputs) for block in blocks(model)]
    with saved_tensors_hooks(note, lambda tensor: tensor):
        forward(model, clips, recompute)
    for handle in handles:
        handle.remove()
    for parameter in model.parameters():
        storages.pop(parameter.untyped_storage().data_ptr(), None)
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize("name", DRAWING)
def test_a_training_ends_with_the_same_weights(name: str, sequences: list[Sequence], tmp_path: Path) -> None:
    models_ = [lifter(name, **DRAWING[name]) for _ in range(2)]
    for recompute, model in enumerate(models_):
        trained(model, sequences, tmp_path / str(recompute), activation_checkpointing=bool(recompute))
    require_equal(*models_)


class Death(BaseException):
    """Stands for SIGKILL."""


def test_a_broken_training_goes_on_to_the_same_weights(sequences: list[Sequence], tmp_path: Path) -> None:
    def die(progress: Progress, share: float, loss: float) -> None:
        if progress.step == 4:
            raise Death

    name = "motionagformer-xxs"
    whole = trained(lifter(name, **DRAWING[name]), sequences, tmp_path / "whole", activation_checkpointing=False)
    with pytest.raises(Death):
        trained(lifter(name, **DRAWING[name]), sequences, tmp_path / "broken", report=die, save_every_s=0.0)
    require_equal(trained(lifter(name, **DRAWING[name]), sequences, tmp_path / "broken"), whole)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_and_buffers_of_every_lifter(name: str) -> None:
    model = lifter(name, **TINY[models.entry(name).module]).train()
    other = copy.deepcopy(model)
    clips = torch.rand(3, FRAMES, 17, 3)
    plain, recomputed = gradients(model, clips, recompute=False), gradients(other, clips, recompute=True)
    assert len(plain) == len(recomputed) > 1
    for a, b in zip(plain, recomputed, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-6, atol=1e-6 * a.abs().max().item())
    require_equal(model, other)


@pytest.mark.parametrize("name", NAMES)
def test_every_lifter_keeps_less(name: str) -> None:
    module = models.entry(name).module
    # Its depth follows from T: here it is one block, beside a first layer that is no block and just as large.
    options, most = ({}, 0.85) if module == "baselines.videopose3d" else ({"depth": 3}, 0.6)
    model = lifter(name, **{**TINY[module], **options}).train()
    clips = torch.rand(3, FRAMES, 17, 3)
    assert kept_bytes(model, clips, recompute=True) < most * kept_bytes(model, clips, recompute=False)


def test_a_block_of_posemamba_keeps_its_input_and_what_its_norm_saves() -> None:
    """The norm behind it saves its own input and, for each token, mean and deviation: 2 C + 2 numbers in all."""
    dim, depth, clips = 16, 4, torch.rand(2, FRAMES, 17, 3)
    deep, flat = (lifter("posemamba-xs", dim=dim, depth=blocks_).train() for blocks_ in (depth, 1))
    more = kept_bytes(deep, clips, recompute=True) - kept_bytes(flat, clips, recompute=True)
    assert more == 2 * (depth - 1) * clips[..., 0].numel() * (2 * dim + 2) * 4


@pytest.mark.parametrize("name", DRAWING)
def test_an_evaluation_in_between_sees_no_trace(name: str, sequences: list[Sequence], tmp_path: Path) -> None:
    clips = torch.rand(2, FRAMES, 17, 3)
    untouched = lifter(name, **DRAWING[name])
    names = [set(vars(module)) for module in untouched.modules()]
    model = lifter(name, **DRAWING[name])
    answers = []

    def evaluate(progress: Progress, share: float, loss: float) -> None:
        assert [set(vars(module)) for module in model.modules()] == names
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        untouched.load_state_dict(model.state_dict())
        with torch.no_grad():
            answers.append((model.eval()(clips), untouched.eval()(clips)))
        model.train()

    trained(model, sequences, tmp_path, report=evaluate)
    assert len(answers) == 6
    assert all(torch.equal(seen, expected) for seen, expected in answers)


class Counting(nn.Module):
    """Counts its calls, and has buffers that decide what it gives and change with every call, in either way."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.layer = nn.Linear(3, 3)
        self.register_buffer("gain", torch.ones(()))
        self.register_buffer("offset", torch.zeros(()))

    def forward(self, x: Tensor, *, power: int) -> Tensor:
        self.calls += 1
        self.gain.mul_(2)
        self.offset = self.offset + 1
        return self.layer(x * self.gain.clone() + self.offset) ** power


class Stack(nn.Module):
    """The same block twice, as weights that are shared."""

    def __init__(self) -> None:
        super().__init__()
        block = Counting()
        self.blocks = nn.ModuleList([block, block])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, power=3)
        return x


def test_blocks_are_called_again_only_where_gradients_are_enabled() -> None:
    stack, x = Stack(), torch.ones(2, 3)
    with torch.no_grad():
        forward(stack, x, recompute=True)
    assert stack.blocks[0].calls == 2
    forward(stack, x, recompute=True).sum().backward()
    assert stack.blocks[0].calls == 6


def test_buffers_that_matter_are_those_of_the_first_time() -> None:
    plain = Stack()
    recomputed = copy.deepcopy(plain)
    gradient = []
    for model, recompute in ((plain, False), (recomputed, True)):
        x = torch.linspace(-1, 1, 6).view(2, 3).requires_grad_()
        output = forward(model, x, recompute).sum()
        output.backward(retain_graph=True)
        output.backward()
        gradient.append(x.grad)
    assert torch.equal(*gradient)
    require_equal(plain, recomputed)


def test_it_is_undone_after_an_error_and_what_was_there_before_comes_back() -> None:
    stack = Stack()
    with pytest.raises(TypeError), recomputing(stack):
        stack(None)
    assert "forward" not in vars(stack.blocks[0])
    own = stack.blocks[0].forward = lambda x, power: x / 0
    with pytest.raises(ZeroDivisionError), recomputing(stack):
        stack(1)
    assert stack.blocks[0].forward is own


def test_blocks_are_the_elements_of_the_outermost_lists() -> None:
    inner = nn.Sequential(nn.Linear(1, 1))
    inner.add_module("parts", nn.ModuleList([nn.Linear(1, 1)]))
    alone = nn.Linear(1, 1)
    nested = nn.ModuleList([nn.ModuleList([inner, alone]), alone])
    assert blocks(nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Sequential(nested)})) == (inner, alone)
    assert blocks(nested) == (inner, alone)
    assert blocks(nn.Sequential(nn.Linear(1, 1))) == ()
