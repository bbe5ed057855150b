"""VideoPose3D: Pavllo, Feichtenhofer, Grangier, Auli, "3D human pose estimation in video with temporal convolutions and
semi-supervised training", CVPR 2019, arXiv 1811.11742; structure of facebookresearch/VideoPose3D, commit 1afb1ca.

The joints of a frame are one vector, and convolutions over the frames, each reaching ``filter_widths`` times as far as
the one before it, bring a clip down to one pose. Nothing is padded: each pose comes from exactly T frames, the
receptive field, and a longer clip gives one for each position in it.
B is the batch, T the frames of the receptive field, L those of the clip at hand, J joints, C channels.

There are two forms of the same weights. Dilated convolutions go through every position of the clip. Where only one
position is wanted, strided ones compute what it needs and nothing else; the authors train in this form
(TemporalModelOptimized1f). The outputs are the same; the statistics of the batch norms are not, since in the dilated
form they include positions that no output depends on. So a model in training mode uses the strided form for clips of
exactly T frames, and the dilated form otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from baselines.official import complete_options, rename
from baselines.options import require_count, require_input, require_probability

#: What the authors used for the single frame of the paper's Table 1 (their issue 20).
SINGLE_FRAME_WIDTHS = (1, 1, 1)


@dataclass(frozen=True)
class VideoPose3DConfig:
    """Everything that decides a VideoPose3D's structure.

    frames: T, the receptive field, an odd number; clips may have more.
    in_channels: 2 (x, y; the authors') or 3 (x, y, confidence).
    dim: channels of the convolutions.
    filter_widths: frames that the input layer and each residual block after it combine; their product is ``frames``.
        None means the prime factors of ``frames`` in ascending order, and (1, 1, 1) for a single frame.
    causal: answer for the last frame of the receptive field, else for the one in its centre.

    Raises ValueError for a value out of range, an even ``frames``, and widths that do not multiply to it.
    """

    frames: int = 243
    in_channels: int = 2
    joints: int = 17
    dim: int = 1024
    filter_widths: tuple[int, ...] | None = None
    causal: bool = False
    dropout: float = 0.25

    other_frames: ClassVar[str] = "more"
    published_root: ClassVar[str] = "predicted"

    def __post_init__(self) -> None:
        for name in ("frames", "joints", "dim"):
            require_count(name, getattr(self, name))
        require_probability("dropout", self.dropout)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.frames % 2 == 0:
            raise ValueError(f"frames must be odd, for a receptive field with a centre, not {self.frames}")
        for width in self.widths:
            require_count("every one of filter_widths", width)
        if not self.widths or math.prod(self.widths) != self.frames:
            raise ValueError(f"filter_widths must multiply to frames={self.frames}, not {self.widths}")

    @property
    def widths(self) -> tuple[int, ...]:
        """``filter_widths``, or what None stands for."""
        return default_widths(self.frames) if self.filter_widths is None else self.filter_widths

    @property
    def answers_for(self) -> str:
        """The frame of the receptive field whose pose comes out."""
        return "last" if self.causal else "centre"


def default_widths(frames: int) -> tuple[int, ...]:
    """The prime factors of a receptive field in ascending order, (1, 1, 1) where there are none."""
    widths = []
    width = 2
    while frames > 1:
        if frames % width:
            width += 1
        else:
            widths.append(width)
            frames //= width
    return tuple(widths) or SINGLE_FRAME_WIDTHS


#: README.md of the authors' repository: 243 frames, and 81 and 27 as well.
PRESETS: Mapping[str, VideoPose3DConfig] = MappingProxyType({
    "base":   VideoPose3DConfig(),
    "causal": VideoPose3DConfig(causal=True),
})  # fmt: skip


class VideoPose3D(nn.Module):
    """The lifter: (B, L, J, in_channels) -> (B, L - T + 1, J, 3), for clips of at least T frames."""

    def __init__(self, config: VideoPose3DConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        spans = accumulate(widths, mul)  # frames that one position sees after each layer
        self.expansion = TemporalLayer(config.joints * config.in_channels, config.dim, widths[0], 1, config.dropout)
        self.blocks = nn.ModuleList(
            TemporalBlock(config, width, span) for width, span in zip(widths[1:], spans, strict=False)
        )
        self.head = nn.Conv1d(config.dim, 3 * config.joints, kernel_size=1)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for fewer frames, or other joints or channels than it was built for."""
        config = self.config
        require_input(keypoints.shape, frames=None, joints=config.joints, channels=config.in_channels)
        frames = keypoints.shape[1]
        if frames < config.frames:
            raise ValueError(
                f"the input has {frames} frames, but this lifter needs at least {config.frames}; build it with fewer "
                f"frames, or repeat the first and the last frame of the clip, as its authors do"
            )
        strided = self.training and frames == config.frames
        x = self.expansion(keypoints.flatten(2).transpose(1, 2), strided)  # (B, C, L - ...)
        for block in self.blocks:
            x = block(x, strided)
        poses = self.head(x).transpose(1, 2)  # (B, L - T + 1, J * 3)
        return poses.unflatten(2, (config.joints, 3))  # (B, L - T + 1, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An authors' checkpoint under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _official_words(len(self.blocks)))


class TemporalLayer(nn.Module):
    """Convolution over ``width`` frames, batch norm, ReLU, dropout.

    Dilated, (B, C, L) -> (B, C', L - (width - 1) · dilation); strided, (B, C, L) -> (B, C', L / width).
    """

    def __init__(self, in_dim: int, dim: int, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(in_dim, dim, width, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, strided: bool) -> Tensor:
        """See the class."""
        if strided:
            kernel = self.convolution.weight
            convolved = functional.conv1d(x, kernel, stride=kernel.shape[-1])  # (B, C', L / width)
        else:
            convolved = self.convolution(x)  # (B, C', L - (width - 1) · dilation)
        return self.dropout(self.norm(convolved).relu())


class TemporalBlock(nn.Module):
    """A layer over ``width`` frames, a layer over single frames, and a shortcut around both; shapes as TemporalLayer.

    ``dilation`` is the number of frames that one position sees already.
    """

    def __init__(self, config: VideoPose3DConfig, width: int, dilation: int) -> None:
        super().__init__()
        self.width = width
        self.dilation = dilation
        # Which of the frames that the layer combines the shortcut carries on. It alone makes the model causal.
        self.kept = width - 1 if config.causal else width // 2
        self.temporal = TemporalLayer(config.dim, config.dim, width, dilation, config.dropout)
        self.pointwise = TemporalLayer(config.dim, config.dim, 1, 1, config.dropout)

    def forward(self, x: Tensor, strided: bool) -> Tensor:
        """See the class."""
        branch = self.pointwise(self.temporal(x, strided), strided)
        if strided:
            return x[:, :, self.kept :: self.width] + branch  # (B, C, L / width)
        start = self.kept * self.dilation
        return x[:, :, start : start + branch.shape[2]] + branch  # (B, C, L - (width - 1) · dilation)


def build(config: VideoPose3DConfig) -> VideoPose3D:
    """A VideoPose3D with fresh weights."""
    return VideoPose3D(config)


def _official_words(blocks: int) -> dict[str, str]:
    """The authors' words for ours (common/model.py); they count the layers of all blocks through."""
    words = {"expansion.convolution": "expand_conv", "expansion.norm": "expand_bn", "head": "shrink"}
    for block in range(blocks):
        for number, layer in enumerate(("temporal", "pointwise"), start=2 * block):
            words[f"blocks.{block}.{layer}.convolution"] = f"layers_conv.{number}"
            words[f"blocks.{block}.{layer}.norm"] = f"layers_bn.{number}"
    return words


_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"causal": False, "dropout": 0.25, "channels": 1024, "dense": False}
)
_OFFICIAL_REQUIRED = ("num_joints_in", "in_features", "num_joints_out", "filter_widths")
#: Which of our options each of the authors' decides; None where they have a choice and the published models do not.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "num_joints_in": "joints", "num_joints_out": "joints", "in_features": "in_channels", "channels": "dim",
    "filter_widths": "filter_widths", "causal": "causal", "dropout": "dropout", "dense": None,
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> VideoPose3DConfig:
    """The configuration for the options of the authors' TemporalModel.

    Raises ValueError for an option they don't have, one that is missing, for other joints out than in (their models of
    the trajectory), and for the dense convolutions of an ablation.
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS, required=_OFFICIAL_REQUIRED)
    if theirs["dense"]:
        raise ValueError(f"dense must be False, not {theirs['dense']!r}")
    if theirs["num_joints_out"] != theirs["num_joints_in"]:
        raise ValueError(f"num_joints_out must be num_joints_in={theirs['num_joints_in']!r}")
    widths = tuple(theirs["filter_widths"])
    frames = math.prod(widths)
    return VideoPose3DConfig(
        frames=frames,
        in_channels=theirs["in_features"],
        joints=theirs["num_joints_in"],
        dim=theirs["channels"],
        filter_widths=None if widths == default_widths(frames) else widths,
        causal=theirs["causal"],
        dropout=theirs["dropout"],
    )


def official_options(config: VideoPose3DConfig) -> dict[str, Any]:
    """The configuration in the authors' terms."""
    return {
        "num_joints_in": config.joints,
        "num_joints_out": config.joints,
        "in_features": config.in_channels,
        "channels": config.dim,
        "filter_widths": config.widths,
        "causal": config.causal,
        "dropout": config.dropout,
    }
