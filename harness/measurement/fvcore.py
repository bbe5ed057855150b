"""Multiply-accumulates of a lifter: the convention ``macs_fvcore``, nothing silently counted as zero.

fvcore traces one clip and asks a handler per operator for its multiply-accumulates (MACs). Its own handlers count
convolutions, 5 per element of a LayerNorm and 2 per element of a BatchNorm in evaluation. The ones here add what it
leaves out or gets wrong:

* the selective scan, 3 per state element (decay times state, the input term, the product with C; the same three that
  9 floating-point operations a state element stand for in upstream's formula) and 1 per token and channel for the skip;
* scaled dot-product attention, the two products Q K^T and A V (fvcore lists it as unsupported);
* einsum of two tensors, exactly (fvcore parses a printed figure of four digits), matmul with broadcast batches
  (fvcore takes the first factor's batch alone), and 'same' convolutions.

A product is of the kind ``attention`` where both factors depend on the clip, else ``projection``; the traced graph
says which. What has no MACs by this convention is listed with its number of calls, never dropped: elementwise
functions, reductions, selections, and any operator that nobody has a formula for. Only fvcore's own list of operators
that merely move, index or compare numbers is left out.

The count does not depend on how the scan is computed: in a trace every backend is the one operator
``posemamba::selective_scan``.

Letters: B batch, K scan directions, D inner channels, N states, L tokens, T frames, J joints, C channels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import conv_flop_count, einsum_flop_jit, get_shape
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from harness.data.skeleton import JOINT_COUNT
from harness.measurement import operations
from harness.measurement.kind import KINDS
from harness.measurement.twin import count_on_twin
from posemamba.scan.cost import MACS_PER_STATE_ELEMENT

Handler = Callable[[list[Any], list[Any]], Counter[str]]

#: 9 B L D N of state-spaces/mamba issue 110, in floating-point operations, the skip not included.
SCAN_FLOPS_PER_STATE_ELEMENT = 9

#: Why an operator is not counted, and the operators (without ``aten::`` and a trailing underscore) of which it is true.
NOT_COUNTED = {
    "elementwise": """
        abs add addcdiv addcmul atan2 cos div elu erf exp exp2 expm1 gelu glu hardswish hardtanh leaky_relu lerp log
        log10 log1p log2 log_softmax maximum minimum mish mul neg polar pow prelu reciprocal relu6 rsqrt rsub selu
        sigmoid sign silu sin softmax softplus sqrt square sub tan tanh
    """,
    "reduction": """
        cdist cumprod cumsum linalg_norm linalg_vector_norm logsumexp mean norm prod std sum var
    """,
    "selection": """
        alias amax amin argmax argmin argsort as_strided clone diag_embed diagonal empty_like expand_as eye flip
        index_select le lift_fresh logical_and logical_not logical_or lt meshgrid min moveaxis movedim ne new_ones
        numpy_T ones_like pad pixel_shuffle repeat repeat_interleave reshape_as scatter sort swapaxes take_along_dim
        tile topk tril triu unflatten view_as where
    """,
}
_WHY = {name: why for why, names in NOT_COUNTED.items() for name in names.split()}

#: Kind of an operator that fvcore's own handlers count and that is no product of two tensors; the rest is elementwise.
_KIND_OF_OPERATOR = {
    "conv": "convolution",
    "batch_norm": "normalisation",
    "group_norm": "normalisation",
    "instance_norm": "normalisation",
    "layer_norm": "normalisation",
}

#: Views that are operators of a trace alone: torch takes them apart before it runs them.
_TRACED_VIEWS = frozenset({"aten::flatten", "prim::ListUnpack"})
#: Operators whose result depends on the shape of what they are given and not on its numbers.
_OF_SHAPE_ALONE = frozenset(
    f"aten::{name}"
    for name in (
        "dim", "empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "numel", "ones_like",
        "rand_like", "randn_like", "size", "zeros_like",
    )
)  # fmt: skip


@dataclass(frozen=True)
class MacCount:
    """What one clip costs by products.

    macs            multiply-accumulates
    by_kind         kind of work -> its part, every kind of KINDS
    by_operator     name -> its part: linear, matmul, bmm, einsum, conv, layer_norm, batch_norm, attention, scan
    uncounted       "name (why)" -> calls, see the module's first lines
    state_elements  B K D L N summed over the scans
    counted_on      device of the trace: meta, or cpu where the lifter does not run there
    """

    macs: int
    by_kind: Mapping[str, int]
    by_operator: Mapping[str, int]
    uncounted: Mapping[str, int]
    state_elements: int
    counted_on: str

    @property
    def flops_9bldn(self) -> int:
        """The scans by mamba's own convention, in floating-point operations; not in the MACs."""
        return SCAN_FLOPS_PER_STATE_ELEMENT * self.state_elements


def count(model: nn.Module, frames: int, in_channels: int, joints: int = JOINT_COUNT) -> MacCount:
    """What ``model`` costs for one clip (1, frames, joints, in_channels). ``model`` is not touched."""
    return count_on(model, (1, frames, joints, in_channels))


def count_on(model: nn.Module, shape: tuple[int, ...]) -> MacCount:
    """The same for an input of any ``shape``, the batch first."""
    (by_kind_and_operator, tally, unsupported), device = count_on_twin(model, shape, _trace)
    by_kind, by_operator = dict.fromkeys(KINDS, 0), Counter[str]()
    for name, macs in by_kind_and_operator.items():
        kind, _, operator = name.rpartition("/")
        by_kind[kind or _KIND_OF_OPERATOR.get(operator, "elementwise")] += int(macs)
        by_operator[operator] += int(macs)
    return MacCount(
        macs=by_operator.total(),
        by_kind=by_kind,
        by_operator=dict(sorted(by_operator.items())),
        uncounted=dict(sorted((tally.inside + _described(unsupported)).items())),
        state_elements=tally.state_elements,
        counted_on=device,
    )


def without_formula(uncounted: Iterable[str]) -> list[str]:
    """Those of the uncounted that may do work nobody has a formula for: a reason for a warning beside the figure."""
    return [name for name in uncounted if name.endswith(f"({operations.NO_FORMULA})")]


def _trace(twin: nn.Module, clip: Tensor) -> tuple[Counter[str], Tally, Counter[str]]:
    """MACs by ``kind/operator`` (an operator alone from fvcore's own handlers), the tally, unsupported operators."""
    tally = Tally()
    analysis = FlopCountAnalysis(twin, clip).set_op_handle(**tally.handlers())
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with _NamedConvolution() if clip.is_meta else nullcontext():
        return analysis.by_operator(), tally, analysis.unsupported_ops()


def _described(unsupported: Counter[str]) -> Counter[str]:
    described: Counter[str] = Counter()
    for operator, calls in unsupported.items():
        name = operator.removeprefix("aten::")
        described[f"{name} ({_WHY.get(name.rstrip('_'), operations.NO_FORMULA)})"] += calls
    return described


class Tally:
    """Handlers for one count, with what they see beside the multiply-accumulates."""

    def __init__(self) -> None:
        self.state_elements = 0
        self.inside: Counter[str] = Counter()
        self._dependence = ClipDependence()

    def handlers(self) -> dict[str, Handler]:
        products = {f"aten::{name}": self._product(name, macs) for name, macs in PRODUCTS.items()}
        return {
            **products,
            operations.SCAN: self.selective_scan,
            "aten::scaled_dot_product_attention": self.attention,
            "aten::_convolution_mode": same_convolution,
            CONVOLUTION_OPERATOR: named_convolution,
        }

    def selective_scan(self, inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        """u (B, K*D, L) first, A (K*D, N) third, D (K*D,) or None sixth: 3 B K D L N, and B K D L for the skip D."""
        tokens = math.prod(get_shape(inputs[0]))  # B K D L
        states = get_shape(inputs[2])[1]
        has_skip = get_shape(inputs[5]) is not None
        self.state_elements += tokens * states
        self.inside["exp and softplus (inside scan)"] += 1
        return Counter({"scan/scan": MACS_PER_STATE_ELEMENT * tokens * states + has_skip * tokens})

    def attention(self, inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        """Q (..., Lq, E), K (..., Lk, E), V (..., Lk, Ev): Lq Lk (E + Ev) a head, masked pairs included."""
        query, key, value = (get_shape(tensor) for tensor in inputs[:3])
        self.inside["softmax (inside attention)"] += 1
        return Counter({"attention/attention": math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])})

    def _product(self, name: str, macs: Callable[[list[Any], list[Any]], int]) -> Handler:
        def handler(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
            factors = _tensors(inputs[1:3] if macs is matmul_with_sum else inputs[:2])
            kind = "attention" if sum(map(self._dependence.of, factors)) > 1 else "projection"
            return Counter({f"{kind}/{name}": macs(inputs, outputs)})

        return handler


class ClipDependence:
    """Which values of a traced graph depend on the numbers of the clip, its first input."""

    def __init__(self) -> None:
        self._dependent: set[int] = set()

    def of(self, value: Any) -> bool:
        if not self._dependent:
            self._walk(value.node().owningBlock())
        return value.unique() in self._dependent

    def _walk(self, block: Any) -> None:
        """From the clip onwards. What is written into a tensor, through whatever view of it, is then in the tensor."""
        clip = next(iter(block.paramNode().outputs()))
        self._dependent.add(clip.unique())
        for node in block.nodes():
            inputs = [value.unique() for value in node.inputs()]
            if node.kind() in _OF_SHAPE_ALONE or self._dependent.isdisjoint(inputs):
                continue
            self._dependent.update(value.unique() for value in node.outputs())
            if node.kind().endswith("_") and not node.kind().endswith("__"):
                self._dependent.update(_looked_into(next(iter(node.inputs()))))


def _looked_into(value: Any) -> Iterator[int]:
    """``value`` and, as long as that is a view, the tensor it looks into."""
    while True:
        yield value.unique()
        node = value.node()
        if operations.bare(node.kind()) not in operations.VIEWS and node.kind() not in _TRACED_VIEWS:
            return
        value = next(iter(node.inputs()))


def _tensors(values: list[Any]) -> Iterator[Any]:
    """The tensors among a node's inputs, those of a list one by one."""
    for value in values:
        if value.type().kind() == "ListType":
            yield from _tensors(list(value.node().inputs()))
        elif value.type().kind() == "TensorType":
            yield value


def matmul(inputs: list[Any], outputs: list[Any]) -> int:
    """(..., n, k) @ (..., k, m): k for every number that comes out, whichever factor is broadcast."""
    return math.prod(get_shape(outputs[0])) * get_shape(inputs[0])[-1]


def linear(inputs: list[Any], outputs: list[Any]) -> int:
    """(..., k) by a weight (m, k); the bias is not counted."""
    return matmul(inputs, outputs)


def matmul_with_sum(inputs: list[Any], outputs: list[Any]) -> int:
    """addmm, baddbmm: summand first, then the factors (..., n, k) and (..., k, m), then two numbers."""
    return matmul(inputs[1:], outputs)


def einsum(inputs: list[Any], outputs: list[Any]) -> int:
    """Two factors: the product of all index sizes. fvcore's handler for an ellipsis or any other number of factors."""
    equation = inputs[0].toIValue().replace(" ", "")
    factors = equation.split("->")[0].split(",")
    if len(factors) != 2 or "." in equation:
        return int(einsum_flop_jit(inputs, outputs))
    shapes = [get_shape(tensor) for tensor in inputs[1].node().inputs()]
    sizes = {
        letter: size
        for letters, shape in zip(factors, shapes, strict=True)
        for letter, size in zip(letters, shape, strict=True)
    }
    return math.prod(sizes.values())


#: Product of tensors (without ``aten::``) -> its multiply-accumulates. The factors come first, or behind a summand.
PRODUCTS: Mapping[str, Callable[[list[Any], list[Any]], int]] = {
    "linear": linear,
    "matmul": matmul,
    "mm": matmul,
    "bmm": matmul,
    "mv": matmul,
    "dot": matmul,
    "addmm": matmul_with_sum,
    "baddbmm": matmul_with_sum,
    "einsum": einsum,
}


def same_convolution(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """A convolution whose padding is the word 'same' or 'valid': input first, kernel second."""
    signal, kernel = (get_shape(tensor) for tensor in inputs[:2])
    return Counter({"conv": int(conv_flop_count(signal, kernel, get_shape(outputs[0])))})


def named_convolution(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """The stand-in of a trace on the meta device: input, kernel, shape, transposed."""
    signal, kernel = (get_shape(tensor) for tensor in inputs[:2])
    transposed = inputs[3].toIValue()
    return Counter({"conv": int(conv_flop_count(signal, kernel, get_shape(outputs[0]), transposed=transposed))})


CONVOLUTION_OPERATOR = "pose_lifting_harness::convolution"


@torch.library.custom_op(CONVOLUTION_OPERATOR, mutates_args=(), device_types="cpu")
def _convolution(signal: Tensor, kernel: Tensor, shape: list[int], transposed: bool) -> Tensor:
    raise NotImplementedError("stands for a convolution in a trace on the meta device and computes none")


@_convolution.register_fake
def _(signal: Tensor, kernel: Tensor, shape: list[int], transposed: bool) -> Tensor:
    return signal.new_empty(shape)


class _NamedConvolution(TorchFunctionMode):
    """Convolutions on the meta device as one operator of a trace.

    There torch computes their shapes in Python, which a trace would record (and stumbles over) in place of them.
    """

    _TRANSPOSED: Mapping[Callable[..., Tensor], bool] = {
        torch.conv1d: False,
        torch.conv2d: False,
        torch.conv3d: False,
        torch.conv_transpose1d: True,
        torch.conv_transpose2d: True,
        torch.conv_transpose3d: True,
    }

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in self._TRANSPOSED or torch._C._get_tracing_state() is None:
            return func(*args, **kwargs)
        with _tracing_suspended():
            shape = list(func(*args, **kwargs).shape)
        signal, kernel = (*args, *(kwargs[name] for name in ("input", "weight") if name in kwargs))[:2]
        return _convolution(signal, kernel, shape, self._TRANSPOSED[func])


@contextmanager
def _tracing_suspended() -> Iterator[None]:
    state = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch._C._set_tracing_state(state)  # type: ignore[attr-defined]
