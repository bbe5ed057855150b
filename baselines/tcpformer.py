"""TCPFormer: Liu, Liu, Liu, Li, "TCPFormer: Learning Temporal Correlation with Implicit Pose Proxy for 3D Human Pose
Estimation", AAAI 2025, arXiv 2501.01770; structure of AsukaCamellia/TCPFormer, commit 4949a68.

Layers of two kinds take turns. A two-stream layer is that of MotionBERT: attention over the joints of a frame and over
the frames of a joint, in both orders, blended by learned shares. In a proxy layer the frames of a joint meet its
proxies, learned tokens that all clips start from, one for every three frames: proxies attend to frames (the paper's
proxy update module, PUM), frames to proxies (proxy invocation, PIM), and the product of the two attention maps, from
frame to proxy to frame, is mixed into an attention among frames (proxy attention, PAM).
B is the batch, T frames, J joints, P proxies of a joint, C channels, H heads, D channels of a head, N = B · J.

The input is (x, y, confidence) and the output root-relative, both in image coordinates. No frame has a position
embedding, so one set of weights takes clips of any length; the order of the frames shows only in that each third of the
clip passes a transformer block of its own, at the beginning of a proxy layer. In the authors' code the gains of those
blocks are not learned but stay as they begin: 27 % of the published parameters act through a factor of 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.attention import ATTENTION_FORMS, AttentionForm, attend, self_attention
from baselines.drop_path import DropPath
from baselines.metaformer import MetaFormerBlock
from baselines.mlp import MLP
from baselines.official import complete_options, rename
from baselines.options import require_count, require_input, require_known, require_probability

#: Into how many parts a clip is cut; also how many frames there are to one proxy.
PARTS = 3


@dataclass(frozen=True)
class TCPFormerConfig:
    """Everything that decides a TCPFormer's structure.

    frames: T, the clip length it is built for: every joint has T / 3 proxies, rounded down, so at least 3. The weights
        take clips of any length.
    in_channels: 3 (x, y, confidence; the authors') or 2 (x, y).
    depth: two-stream layers, and as many proxy layers.
    attention_scale: factor of the attention logits; None means 1 / sqrt(channels of a head).
    layer_scale: where the gains of the residual branches begin, and stay for those of the thirds; None means no gains.
    drop_path: probability of leaving out a residual branch in training, the same in all layers.
    attention: "sdpa" (fused) or "explicit" (the published form, with the product of the attention maps written out);
        the same numbers up to rounding, but not the same products: at 243 frames sdpa saves 5 % of all of them. In
        training with ``attention_dropout`` the proxies' attention is explicit whatever is chosen.

    Raises ValueError for a value out of range, for an unknown name, and for widths that do not divide.
    """

    other_frames: ClassVar[str] = "any"
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
    drop_path: float = 0.0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    attention: AttentionForm = "sdpa"

    def __post_init__(self) -> None:
        for name in ("frames", "joints", "dim", "depth", "representation_dim", "heads"):
            require_count(name, getattr(self, name))
        for name in ("drop_path", "dropout", "attention_dropout"):
            require_probability(name, getattr(self, name))
        require_known("attention", self.attention, ATTENTION_FORMS)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.proxies < 1:
            raise ValueError(f"frames must be at least {PARTS}, since {PARTS} frames have one proxy, not {self.frames}")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads={self.heads}, not {self.dim}")
        if not self.mlp_ratio * self.dim >= 1:
            raise ValueError(f"mlp_ratio must leave at least one channel, not {self.mlp_ratio!r} of {self.dim}")

    @property
    def proxies(self) -> int:
        """P, the proxies of one joint."""
        return self.frames // PARTS


#: configs/h36m of the authors' repository, at 243 and 81 frames; configs/mpi has the same at 81, 27 and 9.
PRESETS: Mapping[str, TCPFormerConfig] = MappingProxyType({"published": TCPFormerConfig()})


class TCPFormer(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3), for any T."""

    def __init__(self, config: TCPFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.joint_embedding = nn.Linear(config.in_channels, config.dim)
        self.position_embedding = nn.Parameter(torch.zeros(1, config.joints, config.dim))
        self.proxies = nn.Parameter(torch.randn(config.proxies, config.joints, config.dim))
        self.proxy_position_embedding = nn.Parameter(torch.zeros(1, config.joints, config.dim))
        self.two_stream_layers = nn.ModuleList(TwoStreamLayer(config) for _ in range(config.depth))
        self.proxy_layers = nn.ModuleList(ProxyLayer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim)
        self.representation = nn.Linear(config.dim, config.representation_dim)
        self.head = nn.Linear(config.representation_dim, 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=None, joints=config.joints, channels=config.in_channels)
        x = self.joint_embedding(keypoints) + self.position_embedding  # (B, T, J, C)
        proxies = (self.proxies + self.proxy_position_embedding).transpose(0, 1)  # (J, P, C)
        proxies = proxies.expand(len(keypoints), -1, -1, -1)  # (B, J, P, C)
        for two_stream_layer, proxy_layer in zip(self.two_stream_layers, self.proxy_layers, strict=True):
            # One copy each way: every operation along time is faster on contiguous frames.
            frames = two_stream_layer(x).transpose(1, 2).contiguous()  # (B, J, T, C)
            frames, proxies = proxy_layer(frames, proxies)
            x = frames.transpose(1, 2).contiguous()  # (B, T, J, C)
        representation = self.representation(self.norm(x)).tanh()  # (B, T, J, representation_dim)
        return self.head(representation)  # (B, T, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _OFFICIAL_WORDS)


class TwoStreamLayer(nn.Module):
    """Attention along joints and frames in both orders, and the fusion of the two: (B, T, J, C) -> (B, T, J, C)."""

    def __init__(self, config: TCPFormerConfig) -> None:
        super().__init__()
        self.space_first = SpaceTimeStream(config)
        self.time_first = SpaceTimeStream(config)
        self.fusion = nn.Linear(2 * config.dim, 2)
        nn.init.zeros_(self.fusion.weight)
        nn.init.constant_(self.fusion.bias, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, J, C) -> (B, T, J, C)"""
        space_first = self.space_first.along_time(self.space_first.along_space(x))
        time_first = self.time_first.along_space(self.time_first.along_time(x))
        logits = self.fusion(torch.cat((space_first, time_first), dim=-1))  # (B, T, J, 2)
        # The softmax over two shares is the sigmoid of their difference, which is far cheaper on so short an axis.
        time_share = (logits[..., 1:] - logits[..., :1]).sigmoid()  # (B, T, J, 1)
        return torch.addcmul(space_first, time_share, time_first - space_first)


class SpaceTimeStream(nn.Module):
    """The two blocks of one stream; its layer says which comes first."""

    def __init__(self, config: TCPFormerConfig) -> None:
        super().__init__()
        self.spatial = _attention_block(config)
        self.temporal = _attention_block(config)

    def along_space(self, x: Tensor) -> Tensor:
        """Attention among the joints of each frame: (B, T, J, C) -> (B, T, J, C)"""
        return self.spatial(x)

    def along_time(self, x: Tensor) -> Tensor:
        """Attention among the frames of each joint: (B, T, J, C) -> (B, T, J, C)"""
        frames = x.transpose(1, 2).contiguous()  # (B, J, T, C)
        return self.temporal(frames).transpose(1, 2).contiguous()  # (B, T, J, C)


class ProxyLayer(nn.Module):
    """The frames of each joint, first by thirds, then with their proxies, which change as well.

    (B, J, T, C) and (B, J, P, C) -> the same.
    """

    def __init__(self, config: TCPFormerConfig) -> None:
        super().__init__()
        self.thirds = nn.ModuleList(_with_fixed_gains(_attention_block(config)) for _ in range(PARTS))
        self.frame_norm = nn.LayerNorm(config.dim)
        self.proxy_norm = nn.LayerNorm(config.dim)
        self.update = CrossAttention(config)
        self.after_update = Completion(config)
        self.invocation = CrossAttention(config)
        self.after_invocation = Completion(config)
        self.self_attention = _attention_block(config)
        self.proxy_attention_norm = nn.LayerNorm(config.dim)
        self.proxy_attention = ProxyAttention(config)
        self.after_proxy_attention = Completion(config)

    def forward(self, frames: Tensor, proxies: Tensor) -> tuple[Tensor, Tensor]:
        """(B, J, T, C) frames and (B, J, P, C) proxies -> frames and proxies"""
        frames = self._by_thirds(frames)
        seen = self.frame_norm(frames)
        mixed, from_frames = self.update(self.proxy_norm(proxies), seen)
        proxies = self.after_update(proxies, mixed)
        mixed, from_proxies = self.invocation(seen, self.proxy_norm(proxies))
        frames = self.after_invocation(frames, mixed)
        frames = self.self_attention(frames)
        mixed = self.proxy_attention(self.proxy_attention_norm(frames), from_proxies, from_frames)
        return self.after_proxy_attention(frames, mixed), proxies

    def _by_thirds(self, frames: Tensor) -> Tensor:
        # Rounded up, the last third takes what is left. Clips of 1, 2 and 4 frames, which the authors' code refuses,
        # have fewer than three parts, and the blocks of the missing ones are not used.
        parts = frames.chunk(PARTS, dim=-2)  # (B, J, T / 3, C) each
        return torch.cat([block(part) for block, part in zip(self.thirds, parts, strict=False)], dim=-2)


@dataclass(frozen=True)
class FusedWeights:
    """Attention weights (N, H, L, S) that are multiplied by the fused kernel and never written out."""

    query: Tensor
    key: Tensor
    scale: float | None

    def __matmul__(self, values: Tensor) -> Tensor:
        """(N, H, S, D) -> (N, H, L, D)"""
        return attend(self.query, self.key, values, scale=self.scale)


Weights: TypeAlias = Tensor | FusedWeights


class CrossAttention(nn.Module):
    """Attention of tokens to sources: (B, J, L, C) and (B, J, S, C) -> (B, J, L, C) and the weights (N, H, L, S)."""

    def __init__(self, config: TCPFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.query = nn.Linear(config.dim, config.dim, bias=config.qkv_bias)
        self.key = nn.Linear(config.dim, config.dim, bias=config.qkv_bias)
        self.value = nn.Linear(config.dim, config.dim, bias=config.qkv_bias)
        self.projection = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, sources: Tensor) -> tuple[Tensor, Weights]:
        """(B, J, L, C) and (B, J, S, C) -> (B, J, L, C) and (N, H, L, S)"""
        query, key, value = (
            _split_heads(linear(x), self.config.heads)  # (N, H, L or S, D)
            for linear, x in ((self.query, tokens), (self.key, sources), (self.value, sources))
        )
        weights = _weights(query, key, self.config, self.training)
        mixed = (weights @ value).transpose(1, 2).reshape(tokens.shape)  # (B, J, L, C)
        return self.dropout(self.projection(mixed)), weights


class ProxyAttention(nn.Module):
    """Attention among frames, blended with the routes from frame to proxy to frame: (B, J, T, C) -> (B, J, T, C).

    The share of the frames' own weights is learned, one number for all heads.
    """

    def __init__(self, config: TCPFormerConfig) -> None:
        super().__init__()
        self.config = config
        self.qkv = nn.Linear(config.dim, 3 * config.dim, bias=config.qkv_bias)
        self.projection = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.share_logit = nn.Parameter(torch.rand(1))

    def forward(self, frames: Tensor, from_proxies: Weights, from_frames: Weights) -> Tensor:
        """(B, J, T, C) frames, and the weights (N, H, T, P) and (N, H, P, T) -> (B, J, T, C)"""
        qkv = self.qkv(frames).chunk(3, dim=-1)  # (B, J, T, C) each
        query, key, value = (_split_heads(x, self.config.heads) for x in qkv)  # (N, H, T, D) each
        own = _weights(query, key, self.config, self.training)
        share = self.share_logit.sigmoid()
        if isinstance(own, FusedWeights):
            # The same product, but from the right: no matrix of T x T numbers.
            mixed = share * (own @ value) + (1 - share) * (from_proxies @ (from_frames @ value))  # (N, H, T, D)
        else:
            weights = share * own + (1 - share) * (from_proxies @ from_frames)  # type: ignore[operator]  # (N, H, T, T)
            mixed = functional.dropout(weights, self.config.attention_dropout, self.training) @ value  # (N, H, T, D)
        return self.dropout(self.projection(mixed.transpose(1, 2).reshape(frames.shape)))  # (B, J, T, C)


class Completion(nn.Module):
    """The rest of a block once its attention is done: x + gain · mixed, then x + gain · MLP(norm(x))."""

    def __init__(self, config: TCPFormerConfig) -> None:
        super().__init__()
        self.mlp_norm = nn.LayerNorm(config.dim)
        self.mlp = MLP(config.dim, int(config.dim * config.mlp_ratio), config.dropout)
        self.drop_path = DropPath(config.drop_path)
        self.mixer_scale = _gain(config)
        self.mlp_scale = _gain(config)

    def forward(self, tokens: Tensor, mixed: Tensor) -> Tensor:
        """(B, J, L, C) tokens, and what the attention made of them -> (B, J, L, C)"""
        tokens = self._add(tokens, mixed, self.mixer_scale)
        return self._add(tokens, self.mlp(self.mlp_norm(tokens)), self.mlp_scale)

    def _add(self, tokens: Tensor, branch: Tensor, scale: Tensor | None) -> Tensor:
        branch = self.drop_path(branch)
        return tokens + branch if scale is None else torch.addcmul(tokens, branch, scale)


def _weights(query: Tensor, key: Tensor, config: TCPFormerConfig, training: bool) -> Weights:
    """Attention weights (N, H, L, S) of (N, H, L, D) and (N, H, S, D)."""
    dropout = config.attention_dropout if training else 0.0
    if config.attention == "sdpa" and dropout == 0:
        return FusedWeights(query, key, config.attention_scale)
    scale = query.shape[-1] ** -0.5 if config.attention_scale is None else config.attention_scale
    weights = (query @ key.transpose(-2, -1) * scale).softmax(dim=-1)  # (N, H, L, S)
    return functional.dropout(weights, dropout)


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, J, L, C) -> (N, H, L, D)"""
    return x.flatten(0, 1).unflatten(-1, (heads, -1)).transpose(1, 2)


def _attention_block(config: TCPFormerConfig) -> MetaFormerBlock:
    return MetaFormerBlock(
        config.dim,
        self_attention(config, config.dim),
        mlp_ratio=config.mlp_ratio,
        layer_scale=config.layer_scale,
        dropout=config.dropout,
        drop_path=config.drop_path,
    )


def _with_fixed_gains(block: MetaFormerBlock) -> MetaFormerBlock:
    """The block with gains that are neither learned nor saved."""
    for name in ("mixer_scale", "mlp_scale"):
        gain = getattr(block, name)
        delattr(block, name)
        block.register_buffer(name, None if gain is None else gain.detach(), persistent=False)
    return block


def _gain(config: TCPFormerConfig) -> nn.Parameter | None:
    return None if config.layer_scale is None else nn.Parameter(torch.full((config.dim,), config.layer_scale))


def build(config: TCPFormerConfig) -> TCPFormer:
    """A TCPFormer with fresh weights."""
    return TCPFormer(config)


#: The authors' words for ours, where they differ (model/Model.py and model/modules).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "joint_embedding":          "joints_embed",
    "position_embedding":       "pos_embed",
    "proxies":                  "center_pose",
    "proxy_position_embedding": "center_pos_embed",
    "two_stream_layers":        "layers",
    "proxy_layers":             "temporal_layers",
    "representation":           "rep_logit.fc",
    "space_first.spatial":      "att_spatial",
    "space_first.temporal":     "att_temporal",
    "time_first.temporal":      "graph_spatial",
    "time_first.spatial":       "graph_temporal",
    "mixer_norm":               "norm1",
    "mixer_scale":              "layer_scale_1",
    "mlp_norm":                 "norm2",
    "mlp_scale":                "layer_scale_2",
    "expand":                   "fc1",
    "contract":                 "fc2",
    "projection":               "proj",
    # The proxy layers: their parts lie side by side in the authors' code, most of them in cross_temporal.
    **{f"thirds.{part}.mixer":      f"local_attention_list.{part}" for part in range(PARTS)},
    **{f"thirds.{part}.mlp":        f"loacl_mlps.{part}" for part in range(PARTS)},
    **{f"thirds.{part}.mixer_norm": f"local_norms.{part}" for part in range(PARTS)},
    **{f"thirds.{part}.mlp_norm":   f"local_norms.{PARTS + part}" for part in range(PARTS)},
    "frame_norm":                        "cross_temporal.norm_full",
    "proxy_norm":                        "cross_temporal.norm_center",
    "query":                             "wq",
    "key":                               "wk",
    "value":                             "wv",
    "update":                            "cross_temporal.center_full",
    "after_update.mixer_scale":          "cross_temporal.layer_scale_1",
    "after_update.mlp_norm":             "cross_temporal.norm_1",
    "after_update.mlp":                  "cross_temporal.mlp_1",
    "after_update.mlp_scale":            "cross_temporal.layer_scale_2",
    "invocation":                        "cross_temporal.full_center",
    "after_invocation.mixer_scale":      "cross_temporal.layer_scale_3",
    "after_invocation.mlp_norm":         "cross_temporal.norm_2",
    "after_invocation.mlp":              "cross_temporal.mlp_2",
    "after_invocation.mlp_scale":        "cross_temporal.layer_scale_4",
    "self_attention.mixer_norm":         "cross_temporal.norm_sa_self",
    "self_attention.mixer":              "cross_temporal.map_sa_self",
    "self_attention.mixer_scale":        "cross_temporal.layer_scale_7",
    "self_attention.mlp_norm":           "cross_temporal.norm_mlp_self",
    "self_attention.mlp":                "cross_temporal.mlp_sa_self",
    "self_attention.mlp_scale":          "cross_temporal.layer_scale_8",
    "proxy_attention_norm":                        "cross_temporal.norm_sa_1",
    "proxy_attention":                   "cross_temporal.map_sum",
    "proxy_attention.share_logit":       "cross_temporal.att_weight",
    "after_proxy_attention.mixer_scale": "cross_temporal.layer_scale_5",
    "after_proxy_attention.mlp_norm":    "cross_temporal.norm_sa_2",
    "after_proxy_attention.mlp":         "cross_temporal.mlp_sa",
    "after_proxy_attention.mlp_scale":   "cross_temporal.layer_scale_6",
})  # fmt: skip

#: What the authors' constructor takes where their configuration says nothing.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({
    "dim_rep": 512, "dim_out": 3, "mlp_ratio": 4, "act_layer": "gelu", "attn_drop": 0.0, "drop": 0.0, "drop_path": 0.0,
    "use_layer_scale": True, "layer_scale_init_value": 1e-5, "use_adaptive_fusion": True, "num_heads": 4,
    "qkv_bias": False, "qkv_scale": None, "hierarchical": False, "num_joints": 17, "use_temporal_similarity": True,
    "temporal_connection_len": 1, "use_tcn": False, "graph_only": False, "neighbour_num": 4, "n_frames": 243,
})  # fmt: skip
_OFFICIAL_REQUIRED = ("n_layers", "dim_in", "dim_feat")
#: Which of our options each of the authors' decides; None where only one value is possible, or nothing depends on it:
#: the last five came with MotionAGFormer's code, and the network has no graph.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "n_frames": "frames", "dim_in": "in_channels", "num_joints": "joints", "dim_feat": "dim", "n_layers": "depth",
    "dim_rep": "representation_dim", "mlp_ratio": "mlp_ratio", "num_heads": "heads", "qkv_bias": "qkv_bias",
    "qkv_scale": "attention_scale", "layer_scale_init_value": "layer_scale", "drop_path": "drop_path",
    "drop": "dropout", "attn_drop": "attention_dropout", "act_layer": None, "dim_out": None, "use_layer_scale": None,
    "use_adaptive_fusion": None, "hierarchical": None, "use_temporal_similarity": None,
    "temporal_connection_len": None, "use_tcn": None, "graph_only": None, "neighbour_num": None,
})  # fmt: skip
#: Without gains the authors' proxies do nothing; a mean in place of the fusion, and halved streams, their code cannot.
_OFFICIAL_ONLY: Mapping[str, Any] = MappingProxyType({
    "act_layer": "gelu", "dim_out": 3, "use_layer_scale": True, "use_adaptive_fusion": True, "hierarchical": False,
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> TCPFormerConfig:
    """The configuration for the authors' constructor options (the part "Model" of their configs/*.yaml).

    Raises ValueError for an option they don't have, one that is missing, and for values that no published model uses:
    an activation other than GELU, an output of other than 3 channels, and those that their code has no network for.
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS, required=_OFFICIAL_REQUIRED)
    for name, only in _OFFICIAL_ONLY.items():
        if theirs[name] != only:
            raise ValueError(f"{name} must be {only!r}, not {theirs[name]!r}")
    return TCPFormerConfig(**{ours: theirs[name] for name, ours in OFFICIAL_OPTIONS.items() if ours})
