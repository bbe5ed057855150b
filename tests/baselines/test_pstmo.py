"""P-STMO against what the authors' code computes (paTRICK-swk/P-STMO, commit aea43d0)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.attention import AttentionForm
from baselines.pstmo import (
    OFFICIAL_OPTIONS,
    PRESETS,
    PSTMO,
    PoseEmbedding,
    PSTMOConfig,
    ResidualBlock,
    build,
    official_config,
)
from harness.measurement import fvcore
from tests.baselines.golden import Golden

GOLDEN = "pstmo-tiny"


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> PSTMO:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: PSTMOConfig) -> int:
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
    ("preset", "frames", "expected"),
    [
        ("s", 27, 4_682_598),
        ("s", 81, 5_527_142),
        ("s", 243, 6_482_278),
        ("base", 243, 7_009_382),
    ],
)
def test_parameter_counts_are_the_authors(preset: str, frames: int, expected: int) -> None:
    assert parameter_count(replace(PRESETS[preset], frames=frames)) == expected


def test_golden_parameter_count() -> None:
    golden = Golden(GOLDEN)
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


@pytest.mark.parametrize(
    ("frames", "strides"),
    [
        (9, (1, 3, 3)),
        (27, (3, 3, 3)),
        (81, (3, 3, 3, 3)),
        (243, (3, 3, 3, 3, 3)),
        (351, (3, 9, 13)),
    ],
)
def test_strides_are_the_authors(frames: int, strides: tuple[int, ...]) -> None:
    """The table of common/opt.py, all of it."""
    assert replace(PRESETS["s"], frames=frames).resolved_strides == strides


@pytest.mark.parametrize(("frames", "strides"), [(1, (1, 1, 1)), (3, (1, 1, 3)), (729, (3,) * 6), (16, (2, 2, 4))])
def test_strides_of_other_clips(frames: int, strides: tuple[int, ...]) -> None:
    assert replace(PRESETS["s"], frames=frames).resolved_strides == strides


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


@pytest.mark.parametrize("preset", PRESETS)
def test_every_official_name_of_a_published_preset_is_known(preset: str) -> None:
    config = PRESETS[preset]
    with torch.device("meta"):
        model = build(config)
    layers = {"Transformer": config.depth, "Transformer_reduce": len(config.resolved_strides)}
    theirs = {
        re.sub(r"^(\w+\.model\.layers)\.\d+", rf"\1.{layer}", name)
        for name, _, _ in Golden(GOLDEN).facts["state"]
        for layer in range(layers.get(name.split(".")[0], 1))
    }
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_presets_are_the_authors_configurations() -> None:
    assert official_config({}) == PRESETS["s"]
    assert official_config({"layers": 4, "frames": 243}) == PRESETS["base"]
    assert official_config({"layers": 3, "frames": 81, "stride_num": [3, 3, 3, 3]}) == replace(
        PRESETS["s"], frames=81, strides=(3, 3, 3, 3)
    )


def test_an_official_configuration_is_understood() -> None:
    config = official_config(Golden(GOLDEN).config)
    assert config == replace(PRESETS["s"], frames=9, dim=16, depth=2, mlp_ratio=1.5, strides=(1, 3, 3))
    assert config.hidden_dim == 24
    assert (config.dropout, config.attention_dropout, config.embedding_dropout) == (0.1, 0.1, 0.1)


def test_every_official_option_names_one_of_ours() -> None:
    fields = set(PSTMOConfig.__dataclass_fields__)
    assert {ours for ours in OFFICIAL_OPTIONS.values() if ours} <= fields
    assert set(OFFICIAL_OPTIONS) >= set(Golden(GOLDEN).config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_hidden": 2}, "unknown option 'd_hidden'. Did you mean: d_hid"),
        ({"in_channels": 3}, "in_channels must be 2, not 3"),
        ({"out_channels": 6}, "out_channels must be 3, not 6"),
        ({"out_joints": 16}, "out_joints must be 17, not 16"),
        ({"stride_num": [3, 3, 3, 3]}, "strides=(3, 3, 3, 3) leave 3 of 243 frames"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config(options)


def test_the_residual_block_adds_its_input() -> None:
    block = ResidualBlock(4, 0.0).eval()
    with torch.no_grad():
        torch.nn.init.zeros_(block.second.weight)
        torch.nn.init.zeros_(block.second.bias)
        poses = torch.randn(2, 4, 3)
        torch.testing.assert_close(block(poses), poses)


def test_every_layer_of_the_embedding_but_the_last_has_a_dropout() -> None:
    dropped: list[str] = []
    embedding = PoseEmbedding(replace(PRESETS["s"], dim=8))
    for name, module in embedding.named_modules():
        module.register_forward_hook(lambda module, inputs, output, name=name: dropped.append(name))
    embedding(torch.randn(2, 34, 3))
    order = [name for name in dropped if name.endswith("dropout") or name.split(".")[-1].endswith("norm")]
    assert order == [
        "widen_norm", "dropout", "block.first_norm", "block.dropout", "block.second_norm", "block.dropout"
    ]  # fmt: skip
    assert {module.p for module in embedding.modules() if isinstance(module, torch.nn.Dropout)} == {0.1}
