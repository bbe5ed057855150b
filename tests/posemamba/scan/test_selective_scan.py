"""The public function: every backend is the float64 reference, whatever the shape, and says what is wrong."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from posemamba.scan import selective_scan
from tests.posemamba.scan.inputs import FAST_BACKENDS, random_inputs, relative_error, value_and_gradients

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def assert_like_reference(tensors: list[torch.Tensor], backend: str, dtype: torch.dtype, softplus: bool) -> None:
    tensors = [tensor.detach().to(dtype).double() for tensor in tensors]
    expected = value_and_gradients(tensors, "reference", torch.float64, softplus)
    for name, value in value_and_gradients(tensors, backend, dtype, softplus).items():
        tolerance = TOLERANCE[dtype] * (0.2 if name == "y" else 1)
        assert relative_error(value, expected[name]) < tolerance, name


@pytest.mark.parametrize("backend", FAST_BACKENDS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 3),
    groups=st.integers(1, 4),
    channels=st.integers(1, 35),
    states=st.integers(1, 64),
    length=st.integers(1, 150),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    softplus=st.booleans(),
)
def test_every_shape_is_the_reference(
    backend: str, batch: int, groups: int, channels: int, states: int, length: int, dtype: torch.dtype, softplus: bool
) -> None:
    tensors = random_inputs(batch, groups, channels, states, length, seed=length)
    if not softplus:  # then steps below zero would let the states grow without bound
        tensors[1], tensors[6] = tensors[1].abs(), tensors[6].abs()
    assert_like_reference(tensors, backend, dtype, softplus)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 3),
    groups=st.integers(1, 4),
    channels=st.integers(1, 80),
    states=st.integers(1, 20),
    length=st.integers(1, 150),
)
def test_token_by_token_in_memory_is_the_same(batch: int, groups: int, channels: int, states: int, length: int) -> None:
    """Only u decides how a backend reads; what lies otherwise is brought into its order."""
    tensors = random_inputs(batch, groups, channels, states, length, seed=length)
    expected = value_and_gradients(tensors, "reference", torch.float64)
    tensors[0] = tensors[0].transpose(1, 2).contiguous().transpose(1, 2)
    for backend in FAST_BACKENDS:
        for name, value in value_and_gradients(tensors, backend, torch.float64).items():
            assert relative_error(value, expected[name]) < 1e-10, (backend, name)


@pytest.mark.parametrize("backend", FAST_BACKENDS)
@pytest.mark.parametrize(("groups", "channels", "length"), [(1, 1, 1), (2, 130, 66), (1, 64, 129), (4, 16, 459)])
def test_edges_of_chunks_and_slices(backend: str, groups: int, channels: int, length: int) -> None:
    tensors = random_inputs(1, groups, channels, 16, length)
    for dtype in (torch.float32, torch.float64):
        assert_like_reference(tensors, backend, dtype, softplus=True)


@pytest.mark.parametrize("backend", ["reference", *FAST_BACKENDS])
@pytest.mark.parametrize("softplus", [True, False])
def test_gradients_are_derivatives(backend: str, softplus: bool) -> None:
    tensors = random_inputs(2, 2, 3, 2, 5)
    tensors[1] = tensors[1].detach().abs().requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: selective_scan(*x, delta_softplus=softplus, backend=backend), tensors)


@pytest.mark.parametrize("backend", FAST_BACKENDS)
def test_without_skip_and_bias(backend: str) -> None:
    *tensors, _, _ = random_inputs(2, 2, 9, 5, 70)
    y = selective_scan(*tensors, backend=backend)
    expected = selective_scan(*tensors, backend="reference")
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    for got, want in zip(
        torch.autograd.grad(y.sum(), tensors), torch.autograd.grad(expected.sum(), tensors), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", ["reference", *FAST_BACKENDS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_steps_and_decays_stay_finite(backend: str, dtype: torch.dtype) -> None:
    u, delta, A, B, C, D, bias = (tensor.detach() for tensor in random_inputs(2, 2, 6, 7, 200))
    steps = torch.tensor([-1e4, -90.0, -20.0, 0.0, 20.0, 90.0, 1e4], dtype=torch.float64)
    delta = steps[torch.arange(delta.numel()) * 5 % len(steps)].reshape(delta.shape)
    A = -torch.tensor([1e-6, 1.0, 88.0, 1e2, 1e4, 1e8], dtype=torch.float64).repeat(2)[:, None].expand_as(A)
    tensors = [u, delta, A, B, C, D, bias]
    expected = value_and_gradients(tensors, "reference", torch.float64)
    for name, value in value_and_gradients(tensors, backend, dtype).items():
        assert value.isfinite().all(), name
        assert relative_error(value, expected[name]) < 1e-5, name


@pytest.mark.parametrize("backend", ["reference", *FAST_BACKENDS])
@pytest.mark.parametrize("argument", range(7))
def test_nan_is_not_swallowed(backend: str, argument: int) -> None:
    tensors = [tensor.detach().float() for tensor in random_inputs(1, 2, 9, 5, 40)]
    tensors[argument].view(-1)[0] = float("nan")
    assert selective_scan(*tensors, delta_softplus=True, backend=backend).isnan().any()


@pytest.mark.parametrize("backend", ["reference", *FAST_BACKENDS])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_widened_inside(backend: str, dtype: torch.dtype) -> None:
    tensors = [tensor.detach().to(dtype).requires_grad_() for tensor in random_inputs(1, 2, 8, 4, 90)]
    y = selective_scan(*tensors, delta_softplus=True, backend=backend)
    expected = selective_scan(*(tensor.float() for tensor in tensors), delta_softplus=True, backend="reference")
    assert y.dtype == dtype
    torch.testing.assert_close(y, expected.to(dtype))
    assert all(gradient.dtype == dtype for gradient in torch.autograd.grad(y.sum(), tensors))


@pytest.mark.parametrize("backend", ["reference", *FAST_BACKENDS])
def test_one_group_may_be_left_out_and_strides_are_free(backend: str) -> None:
    u, delta, A, B, C, D, bias = random_inputs(2, 1, 6, 4, 33)
    expected = selective_scan(u, delta, A, B, C, D, bias, backend=backend)
    swapped = [x.detach().transpose(1, -1).contiguous().transpose(1, -1) for x in (u, delta)]
    y = selective_scan(*swapped, A, B[:, 0], C[:, 0], D, bias, backend=backend)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("backend", FAST_BACKENDS)
def test_results_repeat_to_the_bit_on_any_number_of_threads(backend: str) -> None:
    tensors = random_inputs(2, 2, 150, 16, 140)
    threads = torch.get_num_threads()
    try:
        runs = []
        for count in (1, 2, 3, 2):
            torch.set_num_threads(count)
            runs.append(value_and_gradients(tensors, backend, torch.float32))
    finally:
        torch.set_num_threads(threads)
    if backend != "native":
        runs = [runs[1], runs[3]]
    assert all(run[name].equal(runs[0][name]) for run in runs[1:] for name in run)


def test_no_states_are_kept_without_a_backward_pass() -> None:
    tensors = random_inputs(1, 1, 4, 16, 1000)
    with torch.no_grad():
        y = selective_scan(*tensors, delta_softplus=True, backend=FAST_BACKENDS[-1])
    assert not y.requires_grad
    torch.testing.assert_close(y, selective_scan(*tensors, delta_softplus=True, backend="reference").detach())


@pytest.mark.parametrize("backend", FAST_BACKENDS)
def test_memory_kept_for_the_backward_pass_is_little(backend: str) -> None:
    tensors = random_inputs(1, 1, 8, 16, 640, torch.float32)
    kept: list[torch.Tensor] = []
    inputs = {tensor.data_ptr() for tensor in tensors}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        selective_scan(*tensors, backend=backend)
    beyond_inputs = sum(tensor.numel() for tensor in kept if tensor.data_ptr() not in inputs)
    assert beyond_inputs == tensors[0].numel() * 16 / 64


SHAPES = {"u": (2, 6, 10), "delta": (2, 6, 10), "A": (6, 4), "B": (2, 3, 4, 10), "C": (2, 3, 4, 10), "D": (6,)}


@pytest.mark.parametrize(
    ("wrong", "shape", "message"),
    [
        ("u", (6, 10), r"u \(B, K\*D, L\)"),
        ("delta", (2, 6, 9), r"delta of shape \(2, 6, 10\).*\(2, 6, 9\)"),
        ("A", (6, 5), r"B of shape \(2, 3, 5, 10\)"),
        ("A", (5, 4), r"A of shape \(6, 4\)"),
        ("B", (2, 4, 4, 10), "6 channels, 4 groups"),
        ("C", (2, 3, 4, 11), r"C of shape \(2, 3, 4, 10\)"),
        ("D", (5,), r"D of shape \(6,\)"),
        ("u", (2, 6, 0), "at least one token"),
    ],
)
def test_shapes_that_do_not_agree_are_named(wrong: str, shape: tuple[int, ...], message: str) -> None:
    tensors = {name: torch.zeros(shape if name == wrong else right) for name, right in SHAPES.items()}
    with pytest.raises(ValueError, match=message):
        selective_scan(**tensors)


def test_tensors_on_two_devices_and_integers_are_refused() -> None:
    tensors = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    with pytest.raises(ValueError, match="u is on cpu, A on meta"):
        selective_scan(**tensors | {"A": tensors["A"].to("meta")})
    with pytest.raises(ValueError, match=r"u is torch\.int64"):
        selective_scan(**tensors | {"u": tensors["u"].long()})


@pytest.mark.parametrize("backend", ["reference", *FAST_BACKENDS])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_leaves_the_recurrence_in_full_precision(backend: str, dtype: torch.dtype) -> None:
    tensors = [tensor.detach() for tensor in random_inputs(1, 2, 3, 16, 20, torch.float32)]
    alone = selective_scan(*tensors, delta_softplus=True, backend=backend)
    with torch.autocast("cpu", dtype=dtype):
        assert selective_scan(*tensors, delta_softplus=True, backend=backend).equal(alone)
