"""Terms of the field's training losses, on root-relative poses (B, T, J, 3) in the target's unit.

PoseMamba (arXiv 2408.03540, section 3.4 and its training script): MPJPE + 0.5 N-MPJPE ("2D loss") + 20 velocity
+ 0.5 weighted temporal difference. MotionBERT, MotionAGFormer and TCPFormer: MPJPE + 0.5 N-MPJPE + 20 velocity.
MixSTE and KTPFormer: weighted MPJPE + 2 velocity + 0.5 weighted temporal difference. The rest of the field: MPJPE.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Weight of each joint in the temporal difference, as in MixSTE's and PoseMamba's scripts (limb ends count most).
JOINT_WEIGHTS = (1, 1, 2.5, 2.5, 1, 2.5, 2.5, 1, 1, 1, 1.5, 1.5, 4, 4, 1.5, 4, 4)


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; zero leaves it out. ``joint_weights``: JOINT_WEIGHTS count in the position term, too."""

    position: float = 1.0
    scale: float = 0.5
    velocity: float = 0.0
    temporal_difference: float = 0.0
    squared: float = 0.0
    joint_weights: bool = False


def _joint_weights(poses: Tensor) -> Tensor:
    return torch.tensor(JOINT_WEIGHTS, dtype=poses.dtype, device=poses.device)  # (J,)


def position_error(prediction: Tensor, target: Tensor) -> Tensor:
    """MPJPE: mean Euclidean distance."""
    return (prediction - target).norm(dim=-1).mean()


def weighted_position_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean Euclidean distance, each joint's times its weight."""
    return ((prediction - target).norm(dim=-1) * _joint_weights(prediction)).mean()


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the coordinates."""
    return (prediction - target).square().mean()


def scaled_position_error(prediction: Tensor, target: Tensor) -> Tensor:
    """N-MPJPE: MPJPE after the best scale of each frame, <target, prediction> / <prediction, prediction>."""
    energy = prediction.square().sum((-1, -2), keepdim=True)  # (B, T, 1, 1)
    agreement = (target * prediction).sum((-1, -2), keepdim=True)  # (B, T, 1, 1)
    return position_error(agreement / energy.clamp_min(1e-12) * prediction, target)


def velocity_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean Euclidean distance of the differences between neighbouring frames; 0 for a single frame."""
    if prediction.shape[1] < 2:
        return prediction.new_zeros(())
    return (prediction.diff(dim=1) - target.diff(dim=1)).norm(dim=-1).mean()


def temporal_difference(prediction: Tensor) -> Tensor:
    """Mean squared difference of neighbouring predicted frames, each joint with its weight; 0 for a single frame."""
    if prediction.shape[1] < 2:
        return prediction.new_zeros(())
    weights = _joint_weights(prediction)
    return (prediction.diff(dim=1).square() * weights[:, None]).mean()


def total(prediction: Tensor, target: Tensor, weights: LossWeights) -> Tensor:
    """The weighted sum of the terms, in the target's unit."""
    distance = weighted_position_error if weights.joint_weights else position_error
    loss = weights.position * distance(prediction, target)
    if weights.squared:
        loss = loss + weights.squared * squared_error(prediction, target)
    if weights.scale:
        loss = loss + weights.scale * scaled_position_error(prediction, target)
    if weights.velocity:
        loss = loss + weights.velocity * velocity_error(prediction, target)
    if weights.temporal_difference:
        loss = loss + weights.temporal_difference * temporal_difference(prediction)
    return loss
