"""Mamba3D, a classifier of point clouds: Han, Tang, Wang, Li, "Mamba3D: Enhancing Local Features for 3D Point Cloud
Analysis via State Space Model", ACM MM 2024, arXiv 2404.14966; structure of xhanxu/Mamba3D, commit b519a9c.

A cloud becomes patches (``baselines.point_patches``), these and a class token pass blocks of two branches, and a
perceptron reads the result:

    x <- x + position                                        before every block
    x <- x + LocalNormPooling(LayerNorm x)                   over the nearest patches; the class token stands aside
    x <- x + BidirectionalSSM(LayerNorm x)
    logits = perceptron(class token, maximum + mean of the others)

B is the batch, P points, L tokens (G patches, and the class token first), k neighbours of a patch, itself among them,
C channels (``dim``), D inner channels.

What the authors' code does and its picture does not show:

* The backward scan of the bidirectional SSM (their "v4") reverses the channels and not the tokens. As features and gate
  are one array to it, they change places. Either scan is causal along the tokens, which lie in the order of the
  farthest points: the class token, the first, sees no other, and its half of the perceptron's input is a constant.
* Clouds of a batch influence each other, in evaluation too: the standard deviation of the norm is one for the whole
  batch, and the mean that the perceptron reads is the first cloud's. ``norm_scope`` and ``mean_scope`` say "cloud",
  each cloud for itself; "batch" and "first" are theirs. For one cloud they are the same.
* They look up the nearest patches in every block; the centres are the same, so here once.

The published 16.9 M parameters are 16,927,759 for ScanObjectNN's 15 classes, and 16,934,184 for ModelNet40's 40: patch
embedding 494,464, class token 768, positions 50,048, blocks 12 x 1,342,848, last norm 768, perceptron 267,535 and
273,960. The published 3.9 G are multiply-accumulates of one cloud, of any number of points, without what lies in the
fused SSM (convolution, selection, scan). Here 0.52 G of them are saved: ``PatchEmbedding`` takes the product with a
patch's maximum once, and not for each of its points.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.drop_path import DropPath, growing
from baselines.mamba import SelectiveSSM
from baselines.official import complete_options, rename
from baselines.options import require_count, require_known, require_probability
from baselines.point_patches import PUBLISHED_WIDTH, PatchEmbedding, gather, nearest

NormScope = Literal["cloud", "batch"]
NORM_SCOPES: tuple[str, ...] = get_args(NormScope)
MeanScope = Literal["cloud", "first"]
MEAN_SCOPES: tuple[str, ...] = get_args(MeanScope)

#: Features (B, G, C) -> those of each token's neighbours (B, G, k, C).
Neighbourhood = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Mamba3DConfig:
    """Everything that decides the structure.

    points: P that it is meant for; it takes every P of at least ``patches`` and ``patch_points``.
    patch_width: first width of the patches' PointNet.
    neighbours: k.
    position_width, head_width: hidden widths of the perceptrons that read the centres and the result.
    drop_path: of the last block's branches in training; it grows from 0 in the first.
    dropout: in the last perceptron.
    norm_scope: "cloud" or the authors' "batch", what the local norm's standard deviation is taken over.
    mean_scope: "cloud" or the authors' "first", whose mean over the patches the last perceptron reads.

    Raises ValueError for a value out of range and for an unknown name.
    """

    task: ClassVar[str] = "classification"

    points: int = 2048
    classes: int = 15
    patches: int = 128
    patch_points: int = 32
    patch_width: int = PUBLISHED_WIDTH
    dim: int = 384
    depth: int = 12
    neighbours: int = 4
    state_dim: int = 16
    expansion: float = 2.0
    convolution_width: int = 4
    position_width: int = 128
    head_width: int = 256
    drop_path: float = 0.1
    dropout: float = 0.5
    norm_scope: NormScope = "cloud"
    mean_scope: MeanScope = "cloud"

    def __post_init__(self) -> None:
        for name in (
            "points", "classes", "patches", "patch_points", "patch_width", "dim", "depth", "neighbours", "state_dim",
            "convolution_width", "position_width", "head_width",
        ):  # fmt: skip
            require_count(name, getattr(self, name))
        for name in ("drop_path", "dropout"):
            require_probability(name, getattr(self, name))
        require_known("norm_scope", self.norm_scope, NORM_SCOPES)
        require_known("mean_scope", self.mean_scope, MEAN_SCOPES)
        if not self.expansion * self.dim >= 1:
            raise ValueError(f"expansion must leave at least one channel, not {self.expansion!r} of {self.dim}")
        for name in ("patches", "patch_points"):
            if getattr(self, name) > self.points:
                raise ValueError(f"{name}={getattr(self, name)} needs as many points, but points={self.points}")
        if self.neighbours > self.patches:
            raise ValueError(f"neighbours={self.neighbours} needs as many patches, but patches={self.patches}")


#: "published" is ScanObjectNN's; for ModelNet40 the authors change points, classes and drop_path to 1024, 40 and 0.2.
PRESETS: Mapping[str, Mamba3DConfig] = MappingProxyType({
    "published": Mamba3DConfig(),
    "xs": Mamba3DConfig(
        points=512, classes=10, patches=32, patch_points=16, patch_width=32, dim=96, depth=4, position_width=32,
        head_width=96, drop_path=0.0, dropout=0.2,
    ),
})  # fmt: skip


class Mamba3D(nn.Module):
    """The classifier: (B, P, 3) -> logits (B, classes)."""

    def __init__(self, config: Mamba3DConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = PatchEmbedding(
            config.dim, patches=config.patches, patch_points=config.patch_points, width=config.patch_width
        )
        self.class_token = nn.Parameter(torch.empty(1, 1, config.dim))
        self.class_position = nn.Parameter(torch.empty(1, 1, config.dim))
        self.position_embedding = nn.Sequential(
            nn.Linear(3, config.position_width), nn.SiLU(), nn.Linear(config.position_width, config.dim)
        )
        self.blocks = nn.ModuleList(_block(config, drop_path) for drop_path in growing(config.drop_path, config.depth))
        self.norm = nn.LayerNorm(config.dim)
        self.head = _head(config)
        # As the authors train from scratch; all else keeps PyTorch's and Mamba's, but for what _block says.
        for parameter in (self.class_token, self.class_position):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, points: Tensor) -> Tensor:
        """Logits of clouds; ValueError for another shape and for fewer points than patches or a patch's points."""
        tokens, centres = self.patch_embedding(points)  # (B, G, C), (B, G, 3)
        indices = nearest(centres, centres, self.config.neighbours)  # (B, G, k)
        position = _after(self.class_position, self.position_embedding(centres))  # (B, L, C)
        x = _after(self.class_token, tokens)  # (B, L, C)
        for block in self.blocks:
            x = block(x + position, lambda features: gather(features, indices))
        x = self.norm(x)
        patches = x[:, 1:]
        pooled = patches.amax(1) + self._mean(patches)  # (B, C)
        return self.head(torch.cat((x[:, 0], pooled), dim=-1))  # (B, classes)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are.

        Their convolutions of width 1 are linear layers here, and their affine parameters rows. With these weights only
        ``norm_scope`` "batch" and ``mean_scope`` "first" compute what the authors do: the defaults are another function
        wherever a batch has more than one cloud. Files of the pre-training, whose names begin with ``MAE_encoder.``,
        are not read: the authors take of them what their classifier has, and leave the rest fresh.
        """
        own = self.state_dict()
        renamed = rename(state, own, _OFFICIAL_WORDS)
        return {name: _reshaped(value, own[name].shape) if name in own else value for name, value in renamed.items()}

    def _mean(self, patches: Tensor) -> Tensor:
        mean = patches.mean(1)  # (B, C)
        return mean if self.config.mean_scope == "cloud" else mean[:1]  # (1, C)


class Mamba3DBlock(nn.Module):
    """Local norm pooling, then the bidirectional SSM, each a residual branch: (B, L, C) -> (B, L, C).

    leading: tokens at the beginning that have no neighbours and that the pooling leaves as its norm gives them.
    The rest as in ``Mamba3DConfig``.
    """

    def __init__(
        self,
        dim: int,
        *,
        leading: int = 0,
        state_dim: int = 16,
        expansion: float = 2.0,
        convolution_width: int = 4,
        drop_path: float = 0.0,
        norm_scope: NormScope = "cloud",
    ) -> None:
        super().__init__()
        self.leading = leading
        self.pooling_norm = nn.LayerNorm(dim)
        self.pooling = LocalNormPooling(dim, norm_scope=norm_scope)
        self.mixer_norm = nn.LayerNorm(dim)
        self.mixer = BidirectionalSSM(
            dim, state_dim=state_dim, expansion=expansion, convolution_width=convolution_width
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, neighbourhood: Neighbourhood) -> Tensor:
        """(B, L, C) -> (B, L, C); ``neighbourhood`` gathers what the tokens after the leading ones pool."""
        x = x + self.drop_path(self._pool(self.pooling_norm(x), neighbourhood))
        return x + self.drop_path(self.mixer(self.mixer_norm(x)))

    def _pool(self, x: Tensor, neighbourhood: Neighbourhood) -> Tensor:
        if not self.leading:
            return self.pooling(x, neighbourhood)
        pooled = self.pooling(x[:, self.leading :], neighbourhood)  # (B, L - leading, C)
        return torch.cat((x[:, : self.leading], pooled), dim=1)  # (B, L, C)


class LocalNormPooling(nn.Module):
    """K-norm and K-pooling over neighbours, then a shared layer (section 3.3): (B, G, C) -> (B, G, C).

    K-norm: the neighbours' differences to the token, divided by the standard deviation of all of them together, beside
    the token's own features, 2 C channels with a learned affine map. K-pooling: the mean over the neighbours weighted
    by their softmax, channel by channel; LayerNorm, linear layer, SiLU.
    """

    def __init__(self, dim: int, *, norm_scope: NormScope = "cloud") -> None:
        super().__init__()
        self.norm_scope = norm_scope
        self.scale = nn.Parameter(torch.ones(2 * dim))
        self.shift = nn.Parameter(torch.zeros(2 * dim))
        self.norm = nn.LayerNorm(2 * dim)
        self.projection = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, neighbourhood: Neighbourhood) -> Tensor:
        """(B, G, C) -> (B, G, C)"""
        difference = neighbourhood(x) - x.unsqueeze(2)  # (B, G, k, C)
        scale, own_scale = self.scale.chunk(2)
        shift, own_shift = self.shift.chunk(2)
        spread = torch.addcmul(shift, difference, scale / self._deviation(difference))  # (B, G, k, C)
        # A token's own features are the same beside every neighbour, so that their weighted mean is themselves.
        pooled = (spread * spread.softmax(2)).sum(2)  # (B, G, C)
        both = torch.cat((pooled, torch.addcmul(own_shift, x, own_scale)), dim=-1)  # (B, G, 2 C)
        return functional.silu(self.projection(self.norm(both)))  # (B, G, C)

    def _deviation(self, difference: Tensor) -> Tensor:
        """(B, 1, 1, 1), or (1, 1, 1, 1) where the whole batch has one."""
        axes = (1, 2, 3) if self.norm_scope == "cloud" else (0, 1, 2, 3)
        return difference.std(axes, keepdim=True) + 1e-5


class BidirectionalSSM(nn.Module):
    """Mamba's mixer with a second SSM that reads the channels reversed, gate first: (B, L, C) -> (B, L, C).

    With x and z the two halves of the input projection and r(.) the reversal of the channels, the sum is
    ``forward_ssm(x) * SiLU(z) + r(reversed_ssm(r(z))) * SiLU(x)``. Both scans go from the first token to the last.
    """

    def __init__(self, dim: int, *, state_dim: int = 16, expansion: float = 2.0, convolution_width: int = 4) -> None:
        super().__init__()
        inner_dim, step_rank = int(expansion * dim), -(-dim // 16)
        self.input_projection = nn.Linear(dim, 2 * inner_dim, bias=False)
        self.forward_ssm, self.reversed_ssm = (
            SelectiveSSM(inner_dim, state_dim=state_dim, convolution_width=convolution_width, step_rank=step_rank)
            for _ in range(2)
        )
        self.output_projection = nn.Linear(inner_dim, dim, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, C) -> (B, L, C)"""
        features, gate = self.input_projection(tokens).chunk(2, dim=-1)  # (B, L, D) twice
        ahead = self.forward_ssm(features) * functional.silu(gate)  # (B, L, D)
        exchanged = self.reversed_ssm(gate.flip(-1)).flip(-1) * functional.silu(features)  # (B, L, D)
        return self.output_projection(ahead + exchanged)  # (B, L, C)


def build(config: Mamba3DConfig) -> Mamba3D:
    """A Mamba3D with fresh weights."""
    return Mamba3D(config)


def _block(config: Mamba3DConfig, drop_path: float) -> Mamba3DBlock:
    block = Mamba3DBlock(
        config.dim,
        leading=1,
        state_dim=config.state_dim,
        expansion=config.expansion,
        convolution_width=config.convolution_width,
        drop_path=drop_path,
        norm_scope=config.norm_scope,
    )
    # The authors give Mamba's small steps to the forward SSM alone (mamba_simple.py); the reversed one's layer is
    # PyTorch's, so that it begins with steps of about ln 2 and forgets within a few tokens.
    block.mixer.reversed_ssm.step.reset_parameters()
    return block


def _head(config: Mamba3DConfig) -> nn.Sequential:
    widths = (2 * config.dim, config.head_width, config.head_width)
    hidden = [
        layer
        for inputs, outputs in itertools.pairwise(widths)
        for layer in (nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(config.dropout))
    ]
    return nn.Sequential(*hidden, nn.Linear(config.head_width, config.classes))


def _after(first: Tensor, rest: Tensor) -> Tensor:
    """The one token (1, 1, C) before each cloud's (B, G, C) -> (B, 1 + G, C)."""
    return torch.cat((first.expand(rest.shape[0], -1, -1), rest), dim=1)


def _reshaped(value: Tensor, shape: torch.Size) -> Tensor:
    """``value`` with ``shape``, where they differ by axes of length 1 alone."""
    same = [size for size in value.shape if size != 1] == [size for size in shape if size != 1]
    return value.reshape(shape) if same else value


#: The authors' words for ours, where they differ (models/Mamba3D.py, models/bimamba_ssm/modules/mamba_simple.py).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "patch_embedding.point_expand":   "encoder.first_conv.0",
    "patch_embedding.point_norm":     "encoder.first_conv.1",
    "patch_embedding.point_contract": "encoder.first_conv.3",
    "patch_embedding.patch_expand":   "encoder.second_conv.0",
    "patch_embedding.patch_norm":     "encoder.second_conv.1",
    "patch_embedding.patch_contract": "encoder.second_conv.3",
    "class_token":                    "cls_token",
    "class_position":                 "cls_pos",
    "position_embedding":             "pos_embed",
    "blocks":                         "blocks.blocks",
    "pooling_norm":                   "norm1",
    "mixer_norm":                     "norm2",
    "pooling.scale":                  "lfa.lga.affine_alpha_feat",
    "pooling.shift":                  "lfa.lga.affine_beta_feat",
    "pooling.norm":                   "lfa.pre_norm_ft",
    "pooling.projection":             "lfa.mlp.share_mlp",
    "input_projection":               "in_proj",
    "output_projection":              "out_proj",
    "forward_ssm.convolution":        "conv1d",
    "forward_ssm.selection":          "x_proj",
    "forward_ssm.step":               "dt_proj",
    "forward_ssm.A_log":              "A_log",
    "forward_ssm.skip":               "D",
    "reversed_ssm.convolution":       "conv1d_b",
    "reversed_ssm.selection":         "x_proj_b",
    "reversed_ssm.step":              "dt_proj_b",
    "reversed_ssm.A_log":             "A_b_log",
    "reversed_ssm.skip":              "D_b",
    "head":                           "cls_head_finetune",
})  # fmt: skip

#: What an option that decides nothing of the structure may be left out for; the rest their configurations must state.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({
    "NAME": "Mamba3D", "num_heads": 6, "ordering": False, "label_smooth": 0.0, "lr_ratio_cls": 1.0, "lr_ratio_lfa": 1.0,
})  # fmt: skip
_OFFICIAL_REQUIRED = (
    "trans_dim", "encoder_dims", "depth", "drop_path_rate", "cls_dim", "group_size", "num_group", "center_local_k",
    "bimamba_type",
)  # fmt: skip
#: Which of our options each of the authors' decides; None where it has no effect on the network, or one value only.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "trans_dim": "dim", "encoder_dims": "dim", "depth": "depth", "drop_path_rate": "drop_path", "cls_dim": "classes",
    "group_size": "patch_points", "num_group": "patches", "center_local_k": "neighbours", "bimamba_type": None,
    "NAME": None, "num_heads": None, "ordering": None, "label_smooth": None, "lr_ratio_cls": None, "lr_ratio_lfa": None,
})  # fmt: skip


def official_options(config: Mamba3DConfig) -> dict[str, Any]:
    """The other way, as far as they have an option for it: several of theirs say one of ours."""
    own = {"trans_dim": config.dim, "encoder_dims": config.dim, "bimamba_type": "v4"}
    shared = {"depth": config.depth, "drop_path_rate": config.drop_path, "cls_dim": config.classes}
    patches = {"group_size": config.patch_points, "num_group": config.patches, "center_local_k": config.neighbours}
    return own | shared | patches


def official_config(options: Mapping[str, Any], *, points: int = 2048) -> Mamba3DConfig:
    """The configuration for the authors' options (the part "model" of their cfgs/*.yaml; ``npoints`` is ``points``).

    It computes what theirs does: clouds of a batch influence each other.

    Raises ValueError for an option they don't have, one that is missing, widths of patches and tokens that differ, and
    a ``bimamba_type`` other than the published "v4".
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS, required=_OFFICIAL_REQUIRED)
    if theirs["bimamba_type"] != "v4":
        raise ValueError(f"bimamba_type must be 'v4', not {theirs['bimamba_type']!r}")
    if theirs["encoder_dims"] != theirs["trans_dim"]:
        raise ValueError(f"encoder_dims must be trans_dim={theirs['trans_dim']}, not {theirs['encoder_dims']!r}")
    return Mamba3DConfig(
        points=points,
        classes=theirs["cls_dim"],
        patches=theirs["num_group"],
        patch_points=theirs["group_size"],
        dim=theirs["trans_dim"],
        depth=theirs["depth"],
        neighbours=theirs["center_local_k"],
        drop_path=theirs["drop_path_rate"],
        norm_scope="batch",
        mean_scope="first",
    )
