"""The scan in C++ for CPUs, float32 and float64, with OpenMP and the widest vectors the processor has.

``csrc/`` holds the kernel. setup.py builds it as a shared library without torch's or Python's headers, which lies
beside this file and is called through ctypes on the tensors' data. Results do not depend on the number of threads,
which is torch's. For the letters see :mod:`posemamba.scan`.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
from pathlib import Path

import torch
from torch import Tensor

from posemamba.scan import checkpoint

INSTRUCTION_SETS = ("portable", "avx2", "avx512")
Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
_REMEDY = (
    "install a C++ compiler (g++ or clang++) and reinstall, or run `python setup.py build_ext --inplace` in a checkout."
)


def _load(folder: Path) -> tuple[ctypes.CDLL | None, str]:
    """The library in ``folder``, or None and what is wrong."""
    candidates = (folder / f"_selective_scan{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES)
    path = next((path for path in candidates if path.exists()), None)
    if path is None:
        return None, f"the native scan was not built; {_REMEDY}"
    try:
        library = ctypes.CDLL(str(path))
        built_with = library.scan_chunk()
    except (OSError, AttributeError) as error:
        return None, f"the native scan does not load ({error}); {_REMEDY}"
    if built_with != checkpoint.TOKENS:
        return None, f"the native scan was built from another version of the source; {_REMEDY}"
    return library, ""


_library, _reason = _load(Path(__file__).parent)
_instruction_set = _library.scan_best_instruction_set() if _library else 0


def missing() -> str:
    """Why the library cannot be used, with what to do about it; ``""`` where it can."""
    return _reason


def instruction_set() -> str:
    """The one of ``INSTRUCTION_SETS`` that the kernel uses on this processor."""
    return INSTRUCTION_SETS[_instruction_set]


def forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    """y (B, K*D, L) and, where asked for, the states at the checkpoints."""
    batch, channels, length = u.shape
    y = u.new_empty(u.shape)
    kept = u.new_empty(checkpoint.shape(batch, channels, A.shape[1], length) if keep_states else (0,))
    inputs = _contiguous(u, delta, A, B, C, D, delta_bias)
    _call("forward", [*inputs, y, kept if keep_states else None], B, delta_softplus)
    return y, kept


def backward(
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
) -> Gradients:
    """The gradients of u, delta, A, B, C, D and delta_bias."""
    batch, channels, _ = u.shape
    slices = -(-channels // B.shape[1] // _loaded().scan_slice())
    du, ddelta = u.new_empty(u.shape), u.new_empty(u.shape)
    dA = u.new_empty(batch, *A.shape)
    dB, dC = (u.new_empty(slices, *B.shape) for _ in range(2))
    dD, ddelta_bias = (u.new_empty(batch, channels) for _ in range(2))
    inputs = _contiguous(dy, u, delta, A, B, C, D, delta_bias)
    _call("backward", [*inputs, states, du, ddelta, dA, dB, dC, dD, ddelta_bias], B, delta_softplus)
    return du, ddelta, _total(dA), _total(dB), _total(dC), _total(dD), _total(ddelta_bias)


def _loaded() -> ctypes.CDLL:
    if _library is None:
        raise ValueError(f"scan backend 'native' cannot run: {_reason}")
    return _library


def _contiguous(*tensors: Tensor | None) -> list[Tensor | None]:
    return [None if tensor is None else tensor.contiguous() for tensor in tensors]


def _total(partial: Tensor) -> Tensor:
    return partial[0] if len(partial) == 1 else partial.sum(0)


def _call(direction: str, arrays: list[Tensor | None], B: Tensor, delta_softplus: bool) -> None:
    u = next(array for array in arrays if array is not None)
    batch, groups, states, length = B.shape
    function = getattr(_loaded(), f"scan_{direction}_{str(u.dtype).removeprefix('torch.')}")
    pointers = [ctypes.c_void_p(None if array is None else array.data_ptr()) for array in arrays]
    sizes = [ctypes.c_int64(size) for size in (batch, groups, u.shape[1], states, length)]
    if not function(*pointers, *sizes, int(delta_softplus), torch.get_num_threads(), _instruction_set):
        raise MemoryError(f"the native scan found no memory for its workspace ({states} states, {length} tokens)")
