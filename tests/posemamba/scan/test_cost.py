"""The scan as torch's FlopCounterMode counts it, without being told how."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from posemamba.scan import mamba_ssm, selective_scan
from tests.posemamba.scan.inputs import FAST_BACKENDS, random_inputs

BATCH, GROUPS, CHANNELS, STATES, LENGTH = 2, 3, 5, 4, 70
TOKENS = BATCH * GROUPS * CHANNELS * LENGTH
ELEMENTS = TOKENS * STATES


@pytest.mark.parametrize("backend", FAST_BACKENDS)
@pytest.mark.parametrize("skip", [True, False])
def test_forward_and_backward_by_hand(backend: str, skip: bool) -> None:
    tensors = random_inputs(BATCH, GROUPS, CHANNELS, STATES, LENGTH, torch.float32)
    arguments = [*tensors[:5], tensors[5] if skip else None, tensors[6]]
    with FlopCounterMode(display=False) as counter:
        y = selective_scan(*arguments, delta_softplus=True, backend=backend)
        forward = counter.get_total_flops()
        y.sum().backward()
    assert forward == 2 * 3 * ELEMENTS + 2 * skip * TOKENS
    # The state again, and g, dC, dB, dw, carry, e, dA, ddt; for each token ddt and du, and with D du and dD.
    assert counter.get_total_flops() - forward == 2 * (2 + 8) * ELEMENTS + 2 * (2 + 2 * skip) * TOKENS


@pytest.mark.parametrize("backend", ["auto", "reference", "chunked", "mamba-ssm"])
def test_without_numbers_every_backend_is_the_one_operator(backend: str) -> None:
    """Also one that could not run here."""
    with FakeTensorMode() as fake, FlopCounterMode(display=False) as counter:
        tensors = [fake.from_tensor(x.detach()) for x in random_inputs(BATCH, GROUPS, CHANNELS, STATES, LENGTH)]
        y = selective_scan(*tensors, delta_softplus=True, backend=backend)
    assert y.shape == tensors[0].shape
    assert counter.get_total_flops() == 2 * 3 * ELEMENTS + 2 * TOKENS


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_reference_is_an_operator_to_who_watches(dtype: torch.dtype) -> None:
    u, *others = (x.detach() for x in random_inputs(BATCH, GROUPS, CHANNELS, STATES, LENGTH, torch.float32))
    alone = selective_scan(u.to(dtype), *others, delta_softplus=True, backend="reference")
    with FlopCounterMode(display=False) as counter:
        watched = selective_scan(u.to(dtype), *others, delta_softplus=True, backend="reference")
    assert torch.equal(alone, watched)
    assert watched.dtype == dtype
    assert counter.get_total_flops() == 2 * 3 * ELEMENTS + 2 * TOKENS


def test_watching_does_not_cost_the_reference_its_gradient() -> None:
    tensors = random_inputs(1, 1, 2, 3, 9)
    with FlopCounterMode(display=False):
        y = selective_scan(*tensors, delta_softplus=True, backend="reference")
    gradients = torch.autograd.grad(y.sum(), tensors)
    assert all(bool(gradient.abs().sum() > 0) for gradient in gradients)


def test_mamba_ssm_is_an_operator_to_who_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in for the kernel, as there is no GPU here."""
    tensors = [x.detach() for x in random_inputs(1, 1, 2, 3, 9, torch.bfloat16)]
    seen: list[torch.dtype] = []

    def kernel(u: torch.Tensor, *others: object) -> torch.Tensor:
        seen.append(u.dtype)
        return u.clone()

    monkeypatch.setattr("posemamba.scan.resolve", lambda backend, u: "mamba-ssm")
    monkeypatch.setattr(mamba_ssm, "selective_scan", kernel)
    monkeypatch.setitem(torch_forward_only(), "mamba-ssm", kernel)
    with FlopCounterMode(display=False) as counter:
        y = selective_scan(*tensors, delta_softplus=True, backend="mamba-ssm")
    assert torch.equal(y, tensors[0])
    assert seen == [torch.bfloat16]
    assert counter.get_total_flops() == 2 * 18 * (3 * 3 + 1)


def torch_forward_only() -> dict[str, object]:
    from posemamba.scan import operator

    return operator._FORWARD_ONLY  # type: ignore[return-value]
