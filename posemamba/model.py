"""PoseMamba: 2D keypoints of a clip to 3D joints, purely by state space models (arXiv 2408.03540v2, AAAI 2025).

Structure (Figure 2 and the authors' code): a linear layer lifts each keypoint to C channels; then spatial and temporal
blocks alternate, each followed by a LayerNorm that all blocks of its kind share; a LayerNorm and a linear layer end it.
The position embedding of the joints is added before the first spatial block and that of the frames before the first
temporal one. Otherwise the two kinds of block are the same operator: both scan the whole (frames x joints) plane.

B batch, T frames, J joints, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from posemamba import native_block
from posemamba.block import BLOCK_NORM_EPS, SpatioTemporalBlock
from posemamba.causal import CausalBlock, ScanState
from posemamba.config import PoseMambaConfig
from posemamba.official import official_name

#: What a stream remembers: of each block, in the order in which a frame goes through them.
Stream = tuple[ScanState, ...]


class PoseMamba(nn.Module):
    """(B, T, J, 2 or 3) -> (B, T, J, 3) for any T up to ``config.frames``; beyond, see ``config.other_frames``."""

    def __init__(self, config: PoseMambaConfig) -> None:
        super().__init__()
        self.config = config
        self.joint_embedding = nn.Linear(config.in_channels, config.dim)
        self.spatial_position = nn.Parameter(torch.zeros(1, config.joints, config.dim))
        self.temporal_position = (
            nn.Parameter(torch.zeros(1, config.frames, config.dim)) if config.temporal_position else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.spatial_blocks = _blocks(config)
        self.temporal_blocks = _blocks(config)
        self.spatial_norm = nn.LayerNorm(config.dim, eps=BLOCK_NORM_EPS)
        self.temporal_norm = nn.LayerNorm(config.dim, eps=BLOCK_NORM_EPS)
        self.head_norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints in 3D, (B, T, J, 3), in the units and the frame of reference of the targets it was trained with.

        keypoints: (B, T, J, C_in), x and y (and confidence) of each joint.
        Raises ValueError for another shape, and for a clip longer than ``config.frames`` where positions limit it.
        """
        self._check(keypoints)
        x = self.joint_embedding(keypoints)  # (B, T, J, C)
        x = self.dropout(x + self.spatial_position)
        memory = native_block.Workspace()
        for depth, (spatial_block, temporal_block) in enumerate(
            zip(self.spatial_blocks, self.temporal_blocks, strict=True)
        ):
            x = _apply(spatial_block, self.spatial_norm, x, memory)
            if depth == 0 and self.temporal_position is not None:
                x = self.dropout(x + self._stretched(self.temporal_position, x.shape[1]))
            x = _apply(temporal_block, self.temporal_norm, x, memory)
        return self.head(self.head_norm(x))  # (B, T, J, 3)

    @torch.no_grad()
    def step(self, keypoints: Tensor, state: Stream | None) -> tuple[Tensor, Stream]:
        """The next frame of B streams, (B, J, C_in) -> (B, J, 3), and the state after it; None before the first.

        In evaluation the same as :meth:`forward` of all frames so far gives for the last one, at a cost and with a
        state that do not grow; without gradients.
        Raises ValueError unless ``config.is_causal``, for another shape, and for a state that is not of this model and
        as many streams.
        """
        if not self.config.is_causal:
            raise ValueError(f"scan={self.config.scan!r} reads later frames, a stream has none; use scan='causal'")
        self._check_frame(keypoints)
        x = self.dropout(self.joint_embedding(keypoints) + self.spatial_position[0])  # (B, J, C)
        pairs = zip(self.spatial_blocks, self.temporal_blocks, strict=True)
        blocks = [cast(CausalBlock, block) for pair in pairs for block in pair]
        if state is None:
            state = tuple(block.scan.initial_state(x) for block in blocks)
        elif len(state) != len(blocks) or not all(
            block.scan.is_state_of(before, x) for block, before in zip(blocks, state, strict=True)
        ):
            raise ValueError(
                f"the state is not one of this model for {len(x)} streams of {x.dtype}; a new stream begins with None"
            )
        memory, after = native_block.Workspace(), []
        for place, (block, before) in enumerate(zip(blocks, state, strict=True)):
            norm = self.temporal_norm if place % 2 else self.spatial_norm
            if native_block.takes(block, norm, x):
                x, block_state = native_block.step(block, norm, x, before, memory)
            else:
                x, block_state = block.step(x, before)
                x = norm(x)
            after.append(block_state)
        return self.head(self.head_norm(x)), tuple(after)  # (B, J, 3)

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The authors' checkpoint entries (without wrapper or prefix) under our names; unknown keys stay."""
        our_names = {official_name(name): name for name in self.state_dict()}
        return {our_names.get(name, name): value for name, value in state.items()}

    def parameters_without_weight_decay(self) -> set[str]:
        """Names of the parameters that Mamba exempts from weight decay: A's logarithm and the skip D.

        The authors mark the same two, but their train.py hands all parameters to AdamW in one group, so that in their
        training the weight decay of 0.01 applies to these as well.
        """
        return {name for name, _ in self.named_parameters() if name.endswith((".A_log", ".skip"))}

    def _stretched(self, position: Tensor, frames: int) -> Tensor:
        """Embedding of the first ``frames`` positions, stretched where there are too few: (1, T, 1, C)."""
        position = position[:, :frames]  # (1, T, C)
        if frames > self.config.frames:
            stretched = F.interpolate(position.transpose(1, 2), size=frames, mode="linear", align_corners=True)
            position = stretched.transpose(1, 2)  # (1, T, C)
        return position.unsqueeze(2)  # (1, T, 1, C)

    def _check(self, keypoints: Tensor) -> None:
        config = self.config
        if keypoints.ndim != 4 or keypoints.shape[2:] != (config.joints, config.in_channels) or keypoints.shape[1] < 1:
            raise ValueError(
                f"expected keypoints of shape (batch, frames, {config.joints} joints, {config.in_channels} channels), "
                f"got {tuple(keypoints.shape)}"
            )
        if not keypoints.is_floating_point():
            raise ValueError(f"expected keypoints of a floating-point dtype, got {keypoints.dtype}")
        if config.other_frames == "fewer" and keypoints.shape[1] > config.frames:
            raise ValueError(
                f"a clip of {keypoints.shape[1]} frames is longer than the {config.frames} that this model has "
                "position embeddings for; cut it into windows, build and train the model with more frames, or set "
                "long_input='interpolate'"
            )

    def _check_frame(self, keypoints: Tensor) -> None:
        wanted = (self.config.joints, self.config.in_channels)
        if keypoints.ndim != 3 or keypoints.shape[1:] != wanted or not keypoints.is_floating_point():
            raise ValueError(
                f"expected a frame of shape (streams, {wanted[0]} joints, {wanted[1]} channels) of real numbers, "
                f"got {tuple(keypoints.shape)} of {keypoints.dtype}"
            )


def build(config: PoseMambaConfig) -> PoseMamba:
    """The network that ``config`` describes, freshly initialised."""
    return PoseMamba(config)


def _apply(block: nn.Module, norm: nn.LayerNorm, x: Tensor, memory: native_block.Workspace) -> Tensor:
    """The norm of a block's output."""
    if native_block.takes(block, norm, x):
        return native_block.run(block, norm, x, memory)
    return norm(block(x))


def _blocks(config: PoseMambaConfig) -> nn.ModuleList:
    """``depth`` blocks whose probability of drop path grows linearly from 0 to ``config.drop_path``."""
    last = max(config.depth - 1, 1)
    block = CausalBlock if config.is_causal else SpatioTemporalBlock
    return nn.ModuleList(block(config, drop_path=config.drop_path * index / last) for index in range(config.depth))
