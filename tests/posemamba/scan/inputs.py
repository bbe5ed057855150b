"""Random arguments of a scan for the tests of this folder."""

from __future__ import annotations

import torch
from torch import Tensor

from posemamba.scan import available, selective_scan

NAMES = ("u", "delta", "A", "B", "C", "D", "delta_bias")
FAST_BACKENDS = [name for name in ("chunked", "native") if not available()[name]]


def random_inputs(
    batch: int, groups: int, channels: int, states: int, length: int, dtype: torch.dtype = torch.float64, seed: int = 0
) -> list[Tensor]:
    """u, delta, A, B, C, D, delta_bias as mamba-ssm has them, ``channels`` in each group, all requiring gradients."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    rows = groups * channels
    shared = (batch, groups, states, length)
    tensors = [normal(batch, rows, length), 1.5 * normal(batch, rows, length) - 1, -torch.exp(normal(rows, states))]
    tensors += [normal(*shared), normal(*shared), normal(rows), normal(rows)]
    return [tensor.to(dtype).requires_grad_() for tensor in tensors]


def value_and_gradients(
    tensors: list[Tensor], backend: str, dtype: torch.dtype, delta_softplus: bool = True, seed: int = 1
) -> dict[str, Tensor]:
    """The output under "y" and the gradient of a fixed random projection of it for every argument, in float64."""
    tensors = [tensor.detach().to(dtype).requires_grad_() for tensor in tensors]
    y = selective_scan(*tensors, delta_softplus=delta_softplus, backend=backend)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    gradients = torch.autograd.grad(y, tensors, dy.to(dtype))
    return {name: value.detach().double() for name, value in zip(("y", *NAMES), (y, *gradients), strict=True)}


def relative_error(value: Tensor, reference: Tensor) -> float:
    """Largest difference over the largest magnitude of the reference."""
    scale = reference.abs().max().item()
    return (value - reference).abs().max().item() / scale if scale else value.abs().max().item()
