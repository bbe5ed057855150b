"""Arrays out of an .npz file, without ever running anything that it holds.

The zip members are read and their checksums verified before a byte of them is interpreted, so that a damaged file
is told apart from a wrong one, and no room is made for what is only said to be there. Object arrays, which are
pickles, are read only by ``read_objects`` and only as far as ``harness.data.unpickle`` allows.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import npy_array, zip_members
from harness.data import unpickle
from harness.data.textfile import mistaken_for
from harness.errors import BadInput

#: What reading a zip raises where its bytes are not what they should be: from ValueError on for a flipped header.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of ``path`` by name, in the file's order.

    Raises BadInput naming the file, and the array where it is one's fault: not there, not an .npz, damaged or cut
    short, unpacking to far more than it is (see ``harness.zip_members``), or holding Python objects.
    """
    return _read(path, objects=False)


def read_objects(path: Path) -> dict[str, Any]:
    """The same for a file that may hold object arrays; one without dimensions is given as the object itself.

    Raises BadInput as well for an object of a foreign class, naming it; nothing in the file is run.
    """
    return {
        name: array.item() if array.dtype.hasobject and array.ndim == 0 else array
        for name, array in _read(path, objects=True).items()
    }


def _read(path: Path, objects: bool) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    name = ""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in zip_members.listed(archive, path.stat().st_size, str(path)):
                name = member.filename.removesuffix(".npy")
                arrays[name] = _array(zip_members.read(archive, member), f"{path}, array {name!r}", objects)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error
    except _UNREADABLE as error:
        at = f", array {name!r}" if name else ""
        raise BadInput(f"{path}{at}: {_why_unreadable(path)} ({error})") from error
    return arrays


def _array(content: bytes, where: str, objects: bool) -> NDArray[Any]:
    stream = io.BytesIO(content)
    try:
        _, dtype = npy_array.read_header(stream)
        if dtype.hasobject and objects:
            return _object_array(unpickle.load(stream, where), where)
        if dtype.hasobject:
            raise BadInput(
                f"{where}: holds Python objects (a pickle), which could run code and are refused; nothing in it was"
                " run. Save it again as plain float32 arrays, one a clip"
            )
        return npy_array.parse(content)
    except ValueError as error:
        raise BadInput(f"{where}: is not a whole .npy array ({error})") from error


def _object_array(unpickled: Any, where: str) -> NDArray[Any]:
    if not isinstance(unpickled, np.ndarray):
        raise BadInput(f"{where}: is an object array that holds no array but {type(unpickled).__name__}")
    return unpickled


def _why_unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(64)
    mistaken = mistaken_for(head)
    if mistaken and not head.startswith(b"PK"):
        return f"is not an .npz but {mistaken}"
    if head.startswith(b"PK"):
        return "is damaged or cut short; copy or download it again"
    return "is not an .npz archive"
