"""How the parameters of a selective scan begin (Gu and Dao, 2023, section 3.6)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: The range of step sizes at the start of training.
STEP_MIN, STEP_MAX, STEP_FLOOR = 1e-3, 1e-1, 1e-4


@torch.no_grad()
def initialise(step_weight: Tensor, step_bias: Tensor, A_log: Tensor) -> None:
    """Fill in place what makes the steps and what the states decay by.

    step_weight  (..., R)  from R numbers to the steps: uniform within 1 / sqrt(R)
    step_bias    (...)     softplus of it is a step between 0.001 and 0.1, uniform in its logarithm
    A_log        (..., N)  the logarithms of 1 to N
    """
    rank = step_weight.shape[-1]
    step_weight.uniform_(-(rank**-0.5), rank**-0.5)
    step = torch.empty_like(step_bias).uniform_(math.log(STEP_MIN), math.log(STEP_MAX)).exp()
    step.clamp_(min=STEP_FLOOR)
    step_bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus
    states = torch.arange(1, A_log.shape[-1] + 1, dtype=A_log.dtype, device=A_log.device)
    A_log.copy_(states.log().expand_as(A_log))
