"""Every lifter answers on a GPU as on the CPU, and learns alike there."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from harness import contract, models
from tests.gpu.conftest import DEVICE, error, stirred
from tests.harness.test_every_lifter import FRAMES, NAMES, TINY

BY_SIZE = sorted(models.MODELS, key=lambda name: models.entry(name).parameters)


@pytest.mark.parametrize("name", BY_SIZE)
def test_it_answers_as_on_the_cpu(name: str) -> None:
    """As published. In float64 to rounding; in float32 no worse than the CPU; in 16 bits something like it."""
    settings = models.preset(name)
    model = stirred(models.build(name, None, None)).eval()
    clips = 0.5 * torch.randn(1, settings.frames, 17, settings.in_channels, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = copy.deepcopy(model).double()(clips.double())
        of_cpu = error(model(clips), exact)
        placed, there = copy.deepcopy(model).to(DEVICE), clips.to(DEVICE)
        assert error(placed(there), exact) <= max(20 * of_cpu, 2e-5)
        for dtype in (torch.bfloat16, torch.float16):
            with torch.autocast(DEVICE.type, dtype=dtype):
                assert error(placed(there), exact) < 0.5
        assert error(placed.double()(there.double()), exact) <= 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_its_gradients_are_those_of_the_cpu(name: str) -> None:
    model = stirred(models.build(name, FRAMES, None, **TINY[models.entry(name).module])).double().eval()
    channels = models.preset(name).in_channels
    clips = torch.randn(2, FRAMES, 17, channels, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    here, there = gradients(model, clips), gradients(copy.deepcopy(model).to(DEVICE), clips.to(DEVICE))
    assert here.keys() == there.keys()
    whole = torch.stack([gradient.norm() for gradient in here.values()]).norm()
    assert max(float((there[key].cpu() - here[key]).norm() / whole) for key in here) <= 1e-8


def gradients(model: nn.Module, clips: Tensor) -> dict[str, Tensor]:
    output = model(clips, auxiliary=True) if contract.of(model).auxiliary and model.training else model(clips)
    output.square().sum().backward()
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
