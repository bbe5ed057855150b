"""Archives of arrays: .npz of motion and of objects, single .npy, and traces."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from harness import npy_array
from harness.data.archive import read_arrays, read_objects
from harness.errors import BadInput
from harness.store import traces as trace_file
from harness.traces import ErrorCurve, Excerpt, Traces
from tests.fuzz.damage import damaged, damaged_zip, unzipped, zipped

_HEADER_VALUES = (
    "(1000000000000,)", "(-1,)", "(2, 3)", "()", "(True,)", "'<f4'", "'|O'", "'<f8'", "[('a', '<f8')]", "[('a', '|O')]",
    "'|V0'", "'<U0'", "'<M8[D]'", "{[]: 1}", "-" * 900, "(" * 90, "None", "1e400", "'\\ud800'", "'<f4', 'shape': (9,)",
)  # fmt: skip


def npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


NPY = npy(np.ones((4, 17, 3), np.float32))
_MEMBERS = {"S1/Walk/a.npy": NPY, "S2/Walk/b.npy": npy(np.arange(6))}
ARCHIVE = zipped(_MEMBERS)
_POSES = {"S1": {"Walking": np.ones((2, 17, 3), np.float32), "Walking 1": [np.zeros(3)] * 2}}
_OBJECTS = {"positions_3d.npy": npy(np.array(_POSES, dtype=object)), "fps.npy": npy(np.array(50))}
OBJECT_ARCHIVE = zipped(_OBJECTS)


def _saved_traces() -> bytes:
    curves = tuple(ErrorCurve(f"S1/{index}/c", f"S1/{index}", "Walk", 0.1, np.ones(5, "f4")) for index in range(2))
    poses = np.ones((3, 17, 3), np.float32)
    excerpt = Excerpt(curves[1].sequence, curves[1].take, "Walk", "worst", 0.5, 12.5, poses, poses)
    with tempfile.TemporaryDirectory() as folder:
        trace_file.save(Path(folder) / "t.npz", Traces(curves, (excerpt,)))
        return (Path(folder) / "t.npz").read_bytes()


TRACES = _saved_traces()


@st.composite
def _npy_of_any_header(draw: DrawFn) -> bytes:
    descr, order, shape = (draw(st.sampled_from(_HEADER_VALUES)) for _ in range(3))
    order = draw(st.sampled_from(("False", "True", order)))
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    version = draw(st.sampled_from((1, 1, 1, 2, 3, 4)))
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + draw(st.binary(max_size=64))


def npy_files() -> SearchStrategy[bytes]:
    return damaged(NPY) | _npy_of_any_header()


def archives() -> SearchStrategy[bytes]:
    return damaged_zip(_MEMBERS) | npy_files().map(lambda content: zipped({"S1/Walk/a.npy": content}))


def object_archives() -> SearchStrategy[bytes]:
    return damaged_zip(_OBJECTS)


def traces_files() -> SearchStrategy[bytes]:
    members = unzipped(TRACES)
    numbers = {
        name: [npy(np.array(value)) for value in ([-1], [2**62], [0, 9], [9, 0], [np.nan], [], 0.0, "x", [["a"]])]
        for name in members
    }
    others = st.sampled_from([{**members, name: other} for name in members for other in numbers[name]])
    return damaged_zip(members) | others.map(zipped)


def read_npz(content: bytes, folder: Path) -> None:
    for array in _quietly(read_arrays, folder / "set.npz", content).values():
        assert array.nbytes <= len(content)
        assert not array.dtype.hasobject


def read_npz_of_objects(content: bytes, folder: Path) -> None:
    _quietly(read_objects, folder / "set.npz", content)


def read_npy(content: bytes, folder: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = npy_array.parse(content)
    except ValueError as error:
        raise BadInput(str(error)) from error
    assert array.nbytes <= len(content)


def read_traces(content: bytes, folder: Path) -> None:
    found = _quietly(trace_file.load, folder / "traces.npz", content)
    sequences = {curve.sequence for curve in found.curves}
    for excerpt in found.excerpts:
        assert excerpt.sequence in sequences
        assert excerpt.truth_mm.shape == excerpt.prediction_mm.shape == (len(excerpt.truth_mm), 17, 3)
        assert np.isfinite(excerpt.fps)


def _quietly(read: Any, path: Path, content: bytes) -> Any:
    """What numpy and Python say of odd headers is no error."""
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(path)
