"""Mamba3D's block as a lifter, our adaptation: whom a token sees, any T, and the contract."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.mamba3d import LocalNormPooling
from baselines.mamba3d_lift import PARENTS, PRESETS, Mamba3DLift, Mamba3DLiftConfig, build
from harness import contract
from harness.data import skeleton
from harness.measurement import fvcore

SMALL = Mamba3DLiftConfig(frames=6, dim=8, depth=2)


def model_of(config: Mamba3DLiftConfig = SMALL) -> Mamba3DLift:
    torch.manual_seed(0)
    return build(config).eval()


def clips(batch: int = 1, frames: int = 6, channels: int = 2) -> Tensor:
    return torch.randn(batch, frames, 17, channels, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("in_channels", [2, 3])
def test_keeps_the_harness_contract(name: str, in_channels: int) -> None:
    model = build(replace(PRESETS[name], in_channels=in_channels, dim=16))
    findings = contract.check(model, "mamba3d-lift", frames=5, in_channels=in_channels)
    assert [finding for finding in findings if not finding.holds] == []


@pytest.mark.parametrize("frames", [1, 2, 5, 30])
def test_one_set_of_weights_takes_any_number_of_frames(frames: int) -> None:
    assert model_of()(clips(2, frames)).shape == (2, frames, 17, 3)


def test_states_what_an_evaluation_must_know() -> None:
    assert contract.of(model_of()).other_frames == "any"


@pytest.mark.parametrize(("name", "expected"), [("base", 2_032_259), ("xs", 155_043)])
def test_parameter_counts(name: str, expected: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in build(PRESETS[name]).parameters()) == expected


def test_xs_costs_no_more_than_posemamba_xs() -> None:
    """3.6 M multiply-accumulates for each frame; no operator without a formula."""
    counted = fvcore.count(build(PRESETS["xs"]).eval(), 9, 2)
    assert 3.0e6 < counted.macs / 9 < 3.6e6
    assert fvcore.without_formula(counted.uncounted) == []


def test_the_cost_is_linear_in_the_frames() -> None:
    model = model_of()
    costs = [fvcore.count(model, frames, 2).macs for frames in (5, 10, 20)]
    assert costs[1] == 2 * costs[0]
    assert costs[2] == 4 * costs[0]


def test_every_parameter_gets_a_gradient() -> None:
    model = model_of()
    model(clips()).square().mean().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_parents_are_the_skeletons() -> None:
    assert PARENTS[1:] == skeleton.PARENTS[1:]
    assert PARENTS[0] == 7  # the spine, for the pelvis has none


def test_neighbours_are_the_joint_its_parent_and_the_frames_beside() -> None:
    frames = 3
    x = torch.arange(float(frames * 17)).view(1, -1, 1)
    neighbours = model_of()._neighbours(x).view(frames, 17, 4)
    for t in range(frames):
        for joint in range(17):
            before, after = max(t - 1, 0), min(t + 1, frames - 1)
            expected = [t * 17 + joint, t * 17 + PARENTS[joint], before * 17 + joint, after * 17 + joint]
            assert neighbours[t, joint].tolist() == expected


def test_a_frame_sees_the_past_and_as_many_frames_ahead_as_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the deviation held still, which is one for the clip."""
    monkeypatch.setattr(LocalNormPooling, "_deviation", lambda _self, difference: torch.ones_like(difference[:, :1]))
    model, clip = model_of(), clips(frames=9)
    changed = clip.clone()
    changed[:, 5] += 1
    with torch.no_grad():
        gap = (model(changed) - model(clip)).abs().amax((0, 2, 3))
    assert gap[: 5 - SMALL.depth].tolist() == [0] * (5 - SMALL.depth)
    assert (gap[5 - SMALL.depth :] > 0).all()


def test_the_deviation_is_the_clips_own() -> None:
    model, pair = model_of(), clips(2)
    pair[0] *= 5
    with torch.no_grad():
        torch.testing.assert_close(model(pair)[1:], model(pair[1:]))


def test_joints_are_told_apart() -> None:
    """Equal keypoints give every joint its own answer, by the position embedding."""
    with torch.no_grad():
        answer = model_of()(torch.zeros(1, 6, 17, 2))
    assert len(answer[0, 3].unique(dim=0)) == 17


def test_the_position_is_added_before_every_block() -> None:
    model, clip = model_of(), clips()
    seen: list[Tensor] = []
    for block in model.blocks:
        block.register_forward_hook(lambda _module, inputs, output: seen.extend((inputs[0], output)))
    with torch.no_grad():
        model(clip)
    first, after_first, second, _ = (tokens.view(1, 6, 17, 8) for tokens in seen)
    torch.testing.assert_close(first, model.joint_embedding(clip) + model.position_embedding)
    torch.testing.assert_close(second, after_first + model.position_embedding)


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, frames, 17, 2\)"):
        model_of()(torch.zeros(1, 6, 16, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"depth": 0}, "depth must be a whole number of at least 1, not 0"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"joints": 16}, "joints must be 17, the skeleton's, not 16"),
        ({"expansion": 0.1}, "expansion must leave at least one channel, not 0.1 of 8"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)
