"""MotionAGFormer: Mehraban, Adeli, Taati, "MotionAGFormer: Enhancing 3D Human Pose Estimation with a
Transformer-GCNFormer Network", WACV 2024, arXiv 2310.16288; structure of TaatiTeam/MotionAGFormer, commit 4756fd1.

Every layer (the paper's section 3) sends the clip through two streams, attention and graph convolution, each first over
the joints of a frame, then over the frames of a joint, and blends them by learned shares.
B is the batch, T frames, J joints, C channels. ``dim`` is the paper's d, ``depth`` its N.

The input is (x, y, confidence) and the output root-relative. There is no temporal position embedding, but the batch
norms of the temporal graph have one channel a frame: a model serves the one T it was built for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from baselines.attention import ATTENTION_FORMS, AttentionForm, self_attention
from baselines.graph import FixedGraph, GraphConvolution, SimilarityGraph
from baselines.metaformer import MetaFormerBlock
from baselines.official import complete_options, rename
from baselines.options import require_count, require_input, require_known, require_probability
from baselines.temporal_convolution import BRANCHES, MultiScaleTemporalConvolution

TemporalMixer = Literal["similarity", "successors", "convolution"]
TEMPORAL_MIXERS: tuple[str, ...] = get_args(TemporalMixer)

#: Whose messages each joint takes, in the authors' table: no joint its own, thorax (8) not the shoulders', pelvis (0)
#: not the left hip's, although these take the messages of thorax and pelvis.
JOINT_NEIGHBOURS: tuple[tuple[int, ...], ...] = (
    (1, 7), (0, 2), (1, 3), (2,), (0, 5), (4, 6), (5,), (0, 8), (7, 9),
    (8, 10), (9,), (8, 12), (11, 13), (12,), (8, 15), (14, 16), (15,),
)  # fmt: skip


@dataclass(frozen=True)
class MotionAGFormerConfig:
    """Everything that decides a MotionAGFormer's structure.

    frames: T, the one clip length the model takes (any, where ``temporal_mixer`` is "convolution").
    in_channels: 3 (x, y, confidence; the authors') or 2 (x, y).
    attention_scale: factor of the attention logits; None means 1 / sqrt(channels of a head).
    layer_scale: where the gains of the residual branches begin; None means no gains.
    adaptive_fusion: blend the streams by learned shares, else by their mean.
    hierarchical: half of the channels go through each stream, and the graph stream takes the other's output as well.
        Its fusion layers exist as in the authors' checkpoints, and nothing uses them.
    temporal_mixer: what the graph stream does along time: "similarity" links each frame to the ``neighbours`` frames
        most similar to it, "successors" to itself and the ``successors`` frames after it, "convolution" is MS-TCN.
    graph_only: the graph stream is bare graph convolutions, without norm, MLP and shortcut around them.
    drop_path: probability of leaving out a residual branch in training, the same in all layers.
    attention: "sdpa" (fused) or "explicit" (the published form); the same numbers up to rounding.

    Raises ValueError for a value out of range, for an unknown name, and for widths that do not divide.
    """

    target_space: ClassVar[str] = "image"

    frames: int = 243
    in_channels: int = 3
    joints: int = 17
    dim: int = 128
    depth: int = 16
    representation_dim: int = 512
    mlp_ratio: float = 4.0
    heads: int = 8
    qkv_bias: bool = False
    attention_scale: float | None = None
    layer_scale: float | None = 1e-5
    adaptive_fusion: bool = True
    hierarchical: bool = False
    temporal_mixer: TemporalMixer = "similarity"
    neighbours: int = 2
    successors: int = 1
    graph_only: bool = False
    drop_path: float = 0.0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    attention: AttentionForm = "sdpa"

    def __post_init__(self) -> None:
        for name in ("frames", "dim", "depth", "representation_dim", "heads", "neighbours", "successors"):
            require_count(name, getattr(self, name))
        for name in ("drop_path", "dropout", "attention_dropout"):
            require_probability(name, getattr(self, name))
        require_known("temporal_mixer", self.temporal_mixer, TEMPORAL_MIXERS)
        require_known("attention", self.attention, ATTENTION_FORMS)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.joints != len(JOINT_NEIGHBOURS):
            raise ValueError(f"joints must be {len(JOINT_NEIGHBOURS)}, the skeleton of the graph, not {self.joints!r}")
        self._check_widths()
        if self.temporal_mixer == "similarity" and self.neighbours > self.frames:
            raise ValueError(f"neighbours={self.neighbours} needs as many frames, but frames={self.frames}")

    def _check_widths(self) -> None:
        if self.hierarchical and self.dim % 2:
            raise ValueError(f"dim must be even where hierarchical halves it, not {self.dim}")
        halved = "half of dim" if self.hierarchical else "dim"
        if self.stream_dim % self.heads:
            raise ValueError(f"{halved} must be a multiple of heads={self.heads}, not {self.stream_dim}")
        if self.temporal_mixer == "convolution" and self.stream_dim % BRANCHES:
            raise ValueError(f"{halved} must be a multiple of {BRANCHES} for the convolution, not {self.stream_dim}")
        if not self.mlp_ratio * self.stream_dim >= 1:
            raise ValueError(f"mlp_ratio must leave at least one channel, not {self.mlp_ratio!r} of {self.stream_dim}")

    @property
    def other_frames(self) -> str:
        """What else than ``frames`` one set of weights takes: "none", or "any" where time is convolved."""
        return "any" if self.temporal_mixer == "convolution" else "none"

    @property
    def stream_dim(self) -> int:
        """Channels inside one stream."""
        return self.dim // 2 if self.hierarchical else self.dim


#: configs/h36m of the authors' repository; its README publishes B and L at 81 frames as well.
#: xxs is ours, for demonstrations and short budgets; without the tiny gains of the residual branches, which need
#: tens of thousands of steps to open.
PRESETS: Mapping[str, MotionAGFormerConfig] = MappingProxyType({
    "xxs": MotionAGFormerConfig(frames=27, dim=32, depth=2, representation_dim=128, heads=4, layer_scale=None),
    "xs": MotionAGFormerConfig(frames=27,  dim=64,  depth=12),
    "s":  MotionAGFormerConfig(frames=81,  dim=64,  depth=26),
    "b":  MotionAGFormerConfig(frames=243, dim=128, depth=16),
    "l":  MotionAGFormerConfig(frames=243, dim=128, depth=26),
})  # fmt: skip


class MotionAGFormer(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3)."""

    def __init__(self, config: MotionAGFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.joint_embedding = nn.Linear(config.in_channels, config.dim)
        self.position_embedding = nn.Parameter(torch.zeros(1, config.joints, config.dim))
        self.layers = nn.ModuleList(TwoStreamLayer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim)
        self.representation = nn.Linear(config.dim, config.representation_dim)
        self.head = nn.Linear(config.representation_dim, 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other frames, joints or channels than the model was built for."""
        config = self.config
        frames = None if config.temporal_mixer == "convolution" else config.frames
        require_input(keypoints.shape, frames=frames, joints=config.joints, channels=config.in_channels)
        x = self.joint_embedding(keypoints) + self.position_embedding  # (B, T, J, C)
        for layer in self.layers:
            x = layer(x)
        representation = self.representation(self.norm(x)).tanh()  # (B, T, J, representation_dim)
        return self.head(representation)  # (B, T, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _OFFICIAL_WORDS)


class TwoStreamLayer(nn.Module):
    """One layer: attention and graph stream, and their fusion; (B, T, J, C) -> (B, T, J, C)."""

    def __init__(self, config: MotionAGFormerConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.stream_dim
        self.spatial_attention = _block(config, self_attention(config, dim))
        self.temporal_attention = _block(config, self_attention(config, dim))
        self.spatial_graph = _graph_block(config, GraphConvolution(dim, config.joints, FixedGraph(_skeleton())))
        self.temporal_graph = _graph_block(config, _temporal_mixer(config))
        if config.adaptive_fusion:
            self.fusion = nn.Linear(2 * dim, 2)
            nn.init.zeros_(self.fusion.weight)
            nn.init.constant_(self.fusion.bias, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, J, C) -> (B, T, J, C)"""
        if self.config.hierarchical:
            attention_half, graph_half = x.chunk(2, dim=-1)  # (B, T, J, C / 2) each
            attended = self._attend(attention_half)
            return torch.cat((attended, self._convolve(graph_half + attended)), dim=-1)  # (B, T, J, C)
        return self._fuse(self._attend(x), self._convolve(x))

    def _attend(self, x: Tensor) -> Tensor:
        return _along_time(self.temporal_attention, self.spatial_attention(x))

    def _convolve(self, x: Tensor) -> Tensor:
        return _along_time(self.temporal_graph, self.spatial_graph(x))

    def _fuse(self, attended: Tensor, convolved: Tensor) -> Tensor:
        if not self.config.adaptive_fusion:
            return (attended + convolved) * 0.5
        logits = self.fusion(torch.cat((attended, convolved), dim=-1))  # (B, T, J, 2)
        # The softmax over two shares is the sigmoid of their difference, which is far cheaper on so short an axis.
        convolved_share = (logits[..., 1:] - logits[..., :1]).sigmoid()  # (B, T, J, 1)
        return torch.addcmul(attended, convolved_share, convolved - attended)


def _along_time(block: nn.Module, x: Tensor) -> Tensor:
    """A block that mixes the last axis but one, applied to the frames of each joint: (B, T, J, C) -> (B, T, J, C)."""
    # One copy each way: every operation of the block is faster on contiguous frames.
    frames = x.transpose(1, 2).contiguous()  # (B, J, T, C)
    return block(frames).transpose(1, 2).contiguous()  # (B, T, J, C)


def _temporal_mixer(config: MotionAGFormerConfig) -> nn.Module:
    if config.temporal_mixer == "convolution":
        return MultiScaleTemporalConvolution(config.stream_dim)
    if config.temporal_mixer == "similarity":
        return GraphConvolution(config.stream_dim, config.frames, SimilarityGraph(config.neighbours))
    return GraphConvolution(config.stream_dim, config.frames, FixedGraph(_chain(config.frames, config.successors)))


def _block(config: MotionAGFormerConfig, mixer: nn.Module) -> MetaFormerBlock:
    return MetaFormerBlock(
        config.stream_dim,
        mixer,
        mlp_ratio=config.mlp_ratio,
        layer_scale=config.layer_scale,
        dropout=config.dropout,
        drop_path=config.drop_path,
    )


def _graph_block(config: MotionAGFormerConfig, mixer: nn.Module) -> nn.Module:
    return mixer if config.graph_only else _block(config, mixer)


def _skeleton() -> Tensor:
    """Adjacency (J, J) of the joints."""
    adjacency = torch.zeros(len(JOINT_NEIGHBOURS), len(JOINT_NEIGHBOURS))
    for joint, neighbours in enumerate(JOINT_NEIGHBOURS):
        adjacency[joint, list(neighbours)] = 1
    return adjacency


def _chain(frames: int, successors: int) -> Tensor:
    """Adjacency (T, T) of the frames: each is linked to itself and the frames that follow, as far as there are any."""
    return torch.ones(frames, frames).triu().tril(successors)


def build(config: MotionAGFormerConfig) -> MotionAGFormer:
    """A MotionAGFormer with fresh weights."""
    return MotionAGFormer(config)


#: The authors' words for ours, where they differ (model/MotionAGFormer.py and model/modules).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "joint_embedding":      "joints_embed",
    "position_embedding":   "pos_embed",
    "representation":       "rep_logit.fc",
    "spatial_attention":    "att_spatial",
    "temporal_attention":   "att_temporal",
    "spatial_graph":        "graph_spatial",
    "temporal_graph":       "graph_temporal",
    "mixer_norm":           "norm1",
    "mixer_scale":          "layer_scale_1",
    "mlp_norm":             "norm2",
    "mlp_scale":            "layer_scale_2",
    "expand":               "fc1",
    "contract":             "fc2",
    "projection":           "proj",
    "own_projection":       "U",
    "neighbour_projection": "V",
    "reduction":            "0",
    "reduction_norm":       "1",
    "convolution":          "3.conv",
    "convolution_norm":     "3.bn",
    "pooling_norm":         "4",
})  # fmt: skip

#: What the authors' constructor takes where their configuration says nothing.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({
    "dim_rep": 512, "dim_out": 3, "mlp_ratio": 4, "act_layer": "gelu", "attn_drop": 0.0, "drop": 0.0, "drop_path": 0.0,
    "use_layer_scale": True, "layer_scale_init_value": 1e-5, "use_adaptive_fusion": True, "num_heads": 4,
    "qkv_bias": False, "qkv_scale": None, "hierarchical": False, "num_joints": 17, "use_temporal_similarity": True,
    "temporal_connection_len": 1, "use_tcn": False, "graph_only": False, "neighbour_num": 4, "n_frames": 243,
})  # fmt: skip
_OFFICIAL_REQUIRED = ("n_layers", "dim_in", "dim_feat")
#: Which of our options each of the authors' decides; None where they have a choice and the published models do not.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "n_frames": "frames", "dim_in": "in_channels", "num_joints": "joints", "dim_feat": "dim", "n_layers": "depth",
    "dim_rep": "representation_dim", "mlp_ratio": "mlp_ratio", "num_heads": "heads", "qkv_bias": "qkv_bias",
    "qkv_scale": "attention_scale", "use_layer_scale": "layer_scale", "layer_scale_init_value": "layer_scale",
    "use_adaptive_fusion": "adaptive_fusion", "hierarchical": "hierarchical", "use_tcn": "temporal_mixer",
    "use_temporal_similarity": "temporal_mixer", "neighbour_num": "neighbours", "temporal_connection_len": "successors",
    "graph_only": "graph_only", "drop_path": "drop_path", "drop": "dropout", "attn_drop": "attention_dropout",
    "act_layer": None, "dim_out": None,
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> MotionAGFormerConfig:
    """The configuration for the authors' constructor options (the part "Model" of their configs/*.yaml).

    Raises ValueError for an option they don't have, one that is missing, and for values that no published model uses:
    an activation other than GELU, an output of other than 3 channels.
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS, required=_OFFICIAL_REQUIRED)
    for name, only in (("act_layer", "gelu"), ("dim_out", 3)):
        if theirs[name] != only:
            raise ValueError(f"{name} must be {only!r}, not {theirs[name]!r}")
    return MotionAGFormerConfig(
        frames=theirs["n_frames"],
        in_channels=theirs["dim_in"],
        joints=theirs["num_joints"],
        dim=theirs["dim_feat"],
        depth=theirs["n_layers"],
        representation_dim=theirs["dim_rep"],
        mlp_ratio=theirs["mlp_ratio"],
        heads=theirs["num_heads"],
        qkv_bias=theirs["qkv_bias"],
        attention_scale=theirs["qkv_scale"],
        layer_scale=theirs["layer_scale_init_value"] if theirs["use_layer_scale"] else None,
        adaptive_fusion=theirs["use_adaptive_fusion"],
        hierarchical=theirs["hierarchical"],
        temporal_mixer=_official_temporal_mixer(theirs),
        neighbours=theirs["neighbour_num"],
        successors=theirs["temporal_connection_len"],
        graph_only=theirs["graph_only"],
        drop_path=theirs["drop_path"],
        dropout=theirs["drop"],
        attention_dropout=theirs["attn_drop"],
    )


def _official_temporal_mixer(theirs: Mapping[str, Any]) -> TemporalMixer:
    if theirs["use_tcn"]:
        return "convolution"
    return "similarity" if theirs["use_temporal_similarity"] else "successors"
