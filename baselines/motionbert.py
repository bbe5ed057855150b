"""MotionBERT's DSTformer: Zhu, Ma, Liu, Liu, Wu, Wang, "MotionBERT: A Unified Perspective on Learning Human Motion
Representations", ICCV 2023, arXiv 2210.06551; structure of Walter0807/MotionBERT, commit dccfe7b.

Every layer (the paper's section 3.2) sends the clip through two streams of attention, one over the joints of a frame
first and over the frames of a joint after that, the other the other way round, and blends them by learned shares.
B is the batch, T frames, J joints, C channels. ``dim`` is the paper's C_f, ``representation_dim`` its C_e, ``depth`` N.

The input is (x, y, confidence) in image coordinates and so is the output in x and y, with a depth of the same unit;
root-relative where it was trained for that. The frames have learned embeddings by their place in the clip, so one set
of weights takes any clip of up to ``frames`` frames. This is the lifter alone: MotionBERT's pretraining on 2D motion
changes its weights, and its heads for actions and meshes come after ``representation``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.attention import ATTENTION_FORMS, AttentionForm, self_attention
from baselines.drop_path import growing
from baselines.metaformer import MetaFormerBlock
from baselines.official import complete_options
from baselines.options import require_count, require_input, require_known, require_probability

#: Standard deviation of the embeddings and of all weights but the fusion's in a fresh network, as the authors have it.
INITIAL_STD = 0.02


@dataclass(frozen=True)
class DSTformerConfig:
    """Everything that decides a DSTformer's structure.

    frames: T, the longest clip the model takes, and the number of its frame embeddings (the authors' maxlen).
    in_channels: 3 (x, y, confidence; the authors') or 2 (x, y).
    attention_scale: factor of the attention logits; None means 1 / sqrt(channels of a head).
    adaptive_fusion: blend the streams by learned shares, else by their mean.
    drop_path: probability of leaving out a residual branch in training, of the last layer; it rises evenly from 0 in
        the first. A branch is left out for a clip (in the authors' code for a frame of it); 0 as published.
    dropout: of the embedded joints, after the attention and inside the MLP.
    attention: "sdpa" (fused) or "explicit" (the published form); the same numbers up to rounding.

    Raises ValueError for a value out of range, for an unknown name, and for widths that do not divide.
    """

    other_frames: ClassVar[str] = "fewer"
    target_space: ClassVar[str] = "image"

    frames: int = 243
    in_channels: int = 3
    joints: int = 17
    dim: int = 512
    depth: int = 5
    representation_dim: int = 512
    mlp_ratio: float = 2.0
    heads: int = 8
    qkv_bias: bool = True
    attention_scale: float | None = None
    adaptive_fusion: bool = True
    norm_eps: float = 1e-6
    drop_path: float = 0.0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    attention: AttentionForm = "sdpa"

    def __post_init__(self) -> None:
        for name in ("frames", "joints", "dim", "depth", "representation_dim", "heads"):
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
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps must be above 0, not {self.norm_eps!r}")


#: configs/pose3d/MB_train_h36m.yaml and MB_ft_h36m_global_lite.yaml of the authors' repository.
PRESETS: Mapping[str, DSTformerConfig] = MappingProxyType({
    "full": DSTformerConfig(dim=512, mlp_ratio=2),
    "lite": DSTformerConfig(dim=256, mlp_ratio=4),
})  # fmt: skip


class DSTformer(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3), for any T of at most ``config.frames``."""

    def __init__(self, config: DSTformerConfig) -> None:
        super().__init__()
        self.config = config
        self.joint_embedding = nn.Linear(config.in_channels, config.dim)
        self.joint_position = nn.Parameter(torch.empty(1, config.joints, config.dim))
        self.frame_position = nn.Parameter(torch.empty(1, config.frames, 1, config.dim))
        self.dropout = nn.Dropout(config.dropout)
        drop_paths = growing(config.drop_path, config.depth)
        self.layers = nn.ModuleList(DualStreamLayer(config, drop_path) for drop_path in drop_paths)
        self.norm = nn.LayerNorm(config.dim, eps=config.norm_eps)
        self.representation = nn.Linear(config.dim, config.representation_dim)
        self.head = nn.Linear(config.representation_dim, 3)
        for embedding in (self.joint_position, self.frame_position):
            nn.init.trunc_normal_(embedding, std=INITIAL_STD)
        for linear in (self.joint_embedding, self.representation, self.head):
            _initialise(linear)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for more frames, or other joints or channels than it was built for."""
        config = self.config
        require_input(keypoints.shape, frames=None, joints=config.joints, channels=config.in_channels)
        frames = keypoints.shape[1]
        if not 1 <= frames <= config.frames:
            raise ValueError(
                f"the input has {frames} frames, but this lifter has embeddings for 1 to {config.frames}; build it "
                f"with frames={frames}, or cut the sequence into clips of at most {config.frames}"
            )
        x = self.joint_embedding(keypoints) + self.joint_position + self.frame_position[:, :frames]  # (B, T, J, C)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x)
        representation = self.representation(self.norm(x)).tanh()  # (B, T, J, representation_dim)
        return self.head(representation)  # (B, T, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        ours = {_official_name(name): name for name in self.state_dict()}
        return {ours.get(name, name): value for name, value in state.items()}


class DualStreamLayer(nn.Module):
    """One layer: the two streams and their fusion; (B, T, J, C) -> (B, T, J, C)."""

    def __init__(self, config: DSTformerConfig, drop_path: float) -> None:
        super().__init__()
        self.config = config
        self.space_first = SpaceTimeStream(config, drop_path)
        self.time_first = SpaceTimeStream(config, drop_path)
        if config.adaptive_fusion:
            self.fusion = nn.Linear(2 * config.dim, 2)
            nn.init.zeros_(self.fusion.weight)
            nn.init.constant_(self.fusion.bias, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, J, C) -> (B, T, J, C)"""
        space_first = self.space_first.along_time(self.space_first.along_space(x))
        time_first = self.time_first.along_space(self.time_first.along_time(x))
        if not self.config.adaptive_fusion:
            return (space_first + time_first) * 0.5
        logits = self.fusion(torch.cat((space_first, time_first), dim=-1))  # (B, T, J, 2)
        # The softmax over two shares is the sigmoid of their difference, which is far cheaper on so short an axis.
        time_share = (logits[..., 1:] - logits[..., :1]).sigmoid()  # (B, T, J, 1)
        return torch.addcmul(space_first, time_share, time_first - space_first)


class SpaceTimeStream(nn.Module):
    """The blocks of one stream; its layer says in which order they are applied."""

    def __init__(self, config: DSTformerConfig, drop_path: float) -> None:
        super().__init__()
        self.spatial = _block(config, drop_path)
        self.temporal = _block(config, drop_path)
        self.apply(_initialise)

    def along_space(self, x: Tensor) -> Tensor:
        """Attention among the joints of each frame: (B, T, J, C) -> (B, T, J, C)"""
        return self.spatial(x)

    def along_time(self, x: Tensor) -> Tensor:
        """Attention among the frames of each joint: (B, T, J, C) -> (B, T, J, C)"""
        # One copy each way: every operation of the block is faster on contiguous frames.
        frames = x.transpose(1, 2).contiguous()  # (B, J, T, C)
        return self.temporal(frames).transpose(1, 2).contiguous()  # (B, T, J, C)


def _block(config: DSTformerConfig, drop_path: float) -> MetaFormerBlock:
    return MetaFormerBlock(
        config.dim,
        self_attention(config, config.dim),
        mlp_ratio=config.mlp_ratio,
        dropout=config.dropout,
        drop_path=drop_path,
        norm_eps=config.norm_eps,
    )


def _initialise(module: nn.Module) -> None:
    """A linear layer's fresh weights; other modules keep torch's."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def build(config: DSTformerConfig) -> DSTformer:
    """A DSTformer with fresh weights."""
    return DSTformer(config)


#: The authors' words for ours, where they differ (lib/model/DSTformer.py).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "joint_embedding": "joints_embed",
    "joint_position":  "pos_embed",
    "frame_position":  "temp_embed",
    "representation":  "pre_logits.fc",
    "space_first":     "blocks_st",
    "time_first":      "blocks_ts",
    "fusion":          "ts_attn",
    "mixer_norm":      "norm1",
    "mixer":           "attn",
    "mlp_norm":        "norm2",
    "expand":          "fc1",
    "contract":        "fc2",
    "projection":      "proj",
})  # fmt: skip


def _official_name(name: str) -> str:
    """The authors' name of one of our parameters, such as

    ``blocks_st.0.attn_t.proj.bias`` for ``layers.0.space_first.temporal.mixer.projection.bias``: they list the layers
    stream by stream, and what is done along space or time has the letter s or t behind it.
    """
    name = ".".join(_OFFICIAL_WORDS.get(word, word) for word in name.split("."))
    name = re.sub(r"^layers\.(\d+)\.(\w+)", r"\2.\1", name)
    return re.sub(r"\b(spatial|temporal)\.(\w+)", lambda found: f"{found[2]}_{found[1][0]}", name)


#: What the authors' constructor takes where their configuration says nothing. ``norm_eps`` stands for ``norm_layer``,
#: which is always a LayerNorm; the value is what lib/utils/learning.py gives it.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({
    "dim_in": 3, "dim_out": 3, "dim_feat": 256, "dim_rep": 512, "depth": 5, "num_heads": 8, "mlp_ratio": 4,
    "num_joints": 17, "maxlen": 243, "qkv_bias": True, "qk_scale": None, "drop_rate": 0.0, "attn_drop_rate": 0.0,
    "drop_path_rate": 0.0, "norm_eps": 1e-6, "att_fuse": True,
})  # fmt: skip
#: Which of our options each of the authors' decides; None where they have a choice and the published models do not.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "maxlen": "frames", "dim_in": "in_channels", "num_joints": "joints", "dim_feat": "dim", "depth": "depth",
    "dim_rep": "representation_dim", "mlp_ratio": "mlp_ratio", "num_heads": "heads", "qkv_bias": "qkv_bias",
    "qk_scale": "attention_scale", "att_fuse": "adaptive_fusion", "norm_eps": "norm_eps",
    "drop_path_rate": "drop_path", "drop_rate": "dropout", "attn_drop_rate": "attention_dropout", "dim_out": None,
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> DSTformerConfig:
    """The configuration for the authors' constructor options (the part "Model" of their configs/pose3d/*.yaml).

    Raises ValueError for an option they don't have, and for an output of other than 3 channels.
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS)
    if theirs["dim_out"] != 3:
        raise ValueError(f"dim_out must be 3, not {theirs['dim_out']!r}")
    return DSTformerConfig(
        frames=theirs["maxlen"],
        in_channels=theirs["dim_in"],
        joints=theirs["num_joints"],
        dim=theirs["dim_feat"],
        depth=theirs["depth"],
        representation_dim=theirs["dim_rep"],
        mlp_ratio=theirs["mlp_ratio"],
        heads=theirs["num_heads"],
        qkv_bias=theirs["qkv_bias"],
        attention_scale=theirs["qk_scale"],
        adaptive_fusion=theirs["att_fuse"],
        norm_eps=theirs["norm_eps"],
        drop_path=theirs["drop_path_rate"],
        dropout=theirs["drop_rate"],
        attention_dropout=theirs["attn_drop_rate"],
    )
