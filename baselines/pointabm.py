"""Our reading of PointABM, a classifier of point clouds for which no code was found; every inference is in ``READING``.

Chen, Xiong, Gao, "PointABM: Integrating Bidirectional State Space Model with Multi-Head Self-Attention for Point Cloud
Analysis", arXiv 2406.06069, and its conference version (Chen, Xiong, Zhu, Zhang, Zhou, ICITES 2024, DOI
10.1109/ICITES62688.2024.10777444), which states sizes. Sections, algorithms and tables below are the latter's.

Patches become tokens, a transformer layer refines them, a stack of bidirectional SSM blocks follows (Figures 1 and 2).
Stated (IV.A): 1024 points in 64 patches of 32 for ModelNet40, 2048 in 128 of 32 for ScanObjectNN; width 384; one
transformer layer of 8 heads, 12 bidirectional blocks. Published: 15.1 M parameters, 9.6 G FLOPs, 92.6 % on ModelNet40
from scratch and 93.1 % after masked-autoencoder pre-training, which is not built here.

B is the batch, P the points of a cloud, G its patches, L the tokens, C the channels (``dim``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.attention import ATTENTION_FORMS, AttentionForm, SelfAttention
from baselines.drop_path import DropPath
from baselines.mamba import BidirectionalMamba, SelectiveSSM
from baselines.options import require_count, require_known, require_probability
from baselines.point_patches import PatchEmbedding, gather

TokenOrder = Literal["axes", "sampled"]
TOKEN_ORDERS: tuple[str, ...] = get_args(TokenOrder)

#: What the paper does not say and how it is read here: the choice, and its ground. PointMamba is LMD0311/PointMamba at
#: commit c993477, the row "None" of Tables IV and V: its 12.3 M parameters and its three accuracies are those rows'.
READING: Mapping[str, str] = MappingProxyType({
    "patch_width": "the small PointNet of Point-MAE and PointMamba, 3-128-256 and 512-512-384: section III.A names "
    "farthest points and nearest neighbours alone; PointMamba has 12.3 M parameters with it",
    "position_width": "a perceptron 3-128-384 on the centres, added to the tokens once: PointMamba's",
    "order": "three copies of the tokens, sorted by x, by y and by z: section III.B says 'after resorting' and the "
    "rows 'None' are PointMamba's, which does so. Figure 1 draws one copy ('sampled'). The published 9.6 G are met by "
    "neither, at 128 patches: 7.4 G multiply-accumulates by torch's counter with three copies, 3.5 G with one",
    "position_rows": "a learned table of 1000 positions in the sequence, of which 3 G are used: Algorithm 1 adds a "
    "position encoding of tokens by channels; 1000 rows make Table IV's 14.8 M and Table V's 15.1 M come out",
    "feedforward_dim": "2048, torch's default for a transformer layer: the ablations leave 2.55 M parameters to the "
    "layer, which are that layer's 2.17 M and a table of 1000 positions",
    "transformer layer": "norm after each residual, ReLU, biases: Algorithm 1, lines 9 to 13; the loop over the heads "
    "is read as ordinary multi-head attention, and the 'residual connection' of Table IV as line 9's",
    "shared_selection": "one selection (step sizes, B, C) for both directions, own convolution, A and skip: this adds "
    "0.20 M as Table V does (12.3 to 12.5 M); own ones, as Algorithm 2's indices say, would add 0.95 M",
    "bidirectional block": "Vision Mamba's, norm before and a residual around it: Algorithm 2 and equation (8)",
    "state_dim": "16: Mamba's default; 12.3 M parameters fit",
    "expansion": "2: Mamba's default; 12.3 M parameters fit",
    "convolution_width": "4: Mamba's default; 12.3 M parameters fit",
    "head_dim": "mean of the tokens, then a perceptron 384-256-256-classes with batch norm and ReLU, no class token: "
    "PointMamba's; a class token beside the mean would give it 12.4 M parameters",
    "head_dropout": "0.5 after both hidden layers of the head: PointMamba's",
    "dropout": "0.1 in the transformer layer: torch's default for it",
    "drop_path": "0.3 for every bidirectional block: PointMamba's configuration for ModelNet40",
})  # fmt: skip


def require_widths(dim: int, heads: int, expansion: float) -> None:
    """ValueError where ``dim`` channels do not divide among the heads, or the SSM would have none."""
    if dim % heads:
        raise ValueError(f"dim must be a multiple of heads={heads}, not {dim}")
    if not expansion * dim >= 1:
        raise ValueError(f"expansion must leave at least one channel, not {expansion!r} of {dim}")


@dataclass(frozen=True)
class PointABMConfig:
    """Everything that decides a PointABM's structure; the defaults are the published model as we read it.

    points: P that it is meant for; clouds of any P of at least ``patches`` and ``patch_points`` are taken.
    patch_width, position_width: first widths of the PointNet and of the perceptron on the centres.
    order: "axes" (three copies of the tokens, sorted by x, y and z) or "sampled" (one, as the centres are sampled).
    attention_depth: transformer layers before the ``depth`` bidirectional blocks.
    feedforward_dim: hidden width of the transformer layers.
    position_rows: rows of the learned table of positions, at least the number of tokens.
    expansion: inner channels of the SSM for each of ``dim``.
    shared_selection: whether both directions of a block decide step sizes, B and C by the same weights.
    dropout: in the transformer layers; ``head_dropout`` in the head.
    drop_path: probability of leaving out a bidirectional block in training, the same in all.
    attention: "sdpa" (fused) or "explicit"; the same numbers up to rounding.

    Raises ValueError for a value out of range, an unknown name, and sizes that do not fit together.
    """

    task: ClassVar[str] = "classification"

    points: int = 1024
    classes: int = 40
    patches: int = 64
    patch_points: int = 32
    patch_width: int = 128
    position_width: int = 128
    order: TokenOrder = "axes"
    dim: int = 384
    attention_depth: int = 1
    heads: int = 8
    feedforward_dim: int = 2048
    position_rows: int = 1000
    depth: int = 12
    state_dim: int = 16
    expansion: float = 2.0
    convolution_width: int = 4
    shared_selection: bool = True
    head_dim: int = 256
    head_dropout: float = 0.5
    dropout: float = 0.1
    drop_path: float = 0.3
    attention: AttentionForm = "sdpa"

    def __post_init__(self) -> None:
        for name in (
            "points", "classes", "patches", "patch_points", "patch_width", "position_width", "dim", "attention_depth",
            "heads", "feedforward_dim", "position_rows", "depth", "state_dim", "convolution_width", "head_dim",
        ):  # fmt: skip
            require_count(name, getattr(self, name))
        for name in ("head_dropout", "dropout", "drop_path"):
            require_probability(name, getattr(self, name))
        require_known("order", self.order, TOKEN_ORDERS)
        require_known("attention", self.attention, ATTENTION_FORMS)
        require_widths(self.dim, self.heads, self.expansion)
        for name in ("patches", "patch_points"):
            if getattr(self, name) > self.points:
                raise ValueError(f"{name}={getattr(self, name)} needs as many points, but points={self.points}")
        if self.position_rows < self.tokens:
            raise ValueError(f"position_rows must be at least the {self.tokens} tokens, not {self.position_rows}")

    @property
    def tokens(self) -> int:
        """L: the patches, each once for every axis that they are sorted by."""
        return (3 if self.order == "axes" else 1) * self.patches


#: "published" is for ModelNet40; for ScanObjectNN the paper takes points=2048 and patches=128. "xs" is ours, for the
#: made shapes on a CPU: one copy of few patches, and none of the means against overfitting.
PRESETS: Mapping[str, PointABMConfig] = MappingProxyType({
    "published": PointABMConfig(),
    "xs": PointABMConfig(
        points=512, classes=10, patches=32, patch_points=16, patch_width=32, position_width=32, order="sampled", dim=96,
        heads=4, feedforward_dim=192, position_rows=32, depth=3, head_dim=64, head_dropout=0.0, dropout=0.0,
        drop_path=0.0,
    ),
})  # fmt: skip


class PointABM(nn.Module):
    """The classifier: (B, P, 3) -> logits (B, classes)."""

    def __init__(self, config: PointABMConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.patches = PatchEmbedding(
            dim, patches=config.patches, patch_points=config.patch_points, width=config.patch_width
        )
        self.centre_position = nn.Sequential(
            nn.Linear(3, config.position_width), nn.GELU(), nn.Linear(config.position_width, dim)
        )
        self.sequence_position = nn.Parameter(torch.empty(config.position_rows, dim))
        nn.init.trunc_normal_(self.sequence_position, std=0.02)
        self.transformer = nn.ModuleList(
            TransformerLayer(dim, config.heads, config.feedforward_dim, dropout=config.dropout, form=config.attention)
            for _ in range(config.attention_depth)
        )  # fmt: skip
        self.blocks = nn.ModuleList(
            BidirectionalBlock(
                dim, state_dim=config.state_dim, expansion=config.expansion, drop_path=config.drop_path,
                convolution_width=config.convolution_width, shared_selection=config.shared_selection,
            )
            for _ in range(config.depth)
        )  # fmt: skip
        self.norm = nn.LayerNorm(dim)
        self.head = _head(config)

    def forward(self, points: Tensor) -> Tensor:
        """Logits from clouds; ValueError for another shape than (B, P, 3) and for less than ``patches`` points."""
        tokens, centres = self.patches(points)  # (B, G, C) and (B, G, 3)
        tokens = tokens + self.centre_position(centres)
        if self.config.order == "axes":
            tokens = along_axes(tokens, centres)  # (B, 3 G, C)
        tokens = tokens + self.sequence_position[: tokens.shape[1]]
        for block in (*self.transformer, *self.blocks):
            tokens = block(tokens)
        return self.head(self.norm(tokens).mean(1))  # (B, classes)


class TransformerLayer(nn.Module):
    """Attention, then a perceptron with ReLU; each is added to its input and the sum normalised: (..., L, C) alike.

    PointABM's Algorithm 1, lines 5 to 13; the original order of Vaswani et al. 2017.
    """

    def __init__(
        self, dim: int, heads: int, feedforward_dim: int, *, dropout: float = 0.0, form: AttentionForm = "sdpa"
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(
            dim, heads, qkv_bias=True, attention_dropout=dropout, dropout=dropout, form=form
        )  # fmt: skip
        self.attention_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, feedforward_dim)
        self.contract = nn.Linear(feedforward_dim, dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., L, C) -> (..., L, C)"""
        tokens = self.attention_norm(tokens + self.attention(tokens))
        hidden = self.dropout(functional.relu(self.expand(tokens)))  # (..., L, feedforward_dim)
        return self.feedforward_norm(tokens + self.dropout(self.contract(hidden)))  # (..., L, C)


class BidirectionalBlock(nn.Module):
    """x + biSSM(norm(x)), PointABM's Algorithm 2: (B, L, C) -> (B, L, C).

    shared_selection: both directions have one selection: the weights that decide step sizes, B and C.
    """

    def __init__(
        self,
        dim: int,
        *,
        state_dim: int = 16,
        expansion: float = 2.0,
        convolution_width: int = 4,
        shared_selection: bool = True,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mixer = BidirectionalMamba(
            dim, state_dim=state_dim, expansion=expansion, convolution_width=convolution_width
        )  # fmt: skip
        if shared_selection:
            _share_selection(self.mixer.forward_ssm, self.mixer.backward_ssm)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, C) -> (B, L, C)"""
        return tokens + self.drop_path(self.mixer(self.norm(tokens)))


def _share_selection(ssm: SelectiveSSM, other: SelectiveSSM) -> None:
    """One set of weights for both. The layers stay two: what counts operations by layers would meet one twice."""
    other.selection.weight = ssm.selection.weight
    other.step.weight = ssm.step.weight
    other.step.bias = ssm.step.bias


def along_axes(tokens: Tensor, centres: Tensor) -> Tensor:
    """Tokens (B, G, C) three times, sorted by x, y and z of their centres (B, G, 3) -> (B, 3 G, C).

    Centres that are level keep their order.
    """
    orders = centres.argsort(dim=1, stable=True).transpose(1, 2).flatten(1)  # (B, 3 G)
    return gather(tokens, orders)  # (B, 3 G, C)


def _head(config: PointABMConfig) -> nn.Sequential:
    """Logits (B, classes) from the mean of the tokens (B, C)."""
    widths = (config.dim, config.head_dim, config.head_dim)
    hidden = [
        nn.Sequential(nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(config.head_dropout))
        for before, after in pairwise(widths)
    ]
    return nn.Sequential(*hidden, nn.Linear(config.head_dim, config.classes))


def build(config: PointABMConfig) -> PointABM:
    """A PointABM with fresh weights."""
    return PointABM(config)
