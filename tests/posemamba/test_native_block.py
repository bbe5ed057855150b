"""The block as one kernel against the block as modules, and when which of them runs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from posemamba import PoseMamba, PoseMambaConfig, native, native_block
from tests.posemamba.scan.inputs import relative_error

pytestmark = pytest.mark.skipif(bool(native.missing()), reason=native.missing())


def random_model(seed: int = 0, **options: object) -> PoseMamba:
    """In evaluation, its parameters far from what they begin as, so that none of them is 0 or 1."""
    torch.manual_seed(seed)
    options = {"frames": 20, "depth": 1, "temporal_position": options.get("scan") != "causal", **options}
    model = PoseMamba(PoseMambaConfig(**options)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def random_clips(batch: int, frames: int, joints: int = 17) -> Tensor:
    return torch.randn(batch, frames, joints, 2, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each block that is applied whether the kernel took it."""
    taken: list[bool] = []
    takes = native_block.takes

    def note(*arguments: object) -> bool:
        taken.append(takes(*arguments))  # type: ignore[arg-type]
        return taken[-1]

    monkeypatch.setattr(native_block, "takes", note)
    return taken


def prune(mlp: nn.Module) -> None:
    """Fewer hidden channels than the configuration has."""
    mlp.expand, mlp.contract = nn.Linear(64, 100), nn.Linear(100, 64)


def by_modules(model: PoseMamba, clips: Tensor) -> Tensor:
    """With gradients switched on, hence by modules."""
    with torch.enable_grad():
        return model(clips).detach()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 3),
    frames=st.integers(1, 20),
    dim=st.integers(1, 70),
    mlp_ratio=st.sampled_from([1.0, 1.3, 2.0]),
    ssm_ratio=st.sampled_from([1.0, 1.5, 2.0]),
    states=st.integers(1, 18),
    scan=st.sampled_from(["global-local", "bidirectional", "unidirectional-4", "causal"]),
)
def test_every_shape_is_the_modules(
    batch: int, frames: int, dim: int, mlp_ratio: float, ssm_ratio: float, states: int, scan: str
) -> None:
    if dim == 1:
        mlp_ratio = ssm_ratio = 1.0
    model = random_model(dim=dim, mlp_ratio=mlp_ratio, ssm_ratio=ssm_ratio, state_dim=states, scan=scan).double()
    clips = random_clips(batch, frames).double()
    expected = by_modules(model, clips)
    with torch.no_grad():
        assert relative_error(model(clips), expected) < 1e-10


@pytest.mark.parametrize("joints", [1, 2, 25])
def test_other_numbers_of_joints(joints: int) -> None:
    model = random_model(dim=8, joints=joints, limb_order="none").double()
    clips = random_clips(2, 7, joints).double()
    with torch.no_grad():
        assert relative_error(model(clips), by_modules(model, clips)) < 1e-11


@pytest.mark.parametrize("instruction_set", range(3))
def test_in_single_precision(instruction_set: int, monkeypatch: pytest.MonkeyPatch, runs: list[bool]) -> None:
    if instruction_set > native.INSTRUCTION_SETS.index(native.instruction_set()):
        pytest.skip(f"this processor has no {native.INSTRUCTION_SETS[instruction_set]}")
    model, clips = random_model(depth=3), random_clips(2, 20)
    expected = by_modules(model.double(), clips.double())
    monkeypatch.setattr(native, "_instruction_set", instruction_set)
    runs.clear()
    with torch.inference_mode():
        assert relative_error(model.float()(clips).double(), expected) < 2e-6
    assert runs == [True] * 6


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_matter(threads: int) -> None:
    model, clips = random_model(), random_clips(1, 20)
    before = torch.get_num_threads()
    with torch.no_grad():
        expected = model(clips)
        try:
            torch.set_num_threads(threads)
            assert torch.equal(model(clips), expected)
        finally:
            torch.set_num_threads(before)


def test_input_is_left_alone() -> None:
    model, clips = random_model(), random_clips(1, 20)
    before = clips.clone()
    with torch.no_grad():
        first, second = model(clips), model(clips)
    assert torch.equal(clips, before)
    assert torch.equal(first, second)


def test_long_clips_are_interpolated_as_ever() -> None:
    model, clips = random_model(long_input="interpolate").double(), random_clips(1, 50).double()
    with torch.no_grad():
        assert relative_error(model(clips), by_modules(model, clips)) < 1e-11


@pytest.mark.parametrize("place", ["spatial_norm", "temporal_norm", "dropout", "head_norm"])
def test_what_a_hook_keeps_is_not_written_over(place: str) -> None:
    model, clips = random_model(depth=3), random_clips(1, 20)
    kept: list[tuple[Tensor, Tensor]] = []
    model.get_submodule(place).register_forward_hook(lambda _, __, out: kept.append((out, out.clone())))
    with torch.no_grad():
        model(clips)
    assert kept
    assert all(torch.equal(now, then) for now, then in kept)


class TestBfloat16:
    @pytest.fixture(autouse=True)
    def _only_where_it_is(self) -> None:
        if not native.has_bfloat16():
            pytest.skip("this processor multiplies no bfloat16 (AVX-512 BF16)")

    @pytest.mark.parametrize("options", [{}, {"dim": 19, "ssm_ratio": 1.0, "mlp_ratio": 1.7}])
    def test_is_as_close_as_autocast_by_modules(self, options: dict[str, float], runs: list[bool]) -> None:
        model, clips = random_model(depth=3, **options), random_clips(2, 20)
        exact = by_modules(model, clips)
        runs.clear()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            modules = by_modules(model, clips)
            with torch.no_grad():
                found = model(clips)
        assert runs == [False] * 6 + [True] * 6
        assert 1e-4 < relative_error(found, exact) < 2 * relative_error(modules.float(), exact)


class TestWhichFormIsTaken:
    def test_the_kernel_without_gradients(self, runs: list[bool]) -> None:
        model = random_model()
        with torch.no_grad():
            model(random_clips(1, 5))
        with torch.inference_mode():
            model(random_clips(1, 5))
        assert runs == [True] * 4

    def test_modules_with_gradients(self, runs: list[bool]) -> None:
        random_model()(random_clips(1, 5))
        assert runs == [False] * 2

    def test_modules_in_training(self, runs: list[bool]) -> None:
        with torch.no_grad():
            random_model().train()(random_clips(1, 5))
        assert runs == [False] * 2

    def test_modules_for_another_backend(self, runs: list[bool]) -> None:
        with torch.no_grad():
            random_model(scan_backend="chunked")(random_clips(1, 5))
        assert runs == [False] * 2

    def test_modules_without_the_library(self, runs: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(native, "_reason", "not built")
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that auto is now the slower scan
            random_model()(random_clips(1, 5))
        assert runs == [False] * 2

    @pytest.mark.parametrize(
        "watch",
        [
            lambda model: model.spatial_blocks[0].mlp.expand.register_forward_hook(lambda *_: None),
            lambda model: model.spatial_blocks[0].scan.register_forward_pre_hook(lambda *_: None),
            lambda model: setattr(model.spatial_blocks[0], "forward", model.spatial_blocks[0].forward),
            lambda model: parametrizations.weight_norm(model.spatial_blocks[0].scan.output_projection),
            lambda model: setattr(model.spatial_blocks[0].mlp, "expand", nn.Sequential(nn.Linear(64, 128))),
            lambda model: model.spatial_norm.register_forward_hook(lambda *_: None),
            lambda model: prune(model.spatial_blocks[0].mlp),
            lambda model: setattr(model.spatial_blocks[0].scan, "input_projection", nn.Linear(64, 256)),
            lambda model: setattr(model, "spatial_norm", nn.LayerNorm(64, elementwise_affine=False)),
            lambda model: setattr(model.spatial_blocks[0].scan.convolution, "padding_mode", "reflect"),
            lambda model: model.spatial_blocks[0].drop_path.train(),
            lambda model: model.spatial_blocks[0].mlp.half(),
        ],
        ids=[
            "hook", "pre-hook", "own forward", "parametrized", "replaced", "norm watched", "pruned", "with a bias",
            "without weights", "padded otherwise", "in training", "other numbers",
        ],
    )  # fmt: skip
    def test_modules_where_they_are_not_what_they_were(
        self, watch: Callable[[PoseMamba], object], runs: list[bool]
    ) -> None:
        model = random_model()
        watch(model)
        with torch.no_grad(), contextlib.suppress(RuntimeError):  # modules may well refuse such a part, later
            model(random_clips(1, 5))
        assert runs[0] is False

    def test_modules_where_all_modules_are_watched(self, runs: list[bool]) -> None:
        model = random_model()
        handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
        try:
            with torch.no_grad():
                model(random_clips(1, 5))
        finally:
            handle.remove()
        assert runs == [False] * 2

    def test_modules_where_functions_are_transformed(self, runs: list[bool]) -> None:
        model, clips = random_model().double(), random_clips(3, 5).double()
        with torch.no_grad():
            expected = model(clips)
            runs.clear()
            found = torch.vmap(lambda clip: model(clip[None])[0])(clips)
        assert not any(runs)
        assert relative_error(found, expected) < 1e-11

    def test_operators_where_they_are_counted(self, runs: list[bool]) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        model = random_model()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(random_clips(1, 5))
        assert runs == [False] * 2
        assert counter.get_flop_counts()["Global"][torch.ops.posemamba.selective_scan] > 0

    def test_modules_under_autocast_to_other_numbers(self, runs: list[bool]) -> None:
        model = random_model()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.float16):
            model(random_clips(1, 5))
        assert runs == [False] * 2
