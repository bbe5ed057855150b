"""Pose Magic's layer (arXiv 2408.02922) as baselines.posemagic reads it: Mamba beside graph convolution, over the
joints of a frame beside the frames of a joint.

B is the batch, T frames, J joints, L tokens (J or T), N sequences of tokens, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.graph import ChainGraph, FixedGraph, NodewiseGraphConvolution, SimilarityGraph
from baselines.mamba import BidirectionalMamba, Mamba


class HybridMixer(nn.Module):
    """A Mamba and a graph convolution on the same tokens, blended by learned shares: (N, L, C) -> (N, L, C)."""

    def __init__(
        self, dim: int, mamba: Mamba | BidirectionalMamba, graph: FixedGraph | ChainGraph | SimilarityGraph
    ) -> None:
        super().__init__()
        self.mamba = mamba
        self.convolution = NodewiseGraphConvolution(dim, graph)
        self.fusion = nn.Linear(2 * dim, 2)
        nn.init.zeros_(self.fusion.weight)
        nn.init.constant_(self.fusion.bias, 0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L, C) -> (N, L, C)"""
        scanned, convolved = self.mamba(tokens), self.convolution(tokens)
        logits = self.fusion(torch.cat((scanned, convolved), dim=-1))  # (N, L, 2)
        # The softmax over two shares is the sigmoid of their difference, which is far cheaper on so short an axis.
        convolved_share = (logits[..., 1:] - logits[..., :1]).sigmoid()  # (N, L, 1)
        return torch.addcmul(scanned, convolved_share, convolved - scanned)


class HybridLayer(nn.Module):
    """x + joints mixed + frames mixed, both of the norm of x: (B, T, J, C) -> (B, T, J, C)."""

    def __init__(self, dim: int, *, spatial: HybridMixer, temporal: HybridMixer) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.spatial = spatial
        self.temporal = temporal

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, J, C) -> (B, T, J, C)"""
        normal = self.norm(x)
        joints = self.spatial(normal.flatten(0, 1)).view(x.shape)  # (B, T, J, C)
        # One copy: every operation along time is faster on contiguous frames.
        tracks = normal.transpose(1, 2).contiguous()  # (B, J, T, C)
        frames = self.temporal(tracks.flatten(0, 1)).view(tracks.shape).transpose(1, 2)  # (B, T, J, C)
        return x + joints + frames
