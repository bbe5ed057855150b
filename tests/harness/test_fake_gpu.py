"""Every registered lifter on a device that is not the processor, and has no numbers: torch's meta device.

A tensor that a forward pass makes on the processor, or an index that stays there, works as long as everything is there,
and fails or waits for copies on a GPU. Numbers cannot be read on this device either, which on a GPU halts its queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness import contract, models
from harness.evaluation.predict import flipped
from harness.training import losses
from harness.training.losses import LossWeights
from tests.harness.test_every_lifter import FRAMES, NAMES, TINY

EVERY_TERM = LossWeights(velocity=1.0, temporal_difference=1.0, squared=1.0, joint_weights=True)


class OnOneDevice(TorchDispatchMode):
    """Fails where an operator gets tensors of both devices; numbers (no axes) a GPU takes from anywhere."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        given = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor) and leaf.ndim]
        devices = {tensor.device.type for tensor in given}
        assert len(devices) <= 1, f"{func} is given tensors on {' and '.join(sorted(devices))}"
        return func(*args, **(kwargs or {}))


def placed(name: str) -> tuple[nn.Module, Tensor]:
    """The lifter, built on the processor and moved from there, and two clips."""
    model = models.build(name, FRAMES, None, **TINY[models.entry(name).module])
    return model.to("meta"), torch.empty(2, FRAMES, 17, models.preset(name).in_channels, device="meta")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_on_the_processor(name: str) -> None:
    model, clips = placed(name)
    stated = contract.of(model)
    truth = torch.empty(2, stated.output_frames(FRAMES), 17, 3, device="meta")
    with OnOneDevice():
        outputs = model.train()(clips, auxiliary=True) if stated.auxiliary else (model.train()(clips),)
        loss = losses.total(outputs[0], truth, EVERY_TERM) + sum(output.square().sum() for output in outputs[1:])
        loss.backward()
        with torch.inference_mode():
            flipped(model.eval()(flipped(clips)))
    assert {output.device.type for output in outputs} == {"meta"}
    assert {parameter.grad.device.type for parameter in model.parameters() if parameter.grad is not None} == {"meta"}


@pytest.mark.parametrize("name", ["posemamba-causal", "posemagic-causal"])
def test_streams_stay_on_their_device(name: str) -> None:
    model, clips = placed(name)
    assert contract.streams(model)
    state: Any = None
    with OnOneDevice(), torch.inference_mode():
        for frame in clips.unbind(1)[:3]:
            pose, state = model.eval().step(frame, state)  # type: ignore[operator]
    assert {leaf.device.type for leaf in tree_leaves(state) if isinstance(leaf, Tensor)} == {"meta"}
    assert pose.device.type == "meta"


class Careless(nn.Module):
    """Makes what it multiplies by, and what it looks up with, wherever torch makes tensors."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part

    def forward(self, clips: Tensor) -> Tensor:
        if self.part == "product":
            return clips * torch.ones(clips.shape[-1])
        return clips[:, torch.tensor([0, 1])]


@pytest.mark.parametrize("part", ["product", "index"])
def test_a_careless_model_is_found(part: str) -> None:
    with OnOneDevice(), pytest.raises((AssertionError, RuntimeError), match=r"tensors on cpu and meta|device cpu"):
        Careless(part).to("meta")(torch.empty(2, 9, 17, 2, device="meta"))
