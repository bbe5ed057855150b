"""STCFormer against what the authors' code computes (zhenhuat/STCFormer, commit 74f6601).

The golden can't prove the part embedding, which their factors make smaller than its tolerance: what it adds is seen
alone below, with everything beside it at zero.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.attention import AttentionForm
from baselines.metaformer import MetaFormerBlock
from baselines.stcformer import (
    OFFICIAL_OPTIONS,
    PRESETS,
    CrissCrossAttention,
    STCFormer,
    STCFormerConfig,
    build,
    official_config,
)
from harness.measurement import fvcore
from tests.baselines.golden import Golden

SMALL = STCFormerConfig(frames=5, dim=32, depth=1)
#: Written out once more, by body part: torso and head, right leg, left leg, left arm, right arm.
JOINTS_OF_PARTS = ((0, 7, 8, 9, 10), (1, 2, 3), (4, 5, 6), (11, 12, 13), (14, 15, 16))


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> STCFormer:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: STCFormerConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


def random_tokens(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def added_by_parts(config: STCFormerConfig, training: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """What the part embedding alone adds to the groups, spatial and temporal (B, T, J, H, D), and itself (5, D)."""
    mixer = CrissCrossAttention(config).train(training)
    with torch.no_grad():
        for name, parameter in mixer.named_parameters():
            if name == "projection.weight":
                torch.nn.init.eye_(parameter)
            elif name != "part_embedding":
                parameter.zero_()
        added = mixer(torch.zeros(2, 3, 17, config.dim)).unflatten(-1, (config.heads, 2, -1))
    spatial, temporal = added.unbind(-2)
    return spatial, temporal, mixer.part_embedding.detach()


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_output_is_the_authors(attention: AttentionForm) -> None:
    golden = Golden("stcformer-tiny")
    with torch.no_grad():
        output = golden_model(golden, attention)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_input_gradient_is_the_authors(attention: AttentionForm) -> None:
    golden = Golden("stcformer-tiny")
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_every_parameter_gets_a_gradient() -> None:
    golden = Golden("stcformer-tiny")
    model = golden_model(golden)
    golden.input_gradient(model)
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert idle == set(golden.facts["unused_parameters"]) == set()


@pytest.mark.parametrize(
    ("preset", "frames", "expected"),
    [
        ("base", 27, 4_748_000),
        ("base", 81, 4_748_000),
        ("base", 243, 4_748_000),
        ("l", 243, 18_933_184),
    ],
)
def test_parameter_counts_are_the_authors(preset: str, frames: int, expected: int) -> None:
    assert parameter_count(replace(PRESETS[preset], frames=frames)) == expected


def test_golden_parameter_count() -> None:
    golden = Golden("stcformer-tiny")
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_multiply_accumulates_are_the_authors(attention: AttentionForm) -> None:
    golden = Golden("stcformer-tiny")
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
    one_block = {re.sub(r"\.\d+\.", ".{}.", name) for name, _, _ in Golden("stcformer-tiny").facts["state"]}
    theirs = {name.format(block) for name in one_block for block in range(PRESETS[preset].depth)}
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"stcformer.stc_block.7.mlp.fc1.weight": torch.ones(1), "emb.weight": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_presets_are_the_authors_configurations() -> None:
    tiny = Golden("stcformer-tiny").config
    assert official_config({**tiny, "layers": 6, "d_hid": 256, "frames": 243}) == PRESETS["base"]
    assert official_config({**tiny, "layers": 6, "d_hid": 512, "frames": 243}) == PRESETS["l"]


def test_what_an_official_configuration_leaves_out_is_the_authors_default() -> None:
    assert official_config({}) == PRESETS["base"]


def test_every_official_option_reaches_the_field_it_is_said_to() -> None:
    values = {"layers": 2, "d_hid": 64, "frames": 7, "n_joints": 17}
    config = asdict(official_config(values))
    fields = {name: field for name, field in OFFICIAL_OPTIONS.items() if field is not None}
    assert {name: config[field] for name, field in fields.items()} == values


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 2}, "unknown option 'layer'. Did you mean: layers"),
        ({"out_joints": 1}, "out_joints must be n_joints=17, not 1"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden("stcformer-tiny").config, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"depth": 0}, "depth must be a whole number of at least 1, not 0"),
        ({"dim": 24}, "dim must be a multiple of 2 heads=16, not 24"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"part_drop_path": 1.0}, "part_drop_path must be a probability"),
        ({"dropout": -0.1}, "dropout must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"joints": 16}, "joints must be 17"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must leave at least one channel"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


def test_joints_of_one_part_share_an_embedding_scaled_as_the_authors() -> None:
    spatial, temporal, embedding = added_by_parts(SMALL)
    for part, joints in enumerate(JOINTS_OF_PARTS):
        of_joints = embedding[part].expand(2, 3, len(joints), 8, -1)
        torch.testing.assert_close(spatial[:, :, joints], 1e-4 * of_joints, rtol=1e-6, atol=0)
        torch.testing.assert_close(temporal[:, :, joints], 1e-9 * of_joints, rtol=1e-6, atol=0)


def test_the_scales_of_the_part_embedding_are_options() -> None:
    spatial, temporal, embedding = added_by_parts(replace(SMALL, spatial_part_scale=1e-3, temporal_part_scale=2.0))
    torch.testing.assert_close(spatial[0, 0, 1, 0], 1e-3 * embedding[1])
    torch.testing.assert_close(temporal[0, 0, 1, 0], 2.0 * embedding[1])


def test_the_part_embedding_is_dropped_for_a_whole_batch_and_by_group() -> None:
    """Half of the time, and doubled otherwise; in training only."""
    torch.manual_seed(0)
    factors = []
    for _ in range(200):
        spatial, temporal, embedding = added_by_parts(
            replace(SMALL, spatial_part_scale=1.0, temporal_part_scale=1.0), training=True
        )
        of_joint = embedding[0]
        ratios = [(group[:, :, 0] / of_joint).unique().tolist() for group in (spatial, temporal)]
        factors.append((*ratios[0], *ratios[1]))
    assert set(factors) == {(0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (2.0, 2.0)}
    assert 70 < sum(spatial == 2.0 for spatial, _ in factors) < 130


def test_a_scaled_part_embedding_is_seen_in_the_output() -> None:
    """In a network at work: at 1 / 1e-4 and 1 / 1e-9 times the embedding, each factor decides the output."""
    model = golden_model(Golden("stcformer-tiny"))
    keypoints = Golden("stcformer-tiny").keypoints()
    parts = [parameter for name, parameter in model.named_parameters() if name.endswith("part_embedding")]
    with torch.no_grad():
        before = model(keypoints)
        for part in parts:
            part.mul_(1e4)
        spatial_effect = (model(keypoints) - before).abs().max()
        for block in model.blocks:
            block.get_submodule("mixer").spatial_part_scale = 0.0
        without_spatial = (model(keypoints) - before).abs().max()
        for part in parts:
            part.mul_(1e5)
        temporal_effect = (model(keypoints) - before).abs().max()
    assert spatial_effect > 0.1
    assert without_spatial < 1e-3
    assert temporal_effect > 0.1


@pytest.mark.parametrize("group", [0, 1])
def test_each_group_attends_along_its_own_axis(group: int) -> None:
    """A changed token reaches its frame through the first group and its trajectory through the second."""
    mixer = CrissCrossAttention(SMALL).eval()
    with torch.no_grad():
        mixer.spatial_convolution.weight.zero_()
        mixer.temporal_convolution.weight.zero_()
        columns = mixer.projection.weight.unflatten(1, (SMALL.heads, 2, -1))
        columns[:, :, 1 - group] = 0  # only this group is projected
        before = random_tokens(1, 5, 17, 32)
        after = before.clone()
        after[0, 2, 6] += 1
        changed = (mixer(after) - mixer(before))[0].abs().amax(dim=-1) > 1e-7
    expected = torch.zeros(5, 17, dtype=torch.bool)
    if group == 0:
        expected[2] = True
    else:
        expected[:, 6] = True
    assert torch.equal(changed, expected)


def test_the_convolutions_span_frames_and_joints() -> None:
    """With one 1 in the kernel, a value comes out where it points: a frame later, and a joint earlier or the same."""
    mixer = CrissCrossAttention(SMALL).eval()
    spatial, temporal = random_tokens(1, 5, 17, 2, 8, 2).unbind(3)  # (1, T, J, H, D) each
    with torch.no_grad():
        for convolution, joint_offset in ((mixer.spatial_convolution, 2), (mixer.temporal_convolution, 1)):
            convolution.weight.zero_()
            convolution.weight[:, 0, 0, joint_offset] = 1
            convolution.bias.zero_()
        shifted = mixer._convolve(mixer.spatial_convolution, spatial)
        torch.testing.assert_close(shifted[:, 1:, :-1], spatial[:, :-1, 1:])
        shifted = mixer._convolve(mixer.temporal_convolution, temporal)
        torch.testing.assert_close(shifted[:, 1:], temporal[:, :-1])


@pytest.mark.parametrize("frames", [1, 4, 11])
def test_takes_any_number_of_frames(frames: int) -> None:
    model = build(SMALL).eval()
    assert model(torch.zeros(1, frames, 17, 2)).shape == (1, frames, 17, 3)


def test_states_what_an_evaluation_must_know() -> None:
    assert (SMALL.other_frames, SMALL.published_scoring) == ("any", "centre")


def test_frames_do_not_decide_the_weights() -> None:
    model = build(SMALL)
    build(replace(SMALL, frames=11)).load_state_dict(model.state_dict())


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, frames, 17, 2\)"):
        build(SMALL)(torch.zeros(1, 5, 16, 3))


def test_takes_a_confidence() -> None:
    assert build(replace(SMALL, in_channels=3))(torch.zeros(1, 5, 17, 3)).shape == (1, 5, 17, 3)


def test_clips_do_not_influence_each_other() -> None:
    model = build(SMALL).eval()
    keypoints = random_tokens(3, 5, 17, 2)
    with torch.no_grad():
        torch.testing.assert_close(model(keypoints)[1:2], model(keypoints[1:2]))


def test_dropout_is_in_the_mlp_alone() -> None:
    assert PRESETS["base"].dropout == 0.1
    dropouts = [
        (name, module.p) for name, module in build(SMALL).named_modules() if isinstance(module, torch.nn.Dropout)
    ]
    assert dropouts == [("blocks.0.mlp.dropout", 0.1)]


def test_drop_path_reaches_every_block() -> None:
    model = build(replace(SMALL, depth=2, drop_path=0.2))
    blocks = [module for module in model.modules() if isinstance(module, MetaFormerBlock)]
    assert [block.drop_path.probability for block in blocks] == [0.2, 0.2]


def test_both_forms_of_attention_agree_at_full_size() -> None:
    torch.manual_seed(0)
    model = build(PRESETS["base"]).eval()
    explicit = build(replace(PRESETS["base"], attention="explicit")).eval()
    explicit.load_state_dict(model.state_dict())
    keypoints = torch.randn(1, 27, 17, 2)
    with torch.no_grad():
        torch.testing.assert_close(model(keypoints), explicit(keypoints), rtol=0, atol=1e-5)


def test_runs_in_mixed_precision() -> None:
    model = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 5, 17, 2))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
