"""PoseFormer: Zheng, Zhu, Mendieta, Yang, Chen, Ding, "3D Human Pose Estimation with Spatial and Temporal
Transformers", ICCV 2021, arXiv 2103.10455; structure of zczcwh/PoseFormer, commit a908b29.

A spatial transformer looks at the joints of each frame by itself. Then the frame's joints, one after another, make one
token, and a temporal transformer looks at the frames. A learned weighted sum over the frames gives the pose of the
centre frame, the only one that the model answers for.
B is the batch, T frames, J joints, C channels of a joint (``dim``, the authors' embed_dim_ratio); a frame has J C.

The position embedding and the weighted sum have an entry a frame: a model serves the one T it was built for.
Drop path leaves out branches of the spatial transformer frame by frame, of the temporal one clip by clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.attention import ATTENTION_FORMS, AttentionForm, self_attention
from baselines.drop_path import growing
from baselines.metaformer import MetaFormerBlock
from baselines.official import complete_options, rename
from baselines.options import require_count, require_input, require_known, require_probability

#: What all norms add to the variance, but that before the head, which has torch's 1e-5.
NORM_EPS = 1e-6


@dataclass(frozen=True)
class PoseFormerConfig:
    """Everything that decides a PoseFormer's structure.

    frames: T, the one clip length the model takes; published with 9, 27 and 81.
    in_channels: 2 (x, y; the authors') or 3 (x, y, confidence).
    dim: channels of a joint; a frame has ``joints`` times as many.
    depth: blocks of the spatial transformer, and as many of the temporal one.
    attention_scale: factor of the attention logits; None means 1 / sqrt(channels of a head).
    drop_path: probability of leaving out a residual branch in the last block of each transformer; it grows linearly
        from 0 in the first.
    attention: "sdpa" (fused) or "explicit" (the published form); the same numbers up to rounding.

    Raises ValueError for a value out of range, for an unknown name, and for widths that do not divide.
    """

    answers_for: ClassVar[str] = "centre"
    published_root: ClassVar[str] = "predicted"

    frames: int = 81
    in_channels: int = 2
    joints: int = 17
    dim: int = 32
    depth: int = 4
    heads: int = 8
    mlp_ratio: float = 2.0
    qkv_bias: bool = True
    attention_scale: float | None = None
    drop_path: float = 0.1
    dropout: float = 0.0
    attention_dropout: float = 0.0
    attention: AttentionForm = "sdpa"

    def __post_init__(self) -> None:
        for name in ("frames", "joints", "dim", "depth", "heads"):
            require_count(name, getattr(self, name))
        for name in ("drop_path", "dropout", "attention_dropout"):
            require_probability(name, getattr(self, name))
        require_known("attention", self.attention, ATTENTION_FORMS)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, not {self.dim}")
        if not self.mlp_ratio * self.dim >= 1:
            raise ValueError(f"mlp_ratio must leave at least one channel, not {self.mlp_ratio!r} of {self.dim}")

    @property
    def frame_dim(self) -> int:
        """Channels of a frame."""
        return self.joints * self.dim


#: run_poseformer.py of the authors' repository; the one size, at any number of frames.
PRESETS: Mapping[str, PoseFormerConfig] = MappingProxyType({"published": PoseFormerConfig()})


class SpatialTransformer(nn.Module):
    """The first stage of a PoseFormer: from the joints of each frame, one token a frame."""

    def __init__(self, config: PoseFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.joint_embedding = nn.Linear(config.in_channels, config.dim)
        self.joint_position = nn.Parameter(torch.zeros(1, config.joints, config.dim))
        self.spatial_blocks = transformer(config, config.dim)
        self.spatial_norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def embed_frames(self, keypoints: Tensor) -> Tensor:
        """(B, T, J, in_channels) -> (B, T, J C)"""
        joints = self.joint_embedding(keypoints.flatten(0, 1)) + self.joint_position  # (B T, J, C)
        joints = self.dropout(joints)
        for block in self.spatial_blocks:
            joints = block(joints)
        return self.spatial_norm(joints).view(*keypoints.shape[:2], -1)  # (B, T, J C)


class PoseFormer(SpatialTransformer):
    """The lifter: (B, T, J, in_channels) -> (B, 1, J, 3), the pose of the centre frame."""

    def __init__(self, config: PoseFormerConfig) -> None:
        super().__init__(config)
        self.frame_position = nn.Parameter(torch.zeros(1, config.frames, config.frame_dim))
        self.temporal_blocks = transformer(config, config.frame_dim)
        self.temporal_norm = nn.LayerNorm(config.frame_dim, eps=NORM_EPS)
        self.frame_sum = weighted_sum(config.frames)
        self.head_norm = nn.LayerNorm(config.frame_dim)
        self.head = nn.Linear(config.frame_dim, config.joints * 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """The centre pose from keypoints; ValueError for other frames, joints or channels than it was built for."""
        config = self.config
        require_input(keypoints.shape, frames=config.frames, joints=config.joints, channels=config.in_channels)
        frames = self.dropout(self.embed_frames(keypoints) + self.frame_position)  # (B, T, J C)
        for block in self.temporal_blocks:
            frames = block(frames)
        centre = self.frame_sum(self.temporal_norm(frames))  # (B, 1, J C)
        return self.head(self.head_norm(centre)).view(-1, 1, config.joints, 3)  # (B, 1, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), OFFICIAL_WORDS)


def transformer(config: PoseFormerConfig, dim: int) -> nn.ModuleList:
    """``depth`` blocks of attention and MLP for tokens of ``dim`` channels."""
    return nn.ModuleList(
        MetaFormerBlock(
            dim,
            self_attention(config, dim),
            mlp_ratio=config.mlp_ratio,
            dropout=config.dropout,
            drop_path=drop_path,
            norm_eps=NORM_EPS,
        )
        for drop_path in growing(config.drop_path, config.depth)
    )


def weighted_sum(tokens: int) -> nn.Conv1d:
    """(B, tokens, C) -> (B, 1, C): one weight a token for all channels, and a bias. The weights need not sum to one."""
    return nn.Conv1d(tokens, 1, kernel_size=1)


def build(config: PoseFormerConfig) -> PoseFormer:
    """A PoseFormer with fresh weights."""
    return PoseFormer(config)


#: The authors' words for ours inside a block, where they differ; also PoseFormerV2's, MixSTE's and KTPFormer's, whose
#: code began as PoseFormer's.
BLOCK_WORDS: Mapping[str, str] = MappingProxyType({
    "mixer_norm": "norm1",
    "mixer":      "attn",
    "projection": "proj",
    "mlp_norm":   "norm2",
    "expand":     "fc1",
    "contract":   "fc2",
})  # fmt: skip
#: Their words for the rest (common/model_poseformer.py).
OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "joint_embedding": "Spatial_patch_to_embedding",
    "joint_position":  "Spatial_pos_embed",
    "spatial_blocks":  "Spatial_blocks",
    "spatial_norm":    "Spatial_norm",
    "frame_position":  "Temporal_pos_embed",
    "temporal_blocks": "blocks",
    "temporal_norm":   "Temporal_norm",
    "frame_sum":       "weighted_mean",
    "head_norm":       "head.0",
    "head":            "head.1",
    **BLOCK_WORDS,
})  # fmt: skip

#: What the authors' constructor takes where its caller says nothing; the same in the three other repositories.
OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({
    "num_frame": 9, "num_joints": 17, "in_chans": 2, "embed_dim_ratio": 32, "depth": 4, "num_heads": 8,
    "mlp_ratio": 2.0, "qkv_bias": True, "qk_scale": None, "drop_rate": 0.0, "attn_drop_rate": 0.0,
    "drop_path_rate": 0.2, "norm_layer": None,
})  # fmt: skip
#: Which of our options each of the authors' decides; None where they have a choice and the published models do not.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "num_frame": "frames", "num_joints": "joints", "in_chans": "in_channels", "embed_dim_ratio": "dim",
    "depth": "depth", "num_heads": "heads", "mlp_ratio": "mlp_ratio", "qkv_bias": "qkv_bias",
    "qk_scale": "attention_scale", "drop_rate": "dropout", "attn_drop_rate": "attention_dropout",
    "drop_path_rate": "drop_path", "norm_layer": None,
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> PoseFormerConfig:
    """The configuration for the options of the authors' constructor.

    Raises ValueError for an option they don't have, and for a norm other than theirs.
    """
    return PoseFormerConfig(**official_fields(complete_options(options, OFFICIAL_DEFAULTS), OFFICIAL_OPTIONS))


def official_fields(theirs: Mapping[str, Any], fields: Mapping[str, str | None]) -> dict[str, Any]:
    """Our fields from a complete set of the authors' options. Raises ValueError for a norm other than theirs."""
    if theirs["norm_layer"] is not None:
        raise ValueError(f"norm_layer must be None, not {theirs['norm_layer']!r}")
    ours = {field: theirs[name] for name, field in fields.items() if field}
    return {**ours, "attention_scale": ours["attention_scale"] or None}  # 0 means the default to them
