"""The selective scan as it is published for machines without its kernel: a Python loop over the tokens.

Written from the formulas of Gu and Dao, "Mamba" (2023), section 3.2, in the order of operations of the authors'
reference function: what the recurrence multiplies and adds is made for all tokens at once,

    A'_l = exp(dt_l A),    u'_l = dt_l B_l u_l        (B, K*D, L, N) numbers each

and the loop over l = 1..L does h = A'_l h + u'_l and y_l = <h, C_l>. Tokens are taken from these tensors either by

unbind   once before the loop, the gradient of which is one stack, or by
slices   A'[:, :, l] inside it, as published: the gradient of each slice is a tensor of full size, so that the backward
         pass takes time quadratic in L.

Letters and shapes are those of :func:`posemamba.scan.selective_scan`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def by_unbind(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor) -> Tensor:
    """y (B, K*D, L), softplus on the step; as published but for ``unbind``."""
    decay, driven, C = _for_all_tokens(u, delta, A, B, C, delta_bias)
    state, outputs = u.new_zeros(*A.shape).expand(len(u), -1, -1), []
    for decay_l, driven_l, C_l in zip(decay.unbind(2), driven.unbind(2), C.unbind(3), strict=True):
        state = decay_l * state + driven_l  # (B, K*D, N)
        outputs.append(torch.einsum("bdn,bdn->bd", state, C_l))
    return torch.stack(outputs, dim=2) + u * D[:, None]  # (B, K*D, L)


def by_slices(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor) -> Tensor:
    """y (B, K*D, L), softplus on the step; as published."""
    decay, driven, C = _for_all_tokens(u, delta, A, B, C, delta_bias)
    state, outputs = u.new_zeros(*A.shape).expand(len(u), -1, -1), []
    for token in range(u.shape[2]):
        state = decay[:, :, token] * state + driven[:, :, token]  # (B, K*D, N)
        outputs.append(torch.einsum("bdn,bdn->bd", state, C[:, :, :, token]))
    return torch.stack(outputs, dim=2) + u * D[:, None]  # (B, K*D, L)


def _for_all_tokens(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, delta_bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """exp(dt A) and dt B u (B, K*D, L, N), and C of every channel (B, K*D, N, L)."""
    step = F.softplus(delta + delta_bias[:, None])  # (B, K*D, L)
    channels = u.shape[1] // B.shape[1]
    B, C = (shared.repeat_interleave(channels, dim=1) for shared in (B, C))  # (B, K*D, N, L)
    decay = torch.exp(torch.einsum("bdl,dn->bdln", step, A))
    return decay, torch.einsum("bdl,bdnl,bdl->bdln", step, B, u), C
