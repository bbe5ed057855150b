"""Pickles of plain data are read whatever wrote them; anything that could run is refused by name and does not."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import subprocess
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from harness.data import unpickle
from harness.errors import BadInput

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def plain() -> dict[str, Any]:
    """All that the published sets hold, and how it may be nested."""
    record = np.zeros(2, dtype=[("name", "U5"), ("place", "f4", (3,))])
    record["name"] = ["a", "ü"]
    return {
        "float32": np.arange(6, dtype=np.float32).reshape(3, 2),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(10)[::3],
        "big-endian": np.arange(3, dtype=">i4"),
        "bool": np.array([True, False]),
        "text": np.array(["s_09_act_02", "x"]),
        "bytes": np.array([b"ab", b""]),
        "empty": np.zeros((0, 17, 3)),
        "no dimension": np.array(3.5),
        "record": record,
        "one record": record[1],
        "scalars": [np.float64(2.5), np.float32(0.1), np.int64(-3), np.bool_(True), np.str_("ü"), np.bytes_(b"b")],
        "objects": np.array([{"poses": np.ones((2, 3))}, [1, 2.5, None], "x"], dtype=object),
        "numbers": [1, -(2**70), 2.5, 1j, True, None, float("inf")],
        "texts": ["", "S9/Walking 1.54138969", "Größe", b"\x00\xff", bytearray(b"ab")],
        "containers": ((), (1, (2, [3, {"deep": [{4}, frozenset({5})]}])), OrderedDict(a=1), slice(1), range(3)),
    }  # fmt: skip


def assert_equal(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        if not expected.dtype.hasobject:
            assert np.array_equal(found, expected)
            return
        for one, other in zip(found.flat, expected.flat, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_equal(found[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    else:
        assert found == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_of_every_protocol(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "set.pkl"
    path.write_bytes(pickle.dumps(plain(), protocol))
    # numpy turns arrays in foreign byte order into its own while it reads, hence not compared with plain().
    assert_equal(unpickle.read(path), pickle.loads(path.read_bytes()))
    assert list(unpickle.read(path)) == list(plain())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("core", ["core", "_core"])
def test_files_of_other_releases_of_numpy(protocol: int, core: str) -> None:
    """numpy 1 names its innards ``numpy.core``, numpy 2 ``numpy._core``; either is read by either, without a word."""

    class Named(pickle._Pickler):  # the one in Python alone lets the names be chosen
        dispatch: ClassVar[Any] = dict(pickle._Pickler.dispatch)

        def save_global(self, obj: Any, name: str | None = None) -> None:
            module = getattr(obj, "__module__", "") or ""
            if not module.startswith("numpy."):
                super().save_global(obj, name)
                return
            changed = module.replace("numpy._core.", f"numpy.{core}.").replace("numpy.core.", f"numpy.{core}.")
            if self.proto >= 4:
                self.save(changed)
                self.save(obj.__name__)
                self.write(pickle.STACK_GLOBAL)
            else:
                self.write(pickle.GLOBAL + f"{changed}\n{obj.__name__}\n".encode())
            self.memoize(obj)

        for maker in (np.zeros(0).__reduce__()[0], np.zeros(0).__reduce_ex__(5)[0]):
            dispatch[type(maker)] = save_global

    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.float32(2), "c": np.arange(9)[::2]}
    stream = io.BytesIO()
    Named(stream, protocol).dump(arrays)
    assert f"numpy.{core}.multiarray".encode() in stream.getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_equal(unpickle.loads(stream.getvalue(), "set.pkl"), arrays)


class Python2Array:
    """(2,) float64 as Python 2 wrote it: the contents as text, truth values as numbers."""

    def __reduce__(self) -> tuple[Any, ...]:
        kind = _Reduced(np.dtype, ("f8", 0, 1), (3, "<", None, None, None, -1, -1, 0))
        content = np.array([1.5, -2.0]).tobytes().decode("latin1")
        return (np.zeros(0).__reduce__()[0], (np.ndarray, (0,), "b"), (1, (2,), kind, 0, content))


class _Reduced:
    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


def test_what_python_2_wrote() -> None:
    # Its strings are bytes without a word on their encoding: opcodes that Python 3 no longer writes.
    text = b"U\x05S1 \xe9\x80"
    content = b"}q\x00(" + text + b"]q\x01(K\x01L2L\nI01\nI7\neu."
    assert unpickle.loads(content, "set.pkl") == {"S1 é\x80": [1, 2, True, 7]}
    assert unpickle.loads(b"(S'Walking 1'\np0\nF2.5\ntp1\n.", "set.pkl") == ("Walking 1", 2.5)
    array = unpickle.loads(pickle.dumps([Python2Array()], 2), "set.pkl")[0]
    assert np.array_equal(array, [1.5, -2.0])


class Bomb:
    """Its unpickling would call ``function``, which would make the file ``trace``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def bombs(trace: Path) -> dict[str, Bomb]:
    create = f"open({str(trace)!r}, 'w')"
    return {
        f"{os.name}.system": Bomb(os.system, f"touch {trace}"),
        "builtins.eval": Bomb(eval, create),
        "builtins.exec": Bomb(exec, create),
        "builtins.getattr": Bomb(getattr, "text", "join"),
        "builtins.open": Bomb(open, str(trace), "w"),
        "subprocess.Popen": Bomb(subprocess.Popen, [sys.executable, "-c", create]),
        "numpy.save": Bomb(np.save, str(trace), 1),
        "numpy.load": Bomb(np.load, str(trace)),
        "numpy.memmap": Bomb(np.memmap, str(trace), "u1", "w+", 0, (1,)),
        "numpy.frombuffer": Bomb(np.frombuffer, b"12"),
    }


#: Python 2 called it otherwise, and protocols 0 to 2 still do.
OLD_NAMES = {f"builtins.{name}": f"__builtin__.{name}" for name in ("eval", "exec", "getattr")} | {
    "builtins.open": "__builtin__.open",
    "subprocess.Popen": "commands.Popen",
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", list(bombs(Path("trace"))))
def test_foreign_functions_are_named_and_not_run(name: str, protocol: int, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "set.pkl"
    path.write_bytes(pickle.dumps({"good": np.zeros(2), "bad": bombs(trace)[name]}, protocol))
    with pytest.raises(BadInput, match=r"Nothing in it was run") as refused:
        unpickle.read(path)
    assert str(path) in str(refused.value)
    named = str(refused.value).partition("it names ")[2].partition(":")[0]
    assert named in (name, OLD_NAMES.get(name), "io.open", "_io.open")
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.",
        b"cnumpy\nndarray.tofile\n.",
        b"cnumpy.core.multiarray\nfromfile\n.",
        b"cnumpy._core.numeric\nfromfile\n.",
        b"c__builtin__\ngetattr\n.",
        b"(iposix\nsystem\n.",
        b"(cposix\nsystem\no.",
        b"ccopyreg\n_reconstructor\n.",
    ],
)
def test_names_beside_the_allowed_ones(content: bytes) -> None:
    with pytest.raises(BadInput, match="refused, since it names"):
        unpickle.loads(content, "set.pkl")


def _array(kind: Any, content: Any, shape: tuple[int, ...] = (2,)) -> _Reduced:
    """An array as pickled, of whatever is said to be its type and contents."""
    return _Reduced(np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, shape, kind, False, content))


def test_a_type_that_lies_about_pointers_is_taken_for_what_it_is() -> None:
    lying = _Reduced(np.dtype, ("V8", False, True), (3, "|", None, None, None, 8, 1, 63))
    found = unpickle.loads(pickle.dumps([_array(lying, bytes(16))], 2), "set.pkl")[0]
    assert found.dtype == np.dtype("V8")
    assert not found.dtype.hasobject


@pytest.mark.parametrize(
    "state",
    [
        (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0),  # pointers in the bytes that follow
        (3, "|", None, ("a",), {"a": (np.dtype("f8"), 4)}, 8, 1, 0),  # reaches beyond its end
        (3, "|", None, ("a",), {"a": (np.dtype("f8"), 0)}, 1 << 40, 1, 0),
        (3, "|", (np.dtype("f8"), (7,)), None, None, 8, 1, 0),
        (3, "?", None, None, None, 8, 1, 0),
        (1, "|", None),
        "text",
    ],
)
def test_a_type_that_cannot_be(state: Any) -> None:
    content = pickle.dumps([_array(_Reduced(np.dtype, ("V8", False, True), state), bytes(16))], 2)
    with pytest.raises(BadInput, match="is no pickle, or damaged"):
        unpickle.loads(content, "set.pkl")


def test_dates_are_not_taken_for_others() -> None:
    with pytest.raises(BadInput, match="refused, since it holds datetime64"):
        unpickle.loads(pickle.dumps(np.array(["2020"], dtype="M8[Y]"), 2), "set.pkl")


def test_an_array_is_filled_once() -> None:
    array = np.arange(3.0)
    again = pickle.dumps(array.__reduce__()[2], 2)[2:-1] + b"b."
    with pytest.raises(BadInput, match="an array that is filled twice"):
        unpickle.loads(pickle.dumps(array, 2)[:-1] + again, "set.pkl")


def test_contents_shorter_than_the_shape() -> None:
    with pytest.raises(BadInput, match="is no pickle, or damaged"):
        unpickle.loads(pickle.dumps(_array(np.dtype("f8"), bytes(15)), 2), "set.pkl")


def test_a_type_shared_by_arrays_and_its_byte_order() -> None:
    kind = np.dtype(">i2")
    content = pickle.dumps([kind, _array(kind, b"\x00\x01\x00\x02"), _array(kind, b"\x00\x03\x00\x04"), kind], 2)
    first, one, other, last = unpickle.loads(content, "set.pkl")
    assert first == last == kind
    assert one.tolist() == [1, 2]
    assert other.tolist() == [3, 4]
    assert np.dtype("i2").isnative


def test_types_of_a_file_that_does_not_note_them() -> None:
    """Such as pickletools.optimize makes it: a type not called by its number again has none."""
    kinds = [np.dtype("<i2"), np.dtype(">i2"), np.dtype("<i2")]
    content = pickle.dumps([*(_array(kind, b"\x00\x01\x00\x02") for kind in kinds), kinds[0]], 2)
    for form in (content, pickletools.optimize(content)):
        *arrays, last = unpickle.loads(form, "set.pkl")
        assert [array.tolist() for array in arrays] == [[256, 512], [1, 2], [256, 512]]
        assert last == kinds[0]


@pytest.mark.parametrize(
    "call",
    [
        Bomb(np.ndarray, (2,)),
        Bomb(np.zeros(0).__reduce_ex__(5)[0], np.zeros(4), np.dtype("f8"), (4,), "C"),
        Bomb(np.float64(0).__reduce__()[0], np.dtype("f8"), b"short"),
    ],
)
def test_allowed_names_do_nothing_else(call: Bomb) -> None:
    with pytest.raises(BadInput, match="is no pickle, or damaged"):
        unpickle.loads(pickle.dumps([call], 2), "set.pkl")


def test_functions_are_not_changed() -> None:
    for function in (b"c_codecs\nencode\n", b"cnumpy.core.numeric\n_frombuffer\n"):
        with pytest.raises(BadInput, match=r"a state for .*, which has none"):
            unpickle.loads(function + b"(N}S'__doc__'\nS'x'\nstb.", "set.pkl")


def test_objects_outside_the_file() -> None:
    for content in (b"P1\n.", b"K\x01Q."):
        with pytest.raises(BadInput, match=r"set.pkl: refused, since it refers to objects outside the file"):
            unpickle.loads(content, "set.pkl")


def test_extensions_and_buffers_that_are_not_there() -> None:
    for content in (b"\x80\x02\x82\x01.", b"\x80\x05\x97."):
        with pytest.raises(BadInput, match="is no pickle, or damaged"):
            unpickle.loads(content, "set.pkl")


class Foreign:
    def __init__(self) -> None:
        self.value = 3


class Inert:
    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def test_a_stand_in_takes_the_place_of_a_class(tmp_path: Path) -> None:
    path = tmp_path / "set.pkl"
    path.write_bytes(pickle.dumps([Foreign()], 4))
    with pytest.raises(BadInput, match=r"it names \S*test_unpickle.Foreign"):
        unpickle.read(path)
    found = unpickle.read(path, {(Foreign.__module__, "Foreign"): Inert})
    assert isinstance(found[0], Inert)
    assert found[0].state == {"value": 3}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_cut_anywhere(protocol: int, tmp_path: Path) -> None:
    whole = pickle.dumps({"a": np.arange(4.0), "b": ["text", 2.5, {3}], "c": np.float32(1)}, protocol)
    for length in range(len(whole)):
        with pytest.raises(BadInput, match=r"set\.pkl: .*(cut short|cut off)"):
            unpickle.loads(whole[:length], "set.pkl")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_flipped_bit_gives_something_or_is_refused_but_nothing_else(protocol: int) -> None:
    whole = pickle.dumps({"a": np.arange(4.0), "b": ["text", 2.5]}, protocol)
    refused = []
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 3
        try:
            unpickle.loads(bytes(damaged), "set.pkl")
        except BadInput as error:
            refused.append(str(error))
    assert len(refused) > len(whole) // 3
    assert all(message.startswith("set.pkl: ") for message in refused)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a pickle but empty; was the download or copy cut off"),
        (b"<!DOCTYPE html><html>not found", "is not a pickle but a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is not a pickle but a Git LFS pointer"),
        (b"PK\x03\x04rest", "is not a pickle but a zip archive"),
        (b"\x93NUMPY", "is not a pickle but a single .npy array"),
        (b"\xff\xfe\x00", "is no pickle, or damaged or cut short"),
    ],
)
def test_something_else_in_place_of_a_pickle(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "set.pkl"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message) as refused:
        unpickle.read(path)
    assert str(refused.value).startswith(str(path))


def test_a_length_beyond_all_memory(tmp_path: Path) -> None:
    path = tmp_path / "set.pkl"
    path.write_bytes(b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little") + b"abc")
    with pytest.raises(BadInput, match=r"set.pkl: is no pickle, or damaged or cut short"):
        unpickle.read(path)


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone.pkl: cannot be read \(No such file"):
        unpickle.read(tmp_path / "gone.pkl")
    with pytest.raises(BadInput, match="cannot be read"):
        unpickle.read(tmp_path)


def test_a_pickle_in_the_middle_of_a_stream() -> None:
    stream = io.BytesIO(b"header" + pickle.dumps([1, 2]))
    stream.seek(6)
    assert unpickle.load(stream, "set.npz, array 'x'") == [1, 2]
    stream = io.BytesIO(b"header<html>")
    stream.seek(6)
    with pytest.raises(BadInput, match=r"set.npz, array 'x': is not a pickle but a web page"):
        unpickle.load(stream, "set.npz, array 'x'")
