"""PointABM as we read it: parts against torch's and hand-made cases, counts against the paper's tables."""

from __future__ import annotations

import copy
import dataclasses
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.mamba import Mamba
from baselines.pointabm import (
    PRESETS,
    READING,
    BidirectionalBlock,
    PointABM,
    PointABMConfig,
    TransformerLayer,
    along_axes,
    build,
)

#: What the paper states (section IV.A, and what follows from the data); "attention" changes no number.
STATED = {"points", "classes", "patches", "patch_points", "dim", "attention_depth", "heads", "depth", "attention"}

SMALL = PointABMConfig(
    points=64, classes=5, patches=8, patch_points=6, patch_width=8, position_width=8, dim=16, heads=4,
    feedforward_dim=24, position_rows=24, depth=2, state_dim=4, head_dim=12, dropout=0.0, head_dropout=0.0,
    drop_path=0.0,
)  # fmt: skip


def small(**changes: Any) -> PointABM:
    torch.manual_seed(0)
    return build(replace(SMALL, **changes)).eval()


def clouds(count: int = 2, points: int = 64) -> Tensor:
    return torch.randn(count, points, 3, generator=torch.Generator().manual_seed(1))


def parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def count_of(config: PointABMConfig) -> int:
    with torch.device("meta"):
        return parameter_count(build(config))


def test_logits_of_clouds_of_any_size() -> None:
    model = small()
    assert model(clouds(points=64)).shape == (2, 5)
    assert model(clouds(points=8)).shape == (2, 5)
    assert model(clouds(points=100)).shape == (2, 5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 7, 3), "the clouds have 7 points, fewer than patches=8"), ((2, 64, 2), "wanted (batch, points, 3)")],
)
def test_other_clouds_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small()(torch.zeros(shape))


@pytest.mark.parametrize("order", ["axes", "sampled"])
def test_gradients_reach_every_parameter(order: str) -> None:
    model = small(order=order).train()
    model(clouds(4)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # Of a bias before a batch norm, which takes it away again, the gradient is nothing but rounding.
        assert name.endswith("bias") or parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("order", ["axes", "sampled"])
def test_order_of_the_points_after_the_first_does_not_matter(order: str) -> None:
    model, cloud = small(order=order), clouds()
    shuffled = torch.cat((cloud[:, :1], cloud[:, 1:].flip(1).roll(11, 1)), dim=1)
    with torch.no_grad():
        torch.testing.assert_close(model(shuffled), model(cloud), rtol=0, atol=1e-5)


@pytest.mark.parametrize("point", [0, 40])
def test_moving_a_point_matters(point: int) -> None:
    model, cloud = small(), clouds()
    moved = cloud.clone()
    moved[:, point] += 3.0
    with torch.no_grad():
        assert ((model(moved) - model(cloud)).abs().amax(1) > 1e-4).all()


def test_clouds_do_not_influence_each_other() -> None:
    model, cloud = small(), clouds(3)
    with torch.no_grad():
        torch.testing.assert_close(model(cloud)[:1], model(cloud[:1]), rtol=0, atol=1e-5)


def test_tokens_along_the_axes() -> None:
    centres = torch.tensor([[[2.0, 0.0, 5.0], [1.0, 0.0, 6.0], [3.0, -1.0, 4.0]]])
    tokens = torch.tensor([[[10.0], [11.0], [12.0]]])
    by_x, by_y, by_z = [11, 10, 12], [12, 10, 11], [12, 10, 11]  # the first two are level in y and stay as they were
    assert along_axes(tokens, centres).flatten().tolist() == by_x + by_y + by_z


def test_sorted_tokens_do_not_depend_on_the_order_of_patches() -> None:
    tokens, centres = torch.randn(2, 9, 4), torch.randn(2, 9, 3)
    torch.testing.assert_close(along_axes(tokens.flip(1), centres.flip(1)), along_axes(tokens, centres))


def test_transformer_layer_is_torchs_of_the_same_weights() -> None:
    torch.manual_seed(0)
    layer = TransformerLayer(16, 4, 24).eval()
    theirs = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True).eval()
    names = {
        "attention.qkv.weight": "self_attn.in_proj_weight",
        "attention.qkv.bias": "self_attn.in_proj_bias",
        "attention.projection": "self_attn.out_proj",
        "attention_norm": "norm1",
        "expand": "linear1",
        "contract": "linear2",
        "feedforward_norm": "norm2",
    }
    state = {}
    for name, value in layer.state_dict().items():
        ours = next(prefix for prefix in names if name.startswith(prefix))
        state[name.replace(ours, names[ours])] = torch.randn_like(value)
    theirs.load_state_dict(state)
    layer.load_state_dict(dict(zip(layer.state_dict(), state.values(), strict=True)))
    tokens = torch.randn(2, 7, 16)
    torch.testing.assert_close(layer(tokens), theirs(tokens), rtol=1e-4, atol=1e-5)


def test_both_forms_of_attention_agree() -> None:
    fused, explicit = small(), small(attention="explicit")
    explicit.load_state_dict(fused.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(fused(clouds()), explicit(clouds()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_every_token_depends_on_every_other(shared: bool) -> None:
    torch.manual_seed(0)
    block = BidirectionalBlock(8, state_dim=4, shared_selection=shared).double()
    tokens = torch.randn(1, 6, 8, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: block(x)[0].sum(-1), tokens)  # (L, 1, L, C)
    assert (jacobian[:, 0].abs().amax(-1) > 0).all()


def test_one_direction_alone_would_not_be_enough() -> None:
    """The probe above can tell: a causal mixer fails it."""
    torch.manual_seed(0)
    mixer = Mamba(8, state_dim=4).double()
    tokens = torch.randn(1, 6, 8, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: mixer(x)[0].sum(-1), tokens)  # (L, 1, L, C)
    assert (jacobian[:, 0].abs().amax(-1) > 0).tolist() == torch.ones(6, 6).tril().bool().tolist()


def test_shared_selection_stays_shared() -> None:
    block = copy.deepcopy(BidirectionalBlock(8, state_dim=4))
    block.load_state_dict(BidirectionalBlock(8, state_dim=4).state_dict())
    forward, backward = block.mixer.forward_ssm, block.mixer.backward_ssm
    assert forward.selection.weight is backward.selection.weight
    assert forward.step.weight is backward.step.weight
    assert forward.step.bias is backward.step.bias
    assert forward.A_log is not backward.A_log
    assert forward.convolution.weight is not backward.convolution.weight


def test_own_selections_add_their_weights() -> None:
    with torch.device("meta"):
        shared, own = (BidirectionalBlock(384, shared_selection=is_shared) for is_shared in (True, False))
    assert parameter_count(own) - parameter_count(shared) == (24 + 2 * 16) * 768 + (24 + 1) * 768


def test_drop_path_leaves_whole_blocks_out_in_training() -> None:
    torch.manual_seed(0)
    block = BidirectionalBlock(8, state_dim=4, drop_path=0.5)
    tokens = torch.randn(64, 3, 8)
    left_out = (block(tokens) == tokens).all(2).all(1)
    assert 10 < left_out.sum() < 54
    assert (block.eval()(tokens) != tokens).any(2).any(1).all()


def test_published_sizes_are_the_papers() -> None:
    config = PRESETS["published"]
    assert (config.points, config.patches, config.patch_points, config.classes) == (1024, 64, 32, 40)
    assert (config.dim, config.attention_depth, config.heads, config.depth) == (384, 1, 8, 12)


@pytest.mark.parametrize(("preset", "expected"), [("published", 15_051_176), ("xs", 341_802)])
def test_parameter_counts(preset: str, expected: int) -> None:
    assert count_of(PRESETS[preset]) == expected


def test_parameters_of_the_ablations() -> None:
    """Tables IV and V in millions: neither part, the transformer alone, the second direction alone, both."""
    with torch.device("meta"):
        whole = build(PRESETS["published"])
    both = parameter_count(whole)
    transformer = parameter_count(whole.transformer) + whole.sequence_position.numel()
    backward = sum(
        parameter.numel()
        for name, parameter in whole.named_parameters()
        if "backward_ssm" in name  # named_parameters gives shared ones the name in forward_ssm alone
    )
    millions = [round(count / 1e6, 1) for count in (both - transformer - backward, both - backward, both - transformer)]
    assert [*millions, round(both / 1e6, 1)] == [12.3, 14.8, 12.5, 15.1]


def test_reading_covers_what_the_paper_does_not_state() -> None:
    inferred = {field.name for field in dataclasses.fields(PointABMConfig)} - STATED
    assert inferred <= set(READING)
    assert not STATED & set(READING)
    assert all(ground.strip() for ground in READING.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patches": 0}, "patches must be a whole number of at least 1, not 0"),
        ({"dim": 18}, "dim must be a multiple of heads=4, not 18"),
        ({"expansion": 0.01}, "expansion must leave at least one channel, not 0.01 of 16"),
        ({"order": "axis"}, "unknown order 'axis'. Did you mean: axes"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"position_rows": 23}, "position_rows must be at least the 24 tokens, not 23"),
        ({"points": 7}, "patches=8 needs as many points, but points=7"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)
