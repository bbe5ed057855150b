"""Pickles of plain data, read without letting them run anything.

A pickle is a program that may call any function it names. Here it can name numpy's arrays, types and numbers and the
plainest of Python's containers; anything else is refused by name before it is called. The sets that are published
as pickles (Human3.6M by MotionBERT's authors, 3DPW, object arrays in .npz files) need no more.

What is allowed is not left to a file's mercy either. numpy believes a pickled type whatever it says of itself, down to
which bytes are pointers: so types are made anew from their harmless parts and never changed, and an array is filled
once, with as many values as its shape has. A few bytes can ask again and again for a copy of something long, for a
range of all numbers, or for the hash of a tuple nested deeper than Python's stack: so what is made is charged against
the length of the file, and keys are plain. Python's own unpickler is used, not the one in C: what a file does to
objects already made (the opcode BUILD) can be told there, and one flipped bit does not make it ask for gigabytes. It
takes 5 seconds, not 1, for a training set of 1.5 million frames.
"""

from __future__ import annotations

import functools
import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from harness.data.textfile import mistaken_for
from harness.errors import BadInput

#: Name of a class in a pickle, and what stands in for it.
StandIns = Mapping[tuple[str, str], Any]

#: Bytes that may be made of a file's: text in place of bytes, and arrays of that, are copies …
_MADE_PER_BYTE = 4
#: … and what small files may make in any case.
_ALWAYS_MADE_BYTES = 16 << 20
_LONGEST_KEY = 16
_MOST_FIELDS = 256
_TYPE_NAME = re.compile(r"[<>|=]?[A-Za-z?]\d{0,9}")
_LATIN = ("latin1", "latin-1")

_number: Any = np.float64(0).__reduce__()[0]
_array_of_buffer: Any = np.zeros(0).__reduce_ex__(5)[0]


def _empty_array(*_: Any) -> np.ndarray[Any, Any]:
    """As arrays begin in a pickle; their state follows."""
    return np.zeros(0, dtype=np.int8)


def _array_of_bytes(content: Any, kind: Any, shape: Any, order: Any = "C") -> Any:
    _require(content, bytes, bytearray)
    _require(kind, np.dtype)
    _require_shape(shape)
    return _array_of_buffer(content, kind, shape, order)


def _scalar(kind: Any, content: Any) -> Any:
    _require(kind, np.dtype)
    _require(content, bytes, str)
    if kind.hasobject:
        raise ValueError("a number that is an object")
    return _number(kind, content)


def _type(name: Any, *_: Any) -> np.dtype[Any]:
    if not isinstance(name, str) or not _TYPE_NAME.fullmatch(name):
        raise ValueError("a type of another name than numpy gives one")
    # One of its own, so that it is known again among what the file has noted when its state comes.
    return np.dtype(name, copy=True)


def _encoded(text: Any, encoding: Any) -> bytes:
    """Bytes as protocols 0 to 2 have them."""
    _require(text, str)
    if encoding not in _LATIN:
        raise ValueError("an encoding that bytes are not pickled in")
    return text.encode("latin1")


def _bytes_of(kind: type[bytes] | type[bytearray], content: Any = b"", encoding: Any = "latin1") -> Any:
    """Never of a number, which would be a length."""
    _require(content, bytes, bytearray, str)
    return kind(_encoded(content, encoding) if isinstance(content, str) else content)


def _set_of(kind: type[set[Any]] | type[frozenset[Any]], members: Any = ()) -> Any:
    _require(members, list, tuple)
    _require_keys(members)
    return kind(members)


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    _require(pairs, list, tuple)
    _require_keys([key for key, _ in pairs])
    return OrderedDict(pairs)


def _require(value: Any, *kinds: type) -> None:
    if not isinstance(value, kinds):
        raise TypeError(f"{type(value).__name__} in place of {' or '.join(kind.__name__ for kind in kinds)}")


def _require_shape(shape: Any) -> None:
    _require(shape, tuple)
    if not all(isinstance(length, (int, np.integer)) and length >= 0 for length in shape):
        raise ValueError("a shape that is none")


def _require_keys(keys: Iterable[Any]) -> None:
    """Those of the published sets: text and numbers, or a few of them together."""
    for key in keys:
        plain = key if isinstance(key, tuple) and len(key) <= _LONGEST_KEY else (key,)
        if not all(_is_plain_key(part) for part in plain):
            raise ValueError(f"a key that is {type(key).__name__}, and no text, number or some of them")


def _is_plain_key(key: Any) -> bool:
    if isinstance(key, int):
        return key.bit_length() <= 64
    return key is None or isinstance(key, (str, bytes, float, complex, np.number, np.bool_))


def _type_of_state(kind: np.dtype[Any], state: Any) -> np.dtype[Any]:
    """The type that numpy itself makes of what a pickled state says of bytes' order, fields and shape."""
    _, order, subarray, names, fields, size = state[:6]
    if subarray is not None:
        element, shape = subarray
        _require(element, np.dtype)
        _require_shape(shape)
        rebuilt = np.dtype((element, shape))
    elif names is not None:
        if len(names) > _MOST_FIELDS:
            raise ValueError(f"a type of {len(names)} fields")
        formats, offsets = zip(*(fields[name][:2] for name in names), strict=True)
        for one, offset in zip(formats, offsets, strict=True):
            _require(one, np.dtype)
            _require(offset, int)
        rebuilt = np.dtype({"names": list(names), "formats": list(formats), "offsets": list(offsets), "itemsize": size})
    else:
        _require(order, str)
        rebuilt = kind.newbyteorder(order)
    if (kind.num, kind.itemsize) != (rebuilt.num, rebuilt.itemsize):
        raise ValueError(f"a type {kind} that is {rebuilt}")
    return rebuilt


def _fill(array: np.ndarray[Any, Any], state: Any) -> None:
    if array.size or array.base is not None:
        raise ValueError("an array that is filled twice")
    shape, kind, _, content = state[-4:]
    _require(kind, np.dtype)
    _require_shape(shape)
    count = math.prod(shape)
    # Of objects numpy makes room for as many as the shape says, and then takes those that are there.
    if len(content) != count * (1 if kind.hasobject else kind.itemsize) or (count > 1 and not kind.itemsize):
        raise ValueError(f"an array of {count} values and other contents")
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
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _array_of_bytes),
        )
    },
}
_PLAIN: Mapping[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encoded,
    ("collections", "OrderedDict"): _ordered,
    **{
        (module, name): maker
        for module in ("builtins", "__builtin__")
        for name, maker in (
            ("bytes", functools.partial(_bytes_of, bytes)),
            ("bytearray", functools.partial(_bytes_of, bytearray)),
            ("set", functools.partial(_set_of, set)),
            ("frozenset", functools.partial(_set_of, frozenset)),
            ("complex", complex),
            ("slice", slice),
            ("range", range),
        )
    },
    ("__builtin__", "xrange"): range,
}


class _Bounded:
    """A stream of ``length``, of which no more is asked than there is.

    Its lines end, so that a name cut short is not taken for another.
    """

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._read, self._readline, self._length = stream.read, stream.readline, length

    def read(self, size: int) -> bytes:
        # A stream makes room for what it is asked for before it looks what is left.
        return self._read(min(size, self._length))

    def readline(self) -> bytes:
        line = self._readline()
        if not line.endswith(b"\n"):
            raise EOFError("in the middle of a line")
        return line


class _PlainUnpickler(pickle._Unpickler):
    stack: list[Any]
    metastack: list[list[Any]]
    memo: dict[int, Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(self, stream: IO[bytes], length: int, where: str, stand_ins: StandIns) -> None:
        # latin1 is how Python 3 reads the bytes of arrays that Python 2 wrote.
        super().__init__(_Bounded(stream, length), encoding="latin1")
        self._left_bytes = _ALWAYS_MADE_BYTES + _MADE_PER_BYTE * length
        self._where, self._stand_ins = where, stand_ins
        self._inert = tuple(kind for kind in stand_ins.values() if isinstance(kind, type))

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._stand_ins:
            return self._stand_ins[module, name]
        for allowed in (_ARRAYS, _PLAIN):
            if (module, name) in allowed:
                maker = allowed[module, name]
                return self._charged(maker) if callable(maker) else maker
        raise BadInput(
            f"{self._where}: refused, since it names {module}.{name}: a pickle can run what it names, and this loader"
            " takes arrays, numbers, text, lists and dictionaries only. Nothing in it was run"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise BadInput(f"{self._where}: refused, since it refers to objects outside the file")

    def _charged(self, maker: Callable[..., Any]) -> Callable[..., Any]:
        """``maker``, whose work is counted however the file calls it."""

        def charged(*arguments: Any) -> Any:
            made = maker(*arguments)
            self._charge(made)
            return made

        return charged

    def _charge(self, made: Any) -> None:
        self._left_bytes -= _size(made)
        if self._left_bytes < 0:
            raise ValueError("far more is made than the file holds")

    def _build(self) -> None:
        made, state = self.stack[-2:]
        if isinstance(made, self._inert):
            super().load_build()  # type: ignore[misc]
            return
        if isinstance(made, np.dtype):
            self._require_numbers_or_text(made)
            self._put_in_place(made, _type_of_state(made, state))
        elif isinstance(made, np.ndarray):
            _fill(made, state)
            self._charge(made)
        else:
            raise ValueError(f"a state for {type(made).__name__}, which has none")
        self.stack.pop()

    def _require_numbers_or_text(self, kind: np.dtype[Any]) -> None:
        if kind.kind in "mM":
            raise BadInput(
                f"{self._where}: refused, since it holds {kind.type.__name__}: this loader takes arrays of numbers and"
                " text only. Where it was made, save times as numbers of seconds"
            )

    def _put_in_place(self, made: Any, rebuilt: Any) -> None:
        self.stack[-2] = rebuilt
        # What the file will call it by, noted shortly before: among millions of notes the last are looked at first.
        for key in reversed(self.memo):
            if self.memo[key] is made:
                self.memo[key] = rebuilt
                return

    def _set_one(self) -> None:
        self._set(self.stack[-3], [self.stack[-2]])
        super().load_setitem()  # type: ignore[misc]

    def _set_many(self) -> None:
        # The dictionary lies below the mark, at the end of the stack kept there.
        self._set(self.metastack[-1][-1], self.stack[::2])
        super().load_setitems()  # type: ignore[misc]

    def _set(self, target: Any, keys: list[Any]) -> None:
        _require(target, dict)
        _require_keys(keys)

    def _made_dictionary(self) -> None:
        _require_keys(self.stack[::2])
        super().load_dict()  # type: ignore[misc]

    def _made_frozenset(self) -> None:
        _require_keys(self.stack)
        super().load_frozenset()  # type: ignore[misc]

    def _add_many(self) -> None:
        _require(self.metastack[-1][-1], set)
        _require_keys(self.stack)
        super().load_additems()  # type: ignore[misc]

    def _append_bytearray(self) -> None:
        # What is there is read, not room made for what is said to be there.
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: _build,
        pickle.SETITEM[0]: _set_one,
        pickle.SETITEMS[0]: _set_many,
        pickle.DICT[0]: _made_dictionary,
        pickle.FROZENSET[0]: _made_frozenset,
        pickle.ADDITEMS[0]: _add_many,
        pickle.BYTEARRAY8[0]: _append_bytearray,
    }


def _size(made: Any) -> int:
    """Bytes that it takes, about."""
    if isinstance(made, (np.ndarray, np.generic)):
        return int(made.nbytes)
    if isinstance(made, (bytes, bytearray)):
        return len(made)
    return 8 * len(made) if isinstance(made, (set, frozenset, OrderedDict, range)) else 0


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
    start = stream.tell() - len(head)
    length = stream.seek(0, io.SEEK_END) - start
    stream.seek(start)
    try:
        return _PlainUnpickler(stream, length, where, stand_ins or {}).load()
    except (BadInput, OSError):
        raise
    except MemoryError as error:
        raise BadInput(f"{where}: does not fit into memory, or is damaged and only seems to be so large") from error
    except Exception as error:  # arbitrary bytes make the unpickler raise whatever they lead it to
        raise BadInput(
            f"{where}: is no pickle, or damaged or cut short ({type(error).__name__}: {str(error)[:200]}); copy or"
            " download it again"
        ) from error


def loads(content: bytes, where: str) -> Any:
    """The same from bytes."""
    return load(io.BytesIO(content), where)
