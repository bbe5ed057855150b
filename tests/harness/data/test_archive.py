"""Archives in every state of disrepair; pickles are refused unread."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data.archive import read_arrays
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
