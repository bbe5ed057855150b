"""Pickles of plain data, read without letting them run anything.

A pickle is a program that may call any function it names. Here it can name numpy's arrays, types and numbers and the
plainest of Python's containers; anything else is refused by name before it is called. The sets that are published
as pickles (Human3.6M by MotionBERT's authors, 3DPW, object arrays in .npz files) need no more.

What is allowed is not left to a file's mercy either. numpy believes a pickled type whatever it says of itself, down to
which bytes are pointers: so types are made anew from their harmless parts and never changed, and an array is filled
once. Python's own unpickler is used, not the one in C: what a file does to objects already made (the opcode BUILD) can
be told there, and one flipped bit does not make it ask for gigabytes. It takes 5 seconds, not 1, for a training set of
1.5 million frames.
"""

from __future__ import annotations

import codecs
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from harness.data.textfile import mistaken_for
from harness.errors import BadInput

#: Name of a class in a pickle, and what stands in for it.
StandIns = Mapping[tuple[str, str], Any]

_number: Any = np.float64(0).__reduce__()[0]
_array_of_buffer: Any = np.zeros(0).__reduce_ex__(5)[0]


def _empty_array(*_: Any) -> np.ndarray[Any, Any]:
    """As arrays begin in a pickle; their state follows."""
    return np.zeros(0, dtype=np.int8)


def _array_of_bytes(content: Any, *form: Any) -> Any:
    if not isinstance(content, (bytes, bytearray)):
        raise TypeError(f"an array of {type(content).__name__}")
    return _array_of_buffer(content, *form)


def _type(name: str, *_: Any) -> np.dtype[Any]:
    # One of its own, so that it is known again among what the file has noted when its state comes.
    return np.dtype(str(name), copy=True)


def _type_of_state(kind: np.dtype[Any], state: Any) -> np.dtype[Any]:
    """The type that numpy itself makes of what a pickled state says of bytes' order, fields and shape."""
    _, order, subarray, names, fields, size = state[:6]
    if subarray is not None:
        rebuilt = np.dtype(subarray)
    elif names is not None:
        formats, offsets = zip(*(fields[name][:2] for name in names), strict=True)
        rebuilt = np.dtype({"names": list(names), "formats": list(formats), "offsets": list(offsets), "itemsize": size})
    else:
        rebuilt = kind.newbyteorder(order)
    if (kind.num, kind.itemsize) != (rebuilt.num, rebuilt.itemsize) or kind.kind in "mM":
        raise ValueError(f"a type {kind} that is {rebuilt}")
    return rebuilt


def _fill(array: np.ndarray[Any, Any], state: Any) -> None:
    if array.size or array.base is not None:
        raise ValueError("an array that is filled twice")
    array.__setstate__(state)


#: numpy 1 keeps its innards in numpy.core, numpy 2 in numpy._core; either's files are read by either.
_ARRAYS: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "numpy.ndarray",  # an argument of the maker only
    ("numpy", "dtype"): _type,
    **{
        (f"numpy.{core}.{module}", name): maker
        for core in ("core", "_core")
        for module, name, maker in (
            ("multiarray", "_reconstruct", _empty_array),
            ("multiarray", "scalar", _number),
            ("numeric", "_frombuffer", _array_of_bytes),
        )
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
    ("__builtin__", "xrange"): range,
}


class _WholeLines:
    """A stream whose lines end, so that a name cut short is not taken for another."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.read, self._readline = stream.read, stream.readline

    def readline(self) -> bytes:
        line = self._readline()
        if not line.endswith(b"\n"):
            raise EOFError("in the middle of a line")
        return line


class _PlainUnpickler(pickle._Unpickler):
    stack: list[Any]
    memo: dict[int, Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(self, stream: IO[bytes], where: str, stand_ins: StandIns) -> None:
        # latin1 is how Python 3 reads the bytes of arrays that Python 2 wrote.
        super().__init__(_WholeLines(stream), encoding="latin1")
        self._where, self._stand_ins = where, stand_ins
        self._inert = tuple(kind for kind in stand_ins.values() if isinstance(kind, type))

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

    def _build(self) -> None:
        made, state = self.stack[-2:]
        if isinstance(made, self._inert):
            super().load_build()  # type: ignore[misc]
            return
        if isinstance(made, np.dtype):
            self._put_in_place(made, _type_of_state(made, state))
        elif isinstance(made, np.ndarray):
            _fill(made, state)
        else:
            raise ValueError(f"a state for {type(made).__name__}, which has none")
        self.stack.pop()

    def _put_in_place(self, made: Any, rebuilt: Any) -> None:
        self.stack[-2] = rebuilt
        # What the file will call it by, noted shortly before: among millions of notes the last are looked at first.
        for key in reversed(self.memo):
            if self.memo[key] is made:
                self.memo[key] = rebuilt
                return

    def _append_bytearray(self) -> None:
        # What is there is read, not room made for what is said to be there.
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: _build,
        pickle.BYTEARRAY8[0]: _append_bytearray,
    }


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
    head = stream.read(64)
    if not head.startswith(pickle.PROTO) and (mistaken := mistaken_for(head)):
        raise BadInput(f"{where}: is not a pickle but {mistaken}")
    stream.seek(-len(head), io.SEEK_CUR)
    try:
        return _PlainUnpickler(stream, where, stand_ins or {}).load()
    except (BadInput, OSError):
        raise
    except MemoryError as error:
        raise BadInput(f"{where}: does not fit into memory, or is damaged and only seems to be so large") from error
    except Exception as error:  # arbitrary bytes make the unpickler raise whatever they lead it to
        raise BadInput(
            f"{where}: is no pickle, or damaged or cut short ({type(error).__name__}: {error}); copy or download it"
            " again"
        ) from error


def loads(content: bytes, where: str) -> Any:
    """The same from bytes."""
    return load(io.BytesIO(content), where)
