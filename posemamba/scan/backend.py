"""Which implementations of the scan there are, which can run here, and which one ``auto`` means."""

from __future__ import annotations

import difflib
import functools
import warnings

import torch
from torch import Tensor

from posemamba import native
from posemamba.scan import mamba_ssm

BACKENDS = ("reference", "chunked", "native", "mamba-ssm")


def available() -> dict[str, str]:
    """Every backend with the reason why it cannot run on this machine, ``""`` where it can."""
    return {name: _missing(name) for name in BACKENDS}


def resolve(backend: str, tensor: Tensor) -> str:
    """The name of the backend that runs when ``backend`` is asked for and ``u`` is ``tensor``.

    ``auto``: on a GPU mamba-ssm where it can be imported, on a CPU the native one where it was built, else chunked.

    Raises ValueError for an unknown name and for a backend that cannot run here or not on the tensor's device.
    """
    if backend == "auto":
        preferred = {"cuda": "mamba-ssm", "cpu": "native"}.get(tensor.device.type, "chunked")
        return preferred if not _missing(preferred) and not _unfit(preferred, tensor) else "chunked"
    if backend not in BACKENDS:
        nearest = difflib.get_close_matches(backend, ("auto", *BACKENDS), n=1, cutoff=0.5)
        hint = f"Did you mean {nearest[0]}? " if nearest else ""
        raise ValueError(f"unknown scan backend {backend!r}. {hint}There are: auto, {', '.join(BACKENDS)}.")
    reason = _missing(backend) or _unfit(backend, tensor)
    if reason:
        raise ValueError(f"scan backend {backend!r} cannot run: {reason}")
    return backend


@functools.cache
def warn_of_fallback(device: str) -> None:
    """Say, once per kind of device, that ``auto`` had to take the slower scan, why, and what helps."""
    preferred = "mamba-ssm" if device == "cuda" else "native"
    reason = _missing(preferred)
    if reason:
        warnings.warn(f"using the slower 'chunked' selective scan on {device}: {reason}", RuntimeWarning, stacklevel=2)


@torch.compiler.assume_constant_result
def _missing(backend: str) -> str:
    if backend == "native":
        return native.missing()
    return mamba_ssm.missing() if backend == "mamba-ssm" else ""


def _unfit(backend: str, tensor: Tensor) -> str:
    if backend == "native" and tensor.device.type != "cpu":
        return f"it is for tensors on a CPU, these are on {tensor.device.type}; use 'auto' or 'chunked'."
    if backend == "mamba-ssm" and tensor.device.type != "cuda":
        return f"it is for tensors on a CUDA GPU, these are on {tensor.device.type}; use 'auto' or 'native'."
    if backend == "mamba-ssm" and tensor.dtype == torch.float64:
        return "its kernel has no float64; use 'auto' or 'chunked'."
    return ""
