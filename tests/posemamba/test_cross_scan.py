"""The operator for all scans of the plane against its definition, `SpatioTemporalScan.scan`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from posemamba import PoseMambaConfig, native
from posemamba.block import SpatioTemporalScan
from posemamba.causal import CausalScan
from posemamba.config import SCANS
from posemamba.cross_scan import cross_scan, walks
from tests.posemamba.scan.inputs import relative_error

pytestmark = pytest.mark.skipif(bool(native.missing()), reason=native.missing())

SELECTING = ("selection_weight", "step_weight", "step_bias", "A_log", "skip")


def random_scan(seed: int = 0, **options: object) -> SpatioTemporalScan:
    """In float64, with parameters that make every term count: steps around 1, some far below and above."""
    torch.manual_seed(seed)
    config = PoseMambaConfig(temporal_position=options.get("scan") != "causal", **options)  # type: ignore[arg-type]
    scan = (CausalScan if config.is_causal else SpatioTemporalScan)(config).double()
    with torch.no_grad():
        for name in SELECTING:
            parameter = scan.get_parameter(name)
            parameter += 0.3 * torch.randn_like(parameter)
        scan.step_bias.normal_(std=2)
    return scan


def random_plane(scan: SpatioTemporalScan, batch: int, frames: int, seed: int = 1) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    shape = (batch, scan.config.inner_dim, frames, scan.config.joints)
    return torch.randn(shape, generator=draw, dtype=torch.float64)


def value_and_gradients(scan: SpatioTemporalScan, form: Callable[[Tensor], Tensor], plane: Tensor) -> dict[str, Tensor]:
    """y and the gradients of the plane and of what selects, of a fixed random projection of y, in float64."""
    plane = plane.clone().requires_grad_()
    y = form(plane)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(y.dtype)
    wanted = {"plane": plane, **{name: scan.get_parameter(name) for name in SELECTING}}
    gradients = torch.autograd.grad(y, list(wanted.values()), dy)
    return {name: value.double() for name, value in zip(("y", *wanted), (y.detach(), *gradients), strict=True)}


def assert_like_definition(scan: SpatioTemporalScan, plane: Tensor, tolerance: float) -> None:
    expected = value_and_gradients(scan, scan.scan, plane)
    for name, value in value_and_gradients(scan, scan.cross_scan, plane).items():
        assert relative_error(value, expected[name]) < tolerance, name


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(SCANS)),
    limb_order=st.sampled_from(["authors", "kinematic", "none"]),
    batch=st.integers(1, 3),
    frames=st.integers(1, 12),
    dim=st.integers(1, 80),
    states=st.integers(1, 20),
)
def test_every_shape_is_the_definition(
    name: str, limb_order: str, batch: int, frames: int, dim: int, states: int
) -> None:
    scan = random_scan(scan=name, limb_order=limb_order, dim=dim, state_dim=states, ssm_ratio=1.5 if dim > 1 else 1.0)
    assert_like_definition(scan, random_plane(scan, batch, frames), 1e-11)


@pytest.mark.parametrize("joints", [1, 5, 64])
def test_other_numbers_of_joints(joints: int) -> None:
    scan = random_scan(joints=joints, limb_order="none", dim=8, state_dim=4)
    assert_like_definition(scan, random_plane(scan, 2, 70), 1e-11)


@pytest.mark.parametrize("frames", [64, 65, 130])
def test_lines_apart_of_several_chunks(frames: int) -> None:
    scan = random_scan(scan="causal", joints=3, limb_order="none", dim=8, state_dim=4)
    assert_like_definition(scan, random_plane(scan, 2, frames), 1e-11)


def test_in_single_precision() -> None:
    scan = random_scan(dim=64)
    plane = random_plane(scan, 2, 40)
    expected = value_and_gradients(scan, scan.scan, plane)
    single = value_and_gradients(scan.float(), scan.cross_scan, plane.float())
    for name, value in single.items():
        assert relative_error(value, expected[name]) < (1e-6 if name == "y" else 1e-5), name


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_do_not_matter(threads: int) -> None:
    """Slices that do not divide among threads are scanned apart and added up: to the same bits."""
    scan = random_scan(dim=80, ssm_ratio=2.0).float()  # 160 channels: three slices
    plane = random_plane(scan, 1, 20).float()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(6)  # three slices in six threads go apart
        expected = value_and_gradients(scan, scan.cross_scan, plane)
        torch.set_num_threads(threads)
        found = value_and_gradients(scan, scan.cross_scan, plane)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_instruction_sets_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = random_scan(dim=40, state_dim=6).float()
    plane = random_plane(scan, 2, 30).float()
    best = native.INSTRUCTION_SETS.index(native.instruction_set())
    runs = []
    for instruction_set in range(best + 1):
        monkeypatch.setattr(native, "_instruction_set", instruction_set)
        runs.append(value_and_gradients(scan, scan.cross_scan, plane))
    for name, value in runs[-1].items():
        assert all(relative_error(run[name], value) < 3e-6 for run in runs[:-1]), name


def test_steps_beyond_the_range_of_exponents() -> None:
    """exp(-dt A) of huge steps is 0 and not the bits of something else."""
    scan = random_scan(dim=16)
    with torch.no_grad():
        scan.step_bias += 200
    assert_like_definition(scan, random_plane(scan, 1, 9), 1e-11)
    single = scan.float()
    plane = random_plane(single, 1, 9).float()
    assert relative_error(single.cross_scan(plane), single.scan(plane)) < 1e-5


def test_nothing_defined_is_hidden() -> None:
    scan = random_scan(dim=16)
    plane = random_plane(scan, 1, 5)
    plane[0, 3, 2, 4] = torch.nan
    y = scan.cross_scan(plane)
    assert y[0, 2, 4].isnan().all()  # by the selection, in every channel


@pytest.mark.parametrize("joints", [10, 25])
def test_limbs_of_another_skeleton_are_refused(joints: int) -> None:
    scan = random_scan(dim=8)
    with pytest.raises(ValueError, match=f"for each of {joints} joints"):
        scan.cross_scan(torch.randn(1, 16, 3, joints, dtype=torch.float64))


@pytest.mark.parametrize("limb", [-1, 17])
def test_limbs_outside_the_plane_are_refused(limb: int) -> None:
    scan = random_scan(dim=8)
    assert scan.limbs is not None
    scan.limbs[3] = limb
    with pytest.raises(ValueError, match="name a joint of the plane"):
        scan.cross_scan(random_plane(scan, 1, 3))


def test_its_fake_has_its_shapes() -> None:
    scan = random_scan(dim=8, state_dim=3).float()
    u = random_plane(scan, 1, 5).float().permute(0, 2, 3, 1).contiguous()
    selection = torch.randn(1, 5, 17, 4 * (scan.config.step_rank + 6))
    arguments = (
        u, selection, scan.step_weight, scan.step_bias, -torch.exp(scan.A_log), scan.skip, scan.limbs,
        walks(scan.config.directions, scan.limbs), True,
    )  # fmt: skip
    detached = tuple(value.detach() if isinstance(value, Tensor) else value for value in arguments)
    torch.library.opcheck(
        torch.ops.posemamba.cross_scan.default, detached, test_utils=("test_schema", "test_faketensor")
    )


def test_walks_that_are_not_k_are_refused() -> None:
    scan = random_scan(dim=8)
    u, selection = torch.zeros(1, 5, 17, 16).double(), torch.zeros(1, 5, 17, 4 * (scan.config.step_rank + 32)).double()
    with pytest.raises(ValueError, match="5 numbers for each of 4 walks, got 15"):
        cross_scan(u, selection, scan.step_weight, scan.step_bias, scan.A_log, scan.skip, scan.limbs, [0] * 15, False)


def test_lines_apart_are_of_joints() -> None:
    scan = random_scan(dim=8)
    u, selection = torch.zeros(1, 5, 17, 16).double(), torch.zeros(1, 5, 17, 4 * (scan.config.step_rank + 32)).double()
    given = (u, selection, scan.step_weight, scan.step_bias, scan.A_log, scan.skip, scan.limbs)
    with pytest.raises(ValueError, match="no lines apart"):
        cross_scan(*given, [1, 0, 0, 0, 1] * 4, False)


def test_derivatives_forwards_are_of_the_definition() -> None:
    scan = random_scan(dim=8, scan="bidirectional")
    plane, tangent = random_plane(scan, 1, 3), random_plane(scan, 1, 3, seed=5)
    _, found = torch.func.jvp(
        lambda x: scan(x), (plane.permute(0, 2, 3, 1)[..., :8],), (tangent.permute(0, 2, 3, 1)[..., :8],)
    )
    step = 1e-6
    ahead, behind = (
        scan(plane.permute(0, 2, 3, 1)[..., :8] + sign * step * tangent.permute(0, 2, 3, 1)[..., :8])
        for sign in (1, -1)
    )
    assert relative_error(found, (ahead - behind) / (2 * step)) < 1e-6


class TestWhichFormIsTaken:
    def plane(self, scan: SpatioTemporalScan) -> Tensor:
        return random_plane(scan, 1, 3).float()

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, True),
            ({"scan_backend": "native"}, True),
            ({"scan_backend": "chunked"}, False),
            ({"scan_backend": "reference"}, False),
            ({"scan_gradient": "authors"}, False),
            ({"scan_gradient": "authors", "limb_order": "none"}, True),
        ],
    )
    def test_by_the_options(self, options: dict[str, str], expected: bool) -> None:
        scan = random_scan(dim=8, **options).float()
        assert scan.takes_cross_scan(self.plane(scan)) is expected

    def test_the_authors_gradient_matters_only_to_gradients(self) -> None:
        scan = random_scan(dim=8, scan_gradient="authors").float()
        with torch.no_grad():
            assert scan.takes_cross_scan(self.plane(scan))

    def test_not_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scan = random_scan(dim=8).float()
        monkeypatch.setattr(native, "_reason", "not built")
        assert not scan.takes_cross_scan(self.plane(scan))

    def test_not_on_tensors_without_numbers(self) -> None:
        from torch._subclasses.fake_tensor import FakeTensorMode

        scan = random_scan(dim=8).float()
        with FakeTensorMode():
            assert not scan.takes_cross_scan(torch.empty(1, 16, 3, 17))
        assert not scan.takes_cross_scan(self.plane(scan).to("meta"))
