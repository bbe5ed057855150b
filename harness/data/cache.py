"""Arrays that are dear to make and depend on nothing but a key: made once, kept in a file, checked when read.

A file is an uncompressed .npz with a sha256 over its arrays in it. It is written beside its final name and renamed,
so that a kill leaves the old file or the new one, never a part.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import partial
from harness.data.archive import read_arrays
from harness.errors import BadInput

Arrays = Mapping[str, NDArray[Any]]

_SEAL = "sha256"
#: A partial file older than this is of a process that was killed, on whichever machine.
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
    partial.remove_abandoned(path.parent, _ABANDONED_S)
    sealed: dict[str, Any] = {**arrays, _SEAL: np.array(_seal(arrays))}
    written = path.with_name(partial.name(path.stem))
    try:
        with written.open("xb") as file:
            np.savez(file, **sealed)
            file.flush()
            os.fsync(file.fileno())
        os.replace(written, path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
