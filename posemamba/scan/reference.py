"""The selective scan written as its recurrence: the definition that every other backend is tested against.

Follows Gu and Dao, "Mamba" (2023), section 3.2, with the zero-order hold of A and the Euler step of B that the
authors' kernel uses. Per batch entry, channel and state, over the tokens l = 1..L with h_0 = 0:

    dt_l = softplus(delta_l + delta_bias)        the step (softplus and bias where asked for)
    h_l  = exp(dt_l A) h_{l-1} + dt_l B_l u_l    the state
    y_l  = <C_l, h_l> + D u_l                    the output, summed over the N states

Tokens are taken apart by ``unbind`` once: slicing token by token would make the backward pass quadratic in L,
because the gradient of each slice is a tensor of full size. Differentiated by autograd, to any order.

Letters: B batch, K groups (scan directions) that share B and C, D channels of a group, N states, L tokens.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> Tensor:
    """The recurrence above; shapes as in :func:`posemamba.scan.selective_scan`, all of one dtype."""
    state = u.new_zeros(u.shape[0], *A.shape)  # (B, K*D, N)
    y, _ = recurrence(state, u, delta, A, B, C, D, delta_bias, delta_softplus)
    return y


def recurrence(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> tuple[Tensor, Tensor]:
    """y, and the state (B, K*D, N) after the last token, from the ``state`` before the first."""
    batch, groups, states, length = B.shape
    step = delta if delta_bias is None else delta + delta_bias[:, None]
    step = F.softplus(step) if delta_softplus else step
    decay_rate = A.view(groups, -1, states)  # (K, D, N)
    by_group = (batch, groups, -1, length)

    hidden = state.reshape(batch, *decay_rate.shape)  # (B, K, D, N)
    outputs = []
    tokens = zip(
        step.reshape(by_group).unbind(-1),
        (step * u).reshape(by_group).unbind(-1),
        B.unbind(-1),
        C.unbind(-1),
        strict=True,
    )
    with _as_given(u):
        for step_l, input_l, B_l, C_l in tokens:  # (B, K, D) twice, (B, K, N) twice
            decay = torch.exp(step_l[..., None] * decay_rate)  # (B, K, D, N)
            hidden = decay * hidden + input_l[..., None] * B_l[:, :, None, :]
            outputs.append((hidden @ C_l[..., None]).squeeze(-1))  # (B, K, D)

    y = torch.stack(outputs, dim=-1).reshape(u.shape)  # (B, K*D, L)
    return (y if D is None else y + D[:, None] * u), hidden.reshape(state.shape)


def _as_given(u: Tensor) -> AbstractContextManager[object]:
    """Autocast would compute the products of states in half precision, whatever they come in."""
    kind = u.device.type
    enabled = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if enabled else nullcontext()
