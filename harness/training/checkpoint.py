"""Checkpoints that survive a kill at any moment: written aside, synced, named by a pointer that is replaced last.

A folder holds ``checkpoint.json`` (file name, sha256, step) and the file it names. The pointer is replaced only after
the new file is on the disk, so that a reader always finds a whole pair; what an interrupted write left is swept away
by the next one. Reading checks the digest: neither torch nor the file system notices a flipped bit.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from harness.errors import BadInput, CannotWrite
from harness.weights import file_digest

POINTER = "checkpoint.json"
FINAL = "weights.pt"


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Call ``write`` on a temporary file in ``path``'s folder, sync it, and put it in ``path``'s place.

    Raises CannotWrite naming the path when the disk is full or read-only.
    """
    aside = path.with_name(path.name + ".part")
    try:
        with aside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, RuntimeError) and "write" not in str(error).lower():
            raise
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error).splitlines()[0]
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        raise CannotWrite(
            f"cannot write {path}: {reason}{'. Free some space and start again' if full else ''}"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save(folder: Path, step: int, content: Mapping[str, Any]) -> None:
    """Make ``content`` the folder's checkpoint. Raises CannotWrite."""
    name = f"step-{step:08d}.pt"
    write_atomically(folder / name, lambda file: torch.save(dict(content), file))
    pointer = {"file": name, "sha256": file_digest(folder / name), "step": step}
    write_atomically(folder / POINTER, lambda file: _put(file, json.dumps(pointer)))
    for stale in [*folder.glob("step-*.pt"), *folder.glob("*.part")]:
        if stale.name != name:
            stale.unlink()


def load(folder: Path) -> dict[str, Any] | None:
    """The folder's checkpoint, or None if it has none. Raises BadInput when it is damaged."""
    pointer_path = folder / POINTER
    if not pointer_path.is_file():
        return None
    pointer = json.loads(pointer_path.read_text())
    path = folder / pointer["file"]
    if not path.is_file() or (found := file_digest(path)) != pointer["sha256"]:
        state = f"its sha256 is {found[:12]}…, expected {pointer['sha256'][:12]}…" if path.is_file() else "it is gone"
        raise BadInput(f"checkpoint {path} is damaged: {state}. Restore it, or start the run afresh with --again")
    return torch.load(path, map_location="cpu", weights_only=True)


def clear(folder: Path) -> None:
    """Remove the folder's checkpoint, pointer first, so that no pointer ever names a missing file."""
    for path in [folder / POINTER, *folder.glob("step-*.pt"), *folder.glob("*.part")]:
        path.unlink(missing_ok=True)


def save_weights(folder: Path, content: Mapping[str, Any]) -> tuple[Path, str]:
    """Write the finished weights with their sha256 beside them; returns path and digest. Raises CannotWrite."""
    path = folder / FINAL
    write_atomically(path, lambda file: torch.save(dict(content), file))
    digest = file_digest(path)
    write_atomically(path.with_name(path.name + ".sha256"), lambda file: _put(file, f"{digest}  {path.name}\n"))
    return path, digest


def _put(file: BinaryIO, text: str) -> None:
    file.write(text.encode())
