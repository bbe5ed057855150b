"""States kept by the forward pass so that the backward pass can start again in the middle of a sequence.

Backends that recompute their states share this format, so that the operator has one set of outputs: the state
after every ``TOKENS`` tokens and after the last one. With N = 16 states that is one byte for every four of ``u``.
"""

from __future__ import annotations

from posemamba.native import CHECKPOINT_TOKENS as TOKENS

__all__ = ["TOKENS", "shape"]


def shape(batch: int, channels: int, states: int, length: int) -> tuple[int, int, int, int]:
    """(B, ceil(L / TOKENS), N, K*D)."""
    return batch, -(-length // TOKENS), states, channels
