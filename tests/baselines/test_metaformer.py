"""The block around a token mixer: shortcuts, gains, stochastic depth."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.metaformer import MetaFormerBlock


def test_without_gains_both_branches_are_added_whole() -> None:
    block = MetaFormerBlock(4, nn.Identity(), mlp_ratio=2)
    tokens = torch.randn(2, 3, 4)
    mixed = tokens + block.mixer_norm(tokens)
    torch.testing.assert_close(block(tokens), mixed + block.mlp(block.mlp_norm(mixed)))


@pytest.mark.parametrize("mixer_gain", [0.0, 2.0])
def test_gains_scale_the_branches(mixer_gain: float) -> None:
    block = MetaFormerBlock(4, nn.Identity(), mlp_ratio=2, layer_scale=1e-5)
    with torch.no_grad():
        block.get_parameter("mixer_scale").fill_(mixer_gain)
        block.get_parameter("mlp_scale").zero_()
        tokens = torch.randn(2, 3, 4)
        torch.testing.assert_close(block(tokens), tokens + mixer_gain * block.mixer_norm(tokens))


def test_gains_begin_where_asked() -> None:
    block = MetaFormerBlock(4, nn.Identity(), mlp_ratio=2, layer_scale=1e-5)
    assert torch.equal(block.get_parameter("mixer_scale"), torch.full((4,), 1e-5))
    assert torch.equal(block.get_parameter("mlp_scale"), torch.full((4,), 1e-5))


def test_a_dropped_clip_passes_unchanged() -> None:
    torch.manual_seed(0)
    block = MetaFormerBlock(4, nn.Identity(), mlp_ratio=2, drop_path=0.5)
    tokens = torch.randn(64, 3, 4)
    unchanged = (block(tokens) == tokens).all(dim=-1).all(dim=-1)
    assert 0 < unchanged.sum() < 40  # both branches dropped: a quarter of 64
