"""Mamba as a token mixer: a selective state space model behind a short convolution and a gate.

Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", arXiv 2312.00752, section 3.4, Figure 3;
read in both directions as in Zhu et al., "Vision Mamba", arXiv 2401.09417, algorithm 1. The scan is PoseMamba's.

    x, z = split(W_in tokens)                      features and gate
    u    = SiLU(causal depthwise convolution of x)
    r, B, C = split(W_x u);  delta = W_r r         the selection: step sizes of rank R, input and output matrices
    y    = selective_scan(u, softplus(delta + bias), A, B, C, skip)
    out  = W_out (y * SiLU(z))

B batch, L tokens, C channels (``dim``), D inner channels, N states, R step rank, W width of the convolution.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from posemamba.scan import initialise, selective_scan


class SelectiveSSM(nn.Module):
    """Convolution, SiLU, selection and scan, not yet gated: (B, L, D) -> (B, L, D), each token from those up to it."""

    #: Which of posemamba.scan's backends computes the scan.
    scan_backend: ClassVar[str] = "auto"

    def __init__(self, inner_dim: int, *, step_rank: int, state_dim: int = 16, convolution_width: int = 4) -> None:
        super().__init__()
        self.state_dim = state_dim
        self.step_rank = step_rank
        self.convolution = nn.Conv1d(
            inner_dim, inner_dim, convolution_width, groups=inner_dim, padding=convolution_width - 1
        )
        self.selection = nn.Linear(inner_dim, self.step_rank + 2 * state_dim, bias=False)
        self.step = nn.Linear(self.step_rank, inner_dim)
        self.A_log = nn.Parameter(torch.empty(inner_dim, state_dim))
        self.skip = nn.Parameter(torch.ones(inner_dim))
        initialise(self.step.weight, self.step.bias, self.A_log)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)."""
        u = functional.silu(self._convolve(x))
        step, B, C = self._select(u)
        # Transposed and not copied: the native kernel reads arrays that lie token by token as they are.
        y = selective_scan(u.transpose(1, 2), step, self.rate(), B, C, self.skip, self.step.bias, delta_softplus=True)
        return y.transpose(1, 2)  # (B, L, D)

    def _convolve(self, x: Tensor) -> Tensor:
        """The causal convolution: (B, L, D) -> (B, L, D)."""
        kernel = self.convolution.weight.unsqueeze(2)  # (D, 1, 1, W)
        padded = functional.pad(x, (0, 0, kernel.shape[-1] - 1, 0))  # (B, W - 1 + L, D)
        # As an image of one row whose channels lie side by side: so the tokens need not be transposed, and CPUs have a
        # kernel several times as fast as the one for sequences.
        image = padded.transpose(1, 2).unsqueeze(2)  # (B, D, 1, W - 1 + L)
        convolved = functional.conv2d(image, kernel, self.convolution.bias, groups=len(kernel))  # (B, D, 1, L)
        return convolved.squeeze(2).transpose(1, 2).contiguous()  # (B, L, D)

    def _select(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What u (B, L, D) decides: delta (B, D, L), still without bias and softplus, B and C (B, N, L)."""
        rank, B, C = self.selection(u).split((self.step_rank, self.state_dim, self.state_dim), dim=-1)
        delta = functional.linear(rank, self.step.weight)  # (B, L, D); its bias goes into the scan
        return delta.transpose(1, 2), B.transpose(1, 2), C.transpose(1, 2)

    def rate(self) -> Tensor:
        """A (D, N): the rate of decay of every state, in float32 at least."""
        return -torch.exp(self.A_log.to(torch.promote_types(self.A_log.dtype, torch.float32)))


class Mamba(nn.Module):
    """Mamba's mixer: (B, L, C) -> (B, L, C), each token from those up to it."""

    def __init__(self, dim: int, *, state_dim: int = 16, expansion: float = 2.0, convolution_width: int = 4) -> None:
        super().__init__()
        inner_dim = int(expansion * dim)
        self.input_projection = nn.Linear(dim, 2 * inner_dim, bias=False)
        self.ssm = SelectiveSSM(
            inner_dim, state_dim=state_dim, convolution_width=convolution_width, step_rank=math.ceil(dim / 16)
        )
        self.output_projection = nn.Linear(inner_dim, dim, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, C) -> (B, L, C)."""
        features, gate = self.input_projection(tokens).chunk(2, dim=-1)  # (B, L, D) twice
        return self.output_projection(self.ssm(features) * functional.silu(gate))


class BidirectionalMamba(nn.Module):
    """Vision Mamba's mixer: two SSMs between one pair of projections; (B, L, C) -> (B, L, C).

    One reads the tokens from the first, the other from the last, so that each token sees all.
    """

    def __init__(self, dim: int, *, state_dim: int = 16, expansion: float = 2.0, convolution_width: int = 4) -> None:
        super().__init__()
        inner_dim, step_rank = int(expansion * dim), math.ceil(dim / 16)
        self.input_projection = nn.Linear(dim, 2 * inner_dim, bias=False)
        self.forward_ssm, self.backward_ssm = (
            SelectiveSSM(
                inner_dim, state_dim=state_dim, convolution_width=convolution_width, step_rank=step_rank
            )
            for _ in range(2)
        )  # fmt: skip
        self.output_projection = nn.Linear(inner_dim, dim, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, C) -> (B, L, C)."""
        features, gate = self.input_projection(tokens).chunk(2, dim=-1)  # (B, L, D) twice
        scanned = self.forward_ssm(features) + self.backward_ssm(features.flip(1)).flip(1)  # (B, L, D)
        return self.output_projection(scanned * functional.silu(gate))
