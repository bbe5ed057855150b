"""Archives in every state of disrepair; of pickles only plain data are read, and only where they are asked for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.archive import read_arrays, read_objects
from harness.errors import BadInput
from tests.harness.data.figures import save, standing


class Bomb:
    """Its unpickling would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "set.npz"
    save(path, {"S1/Walk/a": standing(30), "S2/Walk/b": standing(20)}, compressed=True)
    return path


def test_arrays_come_back_by_name_in_order(archive: Path) -> None:
    arrays = read_arrays(archive)
    assert list(arrays) == ["S1/Walk/a", "S2/Walk/b"]
    assert (arrays["S1/Walk/a"] == standing(30)).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive(archive: Path, share: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadInput, match=r"set.npz: .*(empty|damaged or cut short)"):
        read_arrays(archive)


def test_a_flipped_bit_is_found_or_harmless_wherever_it_is(archive: Path) -> None:
    content = archive.read_bytes()
    expected = read_arrays(archive)
    rng = np.random.default_rng(0)
    refused = 0
    for position in rng.integers(len(content), size=300):
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(rng.integers(8))
        archive.write_bytes(damaged)
        try:
            found = read_arrays(archive)
        except BadInput:
            refused += 1
        else:
            # Dates and attributes of the zip do not matter; an array changed or lost would.
            assert len(found) == len(expected)
            assert all((array == expected[name]).all() for name, array in found.items() if name in expected)
    assert refused > 200


def test_a_flipped_bit_in_the_data_names_the_array(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[200] ^= 4
    archive.write_bytes(content)
    with pytest.raises(BadInput, match=r"set.npz, array 'S1/Walk/a': is damaged"):
        read_arrays(archive)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>not found", b"\n<html>"])
def test_a_web_page(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"set.npz: is not an .npz but a web page"):
        read_arrays(path)


def test_a_single_npy(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, standing(2))
    path = tmp_path / "set.npz"
    path.write_bytes(stream.getvalue())
    with pytest.raises(BadInput, match=r"a single .npy array"):
        read_arrays(path)


def test_object_arrays_are_refused_and_nothing_runs(tmp_path: Path) -> None:
    path, trace = tmp_path / "set.npz", tmp_path / "trace"
    save(path, {"good": standing(2), "S1/Walk/a": np.array([Bomb(trace)], dtype=object)})
    with pytest.raises(BadInput, match=r"set.npz, array 'S1/Walk/a': holds Python objects \(a pickle\)"):
        read_arrays(path)
    assert not trace.exists()


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(BadInput, match="pickle"):
        read_arrays(path)


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(BadInput, match=r"array 'readme.txt': is not a whole .npy array"):
        read_arrays(path)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_arrays(tmp_path)


def published() -> dict[str, Any]:
    """As Human3.6M is spread: dictionaries of arrays, in an array without dimensions."""
    poses = np.random.default_rng(0).random((30, 32, 3), dtype=np.float32)
    return {"S1": {"Walking": poses, "Directions 1": poses[:7]}, "S9": {"Walking 1": [poses[..., :2]] * 4}}


@pytest.mark.parametrize("compressed", [False, True])
def test_objects_come_back_as_they_were_put_in(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "data_3d.npz"
    metadata = {"num_joints": 17, "keypoints_symmetry": [[4, 5, 6], [1, 2, 3]], "layout_name": "h36m"}
    save(path, {"positions_3d": published(), "metadata": metadata, "fps": 50, "plain": standing(3)}, compressed)
    found = read_objects(path)
    assert list(found) == ["positions_3d", "metadata", "fps", "plain"]
    assert found["metadata"] == metadata
    assert found["fps"] == 50
    assert (found["plain"] == standing(3)).all()
    for subject, takes in published().items():
        assert list(found["positions_3d"][subject]) == list(takes)
        for action, arrays in takes.items():
            again = found["positions_3d"][subject][action]
            assert all((one == other).all() for one, other in zip(again, arrays, strict=True))
    assert found["positions_3d"]["S1"]["Walking"].dtype == np.float32


def test_an_object_array_with_dimensions_stays_an_array(tmp_path: Path) -> None:
    listed = np.empty((2, 1), dtype=object)
    listed[:, 0] = [{"a": 1}, [2.5]]
    found = read_objects(save(tmp_path / "set.npz", {"listed": listed}))["listed"]
    assert (found.shape, found.tolist()) == ((2, 1), [[{"a": 1}], [[2.5]]])


def test_an_object_of_a_foreign_class_is_named_with_its_array(tmp_path: Path) -> None:
    path, trace = tmp_path / "set.npz", tmp_path / "trace"
    save(path, {"good": published(), "positions_3d": {"S1": Bomb(trace)}})
    with pytest.raises(BadInput, match=r"set.npz, array 'positions_3d': refused, since it names \S*open"):
        read_objects(path)
    assert not trace.exists()


def _npz_of(path: Path, content: bytes) -> Path:
    """One object array of whatever follows its header."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.npy", stream.getvalue() + content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a pickle but empty"),
        (b"\x80\x04K\x01", "is no pickle, or damaged or cut short"),
        (b"\x80\x04K\x01.", "is an object array that holds no array but int"),
    ],
)
def test_an_object_array_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    path = _npz_of(tmp_path / "set.npz", content)
    with pytest.raises(BadInput, match=rf"set.npz, array 'data': {message}"):
        read_objects(path)


def test_objects_of_a_cut_and_of_a_flipped_file(tmp_path: Path) -> None:
    path = save(tmp_path / "set.npz", {"positions_3d": published()}, compressed=True)
    content = path.read_bytes()
    for length in range(0, len(content), len(content) // 50):
        path.write_bytes(content[:length])
        with pytest.raises(BadInput, match=r"set.npz.*: .*(empty|damaged or cut short)"):
            read_objects(path)
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 16
    path.write_bytes(damaged)
    with pytest.raises(BadInput, match=r"set.npz, array 'positions_3d': is damaged or cut short"):
        read_objects(path)


def test_arrays_alone_are_read_as_before(archive: Path) -> None:
    found, expected = read_objects(archive), read_arrays(archive)
    assert all((found[name] == array).all() for name, array in expected.items())
    assert list(found) == list(expected)
