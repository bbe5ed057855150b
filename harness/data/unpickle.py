"""Pickles of plain data, read without letting them run anything.

A pickle is a program that may call any function it names. Here it can name numpy's arrays, types and numbers and the
plainest of Python's containers; anything else is refused by name before it is called. The sets that are published
as pickles (Human3.6M by MotionBERT's authors, 3DPW, object arrays in .npz files) need no more.
"""

from __future__ import annotations

import codecs
import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from harness.data.textfile import mistaken_for
from harness.errors import BadInput

#: The functions that arrays and numbers of numpy are pickled by, of the numpy that is running: a file may name those of
#: another release, which has them in another module.
_MAKERS = {
    ("multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numeric", "_frombuffer"): np.zeros(0).__reduce_ex__(5)[0],
}
#: numpy 1 keeps its innards in numpy.core, numpy 2 in numpy._core.
_ARRAYS: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{
        (f"numpy.{core}.{module}", name): maker
        for core in ("core", "_core")
        for (module, name), maker in _MAKERS.items()
    },
}
_PLAIN: Mapping[tuple[str, str], Any] = {
    ("_codecs", "encode"): codecs.encode,
    ("collections", "OrderedDict"): OrderedDict,
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (bytearray, complex, frozenset, set, slice, range, bytes)
    },
}
#: Name of a class in a pickle, and what stands in for it.
StandIns = Mapping[tuple[str, str], Any]


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes], where: str, stand_ins: StandIns) -> None:
        # latin1 is how Python 3 reads the bytes of arrays that Python 2 wrote.
        super().__init__(stream, encoding="latin1")
        self._where, self._stand_ins = where, stand_ins

    def find_class(self, module: str, name: str) -> Any:
        for allowed in (self._stand_ins, _ARRAYS, _PLAIN):
            if (module, name) in allowed:
                return allowed[module, name]
        raise BadInput(
            f"{self._where}: refused, since it names {module}.{name}: a pickle can run what it names, and this loader"
            " takes arrays, numbers, text, lists and dictionaries only. Nothing in it was run"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise BadInput(f"{self._where}: refused, since it refers to objects outside the file ({pid!r})")


def read(path: Path, stand_ins: StandIns | None = None) -> Any:
    """What the pickle at ``path`` holds: arrays, numbers, text and containers of them.

    ``stand_ins`` are inert classes to be used for others that the file may name. Raises BadInput naming the file, and
    the class where it is a foreign one; also for a file that is not there, no pickle, damaged or cut short.
    """
    try:
        with path.open("rb") as stream:
            return load(stream, str(path), stand_ins)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error


def load(stream: IO[bytes], where: str, stand_ins: StandIns | None = None) -> Any:
    """The same from an open stream; ``where`` names it in messages."""
    start = stream.tell()
    try:
        return _PlainUnpickler(stream, where, stand_ins or {}).load()
    except (BadInput, OSError):
        raise
    except MemoryError as error:
        raise BadInput(f"{where}: does not fit into memory, or is damaged and only seems to be so large") from error
    except Exception as error:  # arbitrary bytes make the unpickler raise whatever they lead it to
        stream.seek(start)
        raise BadInput(f"{where}: {_why_unreadable(stream.read(64), error)}") from error


def _why_unreadable(head: bytes, error: Exception) -> str:
    mistaken = "" if head.startswith(b"\x80") else mistaken_for(head)
    if mistaken:
        return f"is not a pickle but {mistaken}"
    return f"is no pickle, or damaged or cut short ({type(error).__name__}: {error}); copy or download it again"


def loads(content: bytes, where: str) -> Any:
    """The same from bytes."""
    return load(io.BytesIO(content), where)
