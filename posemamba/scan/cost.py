"""Operations of the scan for torch's FlopCounterMode: importing this file registers the formulas of both operators.

The convention is torch's for products: 2 for each multiply-accumulate, and nothing for exponentials, softplus, biases.
A state element is one (b, channel, n, l), a token one (b, channel, l). Each state element has 3 multiply-accumulates
forward: decay times state, the input's term, the product with C. Backward it has 10: 2 to compute the state again, and
one for each term of the recurrences in :mod:`posemamba.scan.chunked`, with w = dt u:

    g = C dy + carry;  dC += h dy;  dB += w g;  dw += B g;  carry = a g;  e = carry h;  dA += dt e;  ddt += A e

Each token has the skip D u forward; backward ddt += dw u and du = dw dt, and with D also du += D dy and dD += u dy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.utils.flop_counter import register_flop_formula

import posemamba.scan.operator  # noqa: F401  it defines what is registered here

MACS_PER_STATE_ELEMENT = 3
MACS_PER_STATE_ELEMENT_BACKWARD = 10

Shape = Sequence[int]


@register_flop_formula(torch.ops.posemamba.selective_scan)
def scan_flops(u: Shape, delta: Shape, A: Shape, B: Shape, C: Shape, D: Shape | None, *_: object, **__: object) -> int:
    """From the shapes of u (B, K*D, L), A (K*D, N) and D (K*D,) or None."""
    return 2 * math.prod(u) * (MACS_PER_STATE_ELEMENT * A[1] + (D is not None))


@register_flop_formula(torch.ops.posemamba.selective_scan_backward)
def scan_backward_flops(
    dy: Shape, u: Shape, delta: Shape, A: Shape, B: Shape, C: Shape, D: Shape | None, *_: object, **__: object
) -> int:
    """From the shapes of u (B, K*D, L), A (K*D, N) and D (K*D,) or None."""
    return 2 * math.prod(u) * (MACS_PER_STATE_ELEMENT_BACKWARD * A[1] + 2 + 2 * (D is not None))
