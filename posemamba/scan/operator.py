"""The scan as operators of ``torch.library``, so that torch.compile, fvcore and FlopCounterMode see it by name.

``posemamba::selective_scan`` and ``posemamba::selective_scan_backward`` stand for the chunked and the native backend
alike: what is counted or compiled does not depend on which of them runs.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from posemamba.scan import checkpoint, chunked, mamba_ssm, native, reference
from posemamba.scan.backend import resolve, warn_of_fallback

_FORWARD_ONLY = {"reference": reference.selective_scan, "mamba-ssm": mamba_ssm.selective_scan}
_INPUTS = "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? delta_bias, bool delta_softplus"


@torch.library.custom_op(
    "posemamba::selective_scan",
    mutates_args=(),
    schema=f"({_INPUTS}, str backend, bool keep_states) -> (Tensor y, Tensor states)",
)
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    backend: str,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    """y (B, K*D, L) and, where asked for, the states the backward pass starts from (else an empty tensor).

    ``backend`` may be ``auto``; it is resolved here and not where the operator is called, so that the warning about a
    fallback is not lost in a compiled graph. ``reference`` and ``mamba-ssm`` keep no states: they are an operator only
    for those who watch a forward without gradients.
    """
    if backend in _FORWARD_ONLY:
        y = _FORWARD_ONLY[backend](u, delta, A, B, C, D, delta_bias, delta_softplus)
        return y, u.new_empty(0)
    y, states = _implementation(backend, u).forward(u, delta, A, B, C, D, delta_bias, delta_softplus, keep_states)
    return y, states


@selective_scan.register_fake
def _(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    backend: str,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    batch, channels, length = u.shape
    states = checkpoint.shape(batch, channels, A.shape[1], length) if keep_states else (0,)
    return _like(u, backend), u.new_empty(states)


@torch.library.custom_op(
    "posemamba::selective_scan_backward",
    mutates_args=(),
    schema=f"(Tensor dy, {_INPUTS}, Tensor states, str backend) -> "
    "(Tensor du, Tensor ddelta, Tensor dA, Tensor dB, Tensor dC, Tensor dD, Tensor ddelta_bias)",
)
def selective_scan_backward(
    dy: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    states: Tensor,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of u, delta, A, B, C, D and delta_bias, the last two also where there is no D or delta_bias."""
    gradients = _implementation(backend, u).backward(dy, u, delta, A, B, C, D, delta_bias, delta_softplus, states)
    return gradients


@selective_scan_backward.register_fake
def _(
    dy: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    states: Tensor,
    backend: str,
) -> tuple[Tensor, ...]:
    per_channel = u.shape[1]
    shapes = (A.shape, B.shape, C.shape, per_channel, per_channel)
    return _like(u, backend), _like(u, backend), *(u.new_empty(shape) for shape in shapes)


def _setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.delta_softplus, ctx.backend, _ = inputs
    ctx.has_D, ctx.has_delta_bias = (tensor is not None for tensor in tensors[5:])
    ctx.save_for_backward(*tensors, output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dy: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if dy is None:
        return (None,) * 10
    *tensors, states = ctx.saved_tensors
    *gradients, dD, ddelta_bias = selective_scan_backward(dy, *tensors, ctx.delta_softplus, states, ctx.backend)
    optional = (dD if ctx.has_D else None, ddelta_bias if ctx.has_delta_bias else None)
    return *gradients, *optional, None, None, None


selective_scan.register_autograd(_backward, setup_context=_setup_context)


def _like(u: Tensor, backend: str) -> Tensor:
    """In the order in memory in which the backend writes what is like ``u``."""
    return native.empty(u.shape, u, resolve(backend, u) == "native" and native.is_token_major(u))


def _implementation(backend: str, tensor: Tensor) -> ModuleType:
    name = resolve(backend, tensor)
    if backend == "auto" and name == "chunked":
        warn_of_fallback(tensor.device.type)
    return native if name == "native" else chunked
