"""PoseMamba without the future: causality, streams, and the plain form beside the kernels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from posemamba import PRESETS, PoseMamba, PoseMambaConfig, build, native
from posemamba.causal import CausalScan
from tests.posemamba.scan.inputs import relative_error

TINY = PoseMambaConfig(frames=9, dim=16, depth=2, state_dim=6, scan="causal", temporal_position=False)
BACKENDS = ["chunked", *(["native"] if not native.missing() else [])]


def random_model(**options: object) -> PoseMamba:
    torch.manual_seed(0)
    model = build(replace(TINY, **options)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def clips(batch: int, frames: int) -> Tensor:
    return torch.randn(batch, frames, 17, 2, generator=torch.Generator().manual_seed(1))


def streamed(model: PoseMamba, keypoints: Tensor) -> Tensor:
    """(B, T, J, 3), frame by frame."""
    poses, state = [], None
    for frame in keypoints.unbind(1):
        pose, state = model.step(frame, state)
        poses.append(pose)
    return torch.stack(poses, dim=1)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_future_does_not_matter(backend: str, training: bool) -> None:
    model, keypoints = random_model(scan_backend=backend).train(training), clips(2, 12)
    changed = keypoints.clone()
    changed[:, 7:] += 1
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            torch.manual_seed(2)  # of what drop path leaves out
            poses = model(keypoints)
            torch.manual_seed(2)
            others = model(changed)
        assert torch.equal(poses[:, :7], others[:, :7])
        assert (poses[:, 7:] - others[:, 7:]).abs().amin(dim=(0, 2, 3)).max() > 0


def test_every_earlier_frame_matters() -> None:
    model, keypoints = random_model().double(), clips(1, 9).double().requires_grad_()
    (gradient,) = torch.autograd.grad(model(keypoints)[:, -1].square().sum(), keypoints)
    assert gradient.abs().amax(dim=(0, 2, 3)).min() > 0


@pytest.mark.parametrize("preset", ["causal", "causal-xs"])
def test_a_stream_is_the_clip(preset: str) -> None:
    torch.manual_seed(0)
    model, keypoints = build(PRESETS[preset]).eval(), clips(2, 70)
    with torch.no_grad():
        torch.testing.assert_close(streamed(model, keypoints), model(keypoints), rtol=0, atol=1e-5)


def test_a_stream_by_modules_is_the_clip() -> None:
    model, keypoints = random_model(scan_backend="chunked").double(), clips(2, 7).double()
    assert relative_error(streamed(model, keypoints), model(keypoints).detach()) < 1e-12


@pytest.mark.skipif(bool(native.missing()), reason=native.missing())
def test_kernel_and_modules_exchange_states() -> None:
    by_kernel, by_modules = random_model().double(), random_model(scan_backend="chunked").double()
    keypoints = clips(2, 6).double()
    poses, state = [], None
    for number, frame in enumerate(keypoints.unbind(1)):
        pose, state = (by_modules if number % 2 else by_kernel).step(frame, state)
        poses.append(pose)
    assert relative_error(torch.stack(poses, dim=1), by_kernel(keypoints).detach()) < 1e-12


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_of_something_else_is_refused(backend: str) -> None:
    """A kernel would write beyond it."""
    model = random_model(scan_backend=backend)
    _, state = model.step(torch.zeros(2, 17, 2), None)
    others = [
        (model, torch.zeros(3, 17, 2), state),
        (model, torch.zeros(2, 17, 2), state[:-1]),
        (random_model(dim=32, scan_backend=backend), torch.zeros(2, 17, 2), state),
        (random_model(state_dim=16, scan_backend=backend), torch.zeros(2, 17, 2), state),
        (random_model(scan_backend=backend).double(), torch.zeros(2, 17, 2).double(), state),
        (model, torch.zeros(2, 17, 2), tuple(tuple(part) for part in state)),
    ]
    for other, frame, given in others:
        with pytest.raises(ValueError, match="a new stream begins with None"):
            other.step(frame, given)  # type: ignore[arg-type]


def test_a_frame_of_another_shape_is_refused() -> None:
    model = random_model()
    for frame in (torch.zeros(1, 16, 2), torch.zeros(1, 1, 17, 2), torch.zeros(1, 17, 2, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"a frame of shape \(streams, 17 joints, 2 channels\)"):
            model.step(frame, None)


def test_a_stream_keeps_no_graph() -> None:
    pose, state = random_model().step(torch.zeros(1, 17, 2), None)
    assert not pose.requires_grad
    assert not any(part.requires_grad for block in state for part in block)


def test_a_state_is_kept_by_nobody_else() -> None:
    """From one state streams may go on in two ways."""
    model, keypoints = random_model(), clips(1, 3)
    with torch.no_grad():
        _, state = model.step(keypoints[:, 0], None)
        kept = [[part.clone() for part in block] for block in state]
        first, _ = model.step(keypoints[:, 1], state)
        model.step(keypoints[:, 2], state)
        again, _ = model.step(keypoints[:, 1], state)
    assert torch.equal(first, again)
    assert all(
        torch.equal(a, b) for block, copy in zip(state, kept, strict=True) for a, b in zip(block, copy, strict=True)
    )


def test_a_state_does_not_grow() -> None:
    model, keypoints, state, sizes = random_model(), clips(1, 30), None, set()
    with torch.no_grad():
        for frame in keypoints.unbind(1):
            _, state = model.step(frame, state)
            sizes.add(tuple(part.untyped_storage().nbytes() for block in state for part in block))
    assert len(sizes) == 1


def test_parameters_are_the_papers_but_for_the_positions_of_frames() -> None:
    causal, published = (build(PRESETS[name]).state_dict() for name in ("causal", "s"))
    assert {name: value.shape for name, value in causal.items()} == {
        name: value.shape for name, value in published.items() if name != "temporal_position"
    }


def test_any_number_of_frames() -> None:
    with torch.no_grad():
        assert random_model()(clips(1, 40)).shape == (1, 40, 17, 3)


def test_a_lifter_that_reads_later_frames_has_no_stream() -> None:
    with pytest.raises(ValueError, match="scan='causal'"):
        build(replace(TINY, scan="bidirectional", temporal_position=True)).step(torch.zeros(1, 17, 2), None)


def test_a_stream_has_no_positions() -> None:
    with pytest.raises(ValueError, match="temporal_position=False"):
        replace(TINY, temporal_position=True)


def test_gradients_reach_every_parameter() -> None:
    model = random_model().train()
    model(clips(2, 5)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())


@pytest.mark.skipif(bool(native.missing()), reason=native.missing())
def test_its_kernel_is_its_definition() -> None:
    scan = CausalScan(replace(TINY, scan_backend="auto")).double()
    plane = torch.randn(2, 32, 8, 17, dtype=torch.float64)
    assert scan.takes_cross_scan(plane)
    assert relative_error(scan.cross_scan(plane), scan.scan(plane)) < 1e-12
