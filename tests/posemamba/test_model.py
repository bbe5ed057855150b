"""PoseMamba against the authors' code (tests/goldens) and against its own contract."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from posemamba import PRESETS, PoseMamba, PoseMambaConfig, build, official_config
from posemamba.scan import BACKENDS, available
from tests.goldens import synth

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"
CPU_BACKENDS = [name for name in BACKENDS if name != "mamba-ssm" and not available()[name]]
# Token by token, S at 243 frames takes longer than all that is tested here together.
FAST_BACKENDS = [name for name in CPU_BACKENDS if name != "reference"]
TINY_GOLDENS = ["tiny", "tiny-conf", "tiny-deep"]
TINY = PoseMambaConfig(frames=9, dim=16, depth=2, scan_backend="chunked")


def golden_path(preset: str) -> Path:
    return GOLDENS / f"posemamba-{preset}.json"


def golden_model(preset: str, **options: object) -> PoseMamba:
    """The golden's network with the golden's weights, loaded by the authors' names."""
    golden = synth.load(golden_path(preset))
    model = build(replace(official_config(golden["config"]), **options)).eval()
    state = {name: torch.from_numpy(value) for name, value in synth.checkpoint(golden).items()}
    model.load_state_dict(model.official_state(state))
    return model


def tiny_model(seed: int = 0, **options: object) -> PoseMamba:
    """Our initialisation, with position embeddings that differ from frame to frame and from joint to joint."""
    torch.manual_seed(seed)
    model = build(replace(TINY, **options)).eval()
    with torch.no_grad():
        model.temporal_position.normal_()
        model.spatial_position.normal_()
    return model


def clips(batch: int, frames: int, channels: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(batch, frames, 17, channels, generator=torch.Generator().manual_seed(7), dtype=dtype)


def input_gradient(model: PoseMamba, keypoints: Tensor) -> Tensor:
    keypoints = keypoints.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(keypoints).square().mean(), keypoints)
    return gradient


@pytest.mark.parametrize(("preset", "backend"), [*product(TINY_GOLDENS, CPU_BACKENDS), *product(["s"], FAST_BACKENDS)])
def test_output_is_the_authors(preset: str, backend: str) -> None:
    arrays = synth.load_arrays(golden_path(preset))
    with torch.no_grad():
        output = golden_model(preset, scan_backend=backend)(torch.from_numpy(arrays["input"]))
    tolerance = synth.load(golden_path(preset))["tolerance"]["float32"]
    torch.testing.assert_close(output, torch.from_numpy(arrays["output"]), rtol=0, atol=tolerance)


@pytest.mark.parametrize("scan", ["bidirectional", *(f"unidirectional-{number}" for number in (1, 2, 3, 4))])
def test_ablation_scans_are_the_authors(scan: str) -> None:
    arrays = synth.load_arrays(golden_path("tiny"))
    expected = synth.load_arrays(GOLDENS / "posemamba-tiny-scans.npz")[scan]
    with torch.no_grad():
        output = golden_model("tiny", scan=scan, scan_backend="chunked")(torch.from_numpy(arrays["input"]))
    torch.testing.assert_close(output, torch.from_numpy(expected), rtol=0, atol=1e-5)


# Stored are float64 gradients rounded to float32, hence good to 6e-8 of the largest entry. The float32 model's own
# rounding comes to 4e-6 of it; 2e-5 leaves room for other machines, and the two kinds of gradient differ by half of it.
@pytest.mark.parametrize(
    ("backend", "dtype", "tolerance"),
    [*((name, torch.float32, 2e-5) for name in CPU_BACKENDS), ("reference", torch.float64, 2e-7)],
)
@pytest.mark.parametrize(("scan_gradient", "stored"), [("exact", "grad_input_true"), ("authors", "grad_input_authors")])
@pytest.mark.parametrize("preset", TINY_GOLDENS)
def test_input_gradient_is_the_golden_one(
    preset: str, backend: str, scan_gradient: str, stored: str, dtype: torch.dtype, tolerance: float
) -> None:
    arrays = synth.load_arrays(golden_path(preset))
    model = golden_model(preset, scan_backend=backend, scan_gradient=scan_gradient).to(dtype)
    gradient = input_gradient(model, torch.from_numpy(arrays["input"]).to(dtype))
    expected = torch.from_numpy(arrays[stored]).to(dtype)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=tolerance * expected.abs().max().item())


@pytest.mark.parametrize(("preset", "count"), [("s", 1_470_211), ("b", 4_742_659), ("l", 9_450_499), ("x", 33_318_915)])
def test_parameter_counts(preset: str, count: int) -> None:
    with torch.device("meta"):
        model = build(PRESETS[preset])
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.mark.parametrize("scan", ["global-local", "bidirectional", "unidirectional-4"])
def test_exact_gradients_agree_with_central_differences(scan: str) -> None:
    model = tiny_model(scan=scan, depth=1).double()
    keypoints = clips(1, 3, dtype=torch.float64).requires_grad_()
    variables = [keypoints, *model.parameters()]
    gradients = torch.autograd.grad(model(keypoints).square().mean(), variables)
    directions = [torch.randn(v.shape, generator=torch.Generator().manual_seed(3), dtype=v.dtype) for v in variables]
    slope = sum((g * d).sum().item() for g, d in zip(gradients, directions, strict=True))

    def shifted(step: float) -> float:
        with torch.no_grad():
            for variable, direction in zip(variables, directions, strict=True):
                variable += step * direction
            loss = model(keypoints).square().mean().item()
            for variable, direction in zip(variables, directions, strict=True):
                variable -= step * direction
        return loss

    step = 1e-5
    assert (shifted(step) - shifted(-step)) / (2 * step) == pytest.approx(slope, rel=1e-6)


def test_authors_gradient_differs_from_the_exact_one() -> None:
    keypoints = clips(1, 9)
    exact = input_gradient(golden_model("tiny"), keypoints)
    authors = input_gradient(golden_model("tiny", scan_gradient="authors"), keypoints)
    assert (exact - authors).norm() > 0.1 * exact.norm()


@pytest.mark.parametrize("limb_order", ["kinematic", "none"])
def test_limb_order_matters(limb_order: str) -> None:
    with torch.no_grad():
        authors, other = (tiny_model(limb_order=name)(clips(1, 9)) for name in ("authors", limb_order))
    assert not torch.allclose(authors, other, atol=1e-3)


def test_without_limbs_global_local_is_bidirectional() -> None:
    with torch.no_grad():
        without_limbs = tiny_model(limb_order="none")(clips(1, 9))
        bidirectional = tiny_model(scan="bidirectional")(clips(1, 9))
    assert torch.equal(without_limbs, bidirectional)


@pytest.mark.parametrize("channels", [2, 3])
def test_shape(channels: int) -> None:
    with torch.no_grad():
        assert tiny_model(in_channels=channels)(clips(2, 9, channels)).shape == (2, 9, 17, 3)


def test_clips_of_a_batch_do_not_see_each_other() -> None:
    model, keypoints = tiny_model().double(), clips(3, 9, dtype=torch.float64)
    with torch.no_grad():
        together = model(keypoints)
        alone = torch.cat([model(clip[None]) for clip in keypoints])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_shorter_clips_use_the_first_positions(frames: int) -> None:
    long = tiny_model()
    short = build(replace(TINY, frames=frames)).eval()
    short.load_state_dict(long.state_dict() | {"temporal_position": long.temporal_position[:, :frames]})
    with torch.no_grad():
        assert torch.equal(long(clips(2, frames)), short(clips(2, frames)))


def test_longer_clips_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"clip of 10 frames is longer than the 9 .* windows.*long_input='interpolate'"
    ):
        tiny_model()(clips(1, 10))


def test_longer_clips_can_be_interpolated() -> None:
    model = tiny_model(long_input="interpolate")
    stretched = build(replace(TINY, frames=17)).eval()
    position = model.temporal_position.detach()
    between = (position[:, 1:] + position[:, :-1]) / 2
    twice = torch.cat([torch.stack([position[:, :-1], between], dim=2).flatten(1, 2), position[:, -1:]], dim=1)
    stretched.load_state_dict(model.state_dict() | {"temporal_position": twice})
    with torch.no_grad():
        torch.testing.assert_close(model(clips(1, 17)), stretched(clips(1, 17)), rtol=0, atol=1e-5)


def test_interpolation_leaves_clips_that_fit_alone() -> None:
    with torch.no_grad():
        assert torch.equal(tiny_model(long_input="interpolate")(clips(1, 9)), tiny_model()(clips(1, 9)))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((9, 17, 2), r"expected keypoints of shape \(batch, frames, 17 joints, 2 channels\), got \(9, 17, 2\)"),
        ((1, 9, 16, 2), r"17 joints.* got \(1, 9, 16, 2\)"),
        ((1, 9, 17, 3), r"2 channels.* got \(1, 9, 17, 3\)"),
        ((1, 0, 17, 2), r"got \(1, 0, 17, 2\)"),
    ],
)
def test_other_shapes_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_model()(torch.zeros(shape))


def test_integers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"floating-point dtype, got torch\.int64"):
        tiny_model()(torch.zeros(1, 9, 17, 2, dtype=torch.int64))


def test_drop_path_grows_with_depth() -> None:
    model = build(replace(TINY, depth=5, drop_path=0.2))
    for blocks in (model.spatial_blocks, model.temporal_blocks):
        assert [block.drop_path.probability for block in blocks] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])


def test_dropout_follows_the_position_embeddings() -> None:
    model = tiny_model(dropout=0.5, drop_path=0.0)
    with torch.no_grad():
        assert torch.equal(model(clips(1, 9)), tiny_model(drop_path=0.0)(clips(1, 9)))
        assert not torch.equal(model.train()(clips(1, 9)), model(clips(1, 9)))


def test_same_seed_same_network_and_output() -> None:
    first, second = tiny_model(seed=5), tiny_model(seed=5)
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
    outputs = []
    for model in (first, second):
        torch.manual_seed(1)
        outputs.append(model.train()(clips(4, 9)))
    assert torch.equal(*outputs)


def test_every_parameter_is_trained() -> None:
    model = tiny_model()
    model(clips(2, 9)).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_parameters_without_weight_decay() -> None:
    model = tiny_model()
    blocks = [f"{kind}_blocks.{index}.scan" for kind in ("spatial", "temporal") for index in range(2)]
    expected = {f"{block}.{name}" for block in blocks for name in ("A_log", "skip")}
    assert model.parameters_without_weight_decay() == expected


def test_position_embeddings_start_at_zero() -> None:
    model = build(TINY)
    assert not model.temporal_position.any()
    assert not model.spatial_position.any()


def test_norm_eps_are_the_authors() -> None:
    model = build(TINY)
    eps = {model.spatial_norm.eps, model.temporal_norm.eps}
    eps |= {norm.eps for block in model.spatial_blocks for norm in (block.scan_norm, block.mlp_norm)}
    assert eps == {1e-6}
    assert {model.head_norm.eps, *(block.scan.output_norm.eps for block in model.temporal_blocks)} == {1e-5}
