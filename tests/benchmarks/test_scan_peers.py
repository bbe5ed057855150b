"""Inputs, peers and references of the scan's benchmark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from benchmarks import scan_peers
from benchmarks.scan_peers import BOTH, FORWARD, Contender, Exact, Size
from posemamba import native

needs_native = pytest.mark.skipif(bool(native.missing()), reason=native.missing())


def test_work_is_that_of_the_scan() -> None:
    size = Size(batch=2, channels=3, frames=5)
    elements = 2 * 4 * 3 * 17 * 5 * 16
    tokens = elements // 16
    found = scan_peers.work(size)
    assert found[FORWARD]["state_elements"] == found[BOTH]["state_elements"] == elements
    assert found[FORWARD]["exponentials"] == elements + 2 * tokens
    assert found[FORWARD]["flops_exact"] == 7 * elements + (5 + 2) * tokens
    assert found[BOTH]["exponentials"] == 2 * (elements + 2 * tokens)


@needs_native
def test_both_passes_use_the_instructions_of_the_peer() -> None:
    used: list[str] = []

    class Noting(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            used.append(native.instruction_set())
            return 2 * x

        @staticmethod
        def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
            used.append(native.instruction_set())
            return 2 * dy

    x = torch.ones(3)
    exact = Exact(torch.ones(3), 2 * x, [torch.full((3,), 2.0)])
    call: Callable[..., Any] = Noting.apply
    one = Contender("c", lambda tensors: call(*tensors), [x], torch.ones(3), exact, instructions="portable")
    scan_peers.call(one, BOTH)()
    assert used == ["portable", "portable"]


def test_tokens_first_in_memory() -> None:
    u, shared = torch.randn(2, 6, 5), torch.randn(2, 3, 4, 5)
    for tensor in (u, shared):
        arranged = scan_peers.by_token(tensor)
        assert torch.equal(arranged, tensor)
        assert arranged.movedim(-1, 1).is_contiguous()
    assert scan_peers.by_token(torch.ones(6, 4)).is_contiguous()


def test_a_result_that_is_not_finite_is_invalid() -> None:
    exact = Exact(torch.ones(2), torch.ones(2), [])
    one = Contender("c", lambda tensors: tensors[0], [torch.ones(2)], torch.ones(2), exact)
    inspect = scan_peers.inspect(one, FORWARD, {})
    assert inspect([torch.tensor([1.0, float("nan")])]) == {"trouble": scan_peers.NOT_FINITE}
    assert inspect([torch.tensor([1.0, 1.5])]) == {"relative_error": 0.5}


def test_a_backward_of_a_minute_is_timed_once() -> None:
    exact = Exact(torch.ones(2), torch.ones(2), [])
    one = Contender("c", lambda tensors: tensors[0], [torch.ones(2)], torch.ones(2), exact, backward_once=True)
    size = Size(1, 2, 1)
    made, skipped = scan_peers.peers(size, [one], [2, 1])
    assert [(peer.setting["pass"], peer.threads) for peer in made] == [(FORWARD, 2), (FORWARD, 1), (BOTH, 2)]
    assert [one.what for one in skipped] == [f"c, {BOTH}, threads 1; {size}"]
