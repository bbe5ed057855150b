"""PoseFormerV2: Zhao, Zheng, Liu, Wang, Chen, "PoseFormerV2: Exploring Frequency Domain for Efficient and Robust 3D
Human Pose Estimation", CVPR 2023, arXiv 2303.17472; structure of QitaoZhao/PoseFormerV2, commit 008036a.

A PoseFormer that reads a long clip at the price of a short one. Only the F frames around the centre go through the
spatial transformer. The whole clip enters as its N lowest coefficients of the discrete cosine transform along time, for
all joints together. The temporal transformer looks at N + F tokens, coefficients first; of each kind a learned weighted
sum is taken, and both give the pose of the centre frame.
B is the batch, T frames, J joints, C channels of a joint (``dim``). F and N are the README's f and n.

In each block of the temporal transformer the first (N + F) // 2 tokens go through a plain MLP, and the rest through one
between a cosine transform over tokens and its inverse. Where N and F differ, as in published rows, these halves are not
coefficients and frames.
The cosine transform is not normalised: coefficients grow with T. So a model serves the one T it was built for, although
no parameter depends on it, and a checkpoint doesn't tell its T.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from baselines import poseformer
from baselines.attention import self_attention
from baselines.drop_path import DropPath, growing
from baselines.mlp import MLP
from baselines.official import complete_options, rename
from baselines.options import require_count, require_input
from baselines.poseformer import (
    NORM_EPS,
    PoseFormerConfig,
    SpatialTransformer,
    official_fields,
    weighted_sum,
)


@dataclass(frozen=True)
class PoseFormerV2Config(PoseFormerConfig):
    """Everything that decides a PoseFormerV2's structure: that of PoseFormerConfig, and what is kept of a clip.

    frames: T, the one clip length the model takes; published with 27, 81 and 243.
    kept_frames: how many frames around the centre are looked at joint by joint, an odd number.
    kept_coefficients: how many cosine coefficients, from the lowest frequency on, stand for the whole clip.

    None keeps T // 9 of them, made odd: for the published T the row of the README with the least error.
    """

    frames: int = 243
    kept_frames: int | None = None
    kept_coefficients: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, kept in (("kept_frames", self.frames_kept), ("kept_coefficients", self.coefficients_kept)):
            require_count(name, kept)
            if kept > self.frames:
                raise ValueError(f"{name}={kept} needs at least as many frames, but frames={self.frames}")
        if self.frames_kept % 2 == 0:
            raise ValueError(f"kept_frames must be odd, as many before the centre as after it, not {self.frames_kept}")

    @property
    def frames_kept(self) -> int:
        """F, the resolved ``kept_frames``."""
        return self._ninth if self.kept_frames is None else self.kept_frames

    @property
    def coefficients_kept(self) -> int:
        """N, the resolved ``kept_coefficients``."""
        return self._ninth if self.kept_coefficients is None else self.kept_coefficients

    @property
    def _ninth(self) -> int:
        return self.frames // 9 | 1

    @property
    def central_frames(self) -> slice:
        """Where in the clip the kept frames are."""
        first = (self.frames - 1) // 2 - self.frames_kept // 2
        return slice(first, first + self.frames_kept)


#: run_poseformer.py of the authors' repository; the one size, at any number of frames and of what is kept of them.
PRESETS: Mapping[str, PoseFormerV2Config] = MappingProxyType({"published": PoseFormerV2Config()})


class PoseFormerV2(SpatialTransformer):
    """The lifter: (B, T, J, in_channels) -> (B, 1, J, 3), the pose of the centre frame."""

    config: PoseFormerV2Config
    cosines: Tensor

    def __init__(self, config: PoseFormerV2Config) -> None:
        super().__init__(config)
        dim = config.frame_dim
        self.frame_position = nn.Parameter(torch.zeros(1, config.frames_kept, dim))
        cosines = cosine_transform(config.frames)[: config.coefficients_kept]
        self.register_buffer("cosines", cosines.to(torch.get_default_dtype()), persistent=False)
        self.coefficient_embedding = nn.Linear(config.joints * config.in_channels, dim)
        self.coefficient_position = nn.Parameter(torch.zeros(1, config.coefficients_kept, dim))
        drop_paths = growing(config.drop_path, config.depth)
        self.temporal_blocks = nn.ModuleList(TimeFrequencyBlock(config, drop_path) for drop_path in drop_paths)
        self.temporal_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.coefficient_sum = weighted_sum(config.coefficients_kept)
        self.frame_sum = weighted_sum(config.frames_kept)
        self.head_norm = nn.LayerNorm(2 * dim)
        self.head = nn.Linear(2 * dim, config.joints * 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """The centre pose from keypoints; ValueError for other frames, joints or channels than it was built for."""
        config = self.config
        require_input(keypoints.shape, frames=config.frames, joints=config.joints, channels=config.in_channels)
        frames = self.embed_frames(keypoints[:, config.central_frames]) + self.frame_position  # (B, F, J C)
        tokens = torch.cat((self._embed_coefficients(keypoints), frames), dim=1)  # (B, N + F, J C)
        for block in self.temporal_blocks:
            tokens = block(tokens)
        kinds = (config.coefficients_kept, config.frames_kept)
        coefficients, frames = self.temporal_norm(tokens).split(kinds, dim=1)  # (B, N, J C) and (B, F, J C)
        centre = torch.cat((self.coefficient_sum(coefficients), self.frame_sum(frames)), dim=-1)  # (B, 1, 2 J C)
        return self.head(self.head_norm(centre)).view(-1, 1, config.joints, 3)  # (B, 1, J, 3)

    def _embed_coefficients(self, keypoints: Tensor) -> Tensor:
        """(B, T, J, in_channels) -> (B, N, J C)"""
        coefficients = self.cosines @ keypoints.flatten(2)  # (B, N, J in_channels)
        return self.coefficient_embedding(coefficients) + self.coefficient_position

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _OFFICIAL_WORDS)


class TimeFrequencyBlock(nn.Module):
    """Attention, then the plain MLP for the first half of the tokens and the frequency MLP for the rest.

    (B, L, D) -> (B, L, D), where L is the number of tokens and D that of a frame's channels.
    """

    def __init__(self, config: PoseFormerV2Config, drop_path: float) -> None:
        super().__init__()
        dim = config.frame_dim
        hidden_dim = int(dim * config.mlp_ratio)
        tokens = config.coefficients_kept + config.frames_kept
        self.halves = (tokens // 2, tokens - tokens // 2)
        self.mixer_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mixer = self_attention(config, dim)
        self.plain_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.plain_mlp = MLP(dim, hidden_dim, config.dropout)
        self.frequency_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self.frequency_mlp = FrequencyMLP(self.halves[1], dim, hidden_dim, config.dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)"""
        tokens = tokens + self.drop_path(self.mixer(self.mixer_norm(tokens)))
        first, rest = tokens.split(self.halves, dim=1)  # (B, L // 2, D) and (B, L - L // 2, D)
        first = first + self.drop_path(self.plain_mlp(self.plain_norm(first)))
        rest = rest + self.drop_path(self.frequency_mlp(self.frequency_norm(rest)))
        return torch.cat((first, rest), dim=1)  # (B, L, D)


class FrequencyMLP(MLP):
    """An MLP on the cosine coefficients of the tokens, each channel a signal along them: (B, L, D) -> (B, L, D)."""

    cosines: Tensor
    inverse: Tensor

    def __init__(self, tokens: int, dim: int, hidden_dim: int, dropout: float = 0.0) -> None:
        super().__init__(dim, hidden_dim, dropout)
        dtype = torch.get_default_dtype()
        self.register_buffer("cosines", cosine_transform(tokens).to(dtype), persistent=False)
        self.register_buffer("inverse", inverse_cosine_transform(tokens).to(dtype), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)"""
        return self.inverse @ super().forward(self.cosines @ tokens)


def cosine_transform(length: int) -> Tensor:
    """The cosine transform (DCT-II, not normalised) of a column of ``length`` numbers: a float64 matrix.

    Coefficient k of x is 2 sum_n x_n cos(pi k (2 n + 1) / (2 length)): scipy's ``dct`` of type 2, and torch_dct's.
    """
    steps = torch.arange(length, dtype=torch.float64)
    return 2 * (torch.outer(steps, 2 * steps + 1) * (math.pi / (2 * length))).cos()


def inverse_cosine_transform(length: int) -> Tensor:
    """The inverse of ``cosine_transform(length)``: its transpose over 2 length, but half of that for coefficient 0."""
    share = torch.full((length,), 0.5 / length, dtype=torch.float64)
    share[0] /= 2
    return cosine_transform(length).T * share


def build(config: PoseFormerV2Config) -> PoseFormerV2:
    """A PoseFormerV2 with fresh weights."""
    return PoseFormerV2(config)


#: The authors' words for ours, where they differ (common/model_poseformer.py).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    **poseformer.OFFICIAL_WORDS,
    "joint_embedding":       "Joint_embedding",
    "coefficient_embedding": "Freq_embedding",
    "coefficient_position":  "Temporal_pos_embed_",
    "plain_norm":            "norm2",
    "plain_mlp":             "mlp1",
    "frequency_norm":        "norm3",
    "frequency_mlp":         "mlp2",
    "coefficient_sum":       "weighted_mean",
    "frame_sum":             "weighted_mean_",
})  # fmt: skip

#: What the authors' constructor takes where its caller says nothing, and their command line (common/arguments.py), from
#: which it has the size and what is kept.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({
    **poseformer.OFFICIAL_DEFAULTS,
    "number_of_kept_frames": 27,
    "number_of_kept_coeffs": None,
})  # fmt: skip
#: Which of our options each of the authors' decides; None where they have a choice and the published models do not.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    **poseformer.OFFICIAL_OPTIONS,
    "number_of_kept_frames": "kept_frames",
    "number_of_kept_coeffs": "kept_coefficients",
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> PoseFormerV2Config:
    """The configuration for the options of the authors' constructor, with those it takes from their command line.

    Where they give no number of coefficients, or 0, as many are kept as frames. num_frame must be given: their
    constructor ignores it and reads T off the input.
    Raises ValueError for an option they don't have, one that is missing, and for a norm other than theirs.
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS, required=("num_frame",))
    theirs["number_of_kept_coeffs"] = theirs["number_of_kept_coeffs"] or theirs["number_of_kept_frames"]
    return PoseFormerV2Config(**official_fields(theirs, OFFICIAL_OPTIONS))
