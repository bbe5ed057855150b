"""The transformer of MixSTE, which attends along joints and along frames by turns; KTPFormer is built on it as well.

A stage is a spatial block, where the joints of one frame attend to one another, then a temporal block, where the frames
of one joint do. A norm that all stages share follows every spatial block, and another every temporal one.
B is the batch, T frames, J joints, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor, nn

from baselines.attention import ATTENTION_FORMS, AttentionForm, self_attention
from baselines.metaformer import MetaFormerBlock
from baselines.options import require_count, require_known, require_probability
from baselines.poseformer import BLOCK_WORDS

#: What the norms of the blocks and between them add to the variance; the head's norm adds PyTorch's 1e-5.
BLOCK_NORM_EPS = 1e-6


@dataclass(frozen=True)
class AlternatingTransformerConfig:
    """What every lifter with such a transformer can choose.

    frames: T, the one clip length the model takes, since every frame of it has a learned position.
    in_channels: 2 (x, y; the authors') or 3 (x, y, confidence).
    depth: stages.
    attention_scale: factor of the attention logits; None means 1 / sqrt(channels of a head).
    drop_path: probability of leaving out a residual branch of the last stage in training, for each frame of a clip
        (spatial block) or each joint (temporal block) by itself; it grows evenly from 0 at the beginning.
    attention: "sdpa" (fused) or "explicit" (the published form); the same numbers up to rounding.

    Raises ValueError for a value out of range, for an unknown name, and for widths that do not divide.
    """

    frames: int = 243
    in_channels: int = 2
    joints: int = 17
    dim: int = 512
    depth: int = 8
    heads: int = 8
    mlp_ratio: float = 2.0
    qkv_bias: bool = True
    attention_scale: float | None = None
    drop_path: float = 0.1
    dropout: float = 0.0
    attention_dropout: float = 0.0
    attention: AttentionForm = "sdpa"

    #: The authors train with the root at zero, and score the root that the model predicts.
    published_root: ClassVar[str] = "predicted"

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


class AlternatingTransformer(nn.Module):
    """Stages, and a head that reads the joints in 3D off the tokens: (B, T, J, C) -> (B, T, J, 3).

    drop_paths: the probability for each stage; there are as many stages as probabilities.
    """

    def __init__(self, config: AlternatingTransformerConfig, drop_paths: Sequence[float]) -> None:
        super().__init__()
        self.spatial_blocks = nn.ModuleList(transformer_block(config, drop_path) for drop_path in drop_paths)
        self.temporal_blocks = nn.ModuleList(transformer_block(config, drop_path) for drop_path in drop_paths)
        self.spatial_norm = nn.LayerNorm(config.dim, eps=BLOCK_NORM_EPS)
        self.temporal_norm = nn.LayerNorm(config.dim, eps=BLOCK_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)
        self.head_norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, 3)

    def forward(self, x: Tensor, temporal_position: Tensor | None = None) -> Tensor:
        """(B, T, J, C) -> (B, T, J, 3); ``temporal_position`` (1, T, C) is added in the first stage."""
        for spatial_block, temporal_block in zip(self.spatial_blocks, self.temporal_blocks, strict=True):
            x = self.stage(x, spatial_block, temporal_block, temporal_position)
            temporal_position = None
        return self.head(self.head_norm(x))  # (B, T, J, 3)

    def stage(
        self, x: Tensor, spatial_block: nn.Module, temporal_block: nn.Module, temporal_position: Tensor | None = None
    ) -> Tensor:
        """One stage with any blocks for tokens (N, L, ...), and the shared norms: (B, T, J, ...) -> (B, T, J, C).

        ``temporal_position`` (1, T, C) is added before the temporal block.
        """
        batch, frames, joints = x.shape[:3]
        # The blocks see one row a frame or a joint, not clips: drop path decides for every row.
        x = self.spatial_norm(spatial_block(x.flatten(0, 1)))  # (B T, J, C)
        x = x.unflatten(0, (batch, frames)).transpose(1, 2).flatten(0, 1)  # (B J, T, C)
        if temporal_position is not None:
            x = self.dropout(x + temporal_position)
        x = self.temporal_norm(temporal_block(x))
        return x.unflatten(0, (batch, joints)).transpose(1, 2).contiguous()  # (B, T, J, C)


def transformer_block(config: AlternatingTransformerConfig, drop_path: float) -> MetaFormerBlock:
    """One block for tokens (N, L, C): attention, then an MLP."""
    return MetaFormerBlock(
        config.dim,
        self_attention(config, config.dim),
        mlp_ratio=config.mlp_ratio,
        dropout=config.dropout,
        drop_path=drop_path,
        norm_eps=BLOCK_NORM_EPS,
    )


#: The authors' words for ours, where they differ, in both repositories.
TRANSFORMER_WORDS: Mapping[str, str] = MappingProxyType({
    "transformer.spatial_blocks":  "STEblocks",
    "transformer.temporal_blocks": "TTEblocks",
    "transformer.spatial_norm":    "Spatial_norm",
    "transformer.temporal_norm":   "Temporal_norm",
    "transformer.head_norm":       "head.0",
    "transformer.head":            "head.1",
    **BLOCK_WORDS,
})  # fmt: skip
