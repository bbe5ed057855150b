"""Files that are whole at every moment: written aside in the same folder, synced, and put in place by one rename."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

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
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        remedy = ". Free some space and start again" if error.errno in _NO_ROOM else ""
        raise CannotWrite(f"cannot write {len(content):,} bytes to {path}: {error.strerror}{remedy}") from error


def _sync(folder: Path) -> None:
    """Make the rename itself survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
