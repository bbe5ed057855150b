"""Our adaptation of PointABM (arXiv 2406.06069), a classifier of point clouds, as a lifter; the grounds in ``READING``.

Tokens are the joints of all frames, frame by frame. The transformer layer, which PointABM has for local features, looks
at the joints of one frame; the bidirectional SSM blocks read all T J tokens in both directions, so that the cost grows
linearly with T. Layers and blocks are the classifier's, see :mod:`baselines.pointabm`.

B is the batch, T frames, J joints, C channels (``dim``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.attention import ATTENTION_FORMS, AttentionForm
from baselines.options import require_count, require_input, require_known, require_probability
from baselines.pointabm import BidirectionalBlock, TransformerLayer, require_widths

#: How a classifier of point clouds became a lifter: the choice, and its ground.
READING: Mapping[str, str] = MappingProxyType({
    "tokens": "a joint in a frame is a token, its keypoint a linear embedding: joints stand where patches did",
    "token order": "frame by frame, the joints in Human3.6M's order: time has the one order that tokens need, and "
    "no sorting by coordinates as in the classifier",
    "attention": "among the joints of a frame only: the paper has the transformer for local features, and its cost "
    "stays linear in T; fused or explicit is a matter of speed alone",
    "position": "a learned embedding of the joint, none of the frame: the scans know the order, and any T is taken",
    "head": "layer norm and a linear layer for each token: a pose has a position for each joint, not one class",
    "attention_depth": "1, as the paper states for the classifier",
    "heads": "8 in 'base', as the paper states for the classifier",
    "depth": "12 in 'base', as the paper states for the classifier",
    "dim": "192 in 'base', half of the paper's, for 3.7 M parameters: between PoseMamba-S and PoseMamba-B",
    "feedforward_dim": "16/3 of the width, as in our reading of the classifier (2048 of 384)",
    "shared_selection": "as in our reading of the classifier: Table V of the conference version leaves no parameters "
    "for a second selection",
    "state_dim": "16: Mamba's default, as in our reading of the classifier",
    "expansion": "2: Mamba's default, as in our reading of the classifier",
    "convolution_width": "4: Mamba's default, as in our reading of the classifier",
    "dropout": "none: lifters of this size are trained without",
    "drop_path": "none: ours",
    "pre-training": "none: the masked autoencoder of the paper is not built",
})  # fmt: skip


@dataclass(frozen=True)
class PointABMLiftConfig:
    """Everything that decides the lifter's structure.

    frames: T that it is meant for; one set of weights takes any.
    in_channels: 2 (x, y) or 3 (x, y, confidence).
    attention_depth: transformer layers before the ``depth`` bidirectional blocks.
    feedforward_dim: hidden width of the transformer layers.
    expansion: inner channels of the SSM for each of ``dim``.
    shared_selection: whether both directions of a block decide step sizes, B and C by the same weights.
    dropout: in the transformer layers.
    drop_path: probability of leaving out a bidirectional block in training, the same in all.
    attention: "sdpa" (fused) or "explicit"; the same numbers up to rounding.

    Raises ValueError for a value out of range, an unknown name, and widths that do not divide.
    """

    other_frames: ClassVar[str] = "any"

    frames: int = 243
    in_channels: int = 3
    joints: int = 17
    dim: int = 192
    attention_depth: int = 1
    heads: int = 8
    feedforward_dim: int = 1024
    depth: int = 12
    state_dim: int = 16
    expansion: float = 2.0
    convolution_width: int = 4
    shared_selection: bool = True
    dropout: float = 0.0
    drop_path: float = 0.0
    attention: AttentionForm = "sdpa"

    def __post_init__(self) -> None:
        for name in (
            "frames", "joints", "dim", "attention_depth", "heads", "feedforward_dim", "depth", "state_dim",
            "convolution_width",
        ):  # fmt: skip
            require_count(name, getattr(self, name))
        for name in ("dropout", "drop_path"):
            require_probability(name, getattr(self, name))
        require_known("attention", self.attention, ATTENTION_FORMS)
        require_widths(self.dim, self.heads, self.expansion)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")


#: Both are ours; xs is for demonstrations and short budgets.
PRESETS: Mapping[str, PointABMLiftConfig] = MappingProxyType({
    "xs":   PointABMLiftConfig(frames=27, dim=64, heads=4, feedforward_dim=192, depth=3),
    "base": PointABMLiftConfig(),
})  # fmt: skip


class PointABMLift(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3)."""

    def __init__(self, config: PointABMLiftConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.joint_embedding = nn.Linear(config.in_channels, dim)
        self.joint_position = nn.Parameter(torch.empty(config.joints, dim))
        nn.init.trunc_normal_(self.joint_position, std=0.02)
        self.transformer = nn.ModuleList(
            TransformerLayer(dim, config.heads, config.feedforward_dim, dropout=config.dropout, form=config.attention)
            for _ in range(config.attention_depth)
        )  # fmt: skip
        self.blocks = nn.ModuleList(
            BidirectionalBlock(
                dim, state_dim=config.state_dim, expansion=config.expansion, drop_path=config.drop_path,
                convolution_width=config.convolution_width, shared_selection=config.shared_selection,
            )
            for _ in range(config.depth)
        )  # fmt: skip
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=None, joints=config.joints, channels=config.in_channels)
        x = self.joint_embedding(keypoints) + self.joint_position  # (B, T, J, C)
        for layer in self.transformer:
            x = layer(x)  # frame by frame
        tokens = x.flatten(1, 2)  # (B, T J, C)
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)).view(*keypoints.shape[:3], 3)  # (B, T, J, 3)


def build(config: PointABMLiftConfig) -> PointABMLift:
    """A PointABM lifter with fresh weights."""
    return PointABMLift(config)
