"""Parameters and multiply-accumulates of a lifter: the convention ``macs_fvcore``, nothing silently counted as zero.

fvcore traces one clip and asks a handler per operator for its multiply-accumulates (MACs). Its own handlers count
linear layers and convolutions, 5 per element of a LayerNorm and 2 per element of a BatchNorm in evaluation. The ones
here add what it leaves out or gets wrong:

* the selective scan, 3 per state element (decay times state, the input term, the product with C; the same three that
  9 floating-point operations a state element stand for in upstream's formula) and 1 per token and channel for the skip;
* scaled dot-product attention, the two products Q K^T and A V (fvcore lists it as unsupported);
* einsum of two tensors, exactly (fvcore parses a printed figure of four digits), matmul with broadcast batches
  (fvcore takes the first factor's batch alone), and 'same' convolutions.

What has no MACs by this convention is listed with its number of calls, never dropped: elementwise functions,
reductions, selections, and any operator that nobody has a formula for. Only fvcore's own list of operators that merely
move, index or compare numbers is left out.

The count does not depend on how the scan is computed: in a trace every backend is the one operator
``posemamba::selective_scan``.

Letters: B batch, K scan directions, D inner channels, N states, L tokens, T frames, J joints, C channels.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import conv_flop_count, einsum_flop_jit, get_shape
from torch import nn

from harness.data.skeleton import JOINT_COUNT

_NO_FORMULA = "no formula"

Handler = Callable[[list[Any], list[Any]], Counter[str]]

SCAN_OPERATOR = "posemamba::selective_scan"
SCAN_MACS_PER_STATE_ELEMENT = 3
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
        cumprod cumsum linalg_norm linalg_vector_norm logsumexp mean norm prod std sum var
    """,
    "selection": """
        alias amax amin argmax argmin argsort as_strided clone diag_embed diagonal empty_like expand_as eye flip
        index_select le lift_fresh logical_and logical_not logical_or lt meshgrid min moveaxis movedim ne new_ones
        numpy_T ones_like pad pixel_shuffle repeat repeat_interleave reshape_as scatter sort swapaxes tile topk tril
        triu unflatten view_as where
    """,
}
_WHY = {name: why for why, names in NOT_COUNTED.items() for name in names.split()}


def count(model: nn.Module, frames: int, in_channels: int, joints: int = JOINT_COUNT) -> dict[str, Any]:
    """What ``model`` costs for one clip (1, frames, joints, in_channels), as the cost fields of a record.

    ``params_total``            all parameters, also those that sit directly on a module
    ``macs_fvcore``             multiply-accumulates of one clip
    ``macs_fvcore_per_frame``   the same for each frame that comes out (a centre-frame model needs one forward a frame)
    ``macs_by_operator``        name -> MACs: linear, matmul, bmm, einsum, conv, layer_norm, batch_norm, attention, scan
    ``uncounted_operators``     "name (why)" -> calls, see the module's first lines
    ``scan_flops_9bldn``        9 B L D N summed over the scans, in floating-point operations, not in the MACs above
    ``output_frames``           frames that come out
    ``frames``, ``in_channels`` the clip's shape

    ``model`` is not touched: a copy of it in eval mode is traced, on CPU.
    """
    twin = copy.deepcopy(model).cpu().eval()
    output_frames: list[int] = []
    twin.register_forward_hook(lambda module, inputs, output: output_frames.append(int(output.shape[1])))
    tally = _Tally()
    analysis = FlopCountAnalysis(twin, torch.zeros(1, frames, joints, in_channels)).set_op_handle(**tally.handlers())
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with torch.no_grad(), _traceable_attention():
        by_operator = {name: int(macs) for name, macs in sorted(analysis.by_operator().items())}
    macs = sum(by_operator.values())
    return {
        "params_total": sum(parameter.numel() for parameter in model.parameters()),
        "macs_fvcore": macs,
        "macs_fvcore_per_frame": macs / output_frames[0],
        "macs_by_operator": by_operator,
        "uncounted_operators": dict(sorted((tally.inside + _described(analysis.unsupported_ops())).items())),
        "scan_flops_9bldn": SCAN_FLOPS_PER_STATE_ELEMENT * tally.state_elements,
        "output_frames": output_frames[0],
        "frames": frames,
        "in_channels": in_channels,
    }


def without_formula(cost: dict[str, Any]) -> list[str]:
    """The operators in a count that may do work nobody has a formula for: a reason for a warning beside the figure."""
    return [name for name in cost["uncounted_operators"] if name.endswith(f"({_NO_FORMULA})")]


@contextmanager
def _traceable_attention() -> Iterator[None]:
    """nn.TransformerEncoder's fused evaluation path is one opaque operator; without it its parts are seen."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _described(unsupported: Counter[str]) -> Counter[str]:
    described: Counter[str] = Counter()
    for operator, calls in unsupported.items():
        name = operator.removeprefix("aten::")
        described[f"{name} ({_WHY.get(name.rstrip('_'), _NO_FORMULA)})"] += calls
    return described


class _Tally:
    """Handlers for one count, with what they see beside the multiply-accumulates."""

    def __init__(self) -> None:
        self.state_elements = 0
        self.inside: Counter[str] = Counter()

    def handlers(self) -> dict[str, Handler]:
        return {
            SCAN_OPERATOR: self.selective_scan,
            "aten::scaled_dot_product_attention": self.attention,
            "aten::matmul": matmul,
            "aten::baddbmm": batched_matmul_with_sum,
            "aten::einsum": einsum,
            "aten::_convolution_mode": same_convolution,
        }

    def selective_scan(self, inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        """u (B, K*D, L) first, A (K*D, N) third, D (K*D,) or None sixth: 3 B K D L N, and B K D L for the skip D."""
        tokens = math.prod(get_shape(inputs[0]))  # B K D L
        states = get_shape(inputs[2])[1]
        has_skip = get_shape(inputs[5]) is not None
        self.state_elements += tokens * states
        self.inside["exp and softplus (inside scan)"] += 1
        return Counter({"scan": SCAN_MACS_PER_STATE_ELEMENT * tokens * states + has_skip * tokens})

    def attention(self, inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        """Q (..., Lq, E), K (..., Lk, E), V (..., Lk, Ev): Lq Lk (E + Ev) a head, masked pairs included."""
        query, key, value = (get_shape(tensor) for tensor in inputs[:3])
        self.inside["softmax (inside attention)"] += 1
        return Counter({"attention": math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])})


def matmul(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """(..., n, k) @ (..., k, m): k for every number that comes out, whichever factor is broadcast."""
    return Counter({"matmul": math.prod(get_shape(outputs[0])) * get_shape(inputs[0])[-1]})


def batched_matmul_with_sum(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """baddbmm: summand first, then the factors (n, i, k) and (n, k, j)."""
    return Counter({"bmm": math.prod(get_shape(outputs[0])) * get_shape(inputs[1])[-1]})


def einsum(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Two factors: the product of all index sizes. fvcore's handler for an ellipsis or any other number of factors."""
    equation = inputs[0].toIValue().replace(" ", "")
    factors = equation.split("->")[0].split(",")
    if len(factors) != 2 or "." in equation:
        return Counter({"einsum": einsum_flop_jit(inputs, outputs)})
    shapes = [get_shape(tensor) for tensor in inputs[1].node().inputs()]
    sizes = {
        letter: size
        for letters, shape in zip(factors, shapes, strict=True)
        for letter, size in zip(letters, shape, strict=True)
    }
    return Counter({"einsum": math.prod(sizes.values())})


def same_convolution(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """A convolution whose padding is the word 'same' or 'valid': input first, kernel second."""
    signal, kernel = (get_shape(tensor) for tensor in inputs[:2])
    return Counter({"conv": conv_flop_count(signal, kernel, get_shape(outputs[0]))})
