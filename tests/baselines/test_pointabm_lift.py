"""The lifter made of PointABM's parts: what sees what, what it costs, and the contract."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.mamba import SelectiveSSM
from baselines.pointabm_lift import PRESETS, READING, PointABMLift, PointABMLiftConfig, build
from harness import contract
from harness.measurement import fvcore

SMALL = PointABMLiftConfig(frames=5, dim=16, heads=4, feedforward_dim=24, depth=1, state_dim=4)
#: What the harness gives a lifter; "attention" changes no number.
GIVEN = {"frames", "in_channels", "joints"}


def small(**changes: Any) -> PointABMLift:
    torch.manual_seed(0)
    return build(replace(SMALL, **changes)).eval()


def keypoints(frames: int = 5) -> Tensor:
    return torch.randn(1, frames, 17, 3, generator=torch.Generator().manual_seed(1))


def influence(model: PointABMLift, frame: int, joint: int) -> Tensor:
    """Whether each output token (T, J) depends on the keypoint of one joint in one frame; in float64."""
    model = model.double()
    clip = keypoints().double()
    moved = clip.clone()
    moved[0, frame, joint] += 1.0
    with torch.no_grad():
        return (model(moved) != model(clip))[0].any(-1)  # (T, J)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_contract_holds(preset: str) -> None:
    model = build(replace(PRESETS[preset], frames=6))
    findings = contract.check(model, "pointabm-lift", frames=6, in_channels=3)
    assert [finding.name for finding in findings if not finding.holds] == []
    assert contract.of(model).other_frames == "any"


@pytest.mark.parametrize("frames", [1, 5, 12])
def test_any_number_of_frames_is_taken(frames: int) -> None:
    assert small()(keypoints(frames)).shape == (1, frames, 17, 3)


def test_gradients_reach_every_parameter() -> None:
    model = small().train()
    model(keypoints()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_attention_sees_the_joints_of_its_frame_alone() -> None:
    model = small()
    model.blocks = nn.ModuleList()
    seen = influence(model, frame=2, joint=4)
    assert seen[2].all()
    assert not seen[[0, 1, 3, 4]].any()


@pytest.mark.parametrize(("frame", "joint"), [(0, 0), (4, 16), (2, 4)])
def test_the_blocks_carry_every_joint_to_every_frame(frame: int, joint: int) -> None:
    assert influence(small(), frame, joint).all()


def test_tokens_are_read_frame_by_frame() -> None:
    """With nothing but the convolutions of a block left, a change reaches the three tokens before and after it."""
    model = small()
    model.transformer = nn.ModuleList()
    for ssm in (module for module in model.modules() if isinstance(module, SelectiveSSM)):
        nn.init.zeros_(ssm.selection.weight)  # B and C are 0: the states stay empty
    seen = influence(model, frame=2, joint=16)
    expected = torch.zeros(5, 17, dtype=torch.bool)
    expected[2, 13:] = True  # from behind
    expected[3, :3] = True  # and ahead, where the next frame begins
    assert seen.tolist() == expected.tolist()


def test_the_joint_position_tells_joints_apart() -> None:
    model = small()
    model.blocks = nn.ModuleList()
    same = torch.ones(1, 1, 17, 3)
    with torch.no_grad():
        assert model(same)[0, 0].unique(dim=0).shape[0] == 17
        model.joint_position.zero_()
        assert model(same)[0, 0].std(0).max() < 1e-6


def test_both_forms_of_attention_agree() -> None:
    fused, explicit = small(), small(attention="explicit")
    explicit.load_state_dict(fused.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(fused(keypoints()), explicit(keypoints()), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("preset", "expected"), [("xs", 150_147), ("base", 3_672_643)])
def test_parameter_counts(preset: str, expected: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in build(PRESETS[preset]).parameters()) == expected


def test_cost_of_xs_is_that_of_its_neighbours_and_linear_in_time() -> None:
    """At most PoseMamba-xs's 3.6 M multiply-accumulates a frame, whatever T is."""
    model = build(PRESETS["xs"])
    short, long = (fvcore.count(model, frames, 3).macs / frames for frames in (27, 81))
    assert long == short
    assert short <= 3.6e6


def test_reading_covers_every_choice() -> None:
    inferred = {field.name for field in dataclasses.fields(PointABMLiftConfig)} - GIVEN
    assert inferred <= set(READING)
    assert all(ground.strip() for ground in READING.values())


def test_sizes_of_base_are_the_papers_but_for_the_width() -> None:
    config = PRESETS["base"]
    assert (config.attention_depth, config.heads, config.depth) == (1, 8, 12)
    assert 2e6 <= sum(parameter.numel() for parameter in build(config).parameters()) <= 5e6


def test_runs_in_mixed_precision() -> None:
    model = small()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(keypoints())
    output.float().sum().backward()
    assert torch.isfinite(output).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"dim": 18}, "dim must be a multiple of heads=4, not 18"),
        ({"dropout": 1.0}, "dropout must be a probability"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


def test_other_joints_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, frames, 17, 3\)"):
        small()(torch.zeros(1, 5, 16, 3))
