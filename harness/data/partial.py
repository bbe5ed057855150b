"""Files and folders that are not whole yet: their names say who writes them, so that what a dead one left is found."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import time
from pathlib import Path

ENDING = ".partial"


def name(stem: str) -> str:
    """Of a part of what is to be called ``stem``, unlike that of any other writer."""
    return f"{stem}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{ENDING}"


def remove_abandoned(folder: Path, after_s: float) -> None:
    """Remove what is partial in ``folder`` and of a process of this machine that has ended, or older than ``after_s``.

    A folder may be shared by machines, whose processes are not to be seen from here.
    """
    for partial in folder.glob(f"*{ENDING}"):
        # Another process may be clearing up as well.
        with contextlib.suppress(OSError):
            if _writer_has_ended(partial.name) or time.time() - partial.stat().st_mtime > after_s:
                _remove(partial)


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.unlink()


def _writer_has_ended(partial: str) -> bool:
    found = re.search(rf"\.{re.escape(_machine())}-(\d+)-[0-9a-f]+{re.escape(ENDING)}$", partial)
    if found is None:
        return False
    try:
        os.kill(int(found[1]), 0)  # sends nothing
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's
    return False


def _machine() -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())
