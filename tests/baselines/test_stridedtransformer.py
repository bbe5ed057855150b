"""StridedTransformer against what the authors' code computes (Vegetebird/StridedTransformer-Pose3D, commit e5e6247)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.attention import AttentionForm
from baselines.stridedtransformer import (
    OFFICIAL_OPTIONS,
    PRESETS,
    StridedTransformer,
    StridedTransformerConfig,
    build,
    official_config,
)
from harness.measurement import fvcore
from tests.baselines.golden import Golden

GOLDEN = "stridedtransformer-tiny"


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> StridedTransformer:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: StridedTransformerConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_both_outputs_are_the_authors(attention: AttentionForm) -> None:
    golden = Golden(GOLDEN)
    with torch.no_grad():
        output, whole = golden_model(golden, attention)(golden.keypoints(), auxiliary=True)
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)
    np.testing.assert_allclose(whole.numpy(), golden.arrays["output_aux"], rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_input_gradient_is_the_authors(attention: AttentionForm) -> None:
    golden = Golden(GOLDEN)
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_parameters_without_gradient_are_the_authors() -> None:
    golden = Golden(GOLDEN)
    model = golden_model(golden)
    output, whole = model(golden.keypoints(), auxiliary=True)
    (output.square().mean() + whole.square().mean()).backward()
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    names = {theirs: theirs for theirs in golden.facts["unused_parameters"]}
    assert idle == set(model.official_state(names))


@pytest.mark.parametrize(
    ("frames", "strides", "expected"),
    [
        (27, (3, 3, 3), 4_014_438),
        (81, (3, 3, 9), 4_069_734),
        (243, (3, 9, 9), 4_235_622),
        (351, (3, 9, 13), 4_346_214),
    ],
)
def test_strides_and_parameter_counts_are_the_authors(frames: int, strides: tuple[int, ...], expected: int) -> None:
    config = replace(PRESETS["base"], frames=frames)
    assert config.resolved_strides == strides
    assert parameter_count(config) == expected


def test_golden_parameter_count() -> None:
    golden = Golden(GOLDEN)
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


def test_multiply_accumulates_are_those_of_the_authors_code_without_the_auxiliary_head() -> None:
    golden = Golden(GOLDEN)
    model = golden_model(golden)
    cost = fvcore.count(model, golden.facts["frames"], golden.facts["in_channels"])
    counted, theirs = cost.by_operator, golden.facts["macs"]["fvcore_by_operator"]
    clip_head = 9 * 16 * 51  # frames, channels of a token, coordinates of a frame
    assert counted["linear"] == theirs["linear"]
    assert counted["attention"] == theirs["matmul"]
    assert counted["conv"] == theirs["conv"] - clip_head
    assert counted["batch_norm"] == theirs["batch_norm"] - 2 * 9 * 16
    matrices = counted["linear"] + counted["attention"] + counted["conv"]
    assert matrices == golden.facts["macs"]["torch_flop_counter"] - clip_head
    assert not fvcore.without_formula(cost.uncounted)


def test_every_official_name_of_the_published_preset_is_known() -> None:
    with torch.device("meta"):
        model = build(PRESETS["base"])
    generic = {
        re.sub(r"^(Transformer\w*\.model\.layers)\.\d+", r"\1.{}", name) for name, _, _ in Golden(GOLDEN).facts["state"]
    }
    theirs = {name.format(layer) for name in generic for layer in range(3)}  # both encoders have three
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_the_preset_is_the_authors_configuration() -> None:
    assert official_config({}) == PRESETS["base"]
    full = {"layers": 3, "channel": 256, "d_hid": 512, "frames": 351, "n_joints": 17, "out_joints": 17}
    assert official_config(full) == PRESETS["base"]
    assert official_config({**full, "stride_num": [3, 9, 13]}) == replace(PRESETS["base"], strides=(3, 9, 13))


def test_an_official_configuration_is_understood() -> None:
    config = official_config(Golden(GOLDEN).config)
    assert config == replace(PRESETS["base"], frames=9, dim=16, depth=2, mlp_ratio=1.5, strides=(1, 3, 3))
    assert config.hidden_dim == 24
    assert (config.dropout, config.attention_dropout, config.embedding_dropout) == (0.1, 0.1, 0.25)


def test_every_official_option_names_one_of_ours() -> None:
    fields = set(StridedTransformerConfig.__dataclass_fields__)
    assert {ours for ours in OFFICIAL_OPTIONS.values() if ours} <= fields
    assert set(OFFICIAL_OPTIONS) >= set(Golden(GOLDEN).config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 2}, "unknown option 'layer'. Did you mean: layers"),
        ({"in_channels": 3}, "in_channels must be 2, not 3"),
        ({"out_channels": 6}, "out_channels must be 3, not 6"),
        ({"out_joints": 16}, "out_joints must be 17, not 16"),
        ({"d_hid": "512"}, "d_hid must be a number above 0, not '512'"),
        ({"channel": 0}, "channel must be a number above 0, not 0"),
        ({"stride_num": [3, 3]}, "strides=(3, 3) leave 39 of 351 frames"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config(options)
