"""MHFormer against what the authors' code computes (Vegetebird/MHFormer, commit eba3cc3)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.attention import AttentionForm
from baselines.mhformer import (
    PRESETS,
    CrossAttention,
    CrossInteraction,
    MHFormer,
    MHFormerConfig,
    SelfRefinement,
    build,
    official_config,
)
from harness.measurement.fvcore import count
from tests.baselines.golden import Golden

GOLDENS = ("mhformer-tiny", "mhformer-tiny-long")
SMALL = MHFormerConfig(frames=9, dim=16, depth=2, heads=2, mlp_dim=8, generation_depth=1)
ALMOST_ALWAYS = 1 - 1e-7


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> MHFormer:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: MHFormerConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


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
    model = golden_model(golden, attention)
    np.testing.assert_allclose(golden.input_gradient(model), expected, rtol=0, atol=1e-5 * abs(expected).max())
    assert golden.facts["unused_parameters"] == []
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
@pytest.mark.parametrize("name", GOLDENS)
def test_golden_counts(name: str, attention: AttentionForm) -> None:
    golden = Golden(name)
    cost = count(golden_model(golden, attention), golden.facts["frames"], golden.facts["in_channels"])
    by_operator = cost.by_operator
    products = sum(by_operator.get(operator, 0) for operator in ("linear", "conv", "matmul", "attention"))
    assert (
        sum(parameter.numel() for parameter in golden_model(golden, attention).parameters()) == golden.facts["params"]
    )
    assert cost.macs == golden.facts["macs"]["fvcore"]
    assert products == golden.facts["macs"]["torch_flop_counter"]


@pytest.mark.parametrize(
    ("frames", "expected"), [(27, 19_184_517), (81, 19_837_545), (243, 25_165_077), (351, 31_516_125)]
)
def test_parameter_counts_are_the_authors(frames: int, expected: int) -> None:
    assert parameter_count(replace(PRESETS["base"], frames=frames)) == expected


@pytest.mark.parametrize(("frames", "golden"), [(27, "mhformer-tiny"), (351, "mhformer-tiny-long")])
def test_every_official_name_of_a_published_preset_is_known(frames: int, golden: str) -> None:
    with torch.device("meta"):
        model = build(replace(PRESETS["base"], frames=frames))
    theirs = {
        re.sub(r"SHR_blocks\.\d+", f"SHR_blocks.{block}", name)
        for name, _, _ in Golden(golden).facts["state"]
        for block in range(PRESETS["base"].depth - 1)
    }
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"Transformer_hypothesis.SHR_blocks.7.norm2.weight": torch.ones(1), "embedding_4.weight": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_preset_is_the_authors_configuration() -> None:
    assert official_config({}) == PRESETS["base"]
    theirs = {"layers": 2, "channel": 16, "d_hid": 24, "n_joints": 17, "out_joints": 17, "frames": 81}
    assert official_config(theirs) == replace(PRESETS["base"], frames=81, dim=16, depth=2, mlp_dim=24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 2}, "unknown option 'layer'. Did you mean: layers"),
        ({"out_joints": 16}, "out_joints must be n_joints=17, not 16"),
        ({"frames": 16}, "frames must be a multiple of generation_heads=9, not 16"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"frames": 16}, "the first stage. Possible are 9, 18, 27, ..., or other generation_heads"),
        ({"dim": 17}, "dim must be a multiple of heads=2, not 17"),
        ({"mlp_dim": 0}, "mlp_dim must be a whole number of at least 1, not 0"),
        ({"generation_mlp_ratio": 0.1}, "generation_mlp_ratio must leave at least one channel, not 0.1"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"embedding": "normalized"}, "unknown embedding 'normalized'. Did you mean: normalised"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


def test_other_frames_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"the input has 7 frames, but this lifter is tied to 9; build it with frames=7"
    ):
        build(SMALL)(torch.zeros(1, 7, 17, 2))


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, 9, 17, 2\)"):
        build(SMALL)(torch.zeros(1, 9, 16, 3))


@pytest.mark.parametrize("options", [{"frames": 45}, {"frames": 16, "generation_heads": 8}, {"in_channels": 3}])
def test_other_frames_and_channels_can_be_built(options: dict[str, Any]) -> None:
    config = replace(SMALL, **options)
    keypoints = torch.zeros(2, config.frames, 17, config.in_channels)
    assert build(config)(keypoints).shape == (2, config.frames, 17, 3)


@pytest.mark.parametrize(
    ("embedding", "frames", "normalised"),
    [("auto", 27, True), ("auto", 36, False), ("linear", 27, False), ("normalised", 36, True)],
)
def test_the_embedding_is_normalised_for_short_clips(embedding: Any, frames: int, normalised: bool) -> None:
    config = replace(SMALL, frames=frames, embedding=embedding)
    norms = [name for name in build(config).state_dict() if name.endswith("running_mean")]
    assert len(norms) == (4 if normalised else 1)


def test_branches_are_left_out_more_often_with_depth() -> None:
    model = build(replace(SMALL, depth=3, generation_depth=4, drop_path=0.3))
    for generator in model.generators:
        assert [block.drop_path.probability for block in generator.blocks] == pytest.approx([0, 0.1, 0.2, 0.3])
    blocks = [*model.refinements, model.interaction]
    assert [block.drop_path.probability for block in blocks] == pytest.approx([0, 0.15, 0.3])
    assert [block.joint_mlp.drop_path.probability for block in blocks] == pytest.approx([0, 0.15, 0.3])
    assert build(replace(SMALL, depth=1)).interaction.drop_path.probability == 0


def test_fresh_position_embeddings_are_zero() -> None:
    positions = [value for name, value in build(SMALL).named_parameters() if name.endswith("position_embedding")]
    assert len(positions) == 6
    assert not any(position.any() for position in positions)


def test_dropout_is_where_the_authors_have_it() -> None:
    model = build(replace(SMALL, dropout=0.1, embedding_dropout=0.25, drop_path=0.0)).train()
    seen: list[float] = []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda module, inputs, output: seen.append(module.p))
    model(torch.zeros(2, 9, 17, 2))
    per_generator, per_embedding, per_block = 4, 1, 5
    assert seen.count(0.1) == 3 * per_generator + 3 * per_embedding + SMALL.depth * per_block
    assert seen.count(0.25) == 3


@pytest.mark.parametrize("block", [SelfRefinement, CrossInteraction])
def test_every_branch_can_be_left_out(block: type[nn.Module]) -> None:
    x = torch.randn(2, 9, 3 * SMALL.dim)
    assert torch.equal(block(SMALL, ALMOST_ALWAYS)(x), x)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_weights_of_cross_attention_are_dropped_in_training(attention: AttentionForm) -> None:
    layer = CrossAttention(replace(SMALL, dropout=0.0, attention_dropout=ALMOST_ALWAYS, attention=attention))
    x = torch.randn(2, 9, SMALL.dim)
    bias = layer.projection.bias.expand(2, 9, -1)
    torch.testing.assert_close(layer(x, x, x), bias)
    assert (layer.eval()(x, x, x) - bias).abs().max() > 1e-3


def test_the_authors_score_the_centre_frame() -> None:
    assert SMALL.published_scoring == "centre"


def test_runs_in_mixed_precision() -> None:
    model = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 9, 17, 2))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
