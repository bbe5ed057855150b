"""The blocked recurrences of the chunked scan against plain loops."""

from __future__ import annotations

import pytest
import torch

from posemamba.scan import chunked
from tests.posemamba.scan.inputs import random_inputs


@pytest.mark.parametrize(("tokens", "stretches"), [(1, 1), (8, 1), (1, 5), (8, 4)])
def test_states_forward_and_adjoints_back(tokens: int, stretches: int) -> None:
    draw = torch.Generator().manual_seed(0)
    shape = (tokens, stretches, 2, 3, 4, 5)
    decay, inputs = torch.rand(shape, generator=draw).double(), torch.randn(shape, generator=draw).double()
    start = torch.randn(shape[2:], generator=draw).double()

    in_order = [(t, s) for s in range(stretches) for t in range(tokens)]
    state, expected = start, torch.empty_like(inputs)
    for at in in_order:
        expected[at] = state = decay[at] * state + inputs[at]
    torch.testing.assert_close(chunked._advance(decay, inputs.clone(), start), expected)

    carry = start
    for at in reversed(in_order):
        expected[at] = inputs[at] + carry
        carry = decay[at] * expected[at]
    adjoint, carried = chunked._retreat(decay, inputs.clone(), start)
    torch.testing.assert_close(adjoint, expected)
    torch.testing.assert_close(carried, carry)


@pytest.mark.parametrize("length", [1, 7, 8, 13, 64])
def test_layout_and_back(length: int) -> None:
    by_row = torch.randn(2, 6, length)
    by_state = torch.randn(2, 3, 5, length)
    for stretch in (8, 32):
        assert chunked._by_channel(chunked._by_token(by_row, stretch, 3), by_row.shape).equal(by_row)
        assert chunked._by_channel(chunked._by_token(by_state, stretch), by_state.shape).equal(by_state)


@pytest.mark.parametrize("length", [1, 64, 130, 200, 300])
@pytest.mark.parametrize("extents", [(64, 64), (128, 16), (192, 32), (320, 8)])
def test_long_segments_as_on_a_gpu(extents: tuple[int, int], length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [tensor.detach() for tensor in random_inputs(2, 3, 4, 5, length)]
    y, states = chunked.forward(*inputs, True, True)
    usual = (y, states, *chunked.backward(y, *inputs, True, states))
    monkeypatch.setattr(chunked, "extents", lambda *_: extents)
    y, states = chunked.forward(*inputs, True, True)
    for found, expected in zip((y, states, *chunked.backward(y, *inputs, True, states)), usual, strict=True):
        torch.testing.assert_close(found, expected)


def test_extents_leave_a_cpu_as_it_was_and_bound_a_gpus_memory() -> None:
    assert chunked.extents("cpu", 1 << 14, 4131) == (64, 8)
    for states_of_token in (1, 1 << 10, 1 << 14, 1 << 18, 1 << 24):
        for length in (1, 64, 459, 4131, 100_000):
            segment, stretch = chunked.extents("cuda", states_of_token, length)
            assert segment % 64 == 0
            assert 64 % stretch == 0
            assert segment == 64 or segment * states_of_token <= 1 << 25
            assert segment < length + 64
            best = min((8, 16, 32, 64), key=lambda one: 2 * one + segment // one)
            assert 2 * stretch + segment // stretch <= 1.3 * (2 * best + segment // best)
