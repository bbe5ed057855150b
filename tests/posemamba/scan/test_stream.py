"""A scan that goes on from a state against the scan of the whole sequence."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from posemamba import native
from posemamba.scan import continue_scan, selective_scan
from tests.posemamba.scan.inputs import random_inputs, relative_error

BY_TOKEN = ("u", "delta", "B", "C")


def pieces(tensors: list[Tensor], lengths: list[int], token_major: bool, native_kernel: bool) -> tuple[Tensor, Tensor]:
    """y and the last state, from pieces of these lengths."""
    u, delta, A, B, C, D, bias = tensors
    state, outputs, start = u.new_zeros(u.shape[0], *A.shape), [], 0
    for length in lengths:
        tokens = slice(start, start + length)
        piece = u[..., tokens]
        if token_major:
            piece = piece.transpose(1, 2).contiguous().transpose(1, 2)
        given = (piece, delta[..., tokens], A, B[..., tokens], C[..., tokens], D, bias)
        y, state = continue_scan(state, *given, delta_softplus=True, native_kernel=native_kernel)
        outputs.append(y)
        start += length
    return torch.cat(outputs, dim=-1), state


@pytest.mark.parametrize("native_kernel", [False, True])
@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    groups=st.integers(1, 3),
    channels=st.integers(1, 70),
    states=st.integers(1, 18),
    token_major=st.booleans(),
)
def test_pieces_are_the_whole(
    native_kernel: bool, lengths: list[int], groups: int, channels: int, states: int, token_major: bool
) -> None:
    if native_kernel and native.missing():
        pytest.skip(native.missing())
    tensors = [tensor.detach() for tensor in random_inputs(2, groups, channels, states, sum(lengths))]
    y, _ = pieces(tensors, lengths, token_major, native_kernel)
    expected = selective_scan(*tensors, delta_softplus=True, backend="reference")
    assert relative_error(y, expected) < 1e-12


def test_without_groups() -> None:
    u, delta, A, B, C, D, bias = (tensor.detach() for tensor in random_inputs(1, 1, 4, 3, 5))
    zeros = u.new_zeros(1, *A.shape)
    y, _ = continue_scan(zeros, u, delta, A, B[:, 0], C[:, 0], D, bias)
    assert torch.equal(y, continue_scan(zeros, u, delta, A, B, C, D, bias)[0])


def test_gradients_go_through_the_states() -> None:
    tensors = random_inputs(1, 1, 4, 3, 6)
    u = tensors[0]
    y, _ = pieces(tensors, [2, 4], False, True)
    (gradient,) = torch.autograd.grad(y[..., -1].sum(), u)
    expected = torch.autograd.grad(selective_scan(*tensors, delta_softplus=True)[..., -1].sum(), u)[0]
    assert relative_error(gradient, expected) < 1e-12
    assert gradient[..., 0].abs().min() > 0


def test_a_state_of_another_scan_is_refused() -> None:
    u, delta, A, *rest = random_inputs(1, 1, 4, 3, 6)
    with pytest.raises(ValueError, match=r"state of shape \(1, 4, 3\)"):
        continue_scan(u.new_zeros(1, 4, 2), u, delta, A, *rest)


def test_transformed_functions_walk_the_recurrence() -> None:
    tensors = [tensor.detach() for tensor in random_inputs(2, 1, 4, 3, 5)]
    u, *rest = tensors
    zeros = u.new_zeros(1, 4, 3)

    def scan(one: Tensor, delta: Tensor, B: Tensor, C: Tensor) -> Tensor:
        return continue_scan(zeros, one[None], delta[None], rest[1], B[None], C[None], rest[4], rest[5])[0][0]

    mapped = torch.vmap(scan)(u, rest[0], rest[2], rest[3])
    expected = torch.stack([scan(u[i], rest[0][i], rest[2][i], rest[3][i]) for i in range(2)])
    assert relative_error(mapped, expected) < 1e-12
