"""Mamba3D against what the authors' code computes (xhanxu/Mamba3D, commit b519a9c), and what it says of itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor
from torch.nn import functional

from baselines.mamba3d import (
    OFFICIAL_OPTIONS,
    PRESETS,
    BidirectionalSSM,
    LocalNormPooling,
    Mamba3D,
    Mamba3DBlock,
    Mamba3DConfig,
    build,
    official_config,
)
from tests.baselines.golden import Golden

GOLDEN = "mamba3d-tiny"
PUBLISHED = PRESETS["published"]
SMALL = Mamba3DConfig(
    points=40, classes=3, patches=12, patch_points=6, patch_width=8, dim=16, depth=2, position_width=8, head_width=16
)


def golden_model(golden: Golden, **changes: Any) -> Mamba3D:
    model = build(replace(official_config(golden.config, points=golden.facts["points"]), **changes))
    golden.load_into(model)
    return model


def model_of(config: Mamba3DConfig = SMALL) -> Mamba3D:
    torch.manual_seed(0)
    return build(config).eval()


def clouds(batch: int = 2, points: int = 40, seed: int = 0) -> Tensor:
    return torch.randn(batch, points, 3, generator=torch.Generator().manual_seed(seed))


def parameter_counts(config: Mamba3DConfig) -> dict[str, int]:
    with torch.device("meta"):
        model = build(config)
    parts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel()
    return parts


def all_of(x: Tensor) -> Tensor:
    """Every token is every token's neighbour: (B, G, C) -> (B, G, G, C)."""
    return x.unsqueeze(1).expand(-1, x.shape[1], -1, -1)


def test_output_is_the_authors() -> None:
    golden = Golden(GOLDEN)
    with torch.no_grad():
        output = golden_model(golden)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


def test_input_gradient_is_the_authors() -> None:
    golden = Golden(GOLDEN)
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("change", [{"norm_scope": "cloud"}, {"mean_scope": "cloud"}])
def test_the_authors_output_needs_both_of_their_scopes(change: dict[str, Any]) -> None:
    golden = Golden(GOLDEN)
    with torch.no_grad():
        output = golden_model(golden, **change)(golden.keypoints())
    assert abs(output.numpy() - golden.output).max() > 100 * golden.tolerance


def test_every_parameter_gets_a_gradient() -> None:
    golden = Golden(GOLDEN)
    model = golden_model(golden)
    golden.input_gradient(model)
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert idle == set(golden.facts["unused_parameters"]) == set()


def test_golden_parameter_count() -> None:
    golden = Golden(GOLDEN)
    assert sum(parameter_counts(official_config(golden.config, points=48)).values()) == golden.facts["params"]


def test_parameter_counts_are_the_authors() -> None:
    """Theirs, part by part and in all; the published figure is 16.9 M."""
    parts = parameter_counts(PUBLISHED)
    assert parts == {
        "patch_embedding": 494_464,
        "class_token": 384,
        "class_position": 384,
        "position_embedding": 50_048,
        "blocks": 12 * 1_342_848,
        "norm": 768,
        "head": 267_535,
    }
    assert sum(parts.values()) == 16_927_759
    assert sum(parts.values()) == pytest.approx(16.9e6, rel=0.01)
    assert sum(parameter_counts(replace(PUBLISHED, classes=40)).values()) == 16_934_184


def test_the_published_3_9_g_are_what_fvcore_counts_outside_the_fused_ssm() -> None:
    """3,861,335,680 multiply-accumulates in the authors' network, where fvcore does not see into the fused function.

    At 1,024 points and at 2,048 it is the same number; here, the product with a patch's maximum is taken once.
    """
    counted = FlopCountAnalysis(build(PUBLISHED).eval(), torch.rand(1, 200, 3))
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    tokens, inner, selected, rank = 1 + 128, 768, 24 + 2 * 16, 24
    inside_ssm = tokens * inner * (4 + selected + rank)  # convolution, selection, step
    not_repeated = 128 * (32 - 1) * 256 * 512
    assert counted.total() - 2 * 12 * inside_ssm + not_repeated == 3_861_335_680


def test_every_official_name_of_the_published_preset_is_known() -> None:
    with torch.device("meta"):
        model = build(PUBLISHED)
    rows = Golden(GOLDEN).facts["state"]
    one_block = {re.sub(r"^blocks\.blocks\.\d+", "blocks.blocks.{}", name) for name, _, _ in rows}
    theirs = {name.format(block) for name in one_block for block in range(PUBLISHED.depth)}
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"blocks.blocks.2.norm1.weight": torch.ones(1), "encoder.third_conv.0.weight": torch.ones(1, 1, 1)}
    assert model_of().official_state(extra) == extra


def test_official_entries_of_another_size_keep_their_shape() -> None:
    state = model_of().official_state({"encoder.first_conv.0.weight": torch.ones(9, 3, 1)})
    assert state["patch_embedding.point_expand.weight"].shape == (9, 3, 1)


def test_presets_are_the_authors_configurations() -> None:
    scan_object = {
        "NAME": "Mamba3D", "trans_dim": 384, "depth": 12, "drop_path_rate": 0.1, "cls_dim": 15, "num_heads": 6,
        "group_size": 32, "num_group": 128, "encoder_dims": 384, "bimamba_type": "v4", "center_local_k": 4,
        "ordering": False, "label_smooth": 0.0, "lr_ratio_cls": 1.0, "lr_ratio_lfa": 1.0,
    }  # fmt: skip
    assert official_config(scan_object) == replace(PUBLISHED, norm_scope="batch", mean_scope="first")
    model_net = {**scan_object, "cls_dim": 40, "drop_path_rate": 0.2}
    expected = replace(PUBLISHED, points=1024, classes=40, drop_path=0.2, norm_scope="batch", mean_scope="first")
    assert official_config(model_net, points=1024) == expected


def test_every_official_option_reaches_the_field_it_is_said_to() -> None:
    values = {
        "trans_dim": 24, "encoder_dims": 24, "depth": 3, "drop_path_rate": 0.3, "cls_dim": 7, "group_size": 9,
        "num_group": 11, "center_local_k": 5,
    }  # fmt: skip
    config = asdict(official_config({**values, "bimamba_type": "v4"}))
    fields = {name: field for name, field in OFFICIAL_OPTIONS.items() if field is not None}
    assert {name: config[field] for name, field in fields.items()} == values
    assert set(Golden(GOLDEN).config) | {"NAME"} == set(OFFICIAL_OPTIONS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deepth": 2}, "unknown option 'deepth'. Did you mean: depth"),
        ({"bimamba_type": "v2"}, "bimamba_type must be 'v4', not 'v2'"),
        ({"encoder_dims": 8}, "encoder_dims must be trans_dim=16, not 8"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden(GOLDEN).config, **options})


def test_an_official_configuration_needs_a_size() -> None:
    with pytest.raises(ValueError, match="missing option: trans_dim, encoder_dims, depth"):
        official_config({"num_heads": 6})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "classes must be a whole number of at least 1, not 0"),
        ({"head_width": 0}, "head_width must be a whole number of at least 1, not 0"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"dropout": -0.1}, "dropout must be a probability"),
        ({"norm_scope": "clouds"}, "unknown norm_scope 'clouds'. Did you mean: cloud"),
        ({"mean_scope": "batch"}, "unknown mean_scope 'batch'"),
        ({"expansion": 0.0}, "expansion must leave at least one channel"),
        ({"patches": 41}, "patches=41 needs as many points, but points=40"),
        ({"patch_points": 41}, "patch_points=41 needs as many points, but points=40"),
        ({"neighbours": 13}, "neighbours=13 needs as many patches, but patches=12"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


@pytest.mark.parametrize("points", [12, 40, 100])
def test_any_number_of_points_from_that_of_the_patches(points: int) -> None:
    assert model_of()(clouds(3, points)).shape == (3, 3)


def test_fewer_points_than_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="the clouds have 11 points, fewer than patches=12"):
        model_of()(clouds(points=11))


def test_is_a_classifier() -> None:
    assert SMALL.task == "classification"


def test_the_order_of_the_points_does_not_matter_but_for_the_first() -> None:
    model, points = model_of(), clouds()
    order = torch.randperm(39, generator=torch.Generator().manual_seed(1)) + 1
    shuffled = torch.cat((points[:, :1], points[:, order]), dim=1)
    with torch.no_grad():
        logits = model(points)
        torch.testing.assert_close(model(shuffled), logits, rtol=0, atol=1e-5)
        assert (model(points.roll(1, dims=1)) - logits).abs().max() > 1e-3  # another first point


def test_the_order_of_the_patches_matters() -> None:
    """The scans are causal: an order other than that of the farthest points gives other logits."""
    block, tokens = Mamba3DBlock(8).eval(), torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        there_and_back = block(tokens.flip(1), all_of).flip(1)
        assert (there_and_back - block(tokens, all_of)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("scopes", "independent"),
    [
        ({}, True),
        ({"norm_scope": "batch"}, False),
        ({"mean_scope": "first"}, False),
    ],
)
def test_whether_clouds_of_a_batch_influence_each_other(scopes: dict[str, Any], independent: bool) -> None:
    model, points = model_of(replace(SMALL, **scopes)), clouds()
    points[0] *= 3
    with torch.no_grad():
        gap = (model(points)[1:] - model(points[1:])).abs().max()
    assert (gap < 1e-5) == independent
    assert (gap > 1e-4) == (not independent)


@pytest.mark.parametrize("norm_scope", ["cloud", "batch"])
def test_scopes_are_the_same_for_one_cloud(norm_scope: Any) -> None:
    golden = Golden(GOLDEN)
    one = golden.keypoints()[:1]
    with torch.no_grad():
        torch.testing.assert_close(
            golden_model(golden, norm_scope=norm_scope, mean_scope="cloud")(one), golden_model(golden)(one)
        )


def test_the_class_token_is_the_same_for_every_cloud() -> None:
    """It has no neighbours, and of a causal scan it is the first token."""
    model, seen = model_of(), []
    model.norm.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        model(clouds(2))
    (tokens,) = seen
    torch.testing.assert_close(tokens[0, 0], tokens[1, 0])
    assert (tokens[0, 1:] - tokens[1, 1:]).abs().max() > 1e-2


def naive_pooling(pooling: LocalNormPooling, x: Tensor) -> Tensor:
    """One cloud (G, C), all tokens neighbours of each other, as the paper's formulas read."""
    tokens, dim = x.shape
    differences = torch.stack([torch.stack([other - own for other in x]) for own in x])  # (G, k, C)
    deviation = differences.std() + 1e-5
    rows = []
    for own in range(tokens):
        beside = torch.cat((differences[own] / deviation, x[own].expand(tokens, dim)), dim=-1)  # (k, 2 C)
        affine = pooling.scale * beside + pooling.shift
        weights = affine.exp()
        rows.append((affine * weights).sum(0) / weights.sum(0))
    return functional.silu(pooling.projection(pooling.norm(torch.stack(rows))))


def test_local_norm_pooling_is_its_formulas() -> None:
    torch.manual_seed(0)
    pooling = LocalNormPooling(4).double()
    with torch.no_grad():
        for parameter in pooling.parameters():
            parameter.normal_()
        x = torch.randn(2, 5, 4, dtype=torch.float64)
        expected = torch.stack([naive_pooling(pooling, cloud) for cloud in x])
        torch.testing.assert_close(pooling(x, all_of), expected)


def test_pooling_of_far_features_stays_finite() -> None:
    """Where the published weights e^x would not fit a float."""
    pooling = LocalNormPooling(4)
    with torch.no_grad():
        pooling.scale.fill_(1e3)
        assert torch.isfinite(pooling(torch.randn(1, 5, 4), all_of)).all()


def test_equal_tokens_have_a_finite_gradient() -> None:
    x = torch.ones(1, 5, 4, requires_grad=True)
    LocalNormPooling(4)(x, all_of).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_leading_tokens_stand_aside_in_the_pooling() -> None:
    block = Mamba3DBlock(8, leading=2)
    x = torch.randn(1, 6, 8)
    pooled = block._pool(x, all_of)
    assert torch.equal(pooled[:, :2], x[:, :2])
    torch.testing.assert_close(pooled[:, 2:], block.pooling(x[:, 2:], all_of))


def test_the_reversed_ssm_reads_gate_and_channels_the_other_way_round() -> None:
    """Both halves together, reversed whole, given to a plain gated SSM, and what comes out reversed again."""
    torch.manual_seed(0)
    mixer, tokens = BidirectionalSSM(6), torch.randn(2, 5, 6)
    with torch.no_grad():
        both = mixer.input_projection(tokens)  # (B, L, 2 D)
        branches: list[tuple[Callable[[Tensor], Tensor], Tensor]] = [
            (mixer.forward_ssm, both), (mixer.reversed_ssm, both.flip(-1))
        ]  # fmt: skip
        gated = [ssm(whole[..., :12]) * functional.silu(whole[..., 12:]) for ssm, whole in branches]
        torch.testing.assert_close(mixer(tokens), mixer.output_projection(gated[0] + gated[1].flip(-1)))


def test_both_scans_are_causal() -> None:
    mixer, tokens = BidirectionalSSM(6), torch.randn(1, 5, 6)
    changed = tokens.clone()
    changed[:, 3] += 1
    with torch.no_grad():
        gap = (mixer(changed) - mixer(tokens)).abs().amax((0, 2))
    assert gap[:3].tolist() == [0, 0, 0]
    assert (gap[3:] > 0).all()


def test_drop_path_grows_to_the_last_block() -> None:
    model = build(replace(SMALL, depth=3, drop_path=0.2))
    assert [block.drop_path.probability for block in model.blocks] == pytest.approx([0, 0.1, 0.2])


def test_the_steps_of_the_reversed_scan_begin_as_a_linear_layers() -> None:
    """With a step rank of 24 biases up to 1 / sqrt(24), so steps from 0.59 to 0.81; the forward ones are Mamba's."""
    block = build(replace(SMALL, dim=384, depth=1)).blocks[0]
    steps = {
        name: functional.softplus(ssm.step.bias)
        for name, ssm in (("ahead", block.mixer.forward_ssm), ("reversed", block.mixer.reversed_ssm))
    }
    assert 0.59 < steps["reversed"].min() < 0.62 < 0.78 < steps["reversed"].max() < 0.81
    assert 0.99e-3 < steps["ahead"].min() < 2e-3 < 0.08 < steps["ahead"].max() < 0.101


def test_training_with_dropout_differs_and_evaluation_does_not() -> None:
    model, points = model_of(), clouds(4)
    with torch.no_grad():
        assert torch.equal(model(points), model(points))
        model.train()
        assert not torch.equal(model(points), model(points))


def test_learns_to_tell_flat_clouds_from_thick_ones() -> None:
    torch.manual_seed(0)
    model = build(replace(SMALL, classes=2, dropout=0.0, drop_path=0.0))
    points, labels = clouds(16, seed=3), torch.arange(16) % 2
    points[labels == 0, :, 2] *= 0.1
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = functional.cross_entropy(model(points), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
