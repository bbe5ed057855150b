"""MixSTE against what the authors' code computes (JinluZhang1126/MixSTE, commit 72a36be)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.attention import AttentionForm
from baselines.mixste import OFFICIAL_OPTIONS, PRESETS, MixSTE, MixSTEConfig, build, official_config
from harness.measurement import fvcore
from tests.baselines.golden import Golden

TINY = "mixste-tiny"
SMALL = MixSTEConfig(frames=5, dim=16, depth=2, heads=4)


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> MixSTE:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: MixSTEConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_output_is_the_authors(attention: AttentionForm) -> None:
    golden = Golden(TINY)
    with torch.no_grad():
        output = golden_model(golden, attention)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_input_gradient_is_the_authors(attention: AttentionForm) -> None:
    golden = Golden(TINY)
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_every_parameter_has_a_gradient_as_the_authors_do() -> None:
    golden = Golden(TINY)
    model = golden_model(golden)
    golden.input_gradient(model)
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert idle == set(golden.facts["unused_parameters"]) == set()


@pytest.mark.parametrize(("frames", "expected"), [(243, 33_783_811), (81, 33_700_867), (27, 33_673_219)])
def test_parameter_counts_are_the_authors(frames: int, expected: int) -> None:
    assert parameter_count(replace(PRESETS["published"], frames=frames)) == expected


def test_golden_parameter_count() -> None:
    golden = Golden(TINY)
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_multiply_accumulates_are_the_authors(attention: AttentionForm) -> None:
    golden = Golden(TINY)
    cost = fvcore.count(golden_model(golden, attention), frames=9, in_channels=2)
    products = cost.macs - cost.by_operator["layer_norm"]
    assert cost.macs == golden.facts["macs"]["fvcore"]
    assert products == golden.facts["macs"]["torch_flop_counter"]
    assert fvcore.without_formula(cost.uncounted) == []


def test_every_official_name_of_the_published_preset_is_known() -> None:
    with torch.device("meta"):
        model = build(PRESETS["published"])
    tiny = {re.sub(r"^(.TEblocks)\.\d+", r"\1.{}", name) for name, _, _ in Golden(TINY).facts["state"]}
    theirs = {name.format(stage) for name in tiny for stage in range(PRESETS["published"].depth)}
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"STEblocks.7.norm1.weight": torch.ones(1), "weighted_mean.weight": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_the_preset_is_the_authors_configuration() -> None:
    """run.py with the defaults of common/arguments.py."""
    theirs = {"num_frame": 243, "embed_dim_ratio": 512, "depth": 8, "drop_path_rate": 0.1}
    assert official_config(theirs) == PRESETS["published"]


def test_what_an_official_configuration_leaves_out_is_the_authors_default() -> None:
    expected = MixSTEConfig(frames=9, in_channels=2, dim=32, depth=4, heads=8, mlp_ratio=2.0, drop_path=0.2)
    assert official_config({}) == expected


def test_every_official_option_sets_its_field() -> None:
    options = {
        "num_frame": 7, "num_joints": 16, "in_chans": 3, "embed_dim_ratio": 24, "depth": 3, "num_heads": 4,
        "mlp_ratio": 3.0, "qkv_bias": False, "qk_scale": 0.5, "drop_rate": 0.1, "attn_drop_rate": 0.2,
        "drop_path_rate": 0.3,
    }  # fmt: skip
    assert official_config(options) == MixSTEConfig(
        frames=7, joints=16, in_channels=3, dim=24, depth=3, heads=4, mlp_ratio=3.0, qkv_bias=False,
        attention_scale=0.5, dropout=0.1, attention_dropout=0.2, drop_path=0.3,
    )  # fmt: skip
    assert OFFICIAL_OPTIONS.keys() == {*options, "norm_layer"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 9}, "unknown option 'num_frames'. Did you mean: num_frame"),
        ({"norm_layer": "BatchNorm"}, "norm_layer must be None, not 'BatchNorm'"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden(TINY).config, **options})


@pytest.mark.parametrize("in_channels", [2, 3])
@pytest.mark.parametrize("frames", [1, 4, 31])
def test_any_number_of_frames_can_be_built(frames: int, in_channels: int) -> None:
    model = build(replace(SMALL, frames=frames, in_channels=in_channels))
    assert model(torch.zeros(2, frames, 17, in_channels)).shape == (2, frames, 17, 3)


def test_other_frames_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"the input has 7 frames, but this lifter is tied to 5; build it with frames=7"
    ):
        build(SMALL)(torch.zeros(1, 7, 17, 2))


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, 5, 17, 2\)"):
        build(SMALL)(torch.zeros(1, 5, 16, 3))


def test_clips_do_not_influence_each_other() -> None:
    golden = Golden(TINY)
    model, keypoints = golden_model(golden), golden.keypoints()
    with torch.no_grad():
        torch.testing.assert_close(model(keypoints[1:]), model(keypoints)[1:], rtol=0, atol=golden.tolerance)


def test_fresh_positions_are_zero_and_drop_path_grows_over_the_stages() -> None:
    model = build(replace(PRESETS["published"], frames=3, dim=16))
    assert not model.spatial_position.any()
    assert not model.temporal_position.any()
    rates = [block.get_submodule("drop_path").probability for block in model.transformer.temporal_blocks]
    assert rates == pytest.approx([0.1 * stage / 7 for stage in range(8)])


def test_dropout_follows_the_embedding() -> None:
    torch.manual_seed(0)
    model = build(replace(SMALL, dropout=0.9))
    seen: list[torch.Tensor] = []
    model.transformer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(torch.randn(1, 5, 17, 2))
    assert (seen[0] == 0).float().mean() > 0.8


def test_the_root_is_scored_as_predicted() -> None:
    assert PRESETS["published"].published_root == "predicted"


def test_runs_in_mixed_precision() -> None:
    model = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 5, 17, 2))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
