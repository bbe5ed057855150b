"""The transformer of MixSTE and KTPFormer: who attends to whom, what the stages share, and its options."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.alternating_transformer import (
    AlternatingTransformer,
    AlternatingTransformerConfig,
    transformer_block,
)
from baselines.poseformer import OFFICIAL_DEFAULTS, OFFICIAL_OPTIONS, official_fields

SMALL = AlternatingTransformerConfig(frames=5, joints=3, dim=8, depth=2, heads=2)


class CumulativeSum(nn.Module):
    """Each token becomes the sum of those up to it: shows which axis the tokens are on, and their order."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.cumsum(dim=1)


def transformer(config: AlternatingTransformerConfig = SMALL) -> AlternatingTransformer:
    torch.manual_seed(0)
    return AlternatingTransformer(config, [0.0] * config.depth).eval()


def without_norms(config: AlternatingTransformerConfig = SMALL) -> AlternatingTransformer:
    stages = transformer(config)
    for norm in ("spatial_norm", "temporal_norm"):
        stages.add_module(norm, nn.Identity())
    return stages


def test_spatial_blocks_mix_joints_and_temporal_blocks_frames() -> None:
    x = torch.randn(2, 5, 3, 8)
    torch.testing.assert_close(without_norms().stage(x, CumulativeSum(), nn.Identity()), x.cumsum(dim=2))
    torch.testing.assert_close(without_norms().stage(x, nn.Identity(), CumulativeSum()), x.cumsum(dim=1))


def test_positions_of_the_frames_come_between_the_blocks() -> None:
    x, position = torch.randn(2, 5, 3, 8), torch.randn(1, 5, 8)
    expected = (x.cumsum(dim=2) + position.unsqueeze(2)).cumsum(dim=1)
    torch.testing.assert_close(without_norms().stage(x, CumulativeSum(), CumulativeSum(), position), expected)


def test_dropout_follows_the_positions_of_the_frames() -> None:
    stages = without_norms(replace(SMALL, dropout=0.5)).train()
    x, position = torch.ones(2, 5, 3, 8), torch.ones(1, 5, 8)
    assert set(stages.stage(x, nn.Identity(), nn.Identity(), position).unique().tolist()) == {0.0, 4.0}


def test_positions_are_added_in_the_first_stage_only() -> None:
    stages, x, position = transformer(), torch.randn(2, 5, 3, 8), torch.randn(1, 5, 8)
    (first_spatial, second_spatial), (first_temporal, second_temporal) = stages.spatial_blocks, stages.temporal_blocks
    expected = stages.stage(stages.stage(x, first_spatial, first_temporal, position), second_spatial, second_temporal)
    with torch.no_grad():
        torch.testing.assert_close(stages(x, position), stages.head(stages.head_norm(expected)))


def test_norms_follow_their_blocks() -> None:
    stages, x = transformer(), torch.randn(2, 5, 3, 8)
    with torch.no_grad():
        stages.spatial_norm.bias.fill_(2.0)
        stages.temporal_norm.weight.fill_(3.0)
        expected = stages.temporal_norm(stages.spatial_norm(x.cumsum(dim=2)).cumsum(dim=1))
        torch.testing.assert_close(stages.stage(x, CumulativeSum(), CumulativeSum()), expected)


def test_drop_path_decides_for_every_frame_and_every_joint() -> None:
    """Rows of one clip: some pass a block unchanged and some do not."""
    torch.manual_seed(0)
    block, ones = transformer_block(SMALL, drop_path=0.5), nn.Identity()
    x = torch.randn(1, 64, 64, 8)
    with torch.no_grad():
        frames_kept = (without_norms().stage(x, block, ones) == x).flatten(2).all(dim=-1).squeeze(0)  # (T,)
        joints_kept = (without_norms().stage(x, ones, block) == x).transpose(1, 2).flatten(2).all(dim=-1).squeeze(0)
    for kept in (frames_kept, joints_kept):
        assert 0 < kept.sum() < 40  # both branches dropped: a quarter of 64


def test_every_stage_has_its_drop_path() -> None:
    stages = AlternatingTransformer(SMALL, [0.25, 0.5])
    for blocks in (stages.spatial_blocks, stages.temporal_blocks):
        assert [block.get_submodule("drop_path").probability for block in blocks] == [0.25, 0.5]


def test_options_reach_the_blocks() -> None:
    config = replace(
        SMALL, qkv_bias=False, attention_scale=0.5, attention_dropout=0.25, dropout=0.125, attention="explicit"
    )
    block = transformer_block(config, drop_path=0.0)
    attention = block.mixer
    assert attention.get_submodule("qkv").bias is None
    assert (attention.heads, attention.scale, attention.attention_dropout, attention.form) == (2, 0.5, 0.25, "explicit")
    dropouts = [module.p for module in (*block.modules(), transformer(config)) if isinstance(module, nn.Dropout)]
    assert set(dropouts) == {0.125}
    assert transformer(config).dropout.p == 0.125


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"joints": 0}, "joints must be a whole number of at least 1, not 0"),
        ({"depth": 0}, "depth must be a whole number of at least 1, not 0"),
        ({"dim": 9}, "dim must be a multiple of heads=2, not 9"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"dropout": -0.1}, "dropout must be a probability"),
        ({"attention_dropout": 2.0}, "attention_dropout must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must leave at least one channel"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


def test_poseformer_s_options_are_options_of_ours() -> None:
    fields = official_fields(OFFICIAL_DEFAULTS, OFFICIAL_OPTIONS)
    assert AlternatingTransformerConfig(**fields) == AlternatingTransformerConfig(
        frames=9, joints=17, in_channels=2, dim=32, depth=4, heads=8, drop_path=0.2
    )
