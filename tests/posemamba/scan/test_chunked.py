"""The blocked recurrences of the chunked scan against plain loops."""

from __future__ import annotations

import pytest
import torch

from posemamba.scan import chunked


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
    assert chunked._by_channel(chunked._by_token(by_row, 3), by_row.shape).equal(by_row)
    assert chunked._by_channel(chunked._by_token(by_state), by_state.shape).equal(by_state)
