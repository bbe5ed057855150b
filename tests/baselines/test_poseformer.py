"""PoseFormer against what the authors' code computes (zczcwh/PoseFormer, commit a908b29)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.attention import AttentionForm, SelfAttention
from baselines.poseformer import PRESETS, PoseFormer, PoseFormerConfig, build, official_config
from harness.measurement import fvcore
from tests.baselines.golden import Golden

GOLDENS = ("poseformer-tiny", "poseformer-f9")
SMALL = PoseFormerConfig(frames=5, dim=8, depth=2, heads=2)


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> PoseFormer:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: PoseFormerConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


def keypoints(config: PoseFormerConfig, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, config.frames, config.joints, config.in_channels, generator=generator)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
@pytest.mark.parametrize("name", GOLDENS)
def test_output_is_the_authors(name: str, attention: AttentionForm) -> None:
    golden = Golden(name)
    with torch.no_grad():
        output = golden_model(golden, attention)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_input_gradient_is_the_authors(attention: AttentionForm) -> None:
    golden = Golden("poseformer-tiny")
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_all_parameters_get_a_gradient_as_the_authors_do() -> None:
    golden = Golden("poseformer-tiny")
    model = golden_model(golden)
    golden.input_gradient(model)
    assert golden.facts["unused_parameters"] == []
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(("frames", "expected"), [(9, 9_563_645), (27, 9_573_455), (81, 9_602_885)])
def test_parameter_counts_are_the_authors(frames: int, expected: int) -> None:
    assert parameter_count(replace(PRESETS["published"], frames=frames)) == expected


def test_golden_parameter_count() -> None:
    golden = Golden("poseformer-tiny")
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


@pytest.mark.parametrize("name", GOLDENS)
def test_multiply_accumulates_are_the_authors(name: str) -> None:
    golden = Golden(name)
    theirs = golden.facts["macs"]
    counted = fvcore.count(golden_model(golden), golden.facts["frames"], in_channels=2)
    by_operator = counted.by_operator
    assert by_operator["linear"] + by_operator["conv"] + by_operator["attention"] == theirs["torch_flop_counter"]
    assert counted.macs == theirs["fvcore"]


def test_every_official_name_of_the_published_size_is_known() -> None:
    with torch.device("meta"):
        model = build(PRESETS["published"])
    theirs = [name for name, _, _ in Golden("poseformer-f9").facts["state"]]
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"blocks.7.norm1.weight": torch.ones(1), "spatial_norm.weight.more": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_the_preset_is_the_authors_configuration() -> None:
    assert official_config({"num_frame": 81, "drop_path_rate": 0.1}) == PRESETS["published"]
    golden = {**Golden("poseformer-f9").config, "drop_path_rate": 0.1}
    assert official_config(golden) == replace(PRESETS["published"], frames=9)


def test_what_an_official_configuration_leaves_out_is_the_authors_default() -> None:
    assert official_config({}) == PoseFormerConfig(frames=9, drop_path=0.2)


def test_official_options_reach_our_fields() -> None:
    theirs = {
        "num_frame": 7, "num_joints": 16, "in_chans": 3, "embed_dim_ratio": 12, "depth": 3, "num_heads": 6,
        "mlp_ratio": 1.5, "qkv_bias": False, "qk_scale": 0.25, "drop_rate": 0.1, "attn_drop_rate": 0.2,
        "drop_path_rate": 0.3,
    }  # fmt: skip
    assert official_config(theirs) == PoseFormerConfig(
        frames=7, joints=16, in_channels=3, dim=12, depth=3, heads=6, mlp_ratio=1.5, qkv_bias=False,
        attention_scale=0.25, dropout=0.1, attention_dropout=0.2, drop_path=0.3,
    )  # fmt: skip
    assert official_config({"qk_scale": 0}).attention_scale is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 9}, "unknown option 'num_frames'. Did you mean: num_frame"),
        ({"norm_layer": "batch"}, "norm_layer must be None, not 'batch'"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden("poseformer-tiny").config, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"joints": 0}, "joints must be a whole number of at least 1, not 0"),
        ({"dim": 9}, "dim must be a multiple of heads=2, not 9"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"attention_dropout": -0.1}, "attention_dropout must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must leave at least one channel"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


def test_other_frames_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"the input has 7 frames, but this lifter is tied to 5; build it with frames=7"
    ):
        build(SMALL)(torch.zeros(1, 7, 17, 2))


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, 5, 17, 2\)"):
        build(SMALL)(torch.zeros(1, 5, 16, 3))


@pytest.mark.parametrize(("frames", "in_channels", "joints"), [(1, 2, 17), (8, 3, 17), (11, 3, 16)])
def test_other_clips_can_be_built(frames: int, in_channels: int, joints: int) -> None:
    config = replace(SMALL, frames=frames, in_channels=in_channels, joints=joints)
    assert build(config)(keypoints(config)).shape == (2, 1, joints, 3)


def test_it_answers_for_the_centre_and_predicts_its_root() -> None:
    assert (SMALL.answers_for, SMALL.published_root) == ("centre", "predicted")


def test_clips_do_not_influence_each_other_and_stay_as_they_are() -> None:
    model = build(SMALL).eval()
    clips = keypoints(SMALL, batch=3)
    before = clips.clone()
    with torch.no_grad():
        torch.testing.assert_close(model(clips)[1:2], model(clips[1:2]))
    assert torch.equal(clips, before)


def test_attention_is_as_configured_in_every_block() -> None:
    config = replace(SMALL, qkv_bias=False, attention_scale=0.25, attention_dropout=0.1, attention="explicit")
    attentions = [module for module in build(config).modules() if isinstance(module, SelfAttention)]
    assert len(attentions) == 2 * config.depth
    for attention in attentions:
        assert attention.qkv.bias is None
        assert (attention.scale, attention.attention_dropout, attention.form) == (0.25, 0.1, "explicit")


def test_dropout_is_everywhere_as_configured() -> None:
    """After the positions, in the attention's projection and in the MLP."""
    dropouts = [module.p for module in build(replace(SMALL, dropout=0.1)).modules() if isinstance(module, nn.Dropout)]
    assert dropouts == [0.1] * (1 + 2 * 2 * SMALL.depth)


def test_drop_path_grows_from_block_to_block() -> None:
    model = build(replace(SMALL, depth=3, drop_path=0.2))
    for blocks in (model.spatial_blocks, model.temporal_blocks):
        assert [block.get_submodule("drop_path").probability for block in blocks] == pytest.approx([0, 0.1, 0.2])


def test_drop_path_of_the_spatial_transformer_is_drawn_frame_by_frame() -> None:
    torch.manual_seed(0)
    model = build(replace(SMALL, drop_path=0.5)).train()
    still = keypoints(SMALL, batch=1)[:, :1].expand(-1, 5, -1, -1)
    tokens = model.embed_frames(still)  # (1, 5, 17 * 8)
    assert not torch.equal(tokens, tokens[:, :1].expand_as(tokens))


def test_fresh_positions_are_zero() -> None:
    model = build(SMALL)
    assert not model.joint_position.any()
    assert not model.frame_position.any()


def test_both_forms_of_attention_agree_at_full_size() -> None:
    torch.manual_seed(0)
    model = build(PRESETS["published"]).eval()
    explicit = build(replace(PRESETS["published"], attention="explicit")).eval()
    explicit.load_state_dict(model.state_dict())
    clip = keypoints(model.config, batch=1)
    with torch.no_grad():
        torch.testing.assert_close(model(clip), explicit(clip), rtol=0, atol=1e-5)


def test_runs_in_mixed_precision() -> None:
    model = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(keypoints(SMALL))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
