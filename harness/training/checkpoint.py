"""Checkpoints that survive a kill at any moment: written aside, synced, named by a pointer that is replaced last.

A folder holds ``checkpoint.json`` (file name, sha256, step) and the file it names. The pointer is replaced only after
the new file is on the disk, so that a reader always finds a whole pair; what an interrupted write left is swept away
by the next one. Reading checks the digest: neither torch nor the file system notices a flipped bit.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness import atomic_file, checkpoint_file, zip_members
from harness.checkpoint_file import file_digest
from harness.errors import BadInput

POINTER = "checkpoint.json"
FINAL = "weights.pt"
DIAGNOSIS = "diagnostic.pt"
_REMEDY = "Restore it, or start the run afresh with --again"


def save(folder: Path, step: int, content: Mapping[str, Any]) -> None:
    """Make ``content`` the folder's checkpoint. Raises CannotWrite."""
    name = f"step-{step:08d}.pt"
    atomic_file.write(folder / name, _bytes(content))
    pointer = {"file": name, "sha256": file_digest(folder / name), "step": step}
    atomic_file.write(folder / POINTER, json.dumps(pointer).encode())
    for stale in [*folder.glob("step-*.pt"), *folder.glob(f"*{atomic_file.PART}")]:
        if stale.name != name:
            stale.unlink()


def load(folder: Path) -> dict[str, Any] | None:
    """The folder's checkpoint, or None if it has none.

    Raises BadInput when it is damaged, not of this folder, or not as trainings save it.
    """
    pointer_path = folder / POINTER
    if not pointer_path.is_file():
        return None
    try:
        pointer = json.loads(pointer_path.read_text())
        name, wanted = pointer["file"], str(pointer["sha256"])
        path = folder / name
        is_there = path.is_file()  # some names no file can have
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise BadInput(f"checkpoint {pointer_path} is damaged: it names no file and sha256. {_REMEDY}") from error
    if zip_members.leads_out(name):
        raise BadInput(f"checkpoint {pointer_path} names {name[:200]}, which lies outside of its folder. {_REMEDY}")
    if not is_there or (found := file_digest(path)) != wanted:
        state = f"its sha256 is {found[:12]}…, expected {wanted[:12]}…" if is_there else "it is gone"
        raise BadInput(f"checkpoint {path} is damaged: {state}. {_REMEDY}")
    try:
        return checkpoint_file.read(path)
    except BadInput as error:
        raise BadInput(f"cannot go on from the checkpoint: {error}. {_REMEDY}") from error


def clear(folder: Path) -> None:
    """Remove the folder's checkpoint, pointer first, so that no pointer ever names a missing file."""
    for path in [folder / POINTER, *folder.glob("step-*.pt"), *folder.glob(f"*{atomic_file.PART}")]:
        path.unlink(missing_ok=True)


def save_weights(folder: Path, content: Mapping[str, Any]) -> tuple[Path, str]:
    """Write the finished weights with their sha256 beside them; returns path and digest. Raises CannotWrite."""
    path = folder / FINAL
    beside = path.with_name(path.name + ".sha256")
    # A kill in between leaves weights without a digest rather than beside that of the weights before them.
    beside.unlink(missing_ok=True)
    atomic_file.write(path, _bytes(content))
    digest = file_digest(path)
    atomic_file.write(beside, f"{digest}  {path.name}\n".encode())
    return path, digest


def save_diagnosis(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write what a failed step worked on, for whoever looks into it. Raises CannotWrite."""
    path = folder / DIAGNOSIS
    atomic_file.write(path, _bytes(content))
    return path


def _bytes(content: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    return buffer.getvalue()
