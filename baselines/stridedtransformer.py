"""StridedTransformer: Li, Liu, Ding, Liu, Wang, Yang, "Exploiting Temporal Contexts with Strided Transformer for 3D
Human Pose Estimation", IEEE Transactions on Multimedia 25 (2023; online 2022), arXiv 2103.14304; structure of
Vegetebird/StridedTransformer-Pose3D, commit e5e6247.

A frame's joints become one token by a single layer; what follows is baselines/strided_encoder.py: the paper's VTE
(vanilla transformer encoder, its output read for all frames, the auxiliary output) and STE (strided transformer
encoder, its output the centre frame). The loss is the sum of both outputs' MPJPE.

The authors' refinement network is a second checkpoint and corrects by the true camera and the true root; it isn't here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import nn

from baselines import strided_encoder
from baselines.strided_encoder import ManyToOneConfig, ManyToOneLifter


@dataclass(frozen=True)
class StridedTransformerConfig(ManyToOneConfig):
    """Everything that decides a StridedTransformer's structure; the options are described at ``ManyToOneConfig``.

    ``strides=None`` means three strides as equal as ``frames`` allows: (3, 3, 3) for 27 and (3, 9, 13) for 351 frames,
    as published; (3, 3, 9) for 81 and (3, 9, 9) for 243, for which the authors' repository has none.
    """

    frames: int = 351
    embedding_dropout: float = 0.25


#: Defaults of common/opt.py, which has strides for 27 and 351 frames; the released weights have 351.
PRESETS: Mapping[str, StridedTransformerConfig] = MappingProxyType({"base": StridedTransformerConfig()})


class StridedTransformer(ManyToOneLifter):
    """The lifter: (B, T, J, in_channels) -> (B, 1, J, 3)."""

    def __init__(self, config: StridedTransformerConfig) -> None:
        embedding = nn.Sequential(
            nn.Conv1d(config.in_channels * config.joints, config.dim, kernel_size=1),
            nn.BatchNorm1d(config.dim),
            nn.ReLU(),
            nn.Dropout(config.embedding_dropout),
        )
        super().__init__(config, embedding)


def build(config: StridedTransformerConfig) -> StridedTransformer:
    """A StridedTransformer with fresh weights."""
    return StridedTransformer(config)


OFFICIAL_OPTIONS = strided_encoder.OFFICIAL_OPTIONS
official_options = strided_encoder.official_options


def official_config(options: Mapping[str, Any]) -> StridedTransformerConfig:
    """The configuration for the authors' options (those of common/opt.py that the network reads).

    Raises ValueError for an option they don't have, and for values that no published model uses: other joints out than
    in, an input of other than 2 or an output of other than 3 channels.
    """
    return StridedTransformerConfig(**strided_encoder.official_fields(options, frames=351))
