"""DSTformer against what the authors' code computes (Walter0807/MotionBERT, commit dccfe7b)."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.attention import AttentionForm, SelfAttention
from baselines.metaformer import MetaFormerBlock
from baselines.motionbert import (
    OFFICIAL_OPTIONS,
    PRESETS,
    DSTformer,
    DSTformerConfig,
    DualStreamLayer,
    build,
    official_config,
)
from harness.measurement import fvcore
from tests.baselines.golden import Golden

GOLDENS = ("dstformer-tiny", "dstformer-tiny-short")
SMALL = DSTformerConfig(frames=5, dim=16, depth=2, representation_dim=8)


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> DSTformer:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: DSTformerConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


def random_clip(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
@pytest.mark.parametrize("name", GOLDENS)
def test_output_is_the_authors(name: str, attention: AttentionForm) -> None:
    golden = Golden(name)
    with torch.no_grad():
        output = golden_model(golden, attention)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
@pytest.mark.parametrize("name", GOLDENS)
def test_input_gradient_is_the_authors(name: str, attention: AttentionForm) -> None:
    golden = Golden(name)
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("name", GOLDENS)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    golden = Golden(name)
    model = golden_model(golden)
    golden.input_gradient(model)
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert idle == set(golden.facts["unused_parameters"]) == set()


@pytest.mark.parametrize(("preset", "expected"), [("full", 42_466_317), ("lite", 16_001_549)])
def test_parameter_counts_are_the_authors(preset: str, expected: int) -> None:
    assert parameter_count(PRESETS[preset]) == expected


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_parameter_counts(name: str) -> None:
    golden = Golden(name)
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
@pytest.mark.parametrize("name", GOLDENS)
def test_multiply_accumulates_are_the_authors(name: str, attention: AttentionForm) -> None:
    golden = Golden(name)
    cost = fvcore.count(golden_model(golden, attention), golden.facts["frames"], golden.facts["in_channels"])
    macs = golden.facts["macs"]
    assert cost.macs == macs["fvcore"]
    assert cost.macs - cost.by_operator["layer_norm"] == macs["torch_flop_counter"]
    assert ("attention" in cost.by_operator) == (attention == "sdpa")
    assert fvcore.without_formula(cost.uncounted) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_every_official_name_of_a_published_preset_is_known(preset: str) -> None:
    with torch.device("meta"):
        model = build(PRESETS[preset])
    one_layer = {re.sub(r"\.\d+\.", ".{}.", name) for name, _, _ in Golden("dstformer-tiny").facts["state"]}
    theirs = {name.format(layer) for name in one_layer for layer in range(PRESETS[preset].depth)}
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"blocks_st.7.norm1_s.weight": torch.ones(1), "blocks_st.0.ts_attn.weight": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_presets_are_the_authors_configurations() -> None:
    tiny = {name: Golden("dstformer-tiny").config[name] for name in ("dim_in", "dim_out", "qkv_bias", "norm_eps")}
    common = {**tiny, "maxlen": 243, "depth": 5, "dim_rep": 512, "num_heads": 8, "num_joints": 17, "att_fuse": True}
    assert official_config({**common, "dim_feat": 512, "mlp_ratio": 2}) == PRESETS["full"]
    assert official_config({**common, "dim_feat": 256, "mlp_ratio": 4}) == PRESETS["lite"]


def test_what_an_official_configuration_leaves_out_is_the_authors_default() -> None:
    assert official_config({}) == PRESETS["lite"]


def test_every_official_option_reaches_the_field_it_is_said_to() -> None:
    values: dict[str, Any] = {
        "maxlen": 7, "dim_in": 2, "num_joints": 16, "dim_feat": 24, "depth": 3, "dim_rep": 9, "mlp_ratio": 3,
        "num_heads": 4, "qkv_bias": False, "qk_scale": 0.3, "att_fuse": False, "norm_eps": 1e-5,
        "drop_path_rate": 0.1, "drop_rate": 0.2, "attn_drop_rate": 0.3,
    }  # fmt: skip
    config = asdict(official_config(values))
    fields = {name: field for name, field in OFFICIAL_OPTIONS.items() if field is not None}
    assert {name: config[field] for name, field in fields.items()} == values


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_len": 9}, "unknown option 'max_len'. Did you mean: maxlen"),
        ({"dim_out": 6}, "dim_out must be 3, not 6"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden("dstformer-tiny").config, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"depth": 0}, "depth must be a whole number of at least 1, not 0"),
        ({"dim": 20}, "dim must be a multiple of heads=8, not 20"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"dropout": -0.1}, "dropout must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must leave at least one channel"),
        ({"norm_eps": 0.0}, "norm_eps must be above 0, not 0.0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_fewer_frames_have_the_first_positions(frames: int) -> None:
    model = build(SMALL).eval()
    short = build(replace(SMALL, frames=frames)).eval()
    state = model.state_dict()
    short.load_state_dict({**state, "frame_position": state["frame_position"][:, :frames]})
    keypoints = random_clip(2, frames, 17, 3)
    with torch.no_grad():
        torch.testing.assert_close(model(keypoints), short(keypoints))


def test_states_what_an_evaluation_must_know() -> None:
    assert (SMALL.other_frames, SMALL.target_space) == ("fewer", "image")


def test_more_frames_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"the input has 7 frames, but this lifter has embeddings for 1 to 5; build it with frames=7"
    ):
        build(SMALL)(torch.zeros(1, 7, 17, 3))


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 2 channels.*wanted \(batch, frames, 17, 3\)"):
        build(SMALL)(torch.zeros(1, 5, 16, 2))


def test_takes_keypoints_without_confidence() -> None:
    assert build(replace(SMALL, in_channels=2))(torch.zeros(1, 5, 17, 2)).shape == (1, 5, 17, 3)


def test_fresh_layers_blend_the_streams_evenly() -> None:
    layer = DualStreamLayer(SMALL, drop_path=0.0).eval()
    mean = DualStreamLayer(replace(SMALL, adaptive_fusion=False), drop_path=0.0).eval()
    mean.load_state_dict({name: value for name, value in layer.state_dict().items() if "fusion" not in name})
    x = random_clip(1, 5, 17, 16)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), mean(x))


def test_the_fusion_weighs_space_first_by_its_first_share() -> None:
    layer = DualStreamLayer(SMALL, drop_path=0.0).eval()
    x = random_clip(1, 5, 17, 16)
    with torch.no_grad():
        layer.fusion.bias.copy_(torch.tensor([40.0, 0.0]))
        torch.testing.assert_close(layer(x), layer.space_first.along_time(layer.space_first.along_space(x)))
        layer.fusion.bias.copy_(torch.tensor([0.0, 40.0]))
        torch.testing.assert_close(layer(x), layer.time_first.along_space(layer.time_first.along_time(x)))


def test_fresh_weights_are_spread_as_the_authors() -> None:
    torch.manual_seed(0)
    model = build(replace(PRESETS["lite"], depth=1))
    for name, parameter in model.named_parameters():
        if "norm" in name or "fusion" in name:
            continue
        if name.endswith("bias"):
            assert not parameter.any(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


def test_drop_path_rises_from_the_first_layer_to_the_last() -> None:
    model = build(replace(SMALL, depth=3, drop_path=0.2))
    probabilities = [block.drop_path.probability for block in model.modules() if isinstance(block, MetaFormerBlock)]
    assert probabilities == [0.0] * 4 + [0.1] * 4 + [0.2] * 4


def test_dropouts_reach_every_block() -> None:
    model = build(replace(SMALL, dropout=0.2, attention_dropout=0.3))
    attentions = [module for module in model.modules() if isinstance(module, SelfAttention)]
    assert [attention.attention_dropout for attention in attentions] == [0.3] * 8
    dropouts = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert dropouts == [0.2] * (1 + 8 + 8)  # embedded joints, attentions, MLPs


def test_dropout_falls_on_the_embedded_joints_too() -> None:
    model = build(replace(SMALL, dropout=0.5))
    seen: list[Tensor] = []
    model.layers[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(random_clip(1, 5, 17, 3))
    assert 0.3 < (seen[0] == 0).float().mean() < 0.7


def test_both_forms_of_attention_agree_at_full_width() -> None:
    torch.manual_seed(0)
    config = replace(PRESETS["lite"], frames=27, depth=2)
    model = build(config).eval()
    explicit = build(replace(config, attention="explicit")).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        explicit.load_state_dict(model.state_dict())
        keypoints = torch.randn(1, 27, 17, 3)
        torch.testing.assert_close(model(keypoints), explicit(keypoints), rtol=0, atol=1e-5)


@pytest.mark.parametrize("adaptive_fusion", [True, False])
def test_runs_in_mixed_precision(adaptive_fusion: bool) -> None:
    model = build(replace(SMALL, adaptive_fusion=adaptive_fusion))
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 5, 17, 3))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
