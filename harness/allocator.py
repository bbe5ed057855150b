"""Keep freed memory in the process: on Linux the C library otherwise returns every large tensor's pages at once.

A training step frees and asks for the same large blocks again and again; page faults then cost up to a third of the
step on small machines. Peak memory is the same, it is only given back later.
"""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt(3) in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD_BYTES = 32 << 20
_NEVER_TRIM_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed for the next allocation; False where there is no glibc to tell."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD_BYTES) and mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM_BYTES)
    )
