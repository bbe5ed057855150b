"""Plain arrays in numpy's .npy format, from bytes that may say anything of themselves.

numpy makes room for as many values as a header says before it looks whether they are there; here it is looked at first.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

#: No array is so long; one that has no values otherwise could say so.
_ENDLESS = 2**63


def read_header(stream: io.BytesIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type, with the stream behind them. Raises ValueError for what is no header."""
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    except Exception as error:  # a header is Python's notation: tokens, syntax, nesting and types each have errors
        raise ValueError(f"its header cannot be read: {type(error).__name__}: {str(error)[:200]}") from error
    return shape, dtype


def parse(content: bytes) -> NDArray[Any]:
    """The array that ``content`` is.

    Raises ValueError where it is none, has more or fewer values than its header says, or holds Python objects.
    """
    stream = io.BytesIO(content)
    shape, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects (a pickle), which could run code")
    if not all(type(length) is int and 0 <= length < _ENDLESS for length in shape):  # True is an int, and no length
        raise ValueError(f"its header says shape {str(shape)[:200]}")
    count, there = math.prod(shape), len(content) - stream.tell()
    # Values without a size, of which any number takes no bytes, are no data either.
    if count * dtype.itemsize != there or (count > 1 and not dtype.itemsize):
        raise ValueError(
            f"its header says {count:,} values of {dtype.itemsize} bytes, and {there:,} bytes follow; cut short?"
        )
    stream.seek(0)
    return npy.read_array(stream, allow_pickle=False)
