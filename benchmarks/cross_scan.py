"""PoseMamba's four scans of a plane and their sum, as one operator and in its plain form, on made-up selections.

What is timed begins where the selection is projected and ends before the norm: low-rank steps, limbs, the four orders,
the scans and the sum. The plain form makes the sequences; :mod:`posemamba.cross_scan` has the letters and shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from posemamba.cross_scan import cross_scan, walks
from posemamba.orders import LIMB_ORDERS, SCANS, to_plane, to_sequences
from posemamba.scan import selective_scan

DIRECTIONS = SCANS["global-local"]
LIMBS = torch.tensor(LIMB_ORDERS["authors"])
WALKS = walks(DIRECTIONS, LIMBS)
#: Inner channels for each step of the rank: a rank of a sixteenth of the width, which is half the inner channels.
_CHANNELS_A_RANK = 32


def made_up(batch: int, channels: int, frames: int, joints: int, states: int) -> list[Tensor]:
    """u, selection, step_weight, step_bias, A and skip with the steps and rates of a freshly initialised Mamba."""
    torch.manual_seed(0)
    scans, rank = len(DIRECTIONS), math.ceil(channels / _CHANNELS_A_RANK)
    u = torch.randn(batch, frames, joints, channels)
    selection = torch.randn(batch, frames, joints, scans * (rank + 2 * states))
    step_weight = (2 * torch.rand(scans, channels, rank) - 1) / math.sqrt(rank)
    rate = -torch.arange(1, states + 1).float().repeat(scans * channels, 1)
    return [u, selection, step_weight, torch.full((scans, channels), -4.0), rate, torch.ones(scans * channels)]


def fused(inputs: Sequence[Tensor]) -> Tensor:
    """y (B, T, J, D) by the operator."""
    y, _ = cross_scan(*inputs, LIMBS, WALKS, torch.is_grad_enabled())
    return y


def plain(inputs: Sequence[Tensor], backend: str) -> Tensor:
    """y (B, T, J, D) by sequences, their scan by ``backend``, and their sum on the plane."""
    u, selection, step_weight, step_bias, A, skip = inputs
    frames, joints, states = u.shape[1], u.shape[2], A.shape[1]
    sequences = to_sequences(_plane(u), DIRECTIONS, LIMBS)  # (B, K, D, L)
    of_scans = selection.chunk(len(DIRECTIONS), dim=-1)
    selected = torch.cat(
        [to_sequences(_plane(one), (way,), LIMBS) for one, way in zip(of_scans, DIRECTIONS, strict=True)], dim=1
    )  # (B, K, R + 2 N, L)
    low_rank_step, B, C = selected.split((step_weight.shape[2], states, states), dim=2)
    y = selective_scan(
        sequences.flatten(1, 2),
        (step_weight @ low_rank_step).flatten(1, 2),
        A, B, C, skip, step_bias.flatten(), delta_softplus=True, backend=backend,
    ).unflatten(1, (len(DIRECTIONS), -1))  # (B, K, D, L)  # fmt: skip
    return to_plane(y, DIRECTIONS, frames, joints).permute(0, 2, 3, 1)  # (B, T, J, D)


def _plane(tokens: Tensor) -> Tensor:
    return tokens.permute(0, 3, 1, 2)  # (B, D, T, J)
