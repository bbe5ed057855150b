"""The native kernels for CPUs: a shared library built by setup.py from ``csrc/``, without torch's or Python's headers.

It lies beside this file and is called through ctypes on the tensors' data. It takes float32 and float64, uses OpenMP
and the widest vectors the processor has; results do not depend on the number of threads, which is torch's.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

#: What a kernel is given the address of.
Array = Tensor | ctypes.Array[ctypes.c_int32] | None
INSTRUCTION_SETS = ("portable", "avx2", "avx512")
#: Tokens between two states that a forward pass keeps for the backward pass; CHUNK in csrc/native.cpp.
CHECKPOINT_TOKENS = 64
#: Version of the arguments that the kernels take; native_interface in csrc/native.cpp.
INTERFACE = 4
_DONE, _LIMBS_OUT_OF_PLANE = 1, 2  # Result in csrc/native.cpp
_REMEDY = (
    "install a C++ compiler (g++ or clang++) and reinstall, or run `python setup.py build_ext --inplace` in a checkout."
)


def _load(folder: Path) -> tuple[ctypes.CDLL | None, str]:
    """The library in ``folder``, or None and what is wrong."""
    candidates = (folder / f"_native{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES)
    path = next((path for path in candidates if path.exists()), None)
    if path is None:
        return None, f"the native scan was not built; {_REMEDY}"
    try:
        library = ctypes.CDLL(str(path))
        built_with = (library.native_interface(), library.native_chunk())
    except (OSError, AttributeError) as error:
        return None, f"the native scan does not load ({error}); {_REMEDY}"
    if built_with != (INTERFACE, CHECKPOINT_TOKENS):
        return None, f"the native scan was built from another version of the source; {_REMEDY}"
    return library, ""


_library, _reason = _load(Path(__file__).parent)
_instruction_set = _library.native_best_instruction_set() if _library else 0


def missing() -> str:
    """Why the library cannot be used, with what to do about it; ``""`` where it can."""
    return _reason


def instruction_set() -> str:
    """The one of ``INSTRUCTION_SETS`` that the kernels use on this processor."""
    return INSTRUCTION_SETS[_instruction_set]


def has_bfloat16() -> bool:
    """Whether the processor multiplies matrices in bfloat16 (AVX-512 BF16) and the kernels use it."""
    return INSTRUCTION_SETS[_instruction_set] == "avx512" and bool(_loaded().native_has_bfloat16())


def slice_channels() -> int:
    """Channels of which a kernel leaves one partial sum."""
    return int(_loaded().native_slice())


def call(kernel: str, arrays: Sequence[Array], sizes: Iterable[int]) -> None:
    """Run ``kernel`` on contiguous ``arrays``, the first of which decides on the dtype, and ``sizes``.

    Raises ValueError where there is no library and for limbs that are no joints of the plane, and MemoryError where it
    finds no memory for its workspace.
    """
    dtype = next(array.dtype for array in arrays if isinstance(array, Tensor))
    function = getattr(_loaded(), f"{kernel}_{str(dtype).removeprefix('torch.')}")
    pointers = [ctypes.c_void_p(array.data_ptr()) if isinstance(array, Tensor) else array for array in arrays]
    numbers = [ctypes.c_int64(size) for size in (*sizes, torch.get_num_threads(), _instruction_set)]
    result = function(*pointers, *numbers)
    if result == _LIMBS_OUT_OF_PLANE:
        raise ValueError("limbs must name a joint of the plane for each of its joints")
    if result != _DONE:
        raise MemoryError(f"the native kernel {kernel} found no memory for its workspace")


def _loaded() -> ctypes.CDLL:
    if _library is None:
        raise ValueError(f"scan backend 'native' cannot run: {_reason}")
    return _library
