"""Stochastic depth (Huang et al. 2016): in training, whole residual branches are left out at random."""

from __future__ import annotations

from torch import Tensor, nn


def growing(last: float, depth: int) -> list[float]:
    """The probability for each of ``depth`` blocks, at even distances from 0 to ``last``; a single block has 0."""
    return [last * block / max(depth - 1, 1) for block in range(depth)]


class DropPath(nn.Module):
    """Zero for a clip with the given probability, else divided by the probability of keeping; (B, ...) -> (B, ...).

    Outside training it changes nothing.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)"""
        if not self.training or self.probability == 0:
            return branch
        keep = 1 - self.probability
        kept = branch.new_empty((branch.shape[0],) + (1,) * (branch.ndim - 1)).bernoulli_(keep)  # (B, 1, ...)
        return branch * (kept / keep)

    def extra_repr(self) -> str:
        return f"probability={self.probability}"


class SharedDropPath(DropPath):
    """Of what all clips share, (1, ...): drawn once for them. Whoever cuts a batch into pieces tells it by its name."""
