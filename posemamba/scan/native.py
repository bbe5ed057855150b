"""The scan in C++ for CPUs, float32 and float64; see :mod:`posemamba.native`. Letters as in :mod:`posemamba.scan`.

Where ``u`` lies token by token in memory, as the transpose of a contiguous (B, L, K*D), everything is read and written
so, which spares the kernel to transpose; else channel by channel.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from posemamba import native
from posemamba.scan import checkpoint

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    keep_states: bool,
    initial: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """y (B, K*D, L) and, where asked for, the states at the checkpoints. ``initial`` (B, N, K*D): those before."""
    batch, channels, length = u.shape
    token_major = is_token_major(u)
    y = empty(u.shape, u, token_major)
    kept = u.new_empty(checkpoint.shape(batch, channels, A.shape[1], length) if keep_states else (0,))
    inputs = _inputs([u, delta, A, B, C, D, delta_bias], token_major)
    before = None if initial is None else initial.contiguous()
    sizes = (batch, B.shape[1], channels, A.shape[1], length, delta_softplus, token_major)
    native.call("scan_forward", [*inputs, before, y, kept if keep_states else None], sizes)
    return y, kept


def backward(
    dy: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    states: Tensor,
) -> Gradients:
    """The gradients of u, delta, A, B, C, D and delta_bias."""
    batch, channels, length = u.shape
    token_major = is_token_major(u)
    slices = -(-channels // B.shape[1] // native.slice_channels())
    du, ddelta = (empty(u.shape, u, token_major) for _ in range(2))
    dA = u.new_empty(batch, *A.shape)
    dB, dC = (empty((slices, *B.shape), u, token_major) for _ in range(2))
    dD, ddelta_bias = (u.new_empty(batch, channels) for _ in range(2))
    inputs = _inputs([dy, u, delta, A, B, C, D, delta_bias], token_major)
    sizes = (batch, B.shape[1], channels, A.shape[1], length, delta_softplus, token_major)
    native.call("scan_backward", [*inputs, states, du, ddelta, dA, dB, dC, dD, ddelta_bias], sizes)
    return du, ddelta, _total(dA), _total(dB).contiguous(), _total(dC).contiguous(), _total(dD), _total(ddelta_bias)


def is_token_major(u: Tensor) -> bool:
    """Whether u (B, K*D, L) lies token by token in memory."""
    return not u.is_contiguous() and u.transpose(1, 2).is_contiguous()


def empty(shape: Sequence[int], like: Tensor, token_major: bool) -> Tensor:
    """Of ``shape`` (..., L), in memory so or with the tokens before the axes that are neither slices nor batch."""
    if not token_major:
        return like.new_empty(shape)
    *before, length = shape
    leading = len(before) - (1 if len(before) == 2 else 2)
    return like.new_empty(*before[:leading], length, *before[leading:]).movedim(leading, -1)


def _inputs(tensors: Sequence[Tensor | None], token_major: bool) -> list[Tensor | None]:
    """Contiguous in the kernel's order; of these tensors those with tokens have three or four axes, batch first."""
    return [_contiguous(tensor, token_major and tensor is not None and tensor.ndim > 2) for tensor in tensors]


def _contiguous(tensor: Tensor | None, token_major: bool) -> Tensor | None:
    if tensor is None:
        return None
    return tensor.movedim(-1, 1).contiguous() if token_major else tensor.contiguous()


def _total(partial: Tensor) -> Tensor:
    return partial[0] if len(partial) == 1 else partial.sum(0)
