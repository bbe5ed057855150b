"""One process at a time: a lock that goes with its holder, so that a dead one never blocks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from harness.errors import CannotWrite, ResultsBusy

_HELD = (errno.EWOULDBLOCK, errno.EACCES)


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file ``path``, made with its folder if needed, while the block lasts.

    Raises ResultsBusy naming ``what`` and the holder while another process has it, CannotWrite where the file cannot
    be made or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    except OSError as error:
        raise _cannot(path, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sign(lock)
        except OSError as error:
            if error.errno not in _HELD:
                raise _cannot(path, error) from error
            lock.seek(0)
            raise ResultsBusy(f"{what} is in use by {lock.read().strip() or 'another process'}; wait for it") from error
        yield


def _sign(lock: TextIO) -> None:
    """Leave word of who holds it, for whoever comes while it is held."""
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {socket.gethostname()}")
    lock.flush()


def _cannot(path: Path, error: OSError) -> CannotWrite:
    return CannotWrite(f"cannot lock {path}: {error.strerror}. Make it writable, or choose another --results folder")
