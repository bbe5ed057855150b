"""Keep freed memory in the process, or return it at once: on Linux the C library does now the one and now the other.

By itself it returns every large tensor's pages until it has learned not to. A training step frees and asks for the
same large blocks again and again; page faults then cost up to a third of the step on small machines. Peak memory is the
same, it is only given back later.
"""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt(3) in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD_BYTES = 32 << 20
_NEVER_TRIM_BYTES = 2**31 - 1
_FIRST_THRESHOLD_BYTES = 128 << 10


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed for the next allocation; False where there is no glibc to tell."""
    return _set(_LARGEST_MMAP_THRESHOLD_BYTES, _NEVER_TRIM_BYTES)


def return_freed_memory() -> bool:
    """Tell glibc to give what is freed back at once, always: what a process holds is then what is in use.

    False where there is no glibc to tell. These are the values that it starts with, which it otherwise raises.
    """
    return _set(_FIRST_THRESHOLD_BYTES, _FIRST_THRESHOLD_BYTES)


def _set(mmap_threshold_bytes: int, trim_threshold_bytes: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, mmap_threshold_bytes) and mallopt(_M_TRIM_THRESHOLD, trim_threshold_bytes))
