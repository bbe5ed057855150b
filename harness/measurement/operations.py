"""Exact operations of every operator that lifters use, forward and backward: one table of pure functions.

The convention ``flops_exact``: every addition, subtraction, multiplication, division, square root, comparison that
selects (max, relu, clamp), change of sign, and every exponential, logarithm, erf, tanh, sine, cosine or power is 1.
The latter six kinds are ``transcendentals``, tallied by themselves too. Then

* a product of matrices is 2 m k n and a convolution 2 k for each output: the first addition of a sum goes to zero or to
  the bias, so that a bias adds nothing. Padding is not taken off a convolution, nor masked pairs off attention;
* other sums of n are n - 1;
* functions are counted as the formula beside them is written; guards against overflow (softplus's threshold) are not;
* complex numbers count as one number, save in Fourier transforms: 5 N log2 N a complex one, half of it a real one;
* what only moves, views, compares for a mask, sorts, or draws numbers has no operations. Movement is a closed list;
  comparisons and sorts are listed as ``selection``, draws as ``random``, arithmetic on whole numbers (indices, masks)
  as ``whole numbers``; an operator in no list as ``no formula``. Nothing is dropped in silence.

A formula gets a ``Call``, the operator's arguments by the names of its schema and its outputs, and looks at shapes
alone, so that tensors without data do.

Letters: n elements of a row that is normalised or reduced, B batch, H heads, L tokens, E channels of a head, N states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

NO_FORMULA = "no formula"
SCAN = "posemamba::selective_scan"


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


#: Operators that neither move nor compute: views, shapes, metadata, memory not written.
VIEWS = _words("""
    _conj _neg_view _nested_view_from_buffer _reshape_alias _unsafe_view alias as_strided chunk conj detach diagonal
    empty empty_like empty_permuted empty_strided expand expand_as imag is_pinned lift lift_fresh movedim narrow
    new_empty new_empty_strided numpy_T permute promote_types real record_stream reshape resize resize_ result_type
    select set set_ slice split split_with_sizes squeeze sym_numel sym_size sym_storage_offset sym_stride t transpose
    unbind unflatten unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze view view_as view_as_complex
    view_as_real _local_scalar_dense
""")

#: Operators that only move, write or make numbers.
MOVES = _words("""
    _pad_circular _pad_enum _to_copy arange as_strided_scatter block_diag cat channel_shuffle clone complex
    constant_pad_nd contiguous copy diag diag_embed diagonal_backward diagonal_scatter embedding eye fill flip full
    full_like gather hstack im2col index index_copy index_fill index_select lift_fresh_copy linspace masked_fill
    masked_scatter masked_select meshgrid new_full new_ones new_zeros ones ones_like pixel_shuffle pixel_unshuffle
    polar reflection_pad1d reflection_pad2d repeat replication_pad1d replication_pad2d roll rot90 scalar_tensor scatter
    select_backward select_scatter slice_backward slice_scatter split_with_sizes_copy stack to tril triu unbind_copy
    unsqueeze_copy upsample_nearest1d upsample_nearest2d upsample_nearest3d view_copy vstack where zero zeros zeros_like
""")

SELECTIONS = _words("""
    all any argmax argmin argsort bincount bitwise_and bitwise_not bitwise_or bitwise_xor bucketize ceil eq equal floor
    ge gt heaviside isfinite isinf isnan isin kthvalue le logical_and logical_not logical_or logical_xor lt
    max_pool1d_with_indices median mode ne nonzero round searchsorted sgn sign signbit sort topk trunc unique_dim
    _unique2
""")

RANDOM = _words("""
    bernoulli exponential multinomial normal rand rand_like randint randint_like randn randn_like random randperm
    uniform
""")

#: Operators whose result depends on the shape of what they are given, not on its numbers.
CONSTANTS = _words("""
    empty_like full_like new_empty new_empty_strided new_full new_ones new_zeros ones_like rand_like randint_like
    randn_like zeros_like
""")

#: In-place operators that do not read what they overwrite.
OVERWRITES = _words("bernoulli copy exponential fill normal random uniform zero")


class Work(NamedTuple):
    """Operations, and how many of them are transcendental functions."""

    flops: int
    transcendentals: int = 0


@dataclass(frozen=True)
class Call:
    """One call of an operator: arguments by the names of its schema (defaults filled in), and its outputs."""

    arguments: Mapping[str, Any]
    outputs: tuple[Any, ...]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Of the tensor that is argument ``name``."""
        return tuple(self.arguments[name].shape)

    def size(self, name: str) -> int:
        """Elements of the tensor that is argument ``name``; 0 where it was left out."""
        value = self.arguments.get(name)
        return value.numel() if isinstance(value, Tensor) else 0

    @property
    def output_size(self) -> int:
        """Elements of the first output."""
        return next((output.numel() for output in self.outputs if isinstance(output, Tensor)), 0)


Formula = Callable[[Call], Work]


def call(operator: torch._ops.OpOverload, arguments: Sequence[Any], keywords: Mapping[str, Any], output: Any) -> Call:
    """The ``Call`` that ``operator(*arguments, **keywords)`` with the result ``output`` was."""
    parameters = operator._schema.arguments
    named = {parameter.name: parameter.default_value for parameter in parameters if parameter.has_default_value()}
    named |= {parameter.name: value for parameter, value in zip(parameters, arguments, strict=False)}
    return Call({**named, **keywords}, tuple(output) if isinstance(output, tuple | list) else (output,))


def name(operator: torch._ops.OpOverload) -> str:
    """``aten::add`` of ``aten::add_.Tensor``: the table's key, in-place or not."""
    full = operator._schema.name
    return full[:-1] if full.endswith("_") and not full.endswith("__") else full


def bare(key: str) -> str:
    """``add`` of ``aten::add``; other libraries' operators keep their names whole, so that they are in no list."""
    return key.removeprefix("aten::")


def why_uncounted(key: str, call: Call) -> str | None:
    """Why the operator has no operations although it does work, or None where it has a formula or only moves."""
    if bare(key) in SELECTIONS:
        return "selection"
    if bare(key) in RANDOM:
        return "random"
    if bare(key) in MOVES:
        return None
    if key not in OPERATIONS:
        return NO_FORMULA
    return "whole numbers" if _on_whole_numbers(call) else None


def work(key: str, call: Call) -> Work:
    """The operations of one call; none where ``why_uncounted`` gives a reason and where numbers only move."""
    if key not in OPERATIONS or _on_whole_numbers(call):
        return Work(0)
    return OPERATIONS[key].formula(call)


def _on_whole_numbers(call: Call) -> bool:
    tensors = [value for value in call.outputs if isinstance(value, Tensor)]
    return bool(tensors) and not any(value.is_floating_point() or value.is_complex() for value in tensors)


# ---- one function per element ----


def _per_element(flops: int, transcendentals: int = 0) -> Formula:
    return lambda call: Work(flops * call.output_size, transcendentals * call.output_size)


def add(call: Call) -> Work:
    """a + alpha b, also with the factor on the other side or the sign changed."""
    return Work((1 + (call["alpha"] != 1)) * call.output_size)


def add_product(call: Call) -> Work:
    """a + value b c, or b / c."""
    return Work((2 + (call["value"] != 1)) * call.output_size)


def power(call: Call) -> Work:
    """x**2 is a product and x**3 two, x**0.5 a root, x**-1 a division; another power is transcendental."""
    exponent = call["exponent"]
    n = call.output_size
    flops = {0: 0, 1: 0, 2: 1, 3: 2, 4: 2, 0.5: 1, -1: 1, -0.5: 2, -2: 2}
    if isinstance(exponent, int | float) and exponent in flops:
        return Work(flops[exponent] * n)
    return Work(n, n)


def clamp(call: Call) -> Work:
    """One comparison for each bound."""
    return Work(call.output_size * sum(call[bound] is not None for bound in ("min", "max")))


def gelu(call: Call) -> Work:
    """x/2 (1 + erf(x / sqrt 2)): 5; by tanh, x/2 (1 + tanh(k (x + c x x x))): 9."""
    n = call.output_size
    return Work(9 * n, n) if call["approximate"] == "tanh" else Work(5 * n, n)


def gelu_backward(call: Call) -> Work:
    """dy (Phi + x phi): Phi = (1 + erf(x / sqrt 2)) / 2 is 4, phi = c exp(-x x / 2) 4, the rest 3.

    By tanh, with i = k (x + c x x x) and t = tanh i: dy ((1 + t) / 2 + x/2 (1 - t t) k (1 + 3 c x x)), i 5, t 1, the
    first term 2, the second 8 (x x is known), sum and dy 2.
    """
    n = call.output_size
    return Work(18 * n, n) if call["approximate"] == "tanh" else Work(11 * n, 2 * n)


def softplus(call: Call) -> Work:
    """log(1 + exp(x)): 3; with beta also beta x and the division by beta."""
    n = call.output_size
    return Work((3 + 2 * (call["beta"] != 1)) * n, 2 * n)


def softplus_backward(call: Call) -> Work:
    """dy z / (z + 1) with z = exp(beta x)."""
    n = call.output_size
    return Work((4 + (call["beta"] != 1)) * n, n)


# ---- rows ----


def _rows(call: Call, argument: str = "self") -> tuple[int, int]:
    """Into how many rows a reduction takes its input apart, and n, the elements of each."""
    total = call.size(argument)
    rows = call.output_size
    return rows, total // rows if rows else 0


def _reduction(flops: Callable[[int], int], transcendentals: Callable[[int], int] = lambda n: 0) -> Formula:
    def formula(call: Call) -> Work:
        rows, n = _rows(call)
        return Work(rows * flops(n), rows * transcendentals(n))

    return formula


def extreme(call: Call) -> Work:
    """n - 1 for each row, or 1 for each of two tensors' elements."""
    rows, n = _rows(call)
    return Work(call.output_size if "other" in call.arguments else rows * (n - 1))


def vector_norm(call: Call) -> Work:
    """Squares, their sum and its root; sums of magnitudes, or the largest; else of powers of those."""
    rows, n = _rows(call)
    order = call.arguments.get("ord", call.arguments.get("p"))
    order = 2.0 if order is None else float(order)
    if order == 2:
        return Work(rows * 2 * n)
    if order == 1 or math.isinf(order):
        return Work(rows * (2 * n - 1))
    return Work(rows * (3 * n), rows * (n + 1))


def _along(call: Call, argument: str = "self") -> tuple[int, int]:
    """Rows along the axis ``dim`` of an operator that keeps its input's shape, and n, the elements of each."""
    shape = call.shape(argument)
    n = shape[call["dim"]] if shape else 1
    return math.prod(shape) // n if n else 0, n


def cumulative(call: Call) -> Work:
    """n - 1 for each row."""
    rows, n = _along(call)
    return Work(rows * (n - 1))


def softmax(call: Call) -> Work:
    """The largest n - 1, subtracted n, exp n, their sum n - 1, divided n."""
    rows, n = _along(call)
    return Work(rows * (5 * n - 2), rows * n)


def log_softmax(call: Call) -> Work:
    """The largest n - 1, subtracted n, exp n, their sum n - 1, its logarithm 1, subtracted n."""
    rows, n = _along(call)
    return Work(rows * (5 * n - 1), rows * (n + 1))


def softmax_backward(call: Call) -> Work:
    """y (dy - sum(dy y))."""
    rows, n = _along(call, "output")
    return Work(rows * (4 * n - 1))


def log_softmax_backward(call: Call) -> Work:
    """dy - exp(y) sum(dy)."""
    rows, n = _along(call, "output")
    return Work(rows * (4 * n - 1), rows * n)


def distances(call: Call) -> Work:
    """For each pair of C coordinates the differences C, their squares C, the sum C - 1 and its root.

    With p = 1 or infinity magnitudes C in place of the squares, and no root; else those and their powers.
    """
    pairs, c, order = call.output_size, call.shape("x1")[-1], float(call["p"])
    if order == 2:
        return Work(pairs * 3 * c)
    if order == 1 or math.isinf(order):
        return Work(pairs * (3 * c - 1))
    return Work(pairs * 4 * c, pairs * (c + 1))


def euclidean_distances(call: Call) -> Work:
    """By one product, as torch does it from 26 points on: root(max(0, (-2 a, |a|^2, 1) (b, 1, |b|^2))).

    2 (C + 2) and 2 for each pair; the squares 2 C - 1 for each point, and -2 a.
    """
    c = call.shape("x1")[-1]
    first, second = (call.size(name) // c for name in ("x1", "x2"))
    return Work(call.output_size * (2 * (c + 2) + 2) + (first + second) * (2 * c - 1) + first * c)


# ---- norms ----


def _standardised(rows: int, n: int) -> int:
    """The mean n, subtracted n, the variance 2 n, 1 / sqrt(variance + eps) 3, the product with it n."""
    return rows * (5 * n + 3)


def _affine(call: Call) -> int:
    """1 for each element and weight, 1 for each element and bias."""
    size = call.output_size
    return size * ((call.size("weight") > 0) + (call.size("bias") > 0))


def layer_norm(call: Call) -> Work:
    """5 n + 3 for each row, 1 an element for the weight and 1 for the bias."""
    n = math.prod(call["normalized_shape"])
    return Work(_standardised(call.size("input") // n, n) + _affine(call))


def rms_norm(call: Call) -> Work:
    """The mean square 2 n, 1 / sqrt(it + eps) 3, the product with it n, 1 an element for the weight."""
    n = math.prod(call["normalized_shape"])
    return Work(call.size("input") // n * (3 * n + 3) + _affine(call))


def group_norm(call: Call) -> Work:
    """A layer norm of each group of each clip."""
    rows = call["N"] * call["group"]
    return Work(_standardised(rows, call.size("input") // rows) + _affine(call))


def batch_norm(call: Call) -> Work:
    """Training or evaluation, as the operator is told."""
    return batch_norm_training(call) if call["training"] else batch_norm_evaluation(call)


def batch_norm_training(call: Call) -> Work:
    """A layer norm of each channel, and 7 for each running mean and variance."""
    size, channels = call.size("input"), call.shape("input")[1]
    running = 7 * call.size("running_mean")
    return Work(_standardised(channels, size // channels) + _affine(call) + running)


def batch_norm_evaluation(call: Call) -> Work:
    """1 / sqrt(variance + eps) 3 for each channel; mean subtracted and product with it 2 an element."""
    return Work(3 * call.shape("input")[1] + 2 * call.size("input") + _affine(call))


def _wanted(call: Call) -> tuple[bool, bool, bool]:
    """Which of the gradients of input, weight and bias are asked for."""
    first, second, third = call.arguments.get("output_mask", (True, True, True))
    return bool(first), bool(second), bool(third)


def _normalised_input_gradient(n: int, weighted: int) -> int:
    """With x^ the normalised row and g = weight dy: (g - mean(g) - x^ mean(g x^)) / sqrt(variance + eps).

    The product with the weight n where there is one, mean(g) n, mean(g x^) 2 n, the rest 4 n.
    """
    return (7 + weighted) * n


def layer_norm_backward(call: Call) -> Work:
    """x^ 2 for each element; for the input see above; for the weight sum(dy x^), for the bias sum(dy) over rows."""
    size = call.size("input")
    n = math.prod(call["normalized_shape"])
    return _norm_backward(call, rows=size // n, n=n, parameters=n)


def group_norm_backward(call: Call) -> Work:
    """As a layer norm's, with a row for each group and clip and a weight and bias for each channel."""
    rows = call["N"] * call["group"]
    return _norm_backward(call, rows=rows, n=call.size("input") // rows, parameters=call["C"])


def _norm_backward(call: Call, rows: int, n: int, parameters: int) -> Work:
    to_input, to_weight, to_bias = _wanted(call)
    size = rows * n
    flops = 2 * size * (to_input or to_weight)
    flops += rows * _normalised_input_gradient(n, int(call.size("weight") > 0)) * to_input
    flops += (2 * size - parameters) * to_weight + (size - parameters) * to_bias
    return Work(flops)


def batch_norm_backward(call: Call) -> Work:
    """For each channel of n, with x^ the normalised input, 2 n: for the bias sum(dy), for the weight sum(dy x^).

    For the input, in training weight / sqrt(variance + eps) (dy - sum(dy) / n - x^ sum(dy x^) / n), 4 n + 3; in
    evaluation dy weight / sqrt(variance + eps), n + 4, and the sums are only taken where they are asked for.
    """
    channels, size = call.shape("input")[1], call.size("input")
    to_input, to_weight, to_bias = _wanted(call)
    in_training = bool(call.arguments.get("train", call.arguments.get("update", True)))
    sums = in_training and to_input
    flops = (4 * size + 3 * channels if in_training else size + 4 * channels) * to_input
    flops += (4 * size - channels) * (to_weight or sums) + (size - channels) * (to_bias or sums)
    return Work(flops)


# ---- products ----


def _scalings(call: Call, *factors: str) -> int:
    """How many of alpha and beta really multiply."""
    return sum(call.arguments.get(factor, 1) not in (0, 1) for factor in factors)


def _product(inner: str) -> Formula:
    """2 k for each output, k the last axis of the first factor, and the factors alpha and beta other than 1."""

    def formula(call: Call) -> Work:
        k = call.shape(inner)[-1]
        return Work(call.output_size * (2 * k + _scalings(call, "alpha", "beta")))

    return formula


def sum_of_products(call: Call) -> Work:
    """addbmm: 2 b k for each output."""
    b, _, k = call.shape("batch1")
    return Work(call.output_size * (2 * b * k + _scalings(call, "alpha", "beta")))


def convolution(call: Call) -> Work:
    """2 for each output, input channel of its group and tap; a transposed one 2 for each input, output channel, tap."""
    return Work(_convolution_size(call, call.output_size, call.size("input")))


def _convolution_size(call: Call, output_size: int, input_size: int) -> int:
    _, second, *taps = call.shape("weight")
    return 2 * (input_size if call.arguments.get("transposed", False) else output_size) * second * math.prod(taps)


def convolution_backward(call: Call) -> Work:
    """For the input and for the weight what the convolution itself has; for the bias sums of the output's gradient."""
    to_input, to_weight, to_bias = _wanted(call)
    output = call.shape("grad_output")
    once = _convolution_size(call, math.prod(output), call.size("input"))
    return Work(once * (to_input + to_weight) + (math.prod(output) - output[1]) * to_bias)


# ---- attention ----


def attention(call: Call) -> Work:
    """2 E Lq Lk, scale and mask 1 a pair each, softmax 5 Lk - 2 a row, 2 Lk Lq Ev; masked pairs included."""
    rows, keys, channels, values = _attention_sizes(call)
    pairs = rows * keys
    return Work(pairs * (2 * channels + 1 + _masked(call) + 2 * values) + rows * (5 * keys - 2), pairs)


def attention_backward(call: Call) -> Work:
    """With P the weights (again exp(scale q k - logsumexp)), O the output:

    dV = P dO, dP = dO V, dS = P (dP - sum(dO O)), dQ = scale dS K, dK = scale dS Q.
    """
    rows, keys, channels, values = _attention_sizes(call)
    pairs = rows * keys
    again = 2 * channels + 1 + _masked(call) + 2
    return Work(pairs * (again + 4 * values + 2 + 1 + 4 * channels) + rows * (2 * values - 1), pairs)


def _attention_sizes(call: Call) -> tuple[int, int, int, int]:
    """Rows B H Lq, then Lk, E and Ev."""
    query, key, value = (call.shape(factor) for factor in ("query", "key", "value"))
    return math.prod(query[:-1]), key[-2], query[-1], value[-1]


def _masked(call: Call) -> int:
    return int(any(call.size(mask) > 0 for mask in ("attn_mask", "attn_bias")))


# ---- the scan ----


def scan_state_elements(call: Call) -> int:
    """B K D L N of a scan: u (B, K*D, L), A (K*D, N)."""
    return call.size("u") * call.shape("A")[1]


def _step_size(call: Call) -> Work:
    """For each token the bias 1 and softplus 3, where asked for, and dt u 1."""
    biased, softened = call.size("delta_bias") > 0, bool(call["delta_softplus"])
    return Work(1 + biased + 3 * softened, 2 * softened)


def scan(call: Call) -> Work:
    """For each state element dt A, exp, decay h, w B, their sum, h C and its sum: 7.

    For each token the step, and D u 2.
    """
    tokens, elements, step = call.size("u"), scan_state_elements(call), _step_size(call)
    skip = 2 * (call.size("D") > 0)
    return Work(7 * elements + tokens * (step.flops + skip), elements + tokens * step.transcendentals)


def scan_backward(call: Call) -> Work:
    """For each state element decay 2 and state 3 again, g 2, dC 2, dB 2, dw 2, carry 1, e 1, dA 2, ddt 2: 19.

    The letters are those of posemamba/scan/cost.py; a sum's first addition goes to zero, as in a product of matrices.
    For each token the step again; ddt += dw u 2; du = dw dt 1; softplus's slope and the product with it 2; the bias's
    sum 1; with D du += D dy 2 and dD += u dy 2.
    """
    tokens, elements, step = call.size("u"), scan_state_elements(call), _step_size(call)
    rest = 3 + 2 * bool(call["delta_softplus"]) + (call.size("delta_bias") > 0) + 4 * (call.size("D") > 0)
    return Work(19 * elements + tokens * (step.flops + rest), elements + tokens * step.transcendentals)


# ---- the rest ----


def fourier(call: Call) -> Work:
    """5 N log2 N a complex transform of N, half of it a real one, rounded up."""
    shapes = {bool(tensor.is_complex()): tuple(tensor.shape) for tensor in (call["self"], call.outputs[0])}
    whole = shapes.get(False, shapes[True])  # of a real transform the real side, the other has half the frequencies
    n = math.prod(whole[axis] for axis in call["dim"])
    return Work(math.ceil(5 * math.prod(whole) * math.log2(n) / len(shapes)))


def _interpolation(axes: int) -> Formula:
    """a + w (b - a), 3, along each axis: 2**axes - 1 of them for each output."""
    return _per_element(3 * (2**axes - 1))


def _interpolation_backward(axes: int) -> Formula:
    """2**axes products with a weight, each added up, for each gradient."""
    return lambda call: Work(2 * 2**axes * call.size("grad_output"))


def average_pool(call: Call) -> Work:
    """As many additions as there are taps but one, and a division, for each output."""
    return Work(call.output_size * math.prod(call["kernel_size"]))


def adaptive_average_pool(call: Call) -> Work:
    """Every input is added to one output, which is then divided."""
    return Work(call.size("self"))


def _scattered(source: str) -> Formula:
    """One addition for each element that is added somewhere."""
    return lambda call: Work(call.size(source))


def index_put(call: Call) -> Work:
    """An addition for each element where it accumulates, else movement."""
    return Work(math.prod(_index_shape(call)) if call["accumulate"] else 0)


def _index_shape(call: Call) -> tuple[int, ...]:
    indices = [index for index in call["indices"] if index is not None]
    whole = [size for index, size in zip(call["indices"], call.shape("self"), strict=False) if index is None]
    rest = call.shape("self")[len(call["indices"]) :]
    return (*torch.broadcast_shapes(*(index.shape for index in indices)), *whole, *rest)


@dataclass(frozen=True)
class Operation:
    """A formula, the kind of work (harness.measurement.kind), and of a product the names of its two factors."""

    formula: Formula
    kind: str = "elementwise"
    factors: tuple[str, str] | None = None


def _all(names: str, formula: Formula, kind: str = "elementwise") -> dict[str, Operation]:
    return {f"aten::{name}": Operation(formula, kind) for name in names.split()}


def _products() -> dict[str, Operation]:
    factors = {
        "mm": ("self", "mat2"),
        "bmm": ("self", "mat2"),
        "addmm": ("mat1", "mat2"),
        "baddbmm": ("batch1", "batch2"),
        "mv": ("self", "vec"),
        "addmv": ("mat", "vec"),
        "dot": ("self", "tensor"),
        "vdot": ("self", "other"),
        "mkldnn_linear": ("self", "weight"),
        "_addmm_activation": ("mat1", "mat2"),
    }
    table = {f"aten::{name}": Operation(_product(pair[0]), "projection", pair) for name, pair in factors.items()}
    return {**table, "aten::addbmm": Operation(sum_of_products, "projection", ("batch1", "batch2"))}


#: Every operator that has operations. A product's kind is the one of a factor that does not depend on the clip.
OPERATIONS: Mapping[str, Operation] = {
    **_products(),
    SCAN: Operation(scan, "scan"),
    f"{SCAN}_backward": Operation(scan_backward, "scan"),
    # convolution
    **_all(
        "convolution _convolution cudnn_convolution mkldnn_convolution convolution_overrideable _slow_conv2d_forward "
        "_conv_depthwise2d",
        convolution,
        "convolution",
    ),
    **_all("convolution_backward convolution_backward_overrideable", convolution_backward, "convolution"),
    # attention
    **_all(
        "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
        "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
        "_scaled_dot_product_fused_attention_overrideable",
        attention,
        "attention",
    ),
    **_all(
        "_scaled_dot_product_flash_attention_for_cpu_backward _scaled_dot_product_flash_attention_backward "
        "_scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention_backward "
        "_scaled_dot_product_fused_attention_overrideable_backward",
        attention_backward,
        "attention",
    ),
    **_all("_softmax _safe_softmax", softmax, "attention"),
    **_all("_log_softmax", log_softmax, "attention"),
    **_all("_softmax_backward_data", softmax_backward, "attention"),
    **_all("_log_softmax_backward_data", log_softmax_backward, "attention"),
    # normalisation
    **_all("native_layer_norm", layer_norm, "normalisation"),
    **_all("native_layer_norm_backward", layer_norm_backward, "normalisation"),
    **_all("_fused_rms_norm", rms_norm, "normalisation"),
    **_all("native_group_norm", group_norm, "normalisation"),
    **_all("native_group_norm_backward", group_norm_backward, "normalisation"),
    **_all(
        "native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit",
        batch_norm,
        "normalisation",
    ),
    **_all("_batch_norm_with_update", batch_norm_training, "normalisation"),
    **_all("_native_batch_norm_legit_no_training _batch_norm_no_update", batch_norm_evaluation, "normalisation"),
    **_all(
        "native_batch_norm_backward cudnn_batch_norm_backward batch_norm_backward", batch_norm_backward, "normalisation"
    ),
    # one function per element: the name, operations, transcendentals among them
    **_all("add sub rsub", add),
    **_all("addcmul addcdiv", add_product),
    **_all("mul div neg abs reciprocal sqrt square relu maximum minimum fmax fmin threshold", _per_element(1)),
    **_all("clamp_min clamp_max deg2rad rad2deg ldexp floor_divide", _per_element(1)),
    **_all("exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh", _per_element(1, 1)),
    **_all("erf erfc erfinv tanh asinh acosh atanh", _per_element(1, 1)),
    **_all("rsqrt", _per_element(2)),  # root, division
    **_all("leaky_relu hardtanh relu6 hardshrink softshrink", _per_element(2)),
    **_all("fmod remainder lerp", _per_element(3)),  # a - b floor(a / b); a + w (b - a)
    **_all("prelu _prelu_kernel", _per_element(2)),
    **_all("elu", _per_element(4, 1)),  # the comparison, exp, - 1, times alpha
    **_all("hardsigmoid", _per_element(4)),  # x / 6 + 1/2 between 0 and 1
    **_all("hardswish", _per_element(5)),  # x (x + 3 between 0 and 6) / 6
    **_all("sigmoid", _per_element(4, 1)),  # 1 / (1 + exp(-x))
    **_all("silu", _per_element(5, 1)),  # x sigmoid(x)
    **_all("log_sigmoid_forward", _per_element(4, 2)),  # -log(1 + exp(-x))
    **_all("mish", _per_element(5, 3)),  # x tanh(log(1 + exp(x)))
    **_all("glu", _per_element(5, 1)),  # a sigmoid(b)
    **_all("logaddexp", _per_element(5, 3)),  # log(exp(a) + exp(b)), less the larger, which is added again
    **_all("clamp", clamp),
    **_all("pow", power),
    **_all("gelu", gelu),
    **_all("softplus", softplus),
    **_all("native_dropout", _per_element(2)),  # times the mask, times 1 / (1 - p)
    # their gradients
    **_all("threshold_backward", _per_element(1)),  # dy or 0
    **_all("leaky_relu_backward hardtanh_backward native_dropout_backward", _per_element(2)),
    **_all("sigmoid_backward tanh_backward", _per_element(3)),  # dy y (1 - y), dy (1 - y y)
    **_all("elu_backward", _per_element(4, 1)),  # the comparison, exp, times alpha, times dy
    **_all("silu_backward", _per_element(9, 1)),  # dy s (1 + x (1 - s)), s the sigmoid
    **_all("hardswish_backward", _per_element(4)),  # dy (x / 3 + 1/2), or 0, or dy
    **_all("hardsigmoid_backward", _per_element(2)),
    **_all("glu_backward", lambda call: Work(9 * call.size("grad_output"), call.size("grad_output"))),
    **_all("gelu_backward", gelu_backward),
    **_all("softplus_backward", softplus_backward),
    # reductions of n
    **_all("sum nansum prod amax amin aminmax", _reduction(lambda n: n - 1)),
    **_all("max min", extreme),
    **_all("mean", _reduction(lambda n: n)),
    **_all("var var_mean", _reduction(lambda n: 4 * n)),  # the mean, subtracted, squared, summed, divided
    **_all("std std_mean", _reduction(lambda n: 4 * n + 1)),
    **_all("logsumexp", _reduction(lambda n: 4 * n, lambda n: n + 1)),  # largest, less it, exp, sum, log, plus it
    **_all("linalg_vector_norm norm", vector_norm),
    **_all("_cdist_forward", distances),
    **_all("_euclidean_dist", euclidean_distances),
    **_all("cumsum cumprod cummax cummin", cumulative),
    # sums into places
    **_all("index_add index_reduce", _scattered("source")),
    **_all("scatter_add scatter_reduce", _scattered("src")),
    **_all("embedding_dense_backward", _scattered("grad_output")),
    **_all("unfold_backward", _scattered("grad_in")),
    **_all("index_put _index_put_impl _unsafe_index_put", index_put),
    # the rest
    **_all("_fft_c2c _fft_r2c _fft_c2r", fourier),
    **_all("upsample_linear1d", _interpolation(1)),
    **_all("upsample_bilinear2d", _interpolation(2)),
    **_all("upsample_trilinear3d", _interpolation(3)),
    **_all("upsample_linear1d_backward", _interpolation_backward(1)),
    **_all("upsample_bilinear2d_backward", _interpolation_backward(2)),
    **_all("avg_pool2d avg_pool3d", average_pool),
    **_all("_adaptive_avg_pool2d _adaptive_avg_pool3d", adaptive_average_pool),
}
