"""The selective scan: one public function, one file per backend.

* ``reference``  the recurrence token by token, differentiated by autograd: the definition, slow.
* ``chunked``    pure PyTorch, many stretches of tokens at once: any device, memory linear in L.
* ``native``     C++ for CPUs (float32 and float64), built by setup.py where there is a compiler.
* ``mamba-ssm``  the CUDA kernel of the package of that name (Gu and Dao, 2023).

Letters: B batch, K groups (scan directions) that share B and C, D channels of a group, N states, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from posemamba.scan import cost as _cost  # noqa: F401  registers formulas
from posemamba.scan import mamba_ssm, operator, reference
from posemamba.scan.backend import BACKENDS, available, resolve
from posemamba.scan.initialisation import initialise
from posemamba.scan.observation import is_abstract, is_transformed, is_watched, runs_forwards
from posemamba.scan.stream import continue_scan

__all__ = [
    "BACKENDS",
    "available",
    "continue_scan",
    "initialise",
    "is_abstract",
    "is_transformed",
    "is_watched",
    "resolve",
    "runs_forwards",
    "selective_scan",
]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Selective state-space scan over the last axis; :mod:`posemamba.scan.reference` has its formula.

    u, delta     (B, K*D, L)   input and step
    A            (K*D, N)      rate of decay of every channel's states
    B, C         (B, K, N, L)  into and out of the states, shared by a group's D channels; (B, N, L) where K = 1
    D            (K*D,)        weight of the direct path from u to y
    delta_bias   (K*D,)        added to delta, then softplus where ``delta_softplus``
    backend      one of ``BACKENDS`` or ``auto`` (see :func:`resolve`)

    Under derivatives that are carried along forwards (jvp) the recurrence is walked, whichever backend was asked for.
    Returns y (B, K*D, L) in the dtype of u. Half precision is widened to float32 inside, except by mamba-ssm.
    Layout and meaning of the arguments are those of mamba-ssm's ``selective_scan_fn``.

    Raises ValueError where shapes or devices do not agree, and for a backend that is unknown or cannot run.
    """
    B, C = (x[:, None] if x.dim() == 3 else x for x in (B, C))  # (B, K, N, L)
    _check(u, delta, A, B, C, D, delta_bias)
    if is_abstract(u):
        backend = name = "auto"
    else:
        name = resolve(backend, u)
    arguments = (u, delta, A, B, C, D, delta_bias)
    needs_gradient = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in arguments)
    watched = not needs_gradient and is_watched()
    if name == "mamba-ssm":
        if watched:
            return operator.selective_scan(*arguments, delta_softplus, name, False)[0]
        return mamba_ssm.selective_scan(*arguments, delta_softplus)

    dtype = torch.promote_types(u.dtype, torch.float32)
    required = (u.to(dtype), delta.to(dtype), A.to(dtype), B.to(dtype), C.to(dtype))
    optional = (None if D is None else D.to(dtype), None if delta_bias is None else delta_bias.to(dtype))
    if runs_forwards() or (name == "reference" and not watched):
        return reference.selective_scan(*required, *optional, delta_softplus).to(u.dtype)
    y, _ = operator.selective_scan(*required, *optional, delta_softplus, backend, needs_gradient)
    return y.to(u.dtype)


def _check(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, delta_bias: Tensor | None
) -> None:
    if u.dim() != 3 or A.dim() != 2 or B.dim() != 4:
        shapes = f"u {tuple(u.shape)}, A {tuple(A.shape)}, B {tuple(B.shape)}"
        raise ValueError(f"the scan needs u (B, K*D, L), A (K*D, N) and B (B, K, N, L); got {shapes}.")
    if not u.is_floating_point():
        raise ValueError(f"the scan needs real floating-point numbers, u is {u.dtype}.")
    (batch, channels, length), groups, states = u.shape, B.shape[1], A.shape[1]
    if groups == 0 or channels % groups or 0 in (length, states):
        raise ValueError(
            f"the scan needs at least one token and one state and K*D channels in K groups; "
            f"got {length} tokens, {states} states, {channels} channels, {groups} groups."
        )
    by_token = (batch, groups, states, length)
    expected = {"delta": u.shape, "A": (channels, states), "B": by_token, "C": by_token}
    expected |= {"D": (channels,), "delta_bias": (channels,)}
    for (name, shape), tensor in zip(expected.items(), (delta, A, B, C, D, delta_bias), strict=True):
        if tensor is None:
            continue
        if tuple(tensor.shape) != tuple(shape):
            raise ValueError(f"the scan needs {name} of shape {tuple(shape)} beside u, got {tuple(tensor.shape)}.")
        if tensor.device != u.device:
            raise ValueError(
                f"the scan needs all tensors on one device; u is on {u.device}, {name} on {tensor.device}."
            )
