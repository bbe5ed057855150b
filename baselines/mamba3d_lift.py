"""Our adaptation of Mamba3D to lifting, not a published lifter: its block over the joints of all frames.

The block is that of ``baselines.mamba3d`` (Han et al., "Mamba3D", ACM MM 2024, arXiv 2404.14966), unchanged. What it
knows of a point cloud is here replaced by what is known of a body that moves:

* Tokens are joints, not patches: L = T J, one frame after another, the joints of a frame in the skeleton's order. There
  is no class token; each token is read out by a LayerNorm and a linear layer.
* The k = 4 neighbours, as many as published and the first of them the token itself, as there, come from skeleton and
  time and not from distances: the joint itself, its parent (the pelvis, which has none, takes the spine), and the same
  joint in the frame before and in the frame after; at the ends the frame itself stands for the missing one.
* The standard deviation of the local norm is one for each clip, so that clips do not influence each other.
* The position added before every block, as published, is one vector for each joint and none for time: any T.

Both scans go from the first token to the last. So a frame sees all that were before it, and of those after it as many
as there are blocks, one for each pooling; and, by the one number of the standard deviation, faintly, the whole clip.

B is the batch, T frames, J joints, C channels (``dim``), L tokens. Time and memory are linear in T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines.drop_path import growing
from baselines.mamba3d import Mamba3DBlock
from baselines.options import require_count, require_input, require_probability

#: The joint nearer to the pelvis along the bone, in Human3.6M's order; the pelvis (0) takes the spine.
PARENTS = (7, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)


@dataclass(frozen=True)
class Mamba3DLiftConfig:
    """Everything that decides the structure.

    frames: the T it is meant for; it takes any.
    in_channels: 2 (x, y) or 3 (x, y, confidence).
    drop_path: of the last block's branches in training; it grows from 0 in the first.

    Raises ValueError for a value out of range.
    """

    other_frames: ClassVar[str] = "any"

    frames: int = 243
    in_channels: int = 2
    joints: int = 17
    dim: int = 128
    depth: int = 12
    state_dim: int = 16
    expansion: float = 2.0
    convolution_width: int = 4
    drop_path: float = 0.1

    def __post_init__(self) -> None:
        for name in ("frames", "dim", "depth", "state_dim", "convolution_width"):
            require_count(name, getattr(self, name))
        require_probability("drop_path", self.drop_path)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.joints != len(PARENTS):
            raise ValueError(f"joints must be {len(PARENTS)}, the skeleton's, not {self.joints!r}")
        if not self.expansion * self.dim >= 1:
            raise ValueError(f"expansion must leave at least one channel, not {self.expansion!r} of {self.dim}")


#: "base" has the published depth and drop path, at the width of most lifters; "xs" costs what PoseMamba's "xs" does.
PRESETS: Mapping[str, Mamba3DLiftConfig] = MappingProxyType({
    "base": Mamba3DLiftConfig(),
    "xs": Mamba3DLiftConfig(dim=48, depth=5, drop_path=0.0),
})  # fmt: skip


class Mamba3DLift(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3)."""

    parents: Tensor

    def __init__(self, config: Mamba3DLiftConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("parents", torch.tensor(PARENTS), persistent=False)
        self.joint_embedding = nn.Linear(config.in_channels, config.dim)
        self.position_embedding = nn.Parameter(torch.empty(config.joints, config.dim))
        nn.init.trunc_normal_(self.position_embedding, std=0.02)
        self.blocks = nn.ModuleList(
            Mamba3DBlock(
                config.dim,
                state_dim=config.state_dim,
                expansion=config.expansion,
                convolution_width=config.convolution_width,
                drop_path=drop_path,
            )
            for drop_path in growing(config.drop_path, config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=None, joints=config.joints, channels=config.in_channels)
        x = self.joint_embedding(keypoints)  # (B, T, J, C)
        for block in self.blocks:
            tokens = (x + self.position_embedding).flatten(1, 2)  # (B, L, C)
            x = block(tokens, self._neighbours).view_as(x)  # (B, T, J, C)
        return self.head(self.norm(x))  # (B, T, J, 3)

    def _neighbours(self, tokens: Tensor) -> Tensor:
        """Each token's own features and those of its three neighbours: (B, L, C) -> (B, L, 4, C)."""
        x = tokens.unflatten(1, (-1, self.config.joints))  # (B, T, J, C)
        parents = x.index_select(2, self.parents)
        before = torch.cat((x[:, :1], x[:, :-1]), dim=1)
        after = torch.cat((x[:, 1:], x[:, -1:]), dim=1)
        return torch.stack((x, parents, before, after), dim=3).flatten(1, 2)  # (B, L, 4, C)


def build(config: Mamba3DLiftConfig) -> Mamba3DLift:
    """A lifter with fresh weights."""
    return Mamba3DLift(config)
