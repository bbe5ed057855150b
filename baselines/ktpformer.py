"""KTPFormer: Peng, Zhou, Mok, "KTPFormer: Kinematics and Trajectory Prior Knowledge-Enhanced Transformer for 3D Human
Pose Estimation", CVPR 2024, arXiv 2404.00658; structure of JihuaPeng/KTPFormer, commit b961951.

MixSTE's transformer, whose first stage is told what belongs together: before its spatial block a graph convolution
mixes joints along the bones (kinematics prior attention, KPA), before its temporal block two more mix frames along time
(trajectory prior attention, TPA). B is the batch, T frames, J joints, C channels; L the nodes of a graph (J or T), N
the graphs in a batch. ``dim`` is the paper's d_m.

The input is (x, y), the output metres relative to the root. No layer embeds the keypoints: the first graph convolution
takes them as they are. Graph and position of the frames tie a model to the one T it was built for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines import poseformer
from baselines.alternating_transformer import (
    TRANSFORMER_WORDS,
    AlternatingTransformer,
    AlternatingTransformerConfig,
    transformer_block,
)
from baselines.drop_path import growing
from baselines.official import complete_options, rename
from baselines.options import require_input

#: The joint that each joint hangs on, -1 for the root: Human3.6M's tree as VideoPose3D cuts it to 17 joints.
PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)


@dataclass(frozen=True)
class KTPFormerConfig(AlternatingTransformerConfig):
    """Everything that decides a KTPFormer's structure; the other options are those of its transformer.

    depth: stages after the first one, which has the priors.
    parents: the joint that each joint hangs on, -1 for none.

    Raises ValueError where parents does not name a joint for each joint, beside what its transformer refuses.
    """

    depth: int = 7
    parents: tuple[int, ...] = PARENTS

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.parents) != self.joints:
            raise ValueError(f"parents must name {self.joints} joints, as many as joints, not {len(self.parents)}")
        for joint, parent in enumerate(self.parents):
            if parent not in range(-1, self.joints) or parent == joint:
                raise ValueError(f"parents must name other joints, or -1 for none, not {parent!r} for joint {joint}")


#: The released model (run_ktpformer.py with the defaults of common/arguments.py); other T by ``frames``.
PRESETS: Mapping[str, KTPFormerConfig] = MappingProxyType({"published": KTPFormerConfig()})


class KTPFormer(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3)."""

    def __init__(self, config: KTPFormerConfig) -> None:
        super().__init__()
        self.config = config
        bones, chain = topology(config.parents), topology(range(-1, config.frames - 1))
        self.kinematic_block = PriorBlock(config, GraphLayer(config.in_channels, config.dim, bones), config.joints)
        self.trajectory_block = PriorBlock(config, TrajectoryPrior(config.dim, chain), config.frames)
        # The authors count the first stage among those over which drop path grows, and it gets none.
        drop_paths = growing(config.drop_path, config.depth + 1)[1:]
        self.transformer = AlternatingTransformer(config, drop_paths)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other frames, joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=config.frames, joints=config.joints, channels=config.in_channels)
        x = self.transformer.stage(keypoints, self.kinematic_block, self.trajectory_block)  # (B, T, J, C)
        return self.transformer(x)  # (B, T, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _OFFICIAL_WORDS)


class PriorBlock(nn.Module):
    """A prior, learned positions, then a transformer block: nodes (N, L, ...) -> (N, L, C)."""

    def __init__(self, config: KTPFormerConfig, prior: nn.Module, nodes: int) -> None:
        super().__init__()
        self.prior = prior
        self.position = nn.Parameter(torch.zeros(1, nodes, config.dim))
        self.dropout = nn.Dropout(config.dropout)
        self.block = transformer_block(config, drop_path=0.0)
        # The authors give this one norm PyTorch's 1e-5, and every other inside a block BLOCK_NORM_EPS.
        self.block.mixer_norm = nn.LayerNorm(config.dim)

    def forward(self, nodes: Tensor) -> Tensor:
        """(N, L, ...) -> (N, L, C)"""
        return self.block(self.dropout(self.prior(nodes) + self.position))


class TrajectoryPrior(nn.Module):
    """Two graph layers with a shortcut around both: (N, L, C) -> (N, L, C)."""

    def __init__(self, dim: int, fixed_edges: Tensor) -> None:
        super().__init__()
        self.first = GraphLayer(dim, dim, fixed_edges)
        self.second = GraphLayer(dim, dim, fixed_edges)

    def forward(self, nodes: Tensor) -> Tensor:
        """(N, L, C) -> (N, L, C)"""
        return nodes + self.second(self.first(nodes))


class GraphLayer(nn.Module):
    """relu(BatchNorm(graph convolution)), nodes (N, L, in_dim) -> (N, L, dim); the norm's channels are features."""

    def __init__(self, in_dim: int, dim: int, fixed_edges: Tensor) -> None:
        super().__init__()
        self.convolution = ModulatedGraphConvolution(in_dim, dim, fixed_edges)
        self.batch_norm = nn.BatchNorm1d(dim)

    def forward(self, nodes: Tensor) -> Tensor:
        """(N, L, in_dim) -> (N, L, dim)"""
        mixed = self.convolution(nodes)
        return functional.relu(self.batch_norm(mixed.flatten(0, 1)).view(mixed.shape))


class ModulatedGraphConvolution(nn.Module):
    """Modulated graph convolution (Zou and Tang, ICCV 2021), nodes (N, L, in_dim) -> (N, L, dim).

    Every node sends one message to itself and another to all others. Each channel of a node's messages has a learned
    gain (``modulation``), each pair of nodes an edge that is the mean of both directions: fixed plus learned.
    """

    fixed_edges: Tensor

    def __init__(self, in_dim: int, dim: int, fixed_edges: Tensor) -> None:
        super().__init__()
        nodes = len(fixed_edges)
        self.register_buffer("fixed_edges", fixed_edges, persistent=False)
        self.learned_edges = nn.Parameter(torch.full((nodes, nodes), 1e-6))
        self.modulation = nn.Parameter(torch.ones(nodes, dim))
        self.weight = nn.Parameter(torch.empty(2, in_dim, dim))  # to itself, to others
        self.bias = nn.Parameter(torch.empty(dim).uniform_(-1 / math.sqrt(dim), 1 / math.sqrt(dim)))
        # On three axes xavier takes (in_dim + 2) * dim for the fans: far smaller weights than for two matrices, and
        # what the authors train from.
        nn.init.xavier_uniform_(self.weight, gain=1.414)

    def forward(self, nodes: Tensor) -> Tensor:
        """(N, L, in_dim) -> (N, L, dim)"""
        edges = self.fixed_edges + self.learned_edges  # (L, L)
        edges = (edges + edges.transpose(0, 1)) / 2
        to_itself = edges.diagonal()  # (L,)
        to_others = edges - torch.diag_embed(to_itself)  # (L, L)
        own = to_itself.unsqueeze(-1) * self.modulation * (nodes @ self.weight[0])  # (N, L, dim)
        received = to_others @ (self.modulation * (nodes @ self.weight[1]))  # (N, L, dim)
        return own + received + self.bias


def topology(parents: Sequence[int]) -> Tensor:
    """Edges (L, L) of a tree: 1 from each node to itself, 1 in equal parts to its neighbours. -1 is no parent."""
    neighbours = torch.zeros(len(parents), len(parents))
    for node, parent in enumerate(parents):
        if parent >= 0:
            neighbours[node, parent] = neighbours[parent, node] = 1
    count = neighbours.sum(dim=1, keepdim=True).clamp(min=1)  # (L, 1); a single frame has no neighbour
    return neighbours / count + torch.eye(len(parents))


def build(config: KTPFormerConfig) -> KTPFormer:
    """A KTPFormer with fresh weights, which begin as the authors' do."""
    return KTPFormer(config)


#: The authors' words for ours, where they differ (common/model_ktpformer.py).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    **TRANSFORMER_WORDS,
    "kinematic_block.prior":             "kpattention.attn.kpa",
    "kinematic_block.position":          "kpattention.attn.Spatial_pos_embed",
    "kinematic_block.block.mixer_norm":  "kpattention.attn.norm1",
    "kinematic_block.block":             "kpattention",
    "trajectory_block.prior.first":      "tpattention.attn.tpa.gconv1",
    "trajectory_block.prior.second":     "tpattention.attn.tpa.gconv2",
    "trajectory_block.position":         "tpattention.attn.Temporal_pos_embed",
    "trajectory_block.block.mixer_norm": "tpattention.attn.norm1",
    "trajectory_block.block":            "tpattention",
    "batch_norm":                        "bn",
    "convolution":                       "gconv",
    "convolution.weight":                "gconv.W",
    "modulation":                        "M",
    "learned_edges":                     "adj2",
})  # fmt: skip

#: Which of our options each of the authors' decides. Their constructor takes two matrices of edges in place of
#: ``adj_parents``, the list that run_ktpformer.py makes the first of; the second follows from the frames.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({**poseformer.OFFICIAL_OPTIONS, "adj_parents": "parents"})


def official_config(options: Mapping[str, Any]) -> KTPFormerConfig:
    """The configuration for the authors' constructor options, with ``adj_parents`` in place of the matrices of edges.

    Raises ValueError for an option they don't have, and for a norm other than theirs.
    """
    theirs = complete_options(options, {**poseformer.OFFICIAL_DEFAULTS, "adj_parents": PARENTS})
    fields = poseformer.official_fields(theirs, poseformer.OFFICIAL_OPTIONS)
    return KTPFormerConfig(**fields, parents=tuple(theirs["adj_parents"]))
