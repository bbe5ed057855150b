"""What published checkpoints hold beside tensors, read without running a line of the library that it came from.

The field's training scripts save numpy's numbers (the best error), its random states (VideoPose3D and what descends
from it) and now and then their command line. torch's restricted unpickler is given the classes below under the names
in the file: they keep what they are given and do nothing, but that numbers become Python's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Unread:
    """A foreign object as the file has it: its class or function, the arguments and the state, none of them used."""

    arguments: tuple[Any, ...]
    state: Any = None

    def __new__(cls, *arguments: Any) -> Any:
        unread = super().__new__(cls)
        unread.arguments = arguments
        return unread

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__}, not read>"


class _Number(Unread):
    """numpy's scalar as Python's number; what is no plain number stays unread."""

    def __new__(cls, *arguments: Any) -> Any:
        number = _number(*arguments) if len(arguments) == 2 else None
        return super().__new__(cls, *arguments) if number is None else number


class _Table(Unread):
    """A dictionary with a rule for absent keys, without the rule."""

    def __new__(cls, *arguments: Any) -> Any:
        return {}


_NUMBER_KINDS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


def _number(kind: Any, content: Any) -> bool | int | float | None:
    """The number that ``numpy.dtype`` as pickled and the bytes mean, or None."""
    name = kind.arguments[0] if isinstance(kind, Unread) and kind.arguments else None
    order = kind.state[1] if name in _NUMBER_KINDS and isinstance(kind.state, tuple) and len(kind.state) > 1 else "="
    if isinstance(content, str):  # the bytes of a file that Python 2 wrote, see harness.weights
        content = content.encode("latin1", "replace")
    if name not in _NUMBER_KINDS or order not in ("<", ">", "|", "=") or not isinstance(content, bytes):
        return None
    plain = np.dtype(order + name)
    return np.frombuffer(content, plain)[0].item() if len(content) == plain.itemsize else None


def _stand_in(full_name: str, base: type[Unread] = Unread) -> type[Unread]:
    """A class that answers to ``full_name`` in a pickle."""
    module, _, name = full_name.rpartition(".")
    # Named by these attributes and not by a tuple (class, name), which torch 2.5 does not take.
    return type(name, (base,), {"__module__": module, "__qualname__": name})


#: numpy 1 keeps its innards in numpy.core, numpy 2 in numpy._core.
_ARRAYS = (
    "numpy.dtype",
    "numpy.ndarray",
    *(
        f"numpy.{core}.{name}"
        for core in ("core", "_core")
        for name in ("multiarray._reconstruct", "numeric._frombuffer")
    ),
)
#: Up to numpy 1.16, from 1.17 on, and the classes that numpy 2 names beside.
_RANDOM_STATES = (
    "numpy.random.__RandomState_ctor",
    *(f"numpy.random._pickle.__{name}_ctor" for name in ("randomstate", "bit_generator", "generator")),
    "numpy.random._mt19937.MT19937",
    "numpy.random._pcg64.PCG64",
    "numpy.random._pcg64.PCG64DXSM",
    "numpy.random._philox.Philox",
    "numpy.random._sfc64.SFC64",
    "numpy.random.bit_generator.SeedSequence",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
)
_PLAIN = (
    "argparse.Namespace",
    *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")),
    *(f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "str", "tuple")),
)

#: For torch.serialization.safe_globals.
STAND_INS: list[Any] = [
    *map(_stand_in, (*_ARRAYS, *_RANDOM_STATES, *_PLAIN)),
    *(_stand_in(f"numpy.{core}.multiarray.scalar", _Number) for core in ("core", "_core")),
    _stand_in("collections.defaultdict", _Table),
]
