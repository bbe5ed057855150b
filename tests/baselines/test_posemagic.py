"""Pose Magic in our reading: what the abstract promises (causality, streams, any length) and what the sizes cost."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import baselines.posemagic
import posemamba.scan.stream
from baselines.posemagic import PRESETS, READING, PoseMagic, PoseMagicConfig, StreamState, build
from harness import contract
from harness.measurement import counts

SMALL = PoseMagicConfig(frames=9, dim=16, depth=2, representation_dim=8, state_dim=4)
CAUSAL = replace(SMALL, causal=True)
FUTURE = 6


def model(config: PoseMagicConfig) -> PoseMagic:
    """With weights that leave no part idle: those that begin at zero or one are drawn as well."""
    torch.manual_seed(0)
    built = build(config).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return built


def clips(frames: int, batch: int = 2, channels: int = 3) -> Tensor:
    return torch.randn(batch, frames, 17, channels, generator=torch.Generator().manual_seed(frames))


def on_meta(config: PoseMagicConfig) -> PoseMagic:
    with torch.device("meta"):
        return build(config)


def streamed(lifter: PoseMagic, keypoints: Tensor) -> tuple[Tensor, StreamState]:
    state: StreamState | None = None
    poses = []
    for frame in keypoints.unbind(1):
        pose, state = lifter.step(frame, state)
        poses.append(pose)
    assert state is not None
    return torch.stack(poses, dim=1), state


def tensors(state: object) -> Iterator[Tensor]:
    """Every tensor in a state, in the same order each time."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, tuple):
        for part in state:
            yield from tensors(part)
    elif dataclasses.is_dataclass(state):
        for field in dataclasses.fields(state):
            yield from tensors(getattr(state, field.name))


@pytest.mark.parametrize("config", [SMALL, CAUSAL, replace(SMALL, temporal_graph="similarity")])
def test_keeps_the_contract(config: PoseMagicConfig) -> None:
    findings = contract.check(model(config), "posemagic", config.frames, config.in_channels)
    assert all(finding.holds for finding in findings), findings


@pytest.mark.parametrize("config", [SMALL, CAUSAL, replace(SMALL, temporal_graph="similarity")])
def test_gradients_reach_every_parameter(config: PoseMagicConfig) -> None:
    lifter = model(config).train()
    lifter(clips(9)).square().sum().backward()
    idle = [name for name, parameter in lifter.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert idle == []


@pytest.mark.parametrize("frames", [1, 2, 3, 30])
@pytest.mark.parametrize("config", [SMALL, CAUSAL, replace(SMALL, temporal_graph="similarity")])
def test_takes_any_number_of_frames(config: PoseMagicConfig, frames: int) -> None:
    assert model(config)(clips(frames)).shape == (2, frames, 17, 3)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"neighbours": 1}, {"neighbours": 5, "convolution_width": 2}, {"expansion": 2.0}]
)
def test_the_causal_model_sees_no_later_frame(training: bool, options: dict[str, Any]) -> None:
    lifter = model(replace(CAUSAL, **options)).train(training)
    changed = clips(9)
    changed[:, FUTURE:] += 1
    before, after = lifter(clips(9)), lifter(changed)
    torch.testing.assert_close(before[:, :FUTURE], after[:, :FUTURE], rtol=0, atol=1e-6)
    assert (before[:, FUTURE:] - after[:, FUTURE:]).abs().amax(dim=(0, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("frames", [FUTURE, 9])
def test_a_clip_that_goes_on_changes_nothing_before(frames: int) -> None:
    lifter = model(CAUSAL)
    torch.testing.assert_close(lifter(clips(9)[:, :frames]), lifter(clips(9))[:, :frames], rtol=0, atol=1e-6)


def test_the_other_model_sees_later_frames() -> None:
    lifter = model(SMALL)
    changed = clips(9)
    changed[:, FUTURE:] += 1
    difference = (lifter(clips(9)) - lifter(changed)).abs()
    assert difference[:, :FUTURE].amax(dim=(0, 2, 3)).min() > 1e-4


def test_each_joint_sees_all_joints_of_its_frame() -> None:
    lifter, keypoints = model(CAUSAL), clips(1, batch=1).requires_grad_()
    for joint in range(17):
        (gradient,) = torch.autograd.grad(lifter(keypoints)[0, 0, joint].sum(), keypoints)
        assert (gradient[0, 0].abs().amax(dim=-1) > 0).all()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"in_channels": 2},
        {"expansion": 2.0},
        {"neighbours": 1},
        {"neighbours": 5, "convolution_width": 2},
        {"neighbours": 2, "convolution_width": 1},
    ],
)
def test_a_stream_is_the_batch(options: dict[str, Any]) -> None:
    config = replace(CAUSAL, **options)
    lifter, keypoints = model(config), clips(60, batch=2, channels=config.in_channels)
    poses, _ = streamed(lifter, keypoints)
    with torch.no_grad():
        torch.testing.assert_close(poses, lifter(keypoints), rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", ["xs-causal", "causal"])
def test_a_stream_of_a_preset_is_the_batch(preset: str) -> None:
    lifter, keypoints = model(replace(PRESETS[preset], depth=3)), clips(60, batch=1)
    poses, _ = streamed(lifter, keypoints)
    with torch.no_grad():
        torch.testing.assert_close(poses, lifter(keypoints), rtol=0, atol=1e-5)


def test_a_state_does_not_grow_and_is_left_as_it_was() -> None:
    lifter, keypoints = model(CAUSAL), clips(40)
    _, early = streamed(lifter, keypoints[:, :1])
    copies = [tensor.clone() for tensor in tensors(early)]
    _, late = streamed(lifter, keypoints)
    assert [tensor.shape for tensor in tensors(late)] == [tensor.shape for tensor in tensors(early)]
    lifter.step(keypoints[:, 1], early)
    assert all(torch.equal(kept, copy) for kept, copy in zip(tensors(early), copies, strict=True))


def test_a_state_holds_no_memory_but_its_own() -> None:
    _, state = streamed(model(CAUSAL), clips(20))
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors(state.layers)
    }
    rows, inner, states, history = 2 * 17, 16, 4, 3
    assert sum(storages.values()) == 4 * CAUSAL.depth * rows * (history * 2 * inner + inner * states)


def test_a_stream_keeps_the_layers_it_began_with() -> None:
    lifter, keypoints = model(CAUSAL), clips(5)
    _, state = streamed(lifter, keypoints[:, :4])
    kept = [tensor.clone() for tensor in tensors(state.weights)]
    with torch.no_grad():
        for parameter in lifter.layers.parameters():
            parameter.zero_()
    _, after = lifter.step(keypoints[:, 4], state)
    assert all(torch.equal(weight, copy) for weight, copy in zip(tensors(after.weights), kept, strict=True))


def test_streams_carry_no_gradient() -> None:
    poses, state = streamed(model(CAUSAL), clips(2))
    assert not poses.requires_grad
    assert not any(tensor.requires_grad for tensor in tensors(state))


def test_streams_that_cannot_be() -> None:
    with pytest.raises(ValueError, match=re.escape("looks at later frames and cannot run as a stream")):
        model(SMALL).step(clips(1)[:, 0], None)
    lifter = model(CAUSAL)
    _, state = lifter.step(clips(1)[:, 0], None)
    with pytest.raises(ValueError, match="the frame is of 3 streams, but the state of 2"):
        lifter.step(clips(1, batch=3)[:, 0], state)
    with pytest.raises(ValueError, match="17 joints, 3 channels"):
        lifter.step(clips(1, channels=2)[:, 0], state)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [("base", 5_335_531), ("causal", 5_099_243), ("xs", 166_479), ("xs-causal", 158_991)],
)
def test_parameter_counts(preset: str, expected: int) -> None:
    assert sum(parameter.numel() for parameter in on_meta(PRESETS[preset]).parameters()) == expected


def test_parameters_of_a_layer_by_hand() -> None:
    d, states, rank, width = 128, 16, 8, 4
    ssm = d * (width + 1) + d * (rank + 2 * states) + (rank + 1) * d + d * states + d
    mixer = 3 * d * d + 2 * ssm + 2 * (d + 1) * d + 2 * d + 2 * (2 * d + 1)
    around = (3 + 1) * d + 17 * d + 2 * d + (d + 1) * 512 + 513 * 3
    assert 26 * (2 * mixer + 2 * d) + around == 5_335_531


@pytest.mark.parametrize("preset", ["base", "causal"])
def test_macs_are_those_of_the_abstract(preset: str) -> None:
    """74.1 % less than MotionAGFormer-L's 78.314 G, in the published tables' convention."""
    counted = counts.count(on_meta(PRESETS[preset]), 243, 3, training=False)
    assert counted["macs_thop"] == pytest.approx((1 - 0.741) * 78.314e9, rel=0.05)
    assert counts.without_formula(counted) == []


def test_the_figures_of_the_reading() -> None:
    base, causal, wide = (
        counts.count(on_meta(config), 243, 3, training=False)["macs_thop"]
        for config in (PRESETS["base"], PRESETS["causal"], PoseMagicConfig(expansion=2.0))
    )
    d, selected = 128, 8 + 2 * 16
    inside_mamba = 26 * 243 * 17 * (2 * 3 * d * d + 4 * d * selected)
    figures = f"{base / 1e9:.2f} G MACs as thop counts, causal {causal / 1e9:.2f} G"
    assert figures in READING["size"]
    assert f"it would count {(base - inside_mamba) / 1e9:.2f} G" in READING["size"]
    assert f"(2 would give {wide / 1e9:.1f} G)" in READING["expansion"]


@pytest.mark.parametrize("preset", ["xs", "xs-causal"])
def test_short_budgets(preset: str) -> None:
    lifter = on_meta(PRESETS[preset])
    counted = counts.count(lifter, 27, 3, training=False)
    assert counted["per_frame"]["macs_fvcore"] <= 3.6e6
    assert 100_000 <= counted["params_total"] <= 200_000


def test_cost_is_linear_in_the_frames() -> None:
    short, long = (counts.count(on_meta(PRESETS["xs"]), frames, 3, training=False) for frames in (27, 270))
    assert long["macs_fvcore"] == 10 * short["macs_fvcore"]


def test_every_option_has_its_ground() -> None:
    assert {field.name for field in dataclasses.fields(PoseMagicConfig)} <= set(READING)
    assert all(READING.values())
    assert baselines.posemagic.__doc__ is not None
    assert all(f"* {choice}: {ground}." in baselines.posemagic.__doc__ for choice, ground in READING.items())


def test_fresh_layers_blend_evenly() -> None:
    torch.manual_seed(0)
    mixer = build(SMALL).layers[0].spatial
    x = torch.randn(3, 17, 16)
    torch.testing.assert_close(mixer(x), (mixer.mamba(x) + mixer.convolution(x)) / 2)


def test_the_skeleton_is_symmetric_and_without_loops() -> None:
    graph = build(SMALL).layers[0].spatial.convolution.graph.normalised
    assert torch.equal(graph, graph.t())
    assert graph.diagonal().count_nonzero() == 0
    assert graph.count_nonzero() == 2 * 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"neighbours": 0}, "neighbours must be a whole number of at least 1, not 0"),
        ({"neighbours": 3}, "neighbours must be even, as many before as after, not 3"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"joints": 16}, "joints must be 17"),
        ({"expansion": 0.01}, "expansion must leave at least one channel, not 0.01 of 16"),
        ({"temporal_graph": "similar"}, "unknown temporal_graph 'similar'. Did you mean: similarity"),
        ({"causal": True, "temporal_graph": "similarity"}, "would need all frames that were"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


def test_other_joints_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels"):
        build(SMALL)(torch.zeros(1, 5, 16, 3))


def test_a_stream_in_mixed_precision_is_about_the_clip() -> None:
    lifter = build(CAUSAL).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        whole, poses, state = lifter(clips(5)), [], None
        for frame in clips(5).unbind(1):
            pose, state = lifter.step(frame, state)
            poses.append(pose)
    gap = (torch.stack(poses, dim=1) - whole).float().abs().max() / whole.float().abs().max()
    assert gap < 0.1


def test_a_frame_and_a_state_of_something_else_are_refused() -> None:
    causal = build(CAUSAL).eval()
    _, state = causal.step(clips(1)[:, 0], None)
    with pytest.raises(ValueError, match="of real numbers"):
        causal.step(clips(1)[:, 0].long(), None)
    deeper = build(replace(CAUSAL, depth=SMALL.depth + 1)).eval()
    with pytest.raises(ValueError, match="the state is of another model"):
        deeper.step(clips(1)[:, 0], state)


def test_runs_in_mixed_precision() -> None:
    lifter = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = lifter(clips(5))
    output.float().sum().backward()
    assert torch.isfinite(output).all()


def test_a_stream_without_the_native_kernel_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posemamba.scan.stream, "_takes_native", lambda *_: False)
    lifter, keypoints = model(CAUSAL), clips(20)
    poses, _ = streamed(lifter, keypoints)
    with torch.no_grad():
        torch.testing.assert_close(poses, lifter(keypoints), rtol=0, atol=1e-5)
