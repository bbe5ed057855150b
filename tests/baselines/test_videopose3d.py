"""VideoPose3D against what the authors' code computes (facebookresearch/VideoPose3D, commit 1afb1ca)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.videopose3d import PRESETS, VideoPose3D, VideoPose3DConfig, build, official_config
from harness.measurement.fvcore import count
from tests.baselines.golden import Golden

TINY = ("videopose3d-tiny", "videopose3d-tiny-long", "videopose3d-tiny-causal")
GOLDENS = (*TINY, "videopose3d-f27")
SMALL = VideoPose3DConfig(frames=9, dim=8)


def golden_model(golden: Golden) -> VideoPose3D:
    model = build(official_config(golden.config))
    golden.load_into(model)
    return model


def parameter_count(config: VideoPose3DConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


def clip(frames: int) -> torch.Tensor:
    return torch.randn(2, frames, 17, 2, generator=torch.Generator().manual_seed(0))


def trained(config: VideoPose3DConfig) -> VideoPose3D:
    """A model whose batch norms are no identity."""
    torch.manual_seed(0)
    model = build(config)
    for _ in range(3):
        model(torch.randn(4, config.frames, 17, 2))
    return model.eval()


def in_training_form(model: VideoPose3D) -> VideoPose3D:
    """In training mode, but without dropout and with the running statistics."""
    model.train()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.Dropout)):
            module.eval()
    return model


@pytest.mark.parametrize("name", GOLDENS)
def test_output_is_the_authors(name: str) -> None:
    golden = Golden(name)
    with torch.no_grad():
        output = golden_model(golden)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("name", ["videopose3d-tiny", "videopose3d-tiny-causal", "videopose3d-f27"])
def test_output_of_the_strided_form_is_the_authors(name: str) -> None:
    golden = Golden(name)
    with torch.no_grad():
        output = in_training_form(golden_model(golden))(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("name", TINY)
def test_input_gradient_is_the_authors(name: str) -> None:
    golden = Golden(name)
    expected = golden.arrays["grad_input"]
    model = golden_model(golden)
    np.testing.assert_allclose(golden.input_gradient(model), expected, rtol=0, atol=1e-5 * abs(expected).max())
    assert golden.facts["unused_parameters"] == []
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_counts(name: str) -> None:
    golden = Golden(name)
    cost = count(golden_model(golden), golden.facts["frames"], golden.facts["in_channels"])
    assert sum(parameter.numel() for parameter in golden_model(golden).parameters()) == golden.facts["params"]
    assert cost.macs == golden.facts["macs"]["fvcore"]
    assert cost.by_operator["conv"] == golden.facts["macs"]["torch_flop_counter"]


@pytest.mark.parametrize("preset", ["base", "causal"])
@pytest.mark.parametrize(("frames", "expected"), [(27, 8_555_571), (81, 12_753_971), (243, 16_952_371)])
def test_parameter_counts_are_the_authors(preset: str, frames: int, expected: int) -> None:
    assert parameter_count(replace(PRESETS[preset], frames=frames)) == expected


@pytest.mark.parametrize(("frames", "blocks"), [(27, 2), (81, 3), (243, 4)])
def test_every_official_name_of_a_published_preset_is_known(frames: int, blocks: int) -> None:
    with torch.device("meta"):
        model = build(replace(PRESETS["base"], frames=frames))
    theirs = {
        re.sub(r"^(layers_\w+)\.\d+", rf"\1.{layer}", name)
        for name, _, _ in Golden("videopose3d-f27").facts["state"]
        for layer in range(2 * blocks)
    }
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"layers_conv.7.weight": torch.ones(1), "expand_conv.bias": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_presets_are_the_authors_configurations() -> None:
    f27 = Golden("videopose3d-f27").config
    assert official_config(f27) == replace(PRESETS["base"], frames=27)
    assert official_config({**f27, "filter_widths": [3] * 5}) == PRESETS["base"]
    assert official_config({**f27, "filter_widths": [3] * 5, "causal": True}) == PRESETS["causal"]
    theirs = {"num_joints_in": 17, "in_features": 3, "num_joints_out": 17, "filter_widths": [5, 3]}
    assert official_config(theirs) == VideoPose3DConfig(frames=15, in_channels=3, filter_widths=(5, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter_width": [3]}, "unknown option 'filter_width'. Did you mean: filter_widths"),
        ({"dense": True}, "dense must be False, not True"),
        ({"num_joints_out": 1}, "num_joints_out must be num_joints_in=17"),
        ({"filter_widths": [3, 4]}, "frames must be odd, for a receptive field with a centre, not 12"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden("videopose3d-tiny").config, **options})


def test_an_official_configuration_needs_its_sizes() -> None:
    with pytest.raises(ValueError, match="missing option: in_features, num_joints_out, filter_widths"):
        official_config({"num_joints_in": 17})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"frames": 16}, "frames must be odd, for a receptive field with a centre, not 16"),
        ({"filter_widths": (3, 5)}, "filter_widths must multiply to frames=9, not (3, 5)"),
        ({"filter_widths": (-3, -3)}, "every one of filter_widths must be a whole number of at least 1, not -3"),
        ({"frames": 1, "filter_widths": ()}, "filter_widths must multiply to frames=1, not ()"),
        ({"dropout": 1.0}, "dropout must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


@pytest.mark.parametrize(
    ("frames", "widths"),
    [(1, (1, 1, 1)), (17, (17,)), (27, (3, 3, 3)), (45, (3, 3, 5)), (351, (3, 3, 3, 13))],
)
def test_filter_widths_follow_from_the_frames(frames: int, widths: tuple[int, ...]) -> None:
    config = replace(SMALL, frames=frames)
    assert config.widths == widths
    model = build(config).eval()
    assert len(model.blocks) == len(widths) - 1
    assert model(torch.zeros(1, frames, 17, 2)).shape == (1, 1, 17, 3)


def test_a_longer_clip_gives_a_pose_for_each_position() -> None:
    model = trained(replace(SMALL, frames=15, filter_widths=(5, 3)))
    keypoints = clip(20)
    with torch.no_grad():
        poses = model(keypoints)
        alone = torch.cat([model(keypoints[:, start : start + 15]) for start in range(6)], dim=1)
    assert poses.shape == (2, 6, 17, 3)
    torch.testing.assert_close(poses, alone)


def test_a_shorter_clip_is_refused_with_the_remedy() -> None:
    message = "the input has 8 frames, but this lifter needs at least 9; build it with fewer frames"
    with pytest.raises(ValueError, match=message):
        build(SMALL)(torch.zeros(1, 8, 17, 2))


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, frames, 17, 2\)"):
        build(SMALL)(torch.zeros(1, 9, 16, 3))


def test_takes_confidence_as_a_third_channel() -> None:
    assert build(replace(SMALL, in_channels=3))(torch.zeros(2, 9, 17, 3)).shape == (2, 1, 17, 3)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("widths", [(3, 3, 3), (5, 3), (3, 1, 5), (7,)])
def test_both_forms_are_one_function(widths: tuple[int, ...], causal: bool) -> None:
    frames = int(np.prod(widths))
    model = trained(replace(SMALL, frames=frames, filter_widths=widths, causal=causal))
    dilated, strided = clip(frames).requires_grad_(), clip(frames).requires_grad_()
    expected = model(dilated)
    output = in_training_form(model)(strided)
    torch.testing.assert_close(output, expected)
    expected.square().sum().backward()
    output.square().sum().backward()
    torch.testing.assert_close(strided.grad, dilated.grad)


@pytest.mark.parametrize(
    ("training", "frames", "positions"),
    [(True, 27, [9, 3, 3, 1, 1]), (False, 27, [25, 19, 19, 1, 1]), (True, 28, [26, 20, 20, 2, 2])],
)
def test_the_strided_form_is_for_training_on_single_poses(training: bool, frames: int, positions: list[int]) -> None:
    model = build(replace(SMALL, frames=27)).train(training)
    seen = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[2]))
    model(clip(frames))
    assert seen == positions


def test_dropout_follows_every_hidden_layer() -> None:
    model = build(replace(SMALL, dropout=0.3))
    seen: list[float] = []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda module, inputs, output: seen.append(module.p))
    model(clip(9))
    assert seen == [0.3] * 3


@pytest.mark.parametrize(
    ("preset", "answers_for", "frames"), [("base", "centre", [3, 4, 5]), ("causal", "last", [6, 7, 8])]
)
def test_the_shortcut_carries_the_frame_that_is_answered_for(preset: str, answers_for: str, frames: list[int]) -> None:
    config = replace(PRESETS[preset], frames=9, dim=8)
    assert config.answers_for == answers_for
    model = build(config).eval()
    nn.init.zeros_(model.blocks[0].pointwise.norm.weight)
    keypoints = clip(9).requires_grad_()
    model(keypoints).sum().backward()
    assert keypoints.grad is not None
    assert keypoints.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist() == frames


def test_contract() -> None:
    """A pose for each position of a longer clip; at the authors' test the pelvis stays as it was predicted."""
    assert (SMALL.other_frames, SMALL.published_root) == ("more", "predicted")


def test_runs_in_mixed_precision() -> None:
    model = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(clip(9))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
