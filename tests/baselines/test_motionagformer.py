"""MotionAGFormer against what the authors' code computes (TaatiTeam/MotionAGFormer, commit 4756fd1)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.attention import AttentionForm
from baselines.motionagformer import (
    PRESETS,
    MotionAGFormer,
    MotionAGFormerConfig,
    TwoStreamLayer,
    build,
    official_config,
)
from tests.baselines.golden import Golden

TINY = ("motionagformer-tiny", "motionagformer-tiny-hierarchical", "motionagformer-tiny-tcn")
GOLDENS = (*TINY, "motionagformer-xs")
SMALL = MotionAGFormerConfig(frames=5, dim=16, depth=1, representation_dim=8)


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> MotionAGFormer:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: MotionAGFormerConfig) -> int:
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
@pytest.mark.parametrize("name", TINY)
def test_input_gradient_is_the_authors(name: str, attention: AttentionForm) -> None:
    golden = Golden(name)
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("name", TINY)
def test_parameters_without_gradient_are_the_authors(name: str) -> None:
    golden = Golden(name)
    model = golden_model(golden)
    golden.input_gradient(model)
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    names = {theirs: theirs for theirs in golden.facts["unused_parameters"]}
    assert idle == set(model.official_state(names))


@pytest.mark.parametrize(
    ("preset", "frames", "expected"),
    [
        ("xs", 27, 2_241_531),
        ("s", 81, 4_817_119),
        ("b", 243, 11_723_811),
        ("b", 81, 11_718_627),
        ("l", 243, 19_007_111),
    ],
)
def test_parameter_counts_are_the_authors(preset: str, frames: int, expected: int) -> None:
    assert parameter_count(replace(PRESETS[preset], frames=frames)) == expected


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_parameter_counts(name: str) -> None:
    golden = Golden(name)
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if preset.layer_scale is not None])
def test_every_official_name_of_a_published_preset_is_known(preset: str) -> None:
    with torch.device("meta"):
        model = build(PRESETS[preset])
    depth = PRESETS[preset].depth
    one_layer = {
        re.sub(r"^layers\.\d+", "layers.{}", name) for name, _, _ in Golden("motionagformer-xs").facts["state"]
    }
    theirs = {name.format(layer) for name in one_layer for layer in range(depth)}
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"layers.7.att_spatial.norm1.weight": torch.ones(1), "norm1.weight": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_presets_are_the_authors_configurations() -> None:
    xs = Golden("motionagformer-xs").config
    assert official_config(xs) == PRESETS["xs"]
    assert official_config({**xs, "n_layers": 26, "n_frames": 81}) == PRESETS["s"]
    assert official_config({**xs, "n_layers": 16, "dim_feat": 128, "n_frames": 243}) == PRESETS["b"]
    assert official_config({**xs, "n_layers": 26, "dim_feat": 128, "n_frames": 243}) == PRESETS["l"]


def test_what_an_official_configuration_leaves_out_is_the_authors_default() -> None:
    config = official_config({"n_layers": 2, "dim_in": 2, "dim_feat": 32})
    assert (config.frames, config.in_channels, config.heads, config.neighbours) == (243, 2, 4, 4)
    assert official_config({"n_layers": 2, "dim_in": 3, "dim_feat": 32, "use_layer_scale": False}).layer_scale is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_layer": 2}, "unknown option 'n_layer'. Did you mean: n_layers"),
        ({"act_layer": "relu"}, "act_layer must be 'gelu', not 'relu'"),
        ({"dim_out": 6}, "dim_out must be 3, not 6"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden("motionagformer-tiny").config, **options})


def test_an_official_configuration_needs_a_size() -> None:
    with pytest.raises(ValueError, match="missing option: n_layers, dim_feat"):
        official_config({"dim_in": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"dim": 20}, "dim must be a multiple of heads=8, not 20"),
        ({"dim": 24, "hierarchical": True}, "half of dim must be a multiple of heads=8, not 12"),
        ({"dim": 17, "hierarchical": True}, "dim must be even"),
        ({"dim": 18, "heads": 2, "temporal_mixer": "convolution"}, "dim must be a multiple of 4 for the convolution"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"joints": 16}, "joints must be 17"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"temporal_mixer": "similar"}, "unknown temporal_mixer 'similar'. Did you mean: similarity"),
        ({"frames": 2, "neighbours": 3}, "neighbours=3 needs as many frames, but frames=2"),
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
        build(SMALL)(torch.zeros(1, 7, 17, 3))


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 2 channels.*wanted \(batch, 5, 17, 3\)"):
        build(SMALL)(torch.zeros(1, 5, 16, 2))


def test_convolution_along_time_takes_any_number_of_frames() -> None:
    model = build(replace(SMALL, temporal_mixer="convolution"))
    assert model(torch.zeros(1, 11, 17, 3)).shape == (1, 11, 17, 3)


def test_fresh_layers_blend_the_streams_evenly() -> None:
    layer = TwoStreamLayer(SMALL).eval()
    x = torch.randn(1, 5, 17, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean = (layer._attend(x) + layer._convolve(x)) / 2
        torch.testing.assert_close(layer(x), mean)


def test_successors_link_each_frame_to_the_next() -> None:
    layer = TwoStreamLayer(replace(SMALL, temporal_mixer="successors", successors=2, graph_only=True))
    linked = layer.get_buffer("temporal_graph.graph.normalised") > 0
    expected = [[0 <= later - frame <= 2 for later in range(5)] for frame in range(5)]
    assert linked.tolist() == expected


def test_both_forms_of_attention_agree_at_full_size() -> None:
    """S at 81 frames. Near-ties among the similar frames may fall otherwise by rounding, which moves single numbers."""
    torch.manual_seed(0)
    model = build(PRESETS["s"]).eval()
    explicit = build(replace(PRESETS["s"], attention="explicit")).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("_scale"):
                parameter.fill_(0.3)
        explicit.load_state_dict(model.state_dict())
        keypoints = torch.randn(1, 81, 17, 3)
        difference = (model(keypoints) - explicit(keypoints)).abs()
    assert (difference > 1e-5).sum() <= 10
    assert difference.median() > 0


def test_runs_in_mixed_precision() -> None:
    model = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 5, 17, 3))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
