"""MixSTE: Zhang, Tu, Yang, Chen, Yuan, "MixSTE: Seq2seq Mixed Spatio-Temporal Encoder for 3D Human Pose Estimation in
Video", CVPR 2022, arXiv 2203.00859; structure of JinluZhang1126/MixSTE, commit 72a36be (class MixSTE2).

A linear layer makes a token of every keypoint; then attention along the joints of each frame and along the frames of
each joint take turns. B is the batch, T frames, J joints, C channels. ``dim`` is the paper's d_m, ``depth`` its d_l.

The input is (x, y), the output metres relative to the root. The joints' positions are added before the first spatial
block, the frames' before the first temporal one, and never again: a model serves the one T it was built for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from baselines import poseformer
from baselines.alternating_transformer import (
    TRANSFORMER_WORDS,
    AlternatingTransformer,
    AlternatingTransformerConfig,
)
from baselines.drop_path import growing
from baselines.official import complete_options, rename
from baselines.options import require_input


@dataclass(frozen=True)
class MixSTEConfig(AlternatingTransformerConfig):
    """Everything that decides a MixSTE's structure; the options are those of its transformer."""


#: The model of the paper's Tables 1 to 3, at 243, 81 and 27 frames (run.py with the defaults of common/arguments.py).
PRESETS: Mapping[str, MixSTEConfig] = MappingProxyType({"published": MixSTEConfig()})


class MixSTE(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3)."""

    def __init__(self, config: MixSTEConfig) -> None:
        super().__init__()
        self.config = config
        self.joint_embedding = nn.Linear(config.in_channels, config.dim)
        self.spatial_position = nn.Parameter(torch.zeros(1, config.joints, config.dim))
        self.temporal_position = nn.Parameter(torch.zeros(1, config.frames, config.dim))
        self.dropout = nn.Dropout(config.dropout)
        self.transformer = AlternatingTransformer(config, growing(config.drop_path, config.depth))

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other frames, joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=config.frames, joints=config.joints, channels=config.in_channels)
        x = self.dropout(self.joint_embedding(keypoints) + self.spatial_position)  # (B, T, J, C)
        return self.transformer(x, self.temporal_position)  # (B, T, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _OFFICIAL_WORDS)


def build(config: MixSTEConfig) -> MixSTE:
    """A MixSTE with fresh weights: PyTorch's own initialisation, positions at zero, as the authors'."""
    return MixSTE(config)


#: The authors' words for ours, where they differ (common/model_cross.py).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    **TRANSFORMER_WORDS,
    "joint_embedding":   "Spatial_patch_to_embedding",
    "spatial_position":  "Spatial_pos_embed",
    "temporal_position": "Temporal_pos_embed",
})  # fmt: skip

#: Which of our options each of the authors' decides.
OFFICIAL_OPTIONS = poseformer.OFFICIAL_OPTIONS


def official_config(options: Mapping[str, Any]) -> MixSTEConfig:
    """The configuration for the authors' constructor options (of MixSTE2).

    Raises ValueError for an option they don't have, and for a norm other than theirs.
    """
    theirs = complete_options(options, poseformer.OFFICIAL_DEFAULTS)
    return MixSTEConfig(**poseformer.official_fields(theirs, OFFICIAL_OPTIONS))
