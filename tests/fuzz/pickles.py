"""Pickles: damaged ones, and programs put together of what an unpickler understands."""

from __future__ import annotations

import pickle
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from harness.data import unpickle
from tests.fuzz.damage import damaged

_WHOLE = {
    "poses": {"S1": [np.ones((2, 17, 3), np.float32), np.arange(4)[::2]]},
    "names": np.array(["S1", "S9"]),
    "mixed": np.array([{"a": 1}, None, "x"], dtype=object),
    "number": np.float64(2.5),
    "plain": [1, 2.5, "text", b"bytes", bytearray(b"ab"), {3}, frozenset({4}), OrderedDict(a=1), range(3), 1j, None],
}

#: One of each protocol.
PICKLES = [pickle.dumps(_WHOLE, protocol) for protocol in range(6)]

_NAMES = (
    "builtins bytearray", "builtins bytes", "builtins set", "builtins frozenset", "builtins range", "builtins slice",
    "builtins complex", "__builtin__ xrange", "_codecs encode", "collections OrderedDict", "numpy dtype",
    "numpy ndarray", "numpy.core.multiarray _reconstruct", "numpy._core.multiarray scalar",
    "numpy._core.numeric _frombuffer",
    "os system", "builtins eval",
)  # fmt: skip
#: Whole steps of a program, so that most of what is made of them does something.
_STEPS = (
    *(pickle.GLOBAL + name.replace(" ", "\n").encode() + b"\n" for name in _NAMES),
    *(getattr(pickle, name) for name in (
        "MARK", "POP", "POP_MARK", "DUP", "NONE", "NEWTRUE", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET",
        "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "LIST", "DICT", "REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "OBJ",
        "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "FROZENSET", "MEMOIZE", "STACK_GLOBAL", "BINPERSID",
        "NEXT_BUFFER", "READONLY_BUFFER",
    )),
    pickle.BININT + (1 << 30).to_bytes(4, "little"), pickle.BININT1 + b"\x03", pickle.BININT + b"\xff" * 4,
    pickle.LONG1 + b"\x09" + b"\x00" * 8 + b"\x01", pickle.BINFLOAT + b"\x7f\xf8" + bytes(6),
    pickle.SHORT_BINUNICODE + b"\x02f8", pickle.SHORT_BINUNICODE + b"\x01O", pickle.SHORT_BINUNICODE + b"\x03hex",
    pickle.SHORT_BINUNICODE + b"\x06latin1", pickle.SHORT_BINUNICODE + b"\x01<", pickle.SHORT_BINUNICODE + b"\x02V0",
    pickle.SHORT_BINBYTES + b"\x08" + bytes(8), pickle.SHORT_BINBYTES + b"\x00", pickle.BINGET + b"\x00",
    pickle.BINGET + b"\x01", pickle.BYTEARRAY8 + (1 << 50).to_bytes(8, "little"),
    pickle.BINUNICODE8 + (1 << 50).to_bytes(8, "little"), pickle.FRAME + (1 << 50).to_bytes(8, "little"),
    pickle.LONG_BINPUT + b"\xff\xff\xff\x7f",
)  # fmt: skip


def pickles() -> SearchStrategy[bytes]:
    programs = st.lists(st.sampled_from(_STEPS), max_size=40).map(lambda steps: b"\x80\x04" + b"".join(steps) + b".")
    whole = st.sampled_from(PICKLES)
    return programs | whole.flatmap(damaged) | st.binary(max_size=64).map(lambda content: b"\x80\x04" + content)


def read_pickle(content: bytes, folder: Path) -> None:
    (folder / "set.pkl").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unpickle.read(folder / "set.pkl")
