"""Multi-scale temporal convolution (MS-TCN of Liu et al., "Disentangling and Unifying Graph Convolutions", 2020).

Four branches of a quarter of the channels each see a joint's frames at different scales: kernels of 5 frames with
dilation 1 and 2, a maximum over 3 frames, and the frame itself.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

KERNEL_FRAMES = 5
DILATIONS = (1, 2)
POOLED_FRAMES = 3
BRANCHES = len(DILATIONS) + 2


class MultiScaleTemporalConvolution(nn.Module):
    """Convolution over the frames of each joint with a shortcut, (B, J, T, C) -> (B, J, T, C); C a multiple of 4."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        width = dim // BRANCHES
        self.branches = nn.ModuleList(
            [*(_dilated(dim, width, dilation) for dilation in DILATIONS), _pooled(dim, width), _pointwise(dim, width)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, J, T, C) -> (B, J, T, C)"""
        planes = x.permute(0, 3, 2, 1)  # (B, C, T, J)
        mixed = torch.cat([branch(planes) for branch in self.branches], dim=1)  # (B, C, T, J)
        return x + mixed.permute(0, 3, 2, 1)  # (B, J, T, C)


def _pointwise(dim: int, width: int) -> nn.Sequential:
    reduction = nn.Conv2d(dim, width, kernel_size=1)
    return nn.Sequential(OrderedDict(reduction=reduction, reduction_norm=nn.BatchNorm2d(width)))


def _dilated(dim: int, width: int, dilation: int) -> nn.Sequential:
    padding = dilation * (KERNEL_FRAMES - 1) // 2
    branch = _pointwise(dim, width)
    branch.add_module("activation", nn.ReLU())
    branch.add_module(
        "convolution", nn.Conv2d(width, width, (KERNEL_FRAMES, 1), padding=(padding, 0), dilation=(dilation, 1))
    )
    branch.add_module("convolution_norm", nn.BatchNorm2d(width))
    return branch


def _pooled(dim: int, width: int) -> nn.Sequential:
    branch = _pointwise(dim, width)
    branch.add_module("activation", nn.ReLU())
    branch.add_module("pooling", nn.MaxPool2d((POOLED_FRAMES, 1), stride=1, padding=(POOLED_FRAMES // 2, 0)))
    branch.add_module("pooling_norm", nn.BatchNorm2d(width))
    return branch
