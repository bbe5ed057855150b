"""The operators as torch sees them: schema, fake tensors, compiled graphs, traces, counters."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from posemamba.scan import selective_scan
from tests.posemamba.scan.inputs import FAST_BACKENDS, random_inputs


@pytest.mark.parametrize("backend", FAST_BACKENDS)
@pytest.mark.parametrize(("optional", "by_token"), [(True, False), (False, False), (True, True)])
def test_registrations_are_sound(backend: str, optional: bool, by_token: bool) -> None:
    tensors = random_inputs(2, 2, 3, 2, 70)
    if by_token:  # then the native scan writes so, too, and the graph must know
        tensors[0] = tensors[0].detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    arguments = (*tensors, True) if optional else (*tensors[:5], None, None, False)
    operator = torch.ops.posemamba.selective_scan.default
    torch.library.opcheck(operator, (*arguments, backend, True))
    torch.library.opcheck(operator, (*(x.detach() if torch.is_tensor(x) else x for x in arguments), backend, False))


def test_meta_tensors_give_shapes() -> None:
    tensors = [tensor.detach().to("meta") for tensor in random_inputs(2, 2, 3, 4, 70)]
    assert selective_scan(*tensors, delta_softplus=True).shape == (2, 6, 70)


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler for torch.compile")
def test_compiles_to_one_graph_forward_and_backward() -> None:
    tensors = random_inputs(1, 2, 4, 3, 40, torch.float32)

    def loss(*tensors: torch.Tensor) -> torch.Tensor:
        return selective_scan(*tensors, delta_softplus=True).square().mean()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")(*tensors)
    torch.testing.assert_close(compiled, loss(*tensors))
    for got, want in zip(
        torch.autograd.grad(compiled, tensors), torch.autograd.grad(loss(*tensors), tensors), strict=True
    ):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("backend", FAST_BACKENDS)
def test_counters_see_the_operator(backend: str) -> None:
    tensors = random_inputs(1, 2, 4, 3, 40, torch.float32)

    def formula(u: tuple[int, ...], delta: object, A: tuple[int, ...], *_: object, **__: object) -> int:
        return u[0] * u[1] * u[2] * A[1]

    operator = torch.ops.posemamba.selective_scan
    with FlopCounterMode(display=False, custom_mapping={operator: formula}) as counter:
        selective_scan(*tensors, backend=backend)
    assert counter.get_total_flops() == 8 * 40 * 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("backend", ["reference", *FAST_BACKENDS])
def test_traces_hold_it_as_one_node(backend: str) -> None:
    tensors = [tensor.detach() for tensor in random_inputs(1, 2, 4, 3, 6, torch.float32)]
    graph = torch.jit.trace(lambda u: selective_scan(u, *tensors[1:], backend=backend), tensors[0]).graph
    assert str(graph).count("posemamba::selective_scan") == 1
