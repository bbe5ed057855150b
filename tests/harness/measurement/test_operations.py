"""Every formula against a count by hand, written out as the arithmetic of the operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from harness.measurement import operations
from harness.measurement.kind import KINDS
from harness.measurement.ledger import Ledger

#: Rows and their elements of the clip that most operators are given.
ROWS, N = 15, 8


def clip(*shape: int) -> Tensor:
    return torch.rand(*(shape or (3, 5, N)), generator=torch.Generator().manual_seed(0))


def ledger_of(function: Callable[..., Any], *clips: Tensor) -> Ledger:
    with torch.no_grad(), Ledger(*clips) as ledger:
        function(*clips)
    return ledger


def counted(function: Callable[..., Any], *clips: Tensor) -> tuple[dict[str, int], int]:
    """Operations by kind, without the kinds that have none, and all transcendentals."""
    ledger = ledger_of(function, *(clips or (clip(),)))
    assert ledger.without_formula == []
    found = {kind: entry.flops for kind, entry in ledger.by_kind().items() if entry.flops}
    return found, ledger.total.transcendentals


SIZE = ROWS * N


@pytest.mark.parametrize(
    ("function", "flops", "transcendentals"),
    [
        (lambda x: x + 1, SIZE, 0),
        (lambda x: torch.add(x, x, alpha=2), 2 * SIZE, 0),
        (lambda x: x.sub_(1), SIZE, 0),
        (lambda x: 1 - x, SIZE, 0),
        (lambda x: x * x, SIZE, 0),
        (lambda x: x / 3, SIZE, 0),
        (lambda x: -x, SIZE, 0),
        (lambda x: x + clip(N), SIZE, 0),
        (lambda x: torch.addcmul(x, x, x), 2 * SIZE, 0),
        (lambda x: torch.addcmul(x, x, x, value=3), 3 * SIZE, 0),
        (lambda x: torch.lerp(x, x, 0.5), 3 * SIZE, 0),
        (lambda x: x.relu(), SIZE, 0),
        (lambda x: torch.maximum(x, x), SIZE, 0),
        (lambda x: torch.max(x, x), SIZE, 0),
        (lambda x: x.clamp(min=0), SIZE, 0),
        (lambda x: x.clamp(0, 1), 2 * SIZE, 0),
        (lambda x: F.leaky_relu(x), 2 * SIZE, 0),
        (lambda x: x.sqrt(), SIZE, 0),
        (lambda x: x.rsqrt(), 2 * SIZE, 0),
        (lambda x: x**2, SIZE, 0),
        (lambda x: x**3, 2 * SIZE, 0),
        (lambda x: x**1.7, SIZE, SIZE),
        (lambda x: x.exp(), SIZE, SIZE),
        (lambda x: x.log(), SIZE, SIZE),
        (lambda x: x.tanh(), SIZE, SIZE),
        (lambda x: x.cos(), SIZE, SIZE),
        (lambda x: x.sigmoid(), 4 * SIZE, SIZE),  # 1 / (1 + exp(-x))
        (F.silu, 5 * SIZE, SIZE),  # x / (1 + exp(-x))
        (F.softplus, 3 * SIZE, 2 * SIZE),  # log(1 + exp(x))
        (lambda x: F.softplus(x, beta=2), 5 * SIZE, 2 * SIZE),
        (F.gelu, 5 * SIZE, SIZE),  # x / 2 * (1 + erf(x / c))
        (lambda x: F.gelu(x, approximate="tanh"), 9 * SIZE, SIZE),  # x / 2 * (1 + tanh(k * (x + c * x * x * x)))
        (lambda x: F.glu(x), 5 * SIZE // 2, SIZE // 2),
        (F.elu, 4 * SIZE, SIZE),
        (F.hardswish, 5 * SIZE, 0),
        (F.mish, 5 * SIZE, 3 * SIZE),
        (lambda x: x.sum(-1), ROWS * (N - 1), 0),
        (lambda x: x.mean(-1), ROWS * N, 0),
        (lambda x: x.mean(), SIZE, 0),
        (lambda x: x.amax(-1), ROWS * (N - 1), 0),
        (lambda x: x.max(dim=-1), ROWS * (N - 1), 0),
        (lambda x: x.cumsum(-1), ROWS * (N - 1), 0),
        (lambda x: x.var(-1), ROWS * (N + N + N + N - 1 + 1), 0),
        (lambda x: x.std(-1), ROWS * (4 * N + 1), 0),
        (lambda x: x.logsumexp(-1), ROWS * (N - 1 + N + N + N - 1 + 1 + 1), ROWS * (N + 1)),
        (lambda x: torch.linalg.vector_norm(x, dim=-1), ROWS * (N + N - 1 + 1), 0),
        (lambda x: torch.linalg.vector_norm(x, 1, dim=-1), ROWS * (N + N - 1), 0),
        (lambda x: torch.linalg.vector_norm(x, 3, dim=-1), ROWS * (N + N + N - 1 + 1), ROWS * (N + 1)),
        # Differences, squares, their sum and its root for each of the 3 x 5 x 5 pairs.
        (lambda x: torch.cdist(x, x), 75 * (N + N + N - 1 + 1), 0),
        (lambda x: torch.cdist(x, x, p=1), 75 * (N + N + N - 1), 0),
        (lambda x: torch.cdist(x, x, p=3), 75 * (N + N + N + N - 1 + 1), 75 * (N + 1)),
        # By one product: 2 (N + 2), the comparison with 0 and the root; |a|^2 of 15 + 15 points, and -2 a.
        (
            lambda x: torch.cdist(x, x, compute_mode="use_mm_for_euclid_dist"),
            75 * (2 * (N + 2) + 2) + 30 * (2 * N - 1) + 15 * N,
            0,
        ),
        (lambda x: torch.zeros(5, N).index_add(0, torch.tensor([0, 0, 2]), x[0, :3]), 3 * N, 0),
        (lambda x: F.interpolate(x, size=11, mode="linear"), 3 * ROWS * 11, 0),
        (lambda x: F.interpolate(x[None], size=(7, 11), mode="bilinear"), 9 * 3 * 7 * 11, 0),
        (lambda x: torch.fft.fft(x.to(torch.complex64)), ROWS * 5 * N * 3, 0),
        (torch.fft.rfft, ROWS * 5 * N * 3 // 2, 0),
        (lambda x: torch.fft.irfft(torch.ones(ROWS, N // 2 + 1, dtype=torch.complex64)), ROWS * 5 * N * 3 // 2, 0),
    ],
)
def test_elementwise_by_hand(function: Callable[..., Any], flops: int, transcendentals: int) -> None:
    assert counted(function) == ({"elementwise": flops}, transcendentals)


@pytest.mark.parametrize("power", [1, 0.5, -1])
def test_powers_that_are_none(power: float) -> None:
    found, transcendentals = counted(lambda x: x**power)
    assert found.get("elementwise", 0) <= SIZE
    assert transcendentals == 0


ROW_NORM = N + N + 2 * N + 3 + N  # the mean, subtracted, the variance, 1 / sqrt(it + eps), the product with it


def channels_first(x: Tensor) -> Tensor:
    return x.reshape(ROWS, N, 1)


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda x: F.layer_norm(x, (N,)), ROWS * ROW_NORM),
        (lambda x: F.layer_norm(x, (N,), torch.ones(N)), ROWS * ROW_NORM + SIZE),
        (lambda x: F.layer_norm(x, (N,), torch.ones(N), torch.ones(N)), ROWS * ROW_NORM + 2 * SIZE),
        # Two groups of four channels for each of the ROWS clips.
        (lambda x: F.group_norm(channels_first(x), 2), 2 * ROWS * (5 * (N // 2) + 3)),
        (
            lambda x: F.group_norm(channels_first(x), 2, torch.ones(N), torch.ones(N)),
            2 * ROWS * (5 * (N // 2) + 3) + 2 * SIZE,
        ),
        # In evaluation: 1 / sqrt(variance + eps) for each channel; mean off, times it, times weight, plus bias.
        (lambda x: F.batch_norm(channels_first(x), torch.zeros(N), torch.ones(N)), 3 * N + 2 * SIZE),
        (
            lambda x: F.batch_norm(channels_first(x), torch.zeros(N), torch.ones(N), torch.ones(N), torch.ones(N)),
            3 * N + 4 * SIZE,
        ),
        # In training each of the N channels is a row of ROWS, and its running mean and variance cost 7.
        (lambda x: F.batch_norm(channels_first(x), None, None, training=True), N * (5 * ROWS + 3)),
        (
            lambda x: F.batch_norm(channels_first(x), torch.zeros(N), torch.ones(N), training=True),
            N * (5 * ROWS + 3 + 7),
        ),
    ],
)  # fmt: skip
def test_norms_by_hand(function: Callable[..., Any], flops: int) -> None:
    assert counted(function) == ({"normalisation": flops}, 0)


def test_softmax_by_hand() -> None:
    """The largest, subtracted, exp, the sum, divided."""
    rows = ROWS * (N - 1 + N + N + N - 1 + N)
    assert counted(lambda x: x.softmax(-1)) == ({"attention": rows}, SIZE)
    along_rows = 3 * N * (5 * 5 - 2)
    assert counted(lambda x: x.softmax(1)) == ({"attention": along_rows}, SIZE)


def test_log_softmax_by_hand() -> None:
    """The largest, subtracted, exp, the sum, its logarithm, subtracted."""
    assert counted(lambda x: x.log_softmax(-1)) == ({"attention": ROWS * (5 * N - 1)}, SIZE + ROWS)


WEIGHT = torch.ones(4, N)


@pytest.mark.parametrize(
    ("function", "kind", "flops"),
    [
        (lambda x: F.linear(x, WEIGHT), "projection", 2 * SIZE * 4),
        (lambda x: F.linear(x, WEIGHT, torch.ones(4)), "projection", 2 * SIZE * 4),
        (lambda x: torch.addmm(torch.ones(5, 4), x[0], WEIGHT.t(), alpha=2), "projection", 5 * 4 * (2 * N + 1)),
        (lambda x: x @ torch.ones(N), "projection", 2 * SIZE),
        (lambda x: torch.ones(7, 5) @ x, "projection", 2 * 3 * 7 * 5 * N),
        (lambda x: torch.einsum("btc,dc->btd", x, WEIGHT), "projection", 2 * SIZE * 4),
        (lambda x: torch.einsum("btc,buc->btu", x, x), "attention", 2 * 3 * 5 * 5 * N),
        (lambda x: x @ x.transpose(1, 2), "attention", 2 * 3 * 5 * 5 * N),
        (lambda x: x[0] @ x[1].t(), "attention", 2 * 5 * 5 * N),
        (lambda x: torch.baddbmm(torch.ones(3, 5, 5), x, x.mT, alpha=2, beta=3), "attention", 75 * (2 * N + 2)),
        (lambda x: x[0, 0] @ x[0, 1], "attention", 2 * N),
        # Numbers by rule, of the clip's shape but not of what is in it: a fixed matrix.
        (lambda x: x @ torch.ones_like(x).transpose(1, 2), "projection", 2 * 3 * 5 * 5 * N),
    ],
)
def test_products_by_hand(function: Callable[..., Any], kind: str, flops: int) -> None:
    assert counted(function) == ({kind: flops}, 0)


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        # (3, 5, 8) is 3 clips of 5 channels and 8 places.
        (lambda x: F.conv1d(x, torch.ones(6, 5, 3)), 3 * 6 * 6 * 2 * 5 * 3),
        (lambda x: F.conv1d(x, torch.ones(6, 5, 3), torch.ones(6), padding=1), 3 * 6 * 8 * 2 * 5 * 3),
        (lambda x: F.conv1d(x, torch.ones(5, 1, 3), groups=5, padding="same"), 3 * 5 * 8 * 2 * 3),
        (lambda x: F.conv1d(x, torch.ones(6, 5, 3), stride=2), 3 * 6 * 3 * 2 * 5 * 3),
        (lambda x: F.conv2d(x[None], torch.ones(2, 3, 3, 3), padding=1), 2 * 5 * 8 * 2 * 3 * 9),
        (lambda x: F.conv_transpose1d(x, torch.ones(5, 6, 3)), 3 * 5 * 8 * 2 * 6 * 3),
    ],
)
def test_convolutions_by_hand(function: Callable[..., Any], flops: int) -> None:
    assert counted(function) == ({"convolution": flops}, 0)


HEADS, LQ, LK, E, EV = 2, 3, 7, 8, 8
PAIRS = 3 * HEADS * LQ * LK
SOFTMAX = 3 * HEADS * LQ * (5 * LK - 2)


def attended(x: Tensor, y: Tensor, z: Tensor, **options: Any) -> Tensor:
    return F.scaled_dot_product_attention(x, y, z, **options)


def attention_clips() -> tuple[Tensor, Tensor, Tensor]:
    return clip(3, HEADS, LQ, E), clip(3, HEADS, LK, E), clip(3, HEADS, LK, EV)


def test_attention_by_hand() -> None:
    """Q K^T, the scale, the softmax, the product with V."""
    flops = PAIRS * (2 * E + 1) + SOFTMAX + PAIRS * 2 * EV
    assert counted(attended, *attention_clips()) == ({"attention": flops}, PAIRS)


def test_a_mask_is_added() -> None:
    plain, _ = counted(attended, *attention_clips())
    masked, _ = counted(lambda *x: attended(*x, attn_mask=torch.zeros(LQ, LK)), *attention_clips())
    assert masked["attention"] - plain["attention"] == PAIRS


def test_explicit_attention_is_the_fused_one_but_for_the_scale() -> None:
    def explicit(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return (query @ key.transpose(-1, -2) * 0.5).softmax(-1) @ value

    fused, exponentials = counted(attended, *attention_clips())
    parts, exponentials_of_parts = counted(explicit, *attention_clips())
    assert exponentials == exponentials_of_parts
    assert parts == {"attention": fused["attention"] - PAIRS, "elementwise": PAIRS}


B, K, D, STATES, L = 2, 3, 5, 4, 9
TOKENS = B * K * D * L
ELEMENTS = TOKENS * STATES


def scanned(u: Tensor, skip: bool, bias: bool, softplus: bool) -> Tensor:
    from posemamba.scan import selective_scan

    A, mixing = torch.full((K * D, STATES), -1.0), torch.ones(B, K, STATES, L)
    ones = torch.ones(K * D)
    return selective_scan(u, u, A, mixing, mixing, ones if skip else None, ones if bias else None, softplus)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("softplus", [True, False])
def test_scan_by_hand(skip: bool, bias: bool, softplus: bool) -> None:
    """A state: dt A, its exp, times the state, w B, their sum, times C, its sum. A token: dt u; what is optional."""
    ledger = ledger_of(lambda u: scanned(u, skip, bias, softplus), clip(B, K * D, L))
    flops = 7 * ELEMENTS + TOKENS * (1 + 2 * skip + bias + 3 * softplus)
    assert ledger.by_kind()["scan"].flops == ledger.total.flops == flops
    assert ledger.total.transcendentals == ELEMENTS + 2 * softplus * TOKENS
    assert ledger.total.torch_flops == 2 * (3 * ELEMENTS + skip * TOKENS)
    assert ledger.scan_state_elements == ELEMENTS


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("softplus", [True, False])
def test_backward_scan_by_hand(skip: bool, bias: bool, softplus: bool) -> None:
    from posemamba.scan import selective_scan

    u = clip(B, K * D, L).requires_grad_()
    A, mixing = torch.full((K * D, STATES), -1.0), torch.ones(B, K, STATES, L)
    ones = torch.ones(K * D)
    y = selective_scan(u, u, A, mixing, mixing, ones if skip else None, ones if bias else None, softplus)
    with Ledger(u) as ledger:
        torch.autograd.grad(y, u, torch.ones_like(y))
    again = 2 + 3  # decay = exp(dt A); h = decay h + w B
    adjoint = 2 + 1 + 1  # g = C dy + carry; carry = decay g; e = carry h
    sums = 2 * 5  # dC += h dy; dB += w g; dw += B g; dA += dt e; ddt += A e
    step = 1 + bias + 3 * softplus  # w = dt u; dt = softplus(delta + bias), again
    token = 2 + 1 + 2 * softplus + bias + (2 + 2) * skip  # ddt += dw u; du = dw dt; slope; sum; du += D dy; dD += u dy
    found = ledger.by_operator()["posemamba::selective_scan_backward"]
    assert found.kind == "scan"
    assert found.flops == ELEMENTS * (again + adjoint + sums) + TOKENS * (step + token)
    assert found.transcendentals == ELEMENTS + 2 * softplus * TOKENS
    assert found.torch_flops == 2 * (10 * ELEMENTS + TOKENS * (2 + 2 * skip))


def gradient_of(function: Callable[[Tensor], Tensor], *others: Tensor, of_clip: bool = True) -> Ledger:
    """The ledger of the backward pass alone, from a gradient of ones to the clip and the tensors in ``others``."""
    x = clip().requires_grad_(of_clip)
    output = function(x)
    ones = torch.ones_like(output)
    with Ledger(x) as ledger:
        torch.autograd.grad(output, [*([x] if of_clip else []), *others], ones)
    return ledger


def leaf(*shape: int) -> Tensor:
    return torch.ones(*shape, requires_grad=True)


@pytest.mark.parametrize(
    ("function", "operator", "flops", "transcendentals"),
    [
        (torch.sigmoid, "sigmoid_backward", 3 * SIZE, 0),  # dy * y * (1 - y)
        (torch.tanh, "tanh_backward", 3 * SIZE, 0),  # dy * (1 - y * y)
        (torch.relu, "threshold_backward", SIZE, 0),
        (F.leaky_relu, "leaky_relu_backward", 2 * SIZE, 0),
        (F.silu, "silu_backward", (4 + 5) * SIZE, SIZE),  # s = 1 / (1 + exp(-x)); dy * s * (1 + x * (1 - s))
        (F.gelu, "gelu_backward", (4 + 4 + 3) * SIZE, 2 * SIZE),
        (lambda x: F.gelu(x, approximate="tanh"), "gelu_backward", (5 + 1 + 2 + 8 + 2) * SIZE, SIZE),
        (F.softplus, "softplus_backward", 4 * SIZE, SIZE),  # z = exp(x); dy * z / (z + 1)
        (F.glu, "glu_backward", 9 * SIZE // 2, SIZE // 2),
        (F.elu, "elu_backward", 4 * SIZE, SIZE),
        (lambda x: x.softmax(-1), "_softmax_backward_data", ROWS * (N + N - 1 + N + N), 0),
        (lambda x: x.log_softmax(-1), "_log_softmax_backward_data", ROWS * (N - 1 + N + N + N), SIZE),
        # x^ = (x - mean) * r; g = dy; r * (g - mean(g) - x^ * mean(g * x^))
        (lambda x: F.layer_norm(x, (N,)), "native_layer_norm_backward", ROWS * (2 * N + N + 2 * N + 4 * N), 0),
        (lambda x: F.interpolate(x, size=11, mode="linear"), "upsample_linear1d_backward", 4 * ROWS * 11, 0),
    ],
)  # fmt: skip
def test_gradients_by_hand(function: Any, operator: str, flops: int, transcendentals: int) -> None:
    found = gradient_of(function).by_operator()[f"aten::{operator}"]
    assert (found.flops, found.transcendentals) == (flops, transcendentals)


def test_gradient_of_a_layer_norm_with_weight_and_bias() -> None:
    weight, bias = leaf(N), leaf(N)
    ledger = gradient_of(lambda x: F.layer_norm(x, (N,), weight, bias), weight, bias)
    to_input = ROWS * (2 * N + N + N + 2 * N + 4 * N)  # as without weight, and g = weight * dy
    to_weight = SIZE + (ROWS - 1) * N  # dy * x^, summed over the rows
    to_bias = (ROWS - 1) * N
    assert ledger.by_kind()["normalisation"].flops == to_input + to_weight + to_bias


@pytest.mark.parametrize("training", [True, False])
def test_gradient_of_a_batch_norm(training: bool) -> None:
    weight, bias = leaf(N), leaf(N)
    running = (torch.zeros(N), torch.ones(N))

    def norm(x: Tensor) -> Tensor:
        return F.batch_norm(channels_first(x), *running, weight, bias, training=training)

    sums = 2 * SIZE + N * (ROWS - 1) + N * (ROWS + ROWS - 1)  # x^; sum(dy); sum(dy * x^)
    to_input = N * (3 + 4 * ROWS) if training else N * (4 + ROWS)
    assert gradient_of(norm, weight, bias).by_kind()["normalisation"].flops == sums + to_input
    if not training:
        alone = gradient_of(lambda x: F.batch_norm(channels_first(x), *running, training=False))
        assert alone.by_kind()["normalisation"].flops == to_input


def test_gradient_of_a_convolution() -> None:
    weight, bias = leaf(6, 5, 3), leaf(6)
    ledger = gradient_of(lambda x: F.conv1d(x, weight, bias, padding=1), weight, bias)
    forward, output = 3 * 6 * 8 * 2 * 5 * 3, 3 * 6 * 8
    assert ledger.by_kind()["convolution"].flops == 2 * forward + output - 6


def test_gradient_of_attention() -> None:
    query, key, value = (tensor.requires_grad_() for tensor in attention_clips())
    output = attended(query, key, value)
    with Ledger(query, key, value) as ledger:
        torch.autograd.grad(output, [query, key, value], torch.ones_like(output))
    again = PAIRS * (2 * E + 1 + 2)  # exp(scale * q k - logsumexp)
    rows = 3 * HEADS * LQ * (2 * EV - 1)  # sum(dO * O)
    through = PAIRS * (2 * EV + 2 * EV + 2 + 1 + 2 * E + 2 * E)  # dV; dP; P * (dP - sum); times scale; dQ; dK
    assert ledger.by_kind()["attention"].flops == again + rows + through
    assert ledger.total.torch_flops == 2 * PAIRS * (3 * E + 2 * EV)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.transpose(1, 2).contiguous(),
        lambda x: torch.cat([x, x]),
        lambda x: x.flip(0),
        lambda x: x[:, torch.tensor([0, 2])],
        lambda x: x.gather(-1, torch.zeros(3, 5, 1, dtype=torch.long)),
        lambda x: F.pad(x, (1, 1)),
        lambda x: x.masked_fill(torch.ones(5, N, dtype=torch.bool), 0),
    ],
)
def test_movement_has_bytes_alone(function: Callable[..., Any]) -> None:
    ledger = ledger_of(function, clip())
    assert ledger.total.flops == 0
    assert ledger.total.bytes > 0
    assert not ledger.uncounted


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x.topk(3), "aten::topk (selection)"),
        (lambda x: x > 0, "aten::gt (selection)"),
        (lambda x: torch.bernoulli(x), "aten::bernoulli (random)"),
        (lambda x: torch.arange(3) + 1, "aten::add (whole numbers)"),
        (torch.special.bessel_j0, "aten::special_bessel_j0 (no formula)"),
    ],
)
def test_what_is_not_counted_is_listed(function: Callable[..., Any], name: str) -> None:
    ledger = ledger_of(function, clip())
    assert ledger.uncounted == {name: 1}
    assert ledger.total.flops == 0
    assert ledger.without_formula == ([name] if "no formula" in name else [])


def test_the_lists_do_not_overlap_and_name_operators_of_torch() -> None:
    formulas = {operations.bare(key) for key in operations.OPERATIONS if key != operations.bare(key)}
    lists = [operations.VIEWS, operations.MOVES, operations.SELECTIONS, operations.RANDOM, formulas]
    together = [name for names in lists for name in names]
    assert len(together) == len(set(together))
    assert [
        name for name in together if not hasattr(torch.ops.aten, name) and not hasattr(torch.ops.aten, name + "_")
    ] == []


def test_every_kind_is_one_of_the_vocabulary() -> None:
    assert {operation.kind for operation in operations.OPERATIONS.values()} == set(KINDS)
