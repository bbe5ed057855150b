"""One process at a time: a lock that goes with its holder, so that a dead one never blocks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from harness.errors import ResultsBusy


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file ``path``, made with its folder if needed, while the block lasts.

    Raises ResultsBusy naming ``what`` and the holder while another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise ResultsBusy(f"{what} is in use by {lock.read().strip() or 'another process'}; wait for it") from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield
