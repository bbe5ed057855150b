"""STCFormer: Tang, Qiu, Hao, Hong, Yao, "3D Human Pose Estimation with Spatio-Temporal Criss-Cross Attention", CVPR
2023; structure of zhenhuat/STCFormer, commit 74f6601.

Every block (the paper's sections 3.3 and 3.4) splits the channels in two groups. The first attends over the joints of a
frame, the second over the frames of a joint, and to each is added what the paper calls structure-enhanced positional
embedding: a depthwise 3x3 convolution over the plane of frames and joints, and a learned embedding of the body part.
B is the batch, T frames, J joints, C channels, H heads, D channels of one head in one group, so that C = 2 H D.

The input is (x, y) and the output root-relative, for every frame; the authors score only the centre frame. There is no
position embedding, so one set of weights takes any number of frames. Where the code differs from the paper, this is the
code: the part embedding is multiplied by 1e-4 beside spatial attention and by 1e-9 beside temporal attention, and the
attention logits are divided by the root of a whole group's channels, not of a head's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.attention import ATTENTION_FORMS, AttentionForm, attend
from baselines.drop_path import SharedDropPath
from baselines.metaformer import MetaFormerBlock
from baselines.official import complete_options, rename
from baselines.options import require_count, require_input, require_known, require_probability

#: The body part of each joint: torso and head 0, right leg 1, left leg 2, left arm 3, right arm 4.
JOINT_PARTS: tuple[int, ...] = (0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 3, 3, 3, 4, 4, 4)
#: Spatial and temporal.
GROUPS = 2


@dataclass(frozen=True)
class STCFormerConfig:
    """Everything that decides an STCFormer's structure.

    frames: T, the clip length it is trained on; one set of weights takes any.
    in_channels: 2 (x, y; the authors') or 3 (x, y, confidence).
    spatial_part_scale, temporal_part_scale: factors of the part embedding in the two groups. The authors changed the
        first from 1e-3 to 1e-4 after the paper (commit 5dadcfd); by their word in issue 2 the paper's and the first
        released weights have 1e-3.
    part_drop_path: probability of leaving out the part embedding in training, in one group of one block, for the whole
        batch at once.
    drop_path: probability of leaving out a residual branch in training, the same in all blocks.
    dropout: inside the MLP; nothing else has any.
    attention: "sdpa" (fused) or "explicit" (the published form); the same numbers up to rounding.

    Raises ValueError for a value out of range, for an unknown name, and for widths that do not divide.
    """

    other_frames: ClassVar[str] = "any"
    published_scoring: ClassVar[str] = "centre"

    frames: int = 243
    in_channels: int = 2
    joints: int = 17
    dim: int = 256
    depth: int = 6
    mlp_ratio: float = 4.0
    heads: int = 8
    spatial_part_scale: float = 1e-4
    temporal_part_scale: float = 1e-9
    part_drop_path: float = 0.5
    drop_path: float = 0.0
    dropout: float = 0.1
    attention: AttentionForm = "sdpa"

    def __post_init__(self) -> None:
        for name in ("frames", "dim", "depth", "heads"):
            require_count(name, getattr(self, name))
        for name in ("part_drop_path", "drop_path", "dropout"):
            require_probability(name, getattr(self, name))
        require_known("attention", self.attention, ATTENTION_FORMS)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.joints != len(JOINT_PARTS):
            raise ValueError(f"joints must be {len(JOINT_PARTS)}, those whose part is known, not {self.joints!r}")
        if self.dim % (GROUPS * self.heads):
            raise ValueError(f"dim must be a multiple of 2 heads={GROUPS * self.heads}, not {self.dim}")
        if not self.mlp_ratio * self.dim >= 1:
            raise ValueError(f"mlp_ratio must leave at least one channel, not {self.mlp_ratio!r} of {self.dim}")


#: Section 4.2 of the paper; "base" is published at 27, 81 and 243 frames, "l" at 243. Weights are released of "base" at
#: 27 and 81.
PRESETS: Mapping[str, STCFormerConfig] = MappingProxyType({
    "base": STCFormerConfig(dim=256),
    "l":    STCFormerConfig(dim=512),
})  # fmt: skip


class STCFormer(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3), for any T."""

    def __init__(self, config: STCFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.joint_embedding = nn.Linear(config.in_channels, config.dim, bias=False)
        self.activation = nn.GELU()
        self.blocks = nn.ModuleList(_block(config) for _ in range(config.depth))
        self.head = nn.Linear(config.dim, 3, bias=False)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=None, joints=config.joints, channels=config.in_channels)
        x = self.activation(self.joint_embedding(keypoints))  # (B, T, J, C)
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # (B, T, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _OFFICIAL_WORDS)


class CrissCrossAttention(nn.Module):
    """Attention along joints and along frames, each in its half of the channels: (B, T, J, C) -> (B, T, J, C).

    The output of ``qkv`` for one channel is its query, key and value side by side. In the input of ``projection`` the
    groups alternate: D spatial channels of the first head, its D temporal ones, then the second head's.
    """

    parts: Tensor

    def __init__(self, config: STCFormerConfig) -> None:
        super().__init__()
        group_dim = config.dim // GROUPS
        self.heads = config.heads
        self.scale = group_dim**-0.5
        self.form: AttentionForm = config.attention
        self.spatial_part_scale = config.spatial_part_scale
        self.temporal_part_scale = config.temporal_part_scale
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.part_embedding = nn.Parameter(torch.randn(max(JOINT_PARTS) + 1, group_dim // config.heads))
        self.part_drop_path = SharedDropPath(config.part_drop_path)
        self.spatial_convolution = _neighbourhood(group_dim)
        self.temporal_convolution = _neighbourhood(group_dim)
        self.projection = nn.Linear(config.dim, config.dim)
        self.register_buffer("parts", torch.tensor(JOINT_PARTS), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, J, C) -> (B, T, J, C)"""
        qkv = self.qkv(tokens).unflatten(3, (GROUPS, self.heads, -1, 3))  # (B, T, J, 2, H, D, 3)
        # One copy, and each group's queries, keys and values are contiguous, as the fused attention wants its channels.
        spatial, temporal = qkv.permute(3, 6, 0, 1, 2, 4, 5).contiguous()  # (3, B, T, J, H, D) each
        part = self.part_embedding[self.parts].unsqueeze(1).unsqueeze(0)  # (1, J, 1, D)
        along_joints = self._attend(spatial) + self._convolve(self.spatial_convolution, spatial[2])
        along_joints = along_joints + self.spatial_part_scale * self.part_drop_path(part)
        along_frames = self._attend(temporal.transpose(2, 3)).transpose(1, 2)
        along_frames = along_frames + self._convolve(self.temporal_convolution, temporal[2])
        along_frames = along_frames + self.temporal_part_scale * self.part_drop_path(part)
        mixed = torch.cat((along_joints, along_frames), dim=-1)  # (B, T, J, H, 2 D)
        return self.projection(mixed.flatten(3))  # (B, T, J, C)

    def _attend(self, qkv: Tensor) -> Tensor:
        """Each token mixes the fourth axis, L long: (3, B, N, L, H, D) -> (B, N, L, H, D)"""
        rows = qkv.flatten(1, 2).transpose(2, 3)  # (3, B N, H, L, D)
        mixed = attend(*rows.unbind(0), scale=self.scale, form=self.form)  # (B N, H, L, D)
        return mixed.transpose(1, 2).unflatten(0, qkv.shape[1:3])  # (B, N, L, H, D)

    def _convolve(self, convolution: nn.Module, values: Tensor) -> Tensor:
        """The values mixed with their neighbours in time and joint number: (B, T, J, H, D) -> (B, T, J, H, D)"""
        mixed = convolution(values.flatten(3).permute(0, 3, 1, 2))  # (B, H D, T, J)
        return mixed.permute(0, 2, 3, 1).unflatten(3, (self.heads, -1))  # (B, T, J, H, D)


def _neighbourhood(channels: int) -> nn.Conv2d:
    """A depthwise 3x3 convolution over frames and joints."""
    return nn.Conv2d(channels, channels, kernel_size=3, padding=1, groups=channels)


def _block(config: STCFormerConfig) -> MetaFormerBlock:
    return MetaFormerBlock(
        config.dim,
        CrissCrossAttention(config),
        mlp_ratio=config.mlp_ratio,
        dropout=config.dropout,
        drop_path=config.drop_path,
        mlp_bias=False,
    )


def build(config: STCFormerConfig) -> STCFormer:
    """An STCFormer with fresh weights, distributed as the authors': torch's defaults."""
    return STCFormer(config)


#: The authors' words for ours, where they differ (model/stcformer.py).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "joint_embedding":      "pose_emb",
    "blocks":               "stcformer.stc_block",
    "head":                 "regress_head",
    "mixer_norm":           "stc_att.layer_norm",
    "mixer":                "stc_att",
    "mlp_norm":             "layer_norm",
    "part_embedding":       "emb.weight",
    "spatial_convolution":  "sep2_s",
    "temporal_convolution": "sep2_t",
    "projection":           "proj",
    "expand":               "fc1",
    "contract":             "fc2",
})  # fmt: skip

#: The defaults of the authors' command line (common/opt.py), as far as their network reads it.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({
    "layers": 6, "d_hid": 256, "frames": 243, "n_joints": 17, "out_joints": 17,
})  # fmt: skip
#: Which of our options each of the authors' decides; None where they have a choice and the published models do not.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "layers": "depth", "d_hid": "dim", "frames": "frames", "n_joints": "joints", "out_joints": None,
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> STCFormerConfig:
    """The configuration for the options of the authors' command line that their network reads.

    Raises ValueError for an option they don't have, and for other joints out than in.
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS)
    if theirs["out_joints"] != theirs["n_joints"]:
        raise ValueError(f"out_joints must be n_joints={theirs['n_joints']!r}, not {theirs['out_joints']!r}")
    return STCFormerConfig(
        frames=theirs["frames"], joints=theirs["n_joints"], dim=theirs["d_hid"], depth=theirs["layers"]
    )
