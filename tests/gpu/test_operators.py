"""The scan's backends, attention of very many sequences, and memory that runs out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.attention import attend
from harness.errors import is_out_of_memory
from posemamba.scan import available, selective_scan
from tests.gpu.conftest import DEVICE, error

#: B, groups, channels of a group, states, length.
SHAPES = [(2, 2, 3, 4, 70), (2, 1, 5, 8, 129), (2, 4, 32, 16, 459)]
BOUNDS = {torch.float64: 1e-11, torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 1e-2}
#: Of u, delta, A, B, C, D and bias: A, D and bias are never in 16 bits.
WIDE = (2, 5, 6)


def inputs(shape: tuple[int, ...]) -> list[Tensor]:
    batch, groups, channels, states, length = shape
    draw, rows, shared = torch.Generator().manual_seed(0), groups * channels, (batch, groups, states, length)
    u, delta, decay, b, c, d, bias = (
        torch.randn(size, generator=draw, dtype=torch.float64)
        for size in ((batch, rows, length), (batch, rows, length), (rows, states), shared, shared, (rows,), (rows,))
    )
    return [u, 1.5 * delta - 1, -torch.exp(decay), b, c, d, bias]


def differentiated(tensors: list[Tensor], backend: str, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """y, and the gradients of a fixed projection of it."""
    kinds = [torch.promote_types(dtype, torch.float32) if place in WIDE else dtype for place in range(7)]
    there = [one.to(device, kind).requires_grad_() for one, kind in zip(tensors, kinds, strict=True)]
    y = selective_scan(*there, delta_softplus=True, backend=backend)
    dy = torch.randn(tensors[0].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return [y, *torch.autograd.grad(y, there, dy.to(device, dtype))]


@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
@pytest.mark.parametrize("backend", ["chunked", "mamba-ssm"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_scan_and_its_gradients_are_the_definition(shape: tuple[int, ...], backend: str, dtype: torch.dtype) -> None:
    if missing := available()[backend]:
        pytest.skip(missing)
    if backend == "mamba-ssm" and (dtype == torch.float64 or DEVICE.type == "cpu"):
        pytest.skip("mamba-ssm has no float64, and needs a GPU")
    exact = differentiated(inputs(shape), "reference", torch.float64, torch.device("cpu"))
    found = differentiated(inputs(shape), backend, dtype, DEVICE)
    assert max(error(one, wanted) for one, wanted in zip(found, exact, strict=True)) < BOUNDS[dtype]


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 5e-3)])
def test_more_sequences_than_a_grid_has_blocks(dtype: torch.dtype, bound: float) -> None:
    count = 70_000 if DEVICE.type == "cuda" else 70
    draw = torch.Generator(DEVICE).manual_seed(0)
    rows = [
        torch.randn(count, 4, 17, 16, device=DEVICE, dtype=dtype, generator=draw).requires_grad_() for _ in range(3)
    ]
    some = torch.tensor([0, 1, count // 2, count - 2, count - 1])
    few = [row.detach()[some].double().requires_grad_() for row in rows]
    mixed, exact = attend(*rows), attend(*few, form="explicit")
    given = torch.autograd.grad(mixed.float().square().sum(), rows)
    wanted = torch.autograd.grad(exact.square().sum(), few)
    assert error(mixed[some], exact) < bound
    assert max(error(one[some], other) for one, other in zip(given, wanted, strict=True)) < bound


@pytest.mark.skipif(DEVICE.type == "cpu", reason="a CPU's memory is the system's")
def test_memory_that_runs_out_is_known_as_such_and_the_process_goes_on() -> None:
    block = 1 << 34
    with pytest.raises(RuntimeError) as refused:
        [torch.empty(block, dtype=torch.uint8, device=DEVICE) for _ in range(64)]
    assert is_out_of_memory(refused.value)
    refused = None  # type: ignore[assignment]  # it holds what was given
    torch.cuda.empty_cache()
    assert bool((torch.ones(4, device=DEVICE) == 1).all())
