"""The simple baseline against what its PyTorch port computes (weigq/3d_pose_baseline_pytorch, commit a03094b)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.martinez import PRESETS, LimitedLinear, Martinez, MartinezConfig, build, official_config
from harness.measurement.fvcore import count
from tests.baselines.golden import Golden

GOLDENS = ("martinez-tiny", "martinez-tiny-17", "martinez-published", "martinez-base")
SMALL = MartinezConfig(dim=8, depth=1)


def golden_model(golden: Golden) -> Martinez:
    model = build(official_config(golden.config))
    golden.load_into(model)
    return model


def parameter_count(config: MartinezConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


@pytest.mark.parametrize("name", GOLDENS)
def test_output_is_the_ports(name: str) -> None:
    golden = Golden(name)
    with torch.no_grad():
        output = golden_model(golden)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("name", GOLDENS)
def test_input_gradient_is_the_ports(name: str) -> None:
    golden = Golden(name)
    expected = golden.arrays["grad_input"]
    model = golden_model(golden)
    np.testing.assert_allclose(golden.input_gradient(model), expected, rtol=0, atol=1e-5 * abs(expected).max())
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_counts(name: str) -> None:
    golden = Golden(name)
    frames, joints, channels = (golden.facts[key] for key in ("frames", "joints", "in_channels"))
    cost = count(golden_model(golden), frames, channels, joints)
    assert sum(parameter.numel() for parameter in golden_model(golden).parameters()) == golden.facts["params"]
    assert cost.macs == golden.facts["macs"]["fvcore"]
    assert cost.by_operator["linear"] == golden.facts["macs"]["torch_flop_counter"]


@pytest.mark.parametrize(
    ("joints", "channels", "expected"), [(16, 2, 4_291_632), (17, 2, 4_296_755), (17, 3, 4_314_163)]
)
def test_parameter_counts_by_hand(joints: int, channels: int, expected: int) -> None:
    layers = [(joints * channels, 1024), *4 * [(1024, 1024)], (1024, joints * 3)]
    linear = sum(fan_in * fan_out + fan_out for fan_in, fan_out in layers)
    norms = 5 * 2 * 1024
    assert linear + norms == expected
    for preset in PRESETS.values():
        assert parameter_count(replace(preset, joints=joints, in_channels=channels)) == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_every_name_of_the_port_is_known(preset: str) -> None:
    with torch.device("meta"):
        model = build(PRESETS[preset])
    theirs = {name: torch.empty(0) for name, _, _ in Golden("martinez-base").facts["state"]}
    renamed = model.official_state(theirs)
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_entries_of_the_port_stay_as_they_are() -> None:
    extra = {"linear_stages.7.w1.weight": torch.ones(1), "w3.weight": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_official_configurations() -> None:
    assert official_config({}) == MartinezConfig(joints=16)
    assert official_config(Golden("martinez-base").config) == PRESETS["base"]
    theirs = {"linear_size": 64, "num_stage": 3, "p_dropout": 0.1, "input_size": 51, "output_size": 51}
    assert official_config(theirs) == MartinezConfig(in_channels=3, dim=64, depth=3, dropout=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_stages": 2}, "unknown option 'num_stages'. Did you mean: num_stage"),
        ({"output_size": 50}, "output_size must be a multiple of 3, not 50"),
        ({"input_size": 34}, "input_size must be 2 or 3 times 16 joints, not 34"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"depth": 0}, "depth must be a whole number of at least 1, not 0"),
        ({"dropout": 1.0}, "dropout must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"max_norm": 0.0}, "max_norm must be above 0, or None for no limit, not 0.0"),
        ({"norm_eps": 0.0}, "norm_eps must be above 0, not 0.0"),
        ({"norm_momentum": 0.0}, "norm_momentum must be above 0 and at most 1, not 0.0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, frames, 17, 2\)"):
        build(SMALL)(torch.zeros(1, 5, 16, 3))


def test_every_frame_is_lifted_by_itself() -> None:
    assert SMALL.other_frames == "any"
    model = build(SMALL).eval()
    keypoints = torch.randn(2, 5, 17, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        alone = torch.stack([model(keypoints[:, frame : frame + 1])[:, 0] for frame in range(5)], dim=1)
        torch.testing.assert_close(model(keypoints), alone)


def test_fresh_weights_are_the_ports() -> None:
    torch.manual_seed(0)
    model = build(replace(SMALL, dim=256))
    for layer in (model.expansion.linear, model.stages[0].second.linear, model.head):
        assert layer.weight.std().item() == pytest.approx((2 / layer.in_features) ** 0.5, rel=0.05)
        assert layer.bias.abs().max().item() <= layer.in_features**-0.5


def test_dropout_follows_every_hidden_layer() -> None:
    model = build(replace(SMALL, depth=2, dropout=0.3))
    seen: list[float] = []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda module, inputs, output: seen.append(module.p))
    model(torch.zeros(2, 3, 17, 2))
    assert seen == [0.3] * 5


def test_original_keeps_the_norm_of_each_weight_matrix_at_one() -> None:
    torch.manual_seed(0)
    config = replace(PRESETS["original"], dim=8, depth=1)
    model = build(config).eval()
    with torch.no_grad():
        model.head.weight.div_(2 * model.head.weight.norm())  # below the limit, so it stays
    limited = build(replace(config, max_norm=None)).eval()
    state = model.state_dict()
    for name, value in state.items():
        if value.ndim == 2 and not name.startswith("head"):
            state[name] = value / np.linalg.norm(value.numpy())
    limited.load_state_dict(state)
    keypoints = torch.randn(2, 3, 17, 2)
    torch.testing.assert_close(model(keypoints), limited(keypoints))
    assert {(norm.eps, norm.momentum) for norm in model.modules() if isinstance(norm, nn.BatchNorm1d)} == {(1e-3, 0.01)}


def test_the_gradient_goes_through_the_limited_norm() -> None:
    torch.manual_seed(0)
    layer = LimitedLinear(4, 3, max_norm=1.0).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    assert layer.weight.norm() > 1
    assert torch.autograd.gradcheck(
        lambda weight: torch.func.functional_call(layer, {"weight": weight}, (x,)), layer.weight
    )
    layer(x).square().sum().backward()
    assert layer.weight.grad is not None
    # The output doesn't change with the length of the weights, so the gradient has no share along them.
    assert abs((layer.weight.grad * layer.weight).sum()) < 1e-9


@pytest.mark.parametrize("preset", PRESETS)
def test_runs_in_mixed_precision(preset: str) -> None:
    model = build(replace(PRESETS[preset], dim=8, depth=1))
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 5, 17, 2))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
