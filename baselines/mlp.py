"""The two-layer perceptron of a transformer block, applied to each token by itself."""

from __future__ import annotations

from torch import Tensor, nn


class MLP(nn.Module):
    """Widen, GELU (the exact one, by the error function), narrow; dropout after both: (..., C) -> (..., C)."""

    def __init__(self, dim: int, hidden_dim: int, dropout: float = 0.0, *, bias: bool = True) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, hidden_dim, bias=bias)
        self.activation = nn.GELU()
        self.contract = nn.Linear(hidden_dim, dim, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., C) -> (..., C)"""
        hidden = self.dropout(self.activation(self.expand(tokens)))  # (..., hidden_dim)
        return self.dropout(self.contract(hidden))  # (..., C)
