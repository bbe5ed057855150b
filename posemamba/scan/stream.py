"""The selective scan of a sequence that goes on: from the states that the tokens before left behind.

What :func:`posemamba.scan.selective_scan` gives for a whole sequence, :func:`continue_scan` gives piece by piece, at a
cost and with a memory that do not depend on how long the sequence has become.
"""

from __future__ import annotations

import torch
from torch import Tensor

from posemamba.scan import native, reference
from posemamba.scan.backend import resolve
from posemamba.scan.observation import is_abstract, is_transformed, is_watched


def continue_scan(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    *,
    native_kernel: bool = True,
) -> tuple[Tensor, Tensor]:
    """y (B, K*D, L) of the next L tokens, and the state after them.

    state          (B, K*D, N)  what the call before returned; zeros before the first token
    native_kernel  whether the native kernel may be taken (on CPUs, where no gradients are wanted)

    The other arguments are those of :func:`posemamba.scan.selective_scan`. Without the native kernel the recurrence is
    walked token by token, which is what a stream's few tokens need on any device; it has gradients, to the state too.

    Raises ValueError where the state is not one of this scan.
    """
    B, C = (x[:, None] if x.dim() == 3 else x for x in (B, C))  # (B, K, N, L)
    if state.shape != (u.shape[0], *A.shape):
        raise ValueError(
            f"the scan needs a state of shape {(u.shape[0], *A.shape)} to go on from, got {tuple(state.shape)}"
        )
    dtype = torch.promote_types(u.dtype, torch.float32)
    required = (u.to(dtype), delta.to(dtype), A.to(dtype), B.to(dtype), C.to(dtype))
    optional = (None if D is None else D.to(dtype), None if delta_bias is None else delta_bias.to(dtype))
    if native_kernel and _takes_native(state, *required, *optional):
        before = state.to(dtype).transpose(1, 2)
        y, kept = native.forward(*required, *optional, delta_softplus, True, before)
        after = kept[:, -1].transpose(1, 2)  # (B, K*D, N)
    else:
        y, after = reference.recurrence(state.to(dtype), *required, *optional, delta_softplus)
    return y.to(u.dtype), after


def _takes_native(state: Tensor, *inputs: Tensor | None) -> bool:
    """Not where gradients are wanted or someone looks on: the kernel is no operator of torch's."""
    wants_gradient = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (state, *inputs))
    return (
        not wants_gradient
        and type(state) is Tensor
        and not torch.compiler.is_compiling()
        and not is_abstract(state)
        and not is_watched()
        and not is_transformed()
        and resolve("auto", state) == "native"
    )
