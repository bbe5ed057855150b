"""The block that most lifters stack: a token mixer, then an MLP, each behind a norm and beside a shortcut.

Named after Yu et al., "MetaFormer Is Actually What You Need for Vision", 2022: what mixes the tokens (attention, a
graph, a convolution) is interchangeable. The gains of the branches are CaiT's LayerScale (Touvron et al. 2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.drop_path import DropPath
from baselines.mlp import MLP


class MetaFormerBlock(nn.Module):
    """x + gain · mixer(norm(x)), then x + gain · MLP(norm(x)); (B, ..., C) -> (B, ..., C).

    layer_scale: where the gains of the C channels begin, or None for no gains.
    drop_path: probability of leaving out a branch in training.
    norm_eps: what both norms add to the variance.
    mlp_bias: whether the MLP's two layers add a bias.
    """

    def __init__(
        self,
        dim: int,
        mixer: nn.Module,
        *,
        mlp_ratio: float,
        layer_scale: float | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-5,
        mlp_bias: bool = True,
    ) -> None:
        super().__init__()
        self.mixer_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.mixer = mixer
        self.mlp_norm = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = MLP(dim, int(dim * mlp_ratio), dropout, bias=mlp_bias)
        self.drop_path = DropPath(drop_path)
        self.mixer_scale = _gain(dim, layer_scale)
        self.mlp_scale = _gain(dim, layer_scale)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, ..., C) -> (B, ..., C)"""
        tokens = self._add(tokens, self.mixer(self.mixer_norm(tokens)), self.mixer_scale)
        return self._add(tokens, self.mlp(self.mlp_norm(tokens)), self.mlp_scale)

    def _add(self, tokens: Tensor, branch: Tensor, scale: Tensor | None) -> Tensor:
        branch = self.drop_path(branch)
        return tokens + branch if scale is None else torch.addcmul(tokens, branch, scale)


def _gain(dim: int, start: float | None) -> nn.Parameter | None:
    return None if start is None else nn.Parameter(torch.full((dim,), start))
