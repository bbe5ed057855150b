"""P-STMO: Shan, Liu, Zhang, Wang, Ma, Gao, "P-STMO: Pre-trained Spatial Temporal Many-to-One Model for 3D Human Pose
Estimation", ECCV 2022, arXiv 2203.07628; structure of paTRICK-swk/P-STMO, commit aea43d0 (model/stmo.py).

The joints of a frame become one token by an MLP with a residual block (the paper's SEM, spatial encoding module); what
follows is baselines/strided_encoder.py, the paper's TEM (temporal encoding module) and MOFA (many-to-one frame
aggregator). The loss is the sum of the MPJPE of the centre frame and of the auxiliary output, which is read after TEM.

SEM and TEM are published pre-trained to fill in masked joints and frames; here they start fresh, or from the authors'
weights. The authors multiply both outputs by a bounding box's scale, which their Human3.6M loader always sets to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from baselines import strided_encoder
from baselines.strided_encoder import ManyToOneConfig, ManyToOneLifter, most_equal_strides


@dataclass(frozen=True)
class PSTMOConfig(ManyToOneConfig):
    """Everything that decides a P-STMO's structure; the options are described at ``ManyToOneConfig``.

    ``strides=None`` means as many strides of 3 as make ``frames``, where it is a power of 3 from 27 on, and else three
    strides as equal as ``frames`` allows. That gives the authors' strides for 9, 27, 81, 243 and 351 frames.
    """

    frames: int = 243

    def default_strides(self) -> tuple[int, ...]:
        """The family's strides for ``frames``."""
        layers = 3
        while 3**layers < self.frames:
            layers += 1
        return (3,) * layers if 3**layers == self.frames else most_equal_strides(self.frames)


#: README of the authors' repository: s is P-STMO-S, base is P-STMO.
PRESETS: Mapping[str, PSTMOConfig] = MappingProxyType({"s": PSTMOConfig(depth=3), "base": PSTMOConfig(depth=4)})


class PSTMO(ManyToOneLifter):
    """The lifter: (B, T, J, in_channels) -> (B, 1, J, 3)."""

    def __init__(self, config: PSTMOConfig) -> None:
        super().__init__(config, PoseEmbedding(config), _OFFICIAL_WORDS)


class PoseEmbedding(nn.Module):
    """The joints of each frame by itself, (B, J * C, T) -> (B, D, T)."""

    def __init__(self, config: PSTMOConfig) -> None:
        super().__init__()
        width = 2 * config.dim
        self.widen = nn.Conv1d(config.in_channels * config.joints, width, kernel_size=1)
        self.widen_norm = nn.BatchNorm1d(width)
        self.activation = nn.LeakyReLU(0.2)
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.block = ResidualBlock(width, config.embedding_dropout)
        self.narrow = nn.Conv1d(width, config.dim, kernel_size=1)

    def forward(self, poses: Tensor) -> Tensor:
        """(B, J * C, T) -> (B, D, T)"""
        hidden = self.dropout(self.activation(self.widen_norm(self.widen(poses))))  # (B, 2 D, T)
        return self.narrow(self.block(hidden))  # (B, D, T)


class ResidualBlock(nn.Module):
    """Two layers beside a shortcut, each frame by itself: (B, C, T) -> (B, C, T)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width, kernel_size=1)
        self.first_norm = nn.BatchNorm1d(width)
        self.second = nn.Conv1d(width, width, kernel_size=1)
        self.second_norm = nn.BatchNorm1d(width)
        self.activation = nn.LeakyReLU(0.2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, poses: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T)"""
        hidden = self.dropout(self.activation(self.first_norm(self.first(poses))))
        return poses + self.dropout(self.activation(self.second_norm(self.second(hidden))))


def build(config: PSTMOConfig) -> PSTMO:
    """A P-STMO with fresh weights."""
    return PSTMO(config)


#: The authors' words for ours in the embedding, where they differ (model/stmo.py).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "widen":       "fc_1",
    "widen_norm":  "bn_1",
    "block":       "layers.0",
    "first":       "w1",
    "first_norm":  "batch_norm1",
    "second":      "w2",
    "second_norm": "batch_norm2",
    "narrow":      "fc_2",
})  # fmt: skip

OFFICIAL_OPTIONS = strided_encoder.OFFICIAL_OPTIONS
official_options = strided_encoder.official_options


def official_config(options: Mapping[str, Any]) -> PSTMOConfig:
    """The configuration for the authors' options (those of common/opt.py that the network reads).

    Raises ValueError for an option they don't have, and for values that no published model uses: other joints out than
    in, an input of other than 2 or an output of other than 3 channels.
    """
    return PSTMOConfig(**strided_encoder.official_fields(options, frames=243))
