"""Files that are whole at every moment: written aside in the same folder, synced, and put in place by one rename."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from harness.errors import CannotWrite

#: Ends the name of a file that is not finished; one that lies about was left by a killed process.
PART = ".part"
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


def write(path: Path, content: bytes) -> None:
    """Put ``content`` in ``path``'s place; makes its folder if needed.

    Raises CannotWrite naming path and size when the disk is full or read-only; what was there before is whole then.
    """
    part = path.with_name(path.name + PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(part) as file, _removed_on_error(part):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(part, path)
        _sync(path.parent)
    except OSError as error:
        remedy = ". Free some space and start again" if error.errno in _NO_ROOM else ""
        raise CannotWrite(f"cannot write {len(content):,} bytes to {path}: {error.strerror}{remedy}") from error


def _opened(part: Path) -> BinaryIO:
    """``part``, empty, for this process alone until it is closed; one that writes the same file is waited for."""
    while True:
        file = part.open("ab")
        # Some networked file systems have no locks; there two writers of one file are not kept apart.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        if _is_still(part, file):
            file.truncate(0)
            return file
        file.close()  # whoever had it has put it in place meanwhile


def _is_still(part: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), part.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _removed_on_error(part: Path) -> Iterator[None]:
    """While its lock is held, so that no other writer's part is removed."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    """Make the rename itself survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
