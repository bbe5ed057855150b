"""What needs a GPU, which most machines that run the tests have not. On one that has: python -m pytest tests/gpu"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

DEVICE = torch.device("cuda")


@pytest.fixture(autouse=True)
def _on_a_gpu() -> Iterator[None]:
    """In float32 without TF32, by deterministic operators only where a test asks for them."""
    if DEVICE.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    matmul, convolutions = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolutions


def error(found: Tensor, expected: Tensor) -> float:
    """||found - expected|| / ||expected||; infinite where something is not finite."""
    here, there = found.detach().double().cpu(), expected.detach().double().cpu()
    return float((here - there).norm() / there.norm()) if bool(torch.isfinite(here).all()) else float("inf")


def stirred(model: nn.Module) -> nn.Module:
    """Parameters off the zeros and tiny gains that they begin at, so that every part of the model matters."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=draw)
    return model
