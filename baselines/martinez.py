"""The simple baseline: Martinez, Hossain, Romero, Little, "A simple yet effective baseline for 3d human pose
estimation", ICCV 2017, arXiv 1705.03098; structure of weigq/3d_pose_baseline_pytorch, commit a03094b, the PyTorch port
of the authors' una-dinosauria/3d-pose-baseline, commit 666080d (TensorFlow).

A perceptron with shortcuts lifts each frame by itself: the coordinates of all its joints go in, those of all its joints
come out. B is the batch, T frames, J joints, C channels.

What differs from the published model: it takes the 2D coordinates of 16 joints (all but Human3.6M's nose) and gives 16
joints (all but the pelvis), each coordinate standardised by its mean and deviation over the training set; here the same
``joints`` go in and come out, and what their numbers mean is the data's affair. ``joints=16`` is the published
structure, which takes the port's checkpoints.

The port differs from the authors' own code as well. They keep the Frobenius norm of each weight matrix at 1 or below
(the port limits the gradient's norm to 1 instead), and their batch norms are TensorFlow's, which add 1e-3 to the
variance and average the statistics over more steps. The preset "original" has both, on the port's fresh weights (normal
ones after He et al. 2015, torch's biases); the authors cut theirs off at two deviations and draw the biases likewise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from baselines.official import complete_options, rename
from baselines.options import require_count, require_input, require_probability


@dataclass(frozen=True)
class MartinezConfig:
    """Everything that decides the structure of the simple baseline.

    frames: T; it changes nothing, since each frame is lifted by itself.
    in_channels: 2 (x, y; the authors') or 3 (x, y, confidence).
    dim: channels of the hidden layers.
    depth: residual stages, each of two layers.
    max_norm: largest Frobenius norm of a layer's weight matrix, beyond which it is scaled down; None for no limit.
    norm_eps: what the batch norms add to the variance.
    norm_momentum: share of the newest batch in the running statistics of the batch norms.

    Raises ValueError for a value out of range.
    """

    frames: int = 1
    in_channels: int = 2
    joints: int = 17
    dim: int = 1024
    depth: int = 2
    dropout: float = 0.5
    max_norm: float | None = None
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1

    other_frames: ClassVar[str] = "any"

    def __post_init__(self) -> None:
        for name in ("frames", "joints", "dim", "depth"):
            require_count(name, getattr(self, name))
        require_probability("dropout", self.dropout)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.max_norm is not None and not self.max_norm > 0:
            raise ValueError(f"max_norm must be above 0, or None for no limit, not {self.max_norm!r}")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps must be above 0, not {self.norm_eps!r}")
        if not 0 < self.norm_momentum <= 1:
            raise ValueError(f"norm_momentum must be above 0 and at most 1, not {self.norm_momentum!r}")


#: "base" is the port's arithmetic, "original" the TensorFlow code's; both with 17 joints in and out.
PRESETS: Mapping[str, MartinezConfig] = MappingProxyType({
    "base":     MartinezConfig(),
    "original": MartinezConfig(max_norm=1.0, norm_eps=1e-3, norm_momentum=0.01),
})  # fmt: skip


class Martinez(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3)."""

    def __init__(self, config: MartinezConfig) -> None:
        super().__init__()
        self.config = config
        self.expansion = HiddenLayer(config, config.joints * config.in_channels)
        self.stages = nn.ModuleList(Stage(config) for _ in range(config.depth))
        self.head = LimitedLinear(config.dim, config.joints * 3, config.max_norm)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=None, joints=config.joints, channels=config.in_channels)
        x = self.expansion(keypoints.flatten(0, 1).flatten(1))  # (B * T, dim)
        for stage in self.stages:
            x = stage(x)
        return self.head(x).view(*keypoints.shape[:3], 3)  # (B, T, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A checkpoint of the port under our names; entries that this model doesn't have stay as they are."""
        return rename(state, self.state_dict(), _OFFICIAL_WORDS)


class LimitedLinear(nn.Linear):
    """A linear layer whose weights are scaled down to a Frobenius norm of ``max_norm`` where they exceed it."""

    def __init__(self, in_dim: int, dim: int, max_norm: float | None) -> None:
        super().__init__(in_dim, dim)
        self.max_norm = max_norm
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_dim) -> (..., dim)"""
        if self.max_norm is None:
            return super().forward(x)
        # The gradient goes through the norm too, as it does in the authors' code.
        share = self.max_norm / self.weight.norm().clamp(min=self.max_norm)
        return functional.linear(x, self.weight * share, self.bias)


class HiddenLayer(nn.Module):
    """Linear, batch norm, ReLU, dropout: (N, in_dim) -> (N, dim)."""

    def __init__(self, config: MartinezConfig, in_dim: int) -> None:
        super().__init__()
        self.linear = LimitedLinear(in_dim, config.dim, config.max_norm)
        self.norm = nn.BatchNorm1d(config.dim, eps=config.norm_eps, momentum=config.norm_momentum)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_dim) -> (N, dim)"""
        return self.dropout(self.norm(self.linear(x)).relu())


class Stage(nn.Module):
    """Two hidden layers and a shortcut around them, (N, dim) -> (N, dim)."""

    def __init__(self, config: MartinezConfig) -> None:
        super().__init__()
        self.first = HiddenLayer(config, config.dim)
        self.second = HiddenLayer(config, config.dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, dim) -> (N, dim)"""
        return x + self.second(self.first(x))


def build(config: MartinezConfig) -> Martinez:
    """A simple baseline with fresh weights."""
    return Martinez(config)


#: The port's words for ours (src/model.py).
_OFFICIAL_WORDS: Mapping[str, str] = MappingProxyType({
    "stages":           "linear_stages",
    "expansion.linear": "w1",
    "expansion.norm":   "batch_norm1",
    "first.linear":     "w1",
    "first.norm":       "batch_norm1",
    "second.linear":    "w2",
    "second.norm":      "batch_norm2",
    "head":             "w2",
})  # fmt: skip
#: What the port's constructor takes where nothing is given; the sizes are numbers in it, and not options.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"linear_size": 1024, "num_stage": 2, "p_dropout": 0.5, "input_size": 2 * 16, "output_size": 3 * 16}
)
#: Which of our options each of the port's decides.
OFFICIAL_OPTIONS: Mapping[str, str | None] = MappingProxyType({
    "linear_size": "dim", "num_stage": "depth", "p_dropout": "dropout", "input_size": "in_channels",
    "output_size": "joints",
})  # fmt: skip


def official_config(options: Mapping[str, Any]) -> MartinezConfig:
    """The configuration for the options of the port's LinearModel, and the two sizes that it sets itself.

    Raises ValueError for an option that it doesn't have, and for sizes that don't belong to one set of joints.
    """
    theirs = complete_options(options, _OFFICIAL_DEFAULTS)
    joints, rest = divmod(theirs["output_size"], 3)
    if rest or joints < 1:
        raise ValueError(f"output_size must be a multiple of 3, not {theirs['output_size']!r}")
    if theirs["input_size"] not in (2 * joints, 3 * joints):
        raise ValueError(f"input_size must be 2 or 3 times {joints} joints, not {theirs['input_size']!r}")
    return MartinezConfig(
        in_channels=theirs["input_size"] // joints,
        joints=joints,
        dim=theirs["linear_size"],
        depth=theirs["num_stage"],
        dropout=theirs["p_dropout"],
    )


def official_options(config: MartinezConfig) -> dict[str, Any]:
    """The configuration in the port's terms."""
    return {
        "linear_size": config.dim,
        "num_stage": config.depth,
        "p_dropout": config.dropout,
        "input_size": config.in_channels * config.joints,
        "output_size": 3 * config.joints,
    }
