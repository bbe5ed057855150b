"""Arrays that are dear to make and depend on nothing but a key: made once, kept in a file, checked when read.

A file is an uncompressed .npz with a sha256 over its arrays in it. It is written beside its final name and renamed,
so that a kill leaves the old file or the new one, never a part.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.archive import read_arrays
from harness.errors import BadInput

Arrays = Mapping[str, NDArray[Any]]

_SEAL = "sha256"
_PARTIAL = ".partial"
#: A partial file older than this belongs to a process that was killed, not to one that is writing.
_ABANDONED_S = 3600.0


def remember(folder: Path | None, key: str, make: Callable[[], Arrays]) -> Arrays:
    """``make()``, or what it returned when ``key`` was last asked for in ``folder`` (None: no cache).

    ``key`` must change whenever the result would. A damaged file is made anew, and a file that cannot be written
    is done without; both are said in a warning.
    """
    if folder is None:
        return make()
    path = folder / f"{key}.npz"
    if path.exists():
        try:
            return _unsealed(path)
        except BadInput as error:
            warnings.warn(f"cache file damaged and made anew: {error}", stacklevel=2)
    arrays = make()
    try:
        _write(path, arrays)
    except OSError as error:
        warnings.warn(f"cache file {path} cannot be written ({error.strerror}); going on without", stacklevel=2)
    return arrays


def _seal(arrays: Arrays) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        total.update(array.data)
    return total.hexdigest()


def _unsealed(path: Path) -> Arrays:
    arrays = read_arrays(path)
    sealed = arrays.pop(_SEAL, None)
    if sealed is None or str(sealed) != _seal(arrays):
        raise BadInput(f"{path}: the sha256 in it is not that of its arrays")
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent)
    sealed: dict[str, Any] = {**arrays, _SEAL: np.array(_seal(arrays))}
    partial = path.with_name(f"{path.stem}.{secrets.token_hex(4)}{_PARTIAL}")
    try:
        with partial.open("xb") as file:
            np.savez(file, **sealed)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _remove_abandoned(folder: Path) -> None:
    for partial in folder.glob(f"*{_PARTIAL}"):
        # Another process may be clearing up as well.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - partial.stat().st_mtime > _ABANDONED_S:
                partial.unlink()
