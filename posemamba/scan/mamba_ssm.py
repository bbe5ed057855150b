"""The CUDA kernel of the package mamba-ssm (Gu and Dao, 2023) behind our interface.

The package is imported only when it is about to be used: without a GPU it does not import at all. Its kernel wants
a last stride of 1, A, D and delta_bias in float32, the other tensors in one dtype, and at most 256 states.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings

import torch
from torch import Tensor

MAX_STATES = 256
_REMEDY = "pip install --no-build-isolation mamba-ssm causal-conv1d, on a machine with a CUDA GPU and compiler."
#: Threads add into the gradients of A, B and C as they come (atomicAdd in selective_scan_bwd_kernel.cuh).
_NOT_DETERMINISTIC = "mamba-ssm's backward pass does not have a deterministic implementation; use backend='chunked'"


@functools.cache
def missing() -> str:
    """Why the kernel cannot run on this machine, with what to do about it; ``""`` where it can."""
    if importlib.util.find_spec("mamba_ssm") is None:
        return f"the package mamba-ssm is not installed; {_REMEDY}"
    if not torch.cuda.is_available():
        return "mamba-ssm needs a CUDA GPU and PyTorch sees none."
    try:
        importlib.import_module("mamba_ssm.ops.selective_scan_interface")
    except Exception as error:  # a broken build fails with whatever its extension raises
        return f"mamba-ssm is installed but does not import ({error}); build it anew: {_REMEDY}"
    return ""


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> Tensor:
    """Shapes as in :func:`posemamba.scan.selective_scan`. Raises ValueError for more than 256 states.

    Warns, as torch's own operators do, where deterministic algorithms are asked for and a gradient may be wanted.
    """
    if A.shape[1] > MAX_STATES:
        raise ValueError(f"mamba-ssm has at most {MAX_STATES} states, A has {A.shape[1]}; use backend='chunked'.")
    if torch.are_deterministic_algorithms_enabled() and torch.is_grad_enabled():
        warnings.warn(_NOT_DETERMINISTIC, stacklevel=2)
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    y: Tensor = selective_scan_fn(
        _unit_stride(u),
        _unit_stride(delta.to(u.dtype)),
        A.float().contiguous(),
        _unit_stride(B.to(u.dtype)),
        _unit_stride(C.to(u.dtype)),
        None if D is None else D.float().contiguous(),
        delta_bias=None if delta_bias is None else delta_bias.float().contiguous(),
        delta_softplus=delta_softplus,
    )
    return y


def _unit_stride(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()
