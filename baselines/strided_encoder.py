"""The many-to-one transformer that StridedTransformer (baselines/stridedtransformer.py) and P-STMO (baselines/pstmo.py)
share: each frame becomes one token, a vanilla encoder lets all frames attend to one another, and a strided encoder
shrinks the clip layer by layer to a single token, from which the pose of the centre frame is read. Both families are
published with the same code for it (model/block of their repositories).

B is the batch, T frames, J joints, C channels of a joint, D = ``dim`` channels of a token, H heads, L the frames that
are left.

Peculiar, and kept since the published weights need it:
    The norms divide by the unbiased standard deviation and add epsilon to it, not to the variance under the root.
    The shortcut around a strided feed-forward keeps the first of each ``stride`` frames, so what reaches the end by
        shortcuts alone is the first frame of the clip, not the one in its middle.
    Only the first three strided layers have a position embedding, each as long as the whole clip.
    Both encoders have a last norm that is never applied.
    Fresh attention weights are copies of one another, see ``MultiHeadAttention``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.attention import ATTENTION_FORMS, AttentionForm, attend
from baselines.official import complete_options, rename
from baselines.options import require_count, require_input, require_known, require_probability


@dataclass(frozen=True)
class ManyToOneConfig:
    """Everything that decides the structure of a lifter of this kind.

    frames: T, the one clip length the model takes.
    in_channels: 2 (x, y; the authors') or 3 (x, y, confidence).
    dim: channels of a token.
    depth: layers of the vanilla encoder; those of the strided encoder are as many as there are strides.
    strides: by how much each strided layer shortens the clip, down to one frame; None means the family's strides for
        ``frames``, which ``resolved_strides`` gives.
    dropout: of the two branches of each encoder layer; ``embedding_dropout``: of the embedding of a frame.
    attention: "sdpa" (fused) or "explicit" (the published form); the same numbers up to rounding.

    Raises ValueError for a value out of range, for an unknown name, for widths that do not divide, and for strides that
    leave more than one frame.
    """

    answers_for: ClassVar[str] = "centre"
    auxiliary: ClassVar[bool] = True

    frames: int
    in_channels: int = 2
    joints: int = 17
    dim: int = 256
    depth: int = 3
    strides: tuple[int, ...] | None = None
    mlp_ratio: float = 2.0
    heads: int = 8
    dropout: float = 0.1
    attention_dropout: float = 0.1
    embedding_dropout: float = 0.1
    attention: AttentionForm = "sdpa"

    def __post_init__(self) -> None:
        for name in ("frames", "joints", "dim", "depth", "heads"):
            require_count(name, getattr(self, name))
        for name in ("dropout", "attention_dropout", "embedding_dropout"):
            require_probability(name, getattr(self, name))
        require_known("attention", self.attention, ATTENTION_FORMS)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.dim < 2 or self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, and at least 2, not {self.dim}")
        if self.hidden_dim < 1:
            raise ValueError(f"mlp_ratio must leave at least one channel, not {self.mlp_ratio!r} of {self.dim}")
        if self.strides is not None:
            object.__setattr__(self, "strides", tuple(self.strides))  # a list, as JSON has it
            self._check_strides(tuple(self.strides))

    def _check_strides(self, strides: tuple[int, ...]) -> None:
        for stride in strides:
            require_count("each of strides", stride)
        left = math.ceil(self.frames / math.prod(strides))
        if left > 1:
            raise ValueError(
                f"strides={strides} leave {left} of {self.frames} frames, and one must be left: use strides whose "
                f"product is {self.frames}, at most {math.prod(strides)} frames, or strides=None"
            )

    def default_strides(self) -> tuple[int, ...]:
        """The family's strides for ``frames``."""
        return most_equal_strides(self.frames)

    @property
    def resolved_strides(self) -> tuple[int, ...]:
        """The stride of each strided layer."""
        return self.default_strides() if self.strides is None else self.strides

    @property
    def hidden_dim(self) -> int:
        """Channels inside a feed-forward network."""
        return round(self.dim * self.mlp_ratio)


def most_equal_strides(frames: int) -> tuple[int, int, int]:
    """Three ascending strides whose product is ``frames``, as equal as they can be (of the least sum).

    27 gives (3, 3, 3) and 351 gives (3, 9, 13), as published; 9 gives (1, 3, 3), a prime p (1, 1, p).
    """
    factors = [factor for factor in range(1, frames + 1) if frames % factor == 0]
    triples = [
        (first, second, frames // (first * second))
        for first in factors
        for second in factors
        if first <= second and first * second * second <= frames and frames % (first * second) == 0
    ]
    return min(triples, key=lambda strides: (sum(strides), strides))


class ManyToOneLifter(nn.Module):
    """The lifter around an ``embedding`` of poses, (B, J * C, T) -> (B, D, T): (B, T, J, C) -> (B, 1, J, 3)."""

    def __init__(
        self, config: ManyToOneConfig, embedding: nn.Module, official_words: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__()
        self.config = config
        self._official_words = {**_OFFICIAL_WORDS, **official_words}
        self.embedding = embedding
        self.vanilla_encoder = VanillaEncoder(config)
        self.strided_encoder = StridedEncoder(config)
        self.head = _head(config)
        self.clip_head = _head(config)

    def forward(self, keypoints: Tensor, auxiliary: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """The centre frame's joints, (B, 1, J, 3); with ``auxiliary`` also those of all frames, (B, T, J, 3).

        The second output is read after the vanilla encoder and takes part in the training loss. Raises ValueError for
        other frames, joints or channels than the model was built for.
        """
        config = self.config
        require_input(keypoints.shape, frames=config.frames, joints=config.joints, channels=config.in_channels)
        poses = keypoints.flatten(2).transpose(1, 2).contiguous()  # (B, J * C, T)
        tokens = self.embedding(poses).transpose(1, 2).contiguous()  # (B, T, D)
        tokens = self.vanilla_encoder(tokens)
        output = self._joints(self.head, self.strided_encoder(tokens))  # (B, 1, J, 3)
        return (output, self._joints(self.clip_head, tokens)) if auxiliary else output

    def _joints(self, head: nn.Module, tokens: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, J, 3)"""
        coordinates = head(tokens.transpose(1, 2)).transpose(1, 2)  # (B, L, J * 3)
        return coordinates.reshape(*tokens.shape[:2], self.config.joints, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), self._official_words)


def _head(config: ManyToOneConfig) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm1d(config.dim), nn.Conv1d(config.dim, 3 * config.joints, kernel_size=1))


class VanillaEncoder(nn.Module):
    """Position embedding and ``depth`` layers over the whole clip, (B, T, D) -> (B, T, D)."""

    def __init__(self, config: ManyToOneConfig) -> None:
        super().__init__()
        self.position_embedding = nn.Parameter(torch.randn(1, config.frames, config.dim))
        feed_forward = FeedForward(config.dim, config.hidden_dim, config.dropout)
        layer = EncoderLayer(config, MultiHeadAttention(config), feed_forward)
        # The authors make one layer and copy it, so all of them begin with the same weights.
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(config.depth))
        self.unused_norm = UnbiasedLayerNorm(config.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)"""
        tokens = tokens + self.position_embedding
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class StridedEncoder(nn.Module):
    """One layer a stride, each on fewer frames than the one before, (B, T, D) -> (B, 1, D)."""

    def __init__(self, config: ManyToOneConfig) -> None:
        super().__init__()
        self.position_embedding_1 = nn.Parameter(torch.randn(1, config.frames, config.dim))
        self.position_embedding_2 = nn.Parameter(torch.randn(1, config.frames, config.dim))
        self.position_embedding_3 = nn.Parameter(torch.randn(1, config.frames, config.dim))
        attention = MultiHeadAttention(config)
        # As in the authors' code the layers begin with the same attention; their feed-forwards begin apart.
        self.layers = nn.ModuleList(
            EncoderLayer(
                config,
                copy.deepcopy(attention),
                StridedFeedForward(config.dim, config.hidden_dim, stride, config.dropout),
                stride,
            )
            for stride in config.resolved_strides
        )
        self.unused_norm = UnbiasedLayerNorm(config.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, 1, D)"""
        embeddings = (self.position_embedding_1, self.position_embedding_2, self.position_embedding_3)
        for index, layer in enumerate(self.layers):
            if index < len(embeddings):
                tokens = tokens + embeddings[index][:, : tokens.shape[1]]
            tokens = layer(tokens)  # (B, L, D)
        return tokens


class EncoderLayer(nn.Module):
    """Attention, then a feed-forward network, each behind a norm, beside a shortcut: (B, L, D) -> (B, L / stride, D).

    ``feed_forward`` keeps one frame of every ``stride``, and so does the shortcut around it; L / stride is rounded up.
    """

    def __init__(self, config: ManyToOneConfig, attention: nn.Module, feed_forward: nn.Module, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.attention_norm = UnbiasedLayerNorm(config.dim)
        self.attention = attention
        self.feed_forward_norm = UnbiasedLayerNorm(config.dim)
        self.feed_forward = feed_forward
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, D) -> (B, L / stride, D)"""
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens)))
        shortcut = tokens[:, :: self.stride]  # (B, L / stride, D)
        return shortcut + self.dropout(self.feed_forward(self.feed_forward_norm(tokens)))


class UnbiasedLayerNorm(nn.Module):
    """gain · (x - mean) / (std + 1e-6) + offset over the channels of a token, std with D - 1 in its denominator."""

    EPSILON = 1e-6

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dim))
        self.offset = nn.Parameter(torch.zeros(dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., D) -> (..., D)"""
        mean, std = tokens.mean(-1, keepdim=True), tokens.std(-1, keepdim=True)  # (..., 1)
        return self.gain * (tokens - mean) / (std + self.EPSILON) + self.offset


class MultiHeadAttention(nn.Module):
    """Self-attention with a linear layer each for query, key, value and output, (B, L, D) -> (B, L, D).

    All four begin with the same weights, as in the authors' code, which makes one linear layer and copies it.
    """

    def __init__(self, config: ManyToOneConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.attention_dropout
        self.form: AttentionForm = config.attention
        self.query = nn.Linear(config.dim, config.dim)
        self.key = copy.deepcopy(self.query)
        self.value = copy.deepcopy(self.query)
        self.projection = copy.deepcopy(self.query)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)"""
        query, key, value = (self._heads(linear(tokens)) for linear in (self.query, self.key, self.value))
        dropout = self.dropout if self.training else 0.0
        mixed = attend(query, key, value, dropout=dropout, form=self.form)  # (B, H, L, D / H)
        return self.projection(mixed.transpose(1, 2).reshape(tokens.shape))  # (B, L, D)

    def _heads(self, tokens: Tensor) -> Tensor:
        batch, count, dim = tokens.shape
        return tokens.view(batch, count, self.heads, dim // self.heads).transpose(1, 2)  # (B, H, L, D / H)


class FeedForward(nn.Module):
    """Widen, ReLU, narrow, each token by itself: (B, L, D) -> (B, L, D)."""

    def __init__(self, dim: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)
        self.contract = nn.Linear(hidden_dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)"""
        return self.contract(self.dropout(self.expand(tokens).relu()))


class StridedFeedForward(nn.Module):
    """Widen, ReLU, then narrow by a convolution over 3 frames in steps of ``stride``: (B, L, D) -> (B, L / stride, D).

    With a stride above 3 the convolution passes over some frames; these take part by attention alone.
    """

    def __init__(self, dim: int, hidden_dim: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.expand = nn.Conv1d(dim, hidden_dim, kernel_size=1)
        self.dropout = nn.Dropout(dropout)
        self.contract = nn.Conv1d(hidden_dim, dim, kernel_size=3, stride=stride, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, D) -> (B, L / stride, D)"""
        hidden = self.dropout(self.expand(tokens.transpose(1, 2)).relu())  # (B, hidden_dim, L)
        return self.contract(hidden).transpose(1, 2)  # (B, L / stride, D)


#: The authors' words for ours, where they differ (model/block and the model files of both repositories).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "embedding":            "encoder",
    "vanilla_encoder":      "Transformer",
    "strided_encoder":      "Transformer_reduce",
    "position_embedding":   "pos_embedding",
    "position_embedding_1": "model.pos_embedding_1",
    "position_embedding_2": "model.pos_embedding_2",
    "position_embedding_3": "model.pos_embedding_3",
    "layers":               "model.layers",
    "unused_norm":          "model.norm",
    "attention":            "self_attn",
    "query":                "linears.0",
    "key":                  "linears.1",
    "value":                "linears.2",
    "projection":           "linears.3",
    "attention_norm":       "sublayer.0.norm",
    "feed_forward_norm":    "sublayer.1.norm",
    "expand":               "w_1",
    "contract":             "w_2",
    "gain":                 "a_2",
    "offset":               "b_2",
    "head":                 "fcn",
    "clip_head":            "fcn_1",
})  # fmt: skip

#: What common/opt.py of both repositories sets where the command line says nothing, but for ``frames``.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({
    "layers": 3, "channel": 256, "d_hid": 512, "stride_num": None, "n_joints": 17, "out_joints": 17, "in_channels": 2,
    "out_channels": 3,
})  # fmt: skip
#: Which of our options each of the authors' decides; None where they have a choice and the published models do not.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "frames": "frames", "n_joints": "joints", "out_joints": "joints", "channel": "dim", "layers": "depth",
    "d_hid": "mlp_ratio", "stride_num": "strides", "in_channels": None, "out_channels": None,
})  # fmt: skip


def official_fields(options: Mapping[str, Any], frames: int) -> dict[str, Any]:
    """Our fields for the authors' options, of those that decide the network; ``frames`` is their default.

    Raises ValueError for an option they don't have, for widths that are no numbers, and for values that no published
    model uses: other joints out than in, an input of other than 2 or an output of other than 3 channels.
    """
    theirs = complete_options(options, {**_OFFICIAL_DEFAULTS, "frames": frames})
    for name, only in (("in_channels", 2), ("out_channels", 3), ("out_joints", theirs["n_joints"])):
        if theirs[name] != only:
            raise ValueError(f"{name} must be {only!r}, not {theirs[name]!r}")
    for name in ("channel", "d_hid"):
        if not isinstance(theirs[name], (int, float)) or theirs[name] <= 0:
            raise ValueError(f"{name} must be a number above 0, not {theirs[name]!r}")
    return {
        "frames": theirs["frames"],
        "joints": theirs["n_joints"],
        "dim": theirs["channel"],
        "depth": theirs["layers"],
        "mlp_ratio": theirs["d_hid"] / theirs["channel"],
        "strides": theirs["stride_num"],
    }


def official_options(config: ManyToOneConfig) -> dict[str, Any]:
    """The configuration in the authors' terms: their width of the feed-forward networks is a number of channels."""
    return {
        "frames": config.frames,
        "n_joints": config.joints,
        "out_joints": config.joints,
        "channel": config.dim,
        "layers": config.depth,
        "d_hid": config.dim * config.mlp_ratio,
        "stride_num": config.strides,
    }
