"""Reads within limits: what asks for far more memory than it could need, or does not end, fails the test.

The limit is one on addresses, so that room is counted when it is asked for, whether or not anything is put there.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from harness.errors import HarnessError, is_out_of_memory

#: No sample here is longer than some tens of kilobytes; libraries that are loaded late and stacks of threads need most.
HEADROOM_BYTES = 512 << 20
#: For a machine that is busy otherwise; each read takes milliseconds.
PATIENCE_S = 120.0
_STATUS = Path("/proc/self/statm")


class Endless(BaseException):
    """No Exception, so that nothing takes it for the file's fault."""


class AskedForTooMuch(BaseException):
    """The same for memory."""


@contextlib.contextmanager
def within_bounds(may_ask: bool = False) -> Iterator[None]:
    """Raises Endless, and AskedForTooMuch, also where the reader refuses the file for it unless it ``may_ask``."""
    with _memory(HEADROOM_BYTES), _time():
        try:
            yield
        except HarnessError as error:
            if not may_ask and any(is_out_of_memory(cause) for cause in _causes(error)):
                raise AskedForTooMuch(str(error)) from error
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise AskedForTooMuch(str(error)) from error
            raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


@contextlib.contextmanager
def _memory(headroom_bytes: int) -> Iterator[None]:
    if sys.platform != "linux":  # elsewhere addresses are not limited, and only what is wrong is seen
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    held_bytes = int(_STATUS.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held_bytes + headroom_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextlib.contextmanager
def _time() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Endless(f"not done after {PATIENCE_S:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
