"""MHFormer: Li, Liu, Tang, Wang, Van Gool, "MHFormer: Multi-Hypothesis Transformer for 3D Human Pose Estimation",
CVPR 2022, arXiv 2111.12707; structure of Vegetebird/MHFormer, commit eba3cc3.

Three hypotheses of the pose are made, refined and brought together (the paper's section 3):

* multi-hypothesis generation (MHG): three transformers one after the other, whose tokens are the coordinates of the
  joints, each with its T values as channels; what each adds to the sum so far is one hypothesis more;
* each hypothesis is embedded, and from here on the tokens are the frames;
* self-hypothesis refinement (SHR): each attends to itself, then one MLP goes over the channels of all three;
* cross-hypothesis interaction (CHI): each in turn takes from the other two as they then are, then such an MLP again.

B is the batch, T frames, J joints, C coordinates of a joint, D channels of a hypothesis (``dim``).

Frames being channels in the first stage, a model serves the one T it was built for, and that must be a multiple of the
9 heads there. All frames come out, and the authors train on all; they score the centre one alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from baselines.attention import ATTENTION_FORMS, AttentionForm, SelfAttention, attend
from baselines.drop_path import DropPath, growing
from baselines.metaformer import MetaFormerBlock
from baselines.mlp import MLP
from baselines.official import complete_options, rename
from baselines.options import require_count, require_input, require_known, require_probability

Embedding = Literal["auto", "linear", "normalised"]
EMBEDDINGS: tuple[str, ...] = get_args(Embedding)

HYPOTHESES = 3
#: The longest clip whose embedding has a batch norm, as far as the authors choose by length.
LONGEST_NORMALISED = 27
#: Of the norms inside the transformers; the one before each of the first three has torch's 1e-5.
_NORM_EPS = 1e-6


@dataclass(frozen=True)
class MHFormerConfig:
    """Everything that decides an MHFormer's structure.

    frames: T, the one clip length the model takes; a multiple of ``generation_heads``.
    in_channels: 2 (x, y; the authors') or 3 (x, y, confidence).
    dim: D, channels of each hypothesis after its embedding.
    depth: blocks of the stages SHR and CHI together; the last one is CHI.
    mlp_dim: hidden channels of the MLPs over all hypotheses, which are 3 D wide.
    generation_depth, generation_heads, generation_mlp_ratio: blocks, heads and MLP width of each transformer of MHG.
    embedding: "linear", or "normalised": batch norm, ReLU and dropout after it. "auto" is normalised for at most 27
        frames, as the authors have it.
    drop_path: probability of leaving out a residual branch in the last block of a stage; it grows evenly from 0.
    attention: "sdpa" (fused) or "explicit" (the published form); the same numbers up to rounding.

    Raises ValueError for a value out of range, for an unknown name, and for widths that do not divide.
    """

    frames: int = 351
    in_channels: int = 2
    joints: int = 17
    dim: int = 512
    depth: int = 3
    heads: int = 8
    mlp_dim: int = 1024
    generation_depth: int = 4
    generation_heads: int = 9
    generation_mlp_ratio: float = 2.0
    embedding: Embedding = "auto"
    qkv_bias: bool = True
    drop_path: float = 0.2
    dropout: float = 0.1
    attention_dropout: float = 0.0
    embedding_dropout: float = 0.25
    attention: AttentionForm = "sdpa"

    published_scoring: ClassVar[str] = "centre"

    def __post_init__(self) -> None:
        for name in ("frames", "joints", "dim", "depth", "heads", "mlp_dim", "generation_depth", "generation_heads"):
            require_count(name, getattr(self, name))
        for name in ("drop_path", "dropout", "attention_dropout", "embedding_dropout"):
            require_probability(name, getattr(self, name))
        require_known("embedding", self.embedding, EMBEDDINGS)
        require_known("attention", self.attention, ATTENTION_FORMS)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, not {self.dim}")
        if self.frames % (heads := self.generation_heads):
            raise ValueError(
                f"frames must be a multiple of generation_heads={heads}, not {self.frames}: they are the channels of "
                f"the first stage. Possible are {heads}, {2 * heads}, {3 * heads}, ..., or other generation_heads"
            )
        if not self.generation_mlp_ratio * self.frames >= 1:
            raise ValueError(f"generation_mlp_ratio must leave at least one channel, not {self.generation_mlp_ratio!r}")

    @property
    def coordinates(self) -> int:
        """Numbers that describe the pose in one frame."""
        return self.joints * self.in_channels

    @property
    def normalised_embedding(self) -> bool:
        """Whether ``embedding`` means, for this T, the one with a batch norm."""
        if self.embedding == "auto":
            return self.frames <= LONGEST_NORMALISED
        return self.embedding == "normalised"


#: common/opt.py of the authors' repository; published at 27, 81, 243 and 351 frames.
PRESETS: Mapping[str, MHFormerConfig] = MappingProxyType({"base": MHFormerConfig()})


class MHFormer(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3)."""

    def __init__(self, config: MHFormerConfig) -> None:
        super().__init__()
        self.config = config
        *refinement_drops, interaction_drop = growing(config.drop_path, config.depth)
        self.generators = nn.ModuleList(Generator(config) for _ in range(HYPOTHESES))
        self.embeddings = nn.ModuleList(FrameEmbedding(config) for _ in range(HYPOTHESES))
        self.refinements = nn.ModuleList(SelfRefinement(config, drop_path) for drop_path in refinement_drops)
        self.interaction = CrossInteraction(config, interaction_drop)
        self.norm = nn.LayerNorm(HYPOTHESES * config.dim, eps=_NORM_EPS)
        self.head_norm = nn.BatchNorm1d(HYPOTHESES * config.dim)
        self.head = nn.Conv1d(HYPOTHESES * config.dim, 3 * config.joints, kernel_size=1)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other frames, joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=config.frames, joints=config.joints, channels=config.in_channels)
        trajectories = keypoints.flatten(2).transpose(1, 2)  # (B, J * C, T)
        hypotheses = []
        for generator, embedding in zip(self.generators, self.embeddings, strict=True):
            trajectories = generator(trajectories)
            hypotheses.append(embedding(trajectories))  # (B, T, D) each
        x = torch.cat(hypotheses, dim=-1)  # (B, T, 3 D)
        for refinement in self.refinements:
            x = refinement(x)
        x = self.norm(self.interaction(x)).transpose(1, 2)  # (B, 3 D, T)
        poses = self.head(self.head_norm(x)).transpose(1, 2)  # (B, T, J * 3)
        return poses.unflatten(2, (config.joints, 3))  # (B, T, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _official_words(self.config))


class Generator(nn.Module):
    """One transformer of MHG, whose output is added to its input; (B, J · C, T) -> (B, J · C, T)."""

    def __init__(self, config: MHFormerConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.frames)
        self.position_embedding = nn.Parameter(torch.zeros(1, config.coordinates, config.frames))
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            MetaFormerBlock(
                config.frames,
                _self_attention(config, config.frames, config.generation_heads),
                mlp_ratio=config.generation_mlp_ratio,
                dropout=config.dropout,
                drop_path=drop_path,
                norm_eps=_NORM_EPS,
            )
            for drop_path in growing(config.drop_path, config.generation_depth)
        )
        self.output_norm = nn.LayerNorm(config.frames, eps=_NORM_EPS)

    def forward(self, trajectories: Tensor) -> Tensor:
        """(B, J · C, T) -> (B, J · C, T)"""
        x = self.dropout(self.norm(trajectories) + self.position_embedding)
        for block in self.blocks:
            x = block(x)
        return trajectories + self.output_norm(x)


class FrameEmbedding(nn.Module):
    """One hypothesis as tokens for its frames, with their places in time; (B, J · C, T) -> (B, T, D)."""

    def __init__(self, config: MHFormerConfig) -> None:
        super().__init__()
        self.projection = nn.Conv1d(config.coordinates, config.dim, kernel_size=1)
        self.activation = _activation(config) if config.normalised_embedding else None
        self.position_embedding = nn.Parameter(torch.zeros(1, config.frames, config.dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, trajectories: Tensor) -> Tensor:
        """(B, J · C, T) -> (B, T, D)"""
        x = self.projection(trajectories)  # (B, D, T)
        if self.activation is not None:
            x = self.activation(x)
        return self.dropout(x.transpose(1, 2) + self.position_embedding)  # (B, T, D)


class SelfRefinement(nn.Module):
    """A block of SHR, (B, T, 3 D) -> (B, T, 3 D)."""

    def __init__(self, config: MHFormerConfig, drop_path: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(config.dim, eps=_NORM_EPS) for _ in range(HYPOTHESES))
        self.attentions = nn.ModuleList(_self_attention(config, config.dim, config.heads) for _ in range(HYPOTHESES))
        self.drop_path = DropPath(drop_path)
        self.joint_mlp = JointMLP(config, drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 3 D) -> (B, T, 3 D)"""
        refined = [
            hypothesis + self.drop_path(attention(norm(hypothesis)))
            for hypothesis, norm, attention in zip(
                x.chunk(HYPOTHESES, dim=-1), self.norms, self.attentions, strict=True
            )
        ]
        return self.joint_mlp(torch.cat(refined, dim=-1))


class CrossInteraction(nn.Module):
    """The block CHI, (B, T, 3 D) -> (B, T, 3 D)."""

    def __init__(self, config: MHFormerConfig, drop_path: float) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(CrossAttention(config) for _ in range(HYPOTHESES))
        self.drop_path = DropPath(drop_path)
        self.joint_mlp = JointMLP(config, drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 3 D) -> (B, T, 3 D)"""
        first, second, third = x.chunk(HYPOTHESES, dim=-1)  # (B, T, D) each
        to_first, to_second, to_third = self.attentions
        # In turn: the second takes from the first as it has become, the third from both.
        first = first + self.drop_path(to_first(second, third, first))
        second = second + self.drop_path(to_second(first, third, second))
        third = third + self.drop_path(to_third(first, second, third))
        return self.joint_mlp(torch.cat((first, second, third), dim=-1))


class CrossAttention(nn.Module):
    """Attention whose queries, keys and values come from a hypothesis each; three of (B, T, D) -> (B, T, D)."""

    def __init__(self, config: MHFormerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.config = config
        self.query_norm = nn.LayerNorm(dim, eps=_NORM_EPS)
        self.key_norm = nn.LayerNorm(dim, eps=_NORM_EPS)
        self.value_norm = nn.LayerNorm(dim, eps=_NORM_EPS)
        self.query = nn.Linear(dim, dim, bias=config.qkv_bias)
        self.key = nn.Linear(dim, dim, bias=config.qkv_bias)
        self.value = nn.Linear(dim, dim, bias=config.qkv_bias)
        self.projection = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, queried_by: Tensor, keyed_by: Tensor, valued_by: Tensor) -> Tensor:
        """Three of (B, T, D) -> (B, T, D)"""
        mixed = attend(
            self._heads(self.query(self.query_norm(queried_by))),
            self._heads(self.key(self.key_norm(keyed_by))),
            self._heads(self.value(self.value_norm(valued_by))),
            dropout=self.config.attention_dropout if self.training else 0.0,
            form=self.config.attention,
        )  # (B, H, T, D / H)
        return self.dropout(self.projection(mixed.transpose(1, 2).flatten(2)))  # (B, T, D)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.config.heads, -1)).transpose(1, 2)  # (B, H, T, D / H)


class JointMLP(nn.Module):
    """x + MLP(norm(x)) over the channels of all hypotheses, (B, T, 3 D) -> (B, T, 3 D)."""

    def __init__(self, config: MHFormerConfig, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(HYPOTHESES * config.dim, eps=_NORM_EPS)
        self.mlp = MLP(HYPOTHESES * config.dim, config.mlp_dim, config.dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 3 D) -> (B, T, 3 D)"""
        return x + self.drop_path(self.mlp(self.norm(x)))


def _self_attention(config: MHFormerConfig, dim: int, heads: int) -> SelfAttention:
    return SelfAttention(
        dim,
        heads,
        qkv_bias=config.qkv_bias,
        attention_dropout=config.attention_dropout,
        dropout=config.dropout,
        form=config.attention,
    )


def _activation(config: MHFormerConfig) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm1d(config.dim), nn.ReLU(), nn.Dropout(config.embedding_dropout))


def build(config: MHFormerConfig) -> MHFormer:
    """An MHFormer with fresh weights."""
    return MHFormer(config)


#: The authors' words for ours, where they differ (model/mhformer.py and model/module).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "position_embedding": "pos_embed",
    "output_norm":        "norm",
    "refinements":        "Transformer_hypothesis.SHR_blocks",
    "interaction":        "Transformer_hypothesis.CHI_blocks.0",
    "norm":               "Transformer_hypothesis.norm",
    "head_norm":          "regression.0",
    "head":               "regression.1",
    "joint_mlp.norm":     "norm2",
    "joint_mlp.mlp":      "mlp",
    "mixer_norm":         "norm1",
    "mixer":              "attn",
    "mlp_norm":           "norm2",
    "expand":             "fc1",
    "contract":           "fc2",
    "query":              "linear_q",
    "key":                "linear_k",
    "value":              "linear_v",
    "projection":         "proj",
})  # fmt: skip


def _official_words(config: MHFormerConfig) -> dict[str, str]:
    """All of them: what each of the three hypotheses has under a number, which the authors count from 1."""
    words = dict(_OFFICIAL_WORDS)
    for ours in range(HYPOTHESES):
        theirs = ours + 1
        words |= {
            f"generators.{ours}": f"Transformer_encoder_{theirs}",
            f"generators.{ours}.norm": f"norm_{theirs}",
            f"embeddings.{ours}.projection": f"embedding_{theirs}" + (".0" if config.normalised_embedding else ""),
            f"embeddings.{ours}.activation.0": f"embedding_{theirs}.1",
            f"embeddings.{ours}.position_embedding": f"Transformer_hypothesis.pos_embed_{theirs}",
            f"norms.{ours}": f"norm1_{theirs}",
            f"attentions.{ours}": f"attn_{theirs}",
            f"attentions.{ours}.query_norm": f"norm3_{theirs}1",
            f"attentions.{ours}.key_norm": f"norm3_{theirs}2",
            f"attentions.{ours}.value_norm": f"norm3_{theirs}3",
        }
    return words


#: What the authors' command line takes where nothing is given (common/opt.py).
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"layers": 3, "channel": 512, "d_hid": 1024, "n_joints": 17, "out_joints": 17, "frames": 351}
)
#: Which of our options each of the authors' decides.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "frames": "frames", "n_joints": "joints", "out_joints": "joints", "channel": "dim", "layers": "depth",
    "d_hid": "mlp_dim",
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> MHFormerConfig:
    """The configuration for those of the authors' options that their Model reads.

    Raises ValueError for any other option, and for other joints out than in.
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS)
    if theirs["out_joints"] != theirs["n_joints"]:
        raise ValueError(f"out_joints must be n_joints={theirs['n_joints']!r}, not {theirs['out_joints']!r}")
    return MHFormerConfig(
        frames=theirs["frames"],
        joints=theirs["n_joints"],
        dim=theirs["channel"],
        depth=theirs["layers"],
        mlp_dim=theirs["d_hid"],
    )
