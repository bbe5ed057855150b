"""Converted once, opened as it was, whatever happens to the files, the store and the process in between."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import array_store
from harness.data.camera import Camera
from harness.data.sequence import Dataset, Sequence, digest
from harness.errors import BadInput

CAMERAS = (
    Camera("54138969", 1000, 1002, (1145.0, 1143.8), (512.5, 515.5), (-0.2, 0.24, -0.002), (-0.0009, -0.0016)),
    Camera("handy", 1080, 1920, (1961.0, 1969.0), (540.0, 960.0), position_mm=(1.0, 2.5, -3.0)),
)


def sequence(name: str, frames: int, seed: int, **given: Any) -> Sequence:
    rng = np.random.default_rng(seed)
    subject, action, _, _ = name.split("/")
    return Sequence(
        name=name,
        subject=subject,
        action=action,
        take=name.rpartition("/")[0],
        camera=CAMERAS[seed % 2],
        fps=(50.0, 29.97)[seed % 2],
        keypoints=rng.normal(500, 100, (frames, 17, 2)).astype(np.float32),
        confidence=rng.random((frames, 17), dtype=np.float32),
        **{"truth": rng.normal(0, 500, (frames, 17, 3)).astype(np.float32), **given},
    )


def dataset() -> Dataset:
    """Sequences that differ in all they may: truth and its place, frames that count, cameras, lengths."""
    return Dataset(
        "made up",
        "gt",
        train=(
            sequence("S1/Gehen und Stehen/1/54138969", 7, 0),
            sequence("S1/Größe/1/handy", 5, 1, mm_per_pixel=np.linspace(3, 4, 5)),
            sequence("S2/Walk/1/54138969", 0, 2),
        ),
        test=(sequence("S3/Walk/1/handy", 4, 3, valid=np.array([True, False, False, True])),),
        notes=("a note — with a dash",),
        joints=(1, 2, 3),
        joints_name="3",
        grouped_by="scene",
    )


class Source:
    """Files that a set is made of, and how often that was done."""

    def __init__(self, folder: Path, make: Callable[[], Dataset] = dataset) -> None:
        self.folder, self.make, self.made = folder, make, 0
        folder.mkdir(parents=True, exist_ok=True)
        self.files = [folder / "joints 3d.pkl", folder / "punkte-ü.npz"]
        for number, path in enumerate(self.files):
            path.write_bytes(bytes([number]) * 1000)

    def __call__(self) -> Dataset:
        self.made += 1
        return self.make()

    def open(self, name: str = "set", version: int = 1, cache: Path | None = None) -> Dataset:
        return array_store.stored(self.files, name, self, version=version, cache=cache)

    @property
    def stores(self) -> list[Path]:
        return sorted((self.folder / array_store.FOLDER).glob("*"))


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "data")


@pytest.fixture(autouse=True)
def _only_expected_warnings() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def fail(*_: Any, **__: Any) -> Any:
    raise PermissionError(13, "Permission denied")


def assert_same(found: Dataset, expected: Dataset) -> None:
    for field in dataclasses.fields(Dataset):
        if field.name not in ("train", "test"):
            assert getattr(found, field.name) == getattr(expected, field.name), field.name
    for part in ("train", "test"):
        for one, other in zip(getattr(found, part), getattr(expected, part), strict=True):
            for field in dataclasses.fields(Sequence):
                is_so, should_be = getattr(one, field.name), getattr(other, field.name)
                if isinstance(should_be, np.ndarray):
                    assert (is_so.dtype, is_so.shape) == (should_be.dtype, should_be.shape)
                    assert np.array_equal(is_so, should_be)
                else:
                    assert type(is_so) is type(should_be)
                    assert is_so == should_be


@contextlib.contextmanager
def said(*expected: str) -> Iterator[None]:
    """Exactly these warnings, each by a part of it, in this order."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = [str(one.message) for one in caught]
    assert len(texts) == len(expected), texts
    for text, part in zip(texts, expected, strict=True):
        assert re.search(part, text), text


def test_every_field_comes_back_as_it_was(source: Source) -> None:
    assert_same(source.open(), dataset())
    assert_same(source.open(), dataset())
    assert source.made == 1


def test_float64_truth_keeps_its_last_digit(tmp_path: Path) -> None:
    truth = np.full((3, 17, 3), 1 / 3)
    source = Source(tmp_path / "d", lambda: Dataset("x", "gt", (sequence("S1/W/1/c", 3, 0, truth=truth),), ()))
    assert source.open().train[0].truth.dtype == np.float64
    assert (source.open().train[0].truth == truth).all()


def test_arrays_in_fortran_order_strides_and_foreign_byte_order(tmp_path: Path) -> None:
    truth = np.arange(2 * 6 * 17 * 3, dtype=">f4").reshape(12, 17, 3)[::2]
    one = dataclasses.replace(
        sequence("S1/W/1/c", 6, 0, truth=truth), keypoints=np.asfortranarray(np.arange(204.0).reshape(6, 17, 2))
    )
    source = Source(tmp_path / "d", lambda: Dataset("x", "gt", (one,), ()))
    found = source.open().train[0]
    assert np.array_equal(found.truth, truth)
    assert np.array_equal(found.keypoints, one.keypoints)


def test_numbers_of_numpy_in_cameras_and_frame_rates(tmp_path: Path) -> None:
    camera = Camera("c", np.int64(1000), np.int32(1002), (np.float32(0.1), np.float64(3)), (1, 2))  # type: ignore[arg-type]
    one = dataclasses.replace(sequence("S1/W/1/c", 2, 0), camera=camera, fps=np.float32(25))
    source = Source(tmp_path / "d", lambda: Dataset("x", "gt", (one,), ()))
    assert source.open().train[0].camera == camera
    assert source.open().train[0].fps == 25


def test_the_arrays_are_mapped_and_cannot_be_written_to(source: Source) -> None:
    source.open()
    found = source.open()
    assert array_store.find(found) == source.stores[0]
    assert array_store.find(dataset()) is None
    with pytest.raises(ValueError, match="read-only"):
        found.train[0].truth[0] = 0


def test_a_map_of_another_file_is_no_store(tmp_path: Path) -> None:
    np.save(tmp_path / "truth.npy", np.zeros((2, 17, 3), dtype=np.float32))
    truth = np.load(tmp_path / "truth.npy", mmap_mode="r")
    assert array_store.find(Dataset("x", "gt", (sequence("S1/W/1/c", 2, 0, truth=truth),), ())) is None


def test_a_touched_file_is_read_once_more_and_never_again(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    digest_of = array_store._file_digest
    monkeypatch.setattr(array_store, "_file_digest", lambda files: read.append(list(files)) or digest_of(read[-1]))
    source.open()
    read.clear()
    source.open()
    assert read == []
    os.utime(source.files[1], ns=(1, 1))
    assert_same(source.open(), dataset())
    assert read == [source.files]
    assert_same(source.open(), dataset())
    assert read == [source.files]
    assert source.made == 1


def test_files_moved_with_their_store_are_not_converted_again(source: Source, tmp_path: Path) -> None:
    source.open()
    moved = Source(tmp_path / "elsewhere")
    shutil.rmtree(moved.folder)
    shutil.move(source.folder, moved.folder)
    moved.open()
    assert moved.made == 0


@pytest.mark.parametrize("keep_time", [True, False])
def test_a_changed_file_is_converted_anew(source: Source, keep_time: bool) -> None:
    source.open()
    times = source.files[0].stat()
    source.files[0].write_bytes(b"\x05" * (1001 if keep_time else 1000))
    if keep_time:
        os.utime(source.files[0], ns=(times.st_atime_ns, times.st_mtime_ns))
    source.open()
    source.open()
    assert source.made == 2


def test_another_name_or_version_is_another_store(source: Source) -> None:
    for name, version in (("set", 1), ("set-b", 1), ("set", 2), ("[set]*", 1), ("Saß mit Leerzeichen", 1)):
        for _ in range(2):
            source.open(name, version)
    assert source.made == 5
    assert len(source.stores) == 5


def test_a_file_that_is_not_there_is_named(source: Source) -> None:
    source.files[1].unlink()
    with pytest.raises(BadInput, match=r"punkte-ü.npz: cannot be read \(No such file"):
        source.open()


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    source = Source(tmp_path / "d")
    source.files = [Path(os.fsdecode(os.fsencode(source.folder) + b"/\xff.pkl"))]
    source.files[0].write_bytes(b"x")
    source.open()
    source.open()
    assert source.made == 1


def test_files_that_change_while_they_are_read(source: Source) -> None:
    def make() -> Dataset:
        source.files[0].write_bytes(b"more and more")
        return dataset()

    source.make = make
    with pytest.raises(BadInput, match="the files changed while they were read"):
        source.open()
    assert source.stores == []


@pytest.mark.parametrize("field", ["confidence", "truth", "mm_per_pixel", "valid"])
def test_arrays_of_unlike_lengths_are_not_stored(tmp_path: Path, field: str) -> None:
    whole = sequence("S9/Walk/1/c", 9, 0, mm_per_pixel=np.ones(9), valid=np.ones(9, dtype=bool))
    broken = dataclasses.replace(whole, **{field: getattr(whole, field)[1:]})
    source = Source(tmp_path / "d", lambda: Dataset("x", "gt", (whole,), (broken,)))
    with pytest.raises(BadInput, match=rf"S9/Walk/1/c: 9 frames of keypoints, but {field} has shape \(8"):
        source.open()
    assert source.stores == []


class Killed(BaseException):
    """As little of the process goes on as after a signal."""


def test_a_kill_before_the_renaming_leaves_no_store(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(array_store, "_put_in_place", killed)
        patched.setattr(array_store.shutil, "rmtree", killed)
        with pytest.raises(Killed):
            source.open()
    left = next(path for path in source.stores if path.name.endswith(".partial"))
    assert source.stores == [left]
    assert (left / array_store.MANIFEST).exists()
    assert_same(source.open(), dataset())
    assert source.made == 2
    assert left.exists()


def test_what_a_killed_process_left_is_removed_later(source: Source) -> None:
    source.open()
    place = source.folder / array_store.FOLDER
    for name, age_s in (("old", 7 * 3600), ("new", 60)):
        partial = place / f"set-{name}.0123.partial"
        partial.mkdir()
        (partial / "truth.npy").write_bytes(b"half")
        then = partial.stat().st_mtime - age_s
        os.utime(partial, (then, then))
    source.open(version=2)
    assert [path.name for path in place.glob("*.partial")] == ["set-new.0123.partial"]


@pytest.mark.parametrize("kept", [0, 10, 500])
@pytest.mark.parametrize("field", ["keypoints", "confidence", "truth", "mm_per_pixel", "valid"])
def test_a_cut_array_is_made_anew_and_said(source: Source, field: str, kept: int) -> None:
    source.open()
    path = source.stores[0] / f"{field}.npy"
    path.write_bytes(path.read_bytes()[: min(kept, path.stat().st_size - 1)])
    with said(rf"are damaged \({field}.npy has \d+ bytes of \d+\) and made anew"):
        assert_same(source.open(), dataset())
    assert source.made == 2
    source.open()
    assert source.made == 2


def _spoil(store: Path, how: str) -> None:
    manifest = json.loads((store / array_store.MANIFEST).read_text())
    if how == "header":
        content = bytearray((store / "truth.npy").read_bytes())
        content[0] ^= 255
        (store / "truth.npy").write_bytes(content)
    elif how == "gone":
        (store / "truth.npy").unlink()
    elif how == "no manifest":
        (store / array_store.MANIFEST).unlink()
    elif how == "empty manifest":
        (store / array_store.MANIFEST).write_bytes(b"")
    elif how == "a list":
        (store / array_store.MANIFEST).write_text("[]")
    elif how == "edited":
        manifest["sequences"][0][2] = "S4"
        (store / array_store.MANIFEST).write_text(json.dumps(manifest))
    elif how == "no seal":
        del manifest["seal"]
        (store / array_store.MANIFEST).write_text(json.dumps(manifest))


SPOILT = ("header", "gone", "no manifest", "empty manifest", "a list", "edited", "no seal")


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("touched", [True, False])
def test_a_damaged_store_is_made_anew_and_said(source: Source, how: str, touched: bool) -> None:
    source.open()
    _spoil(source.stores[0], how)
    if touched:
        os.utime(source.files[0], ns=(1, 1))
    with said("are damaged"):
        assert_same(source.open(), dataset())
    assert source.made == 2
    assert_same(source.open(), dataset())
    assert source.made == 2


@pytest.mark.parametrize("how", SPOILT)
def test_a_damaged_store_that_cannot_be_removed_does_not_stand_in_the_way(
    source: Source, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.open()
    _spoil(source.stores[0], how)
    monkeypatch.setattr(array_store.shutil, "rmtree", lambda *_, **__: None)
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = source.open(cache=tmp_path / "cache")
        assert_same(found, dataset())
        assert array_store.find(found) == next((tmp_path / "cache" / "data").glob("set-*"))
    assert source.made == 2


def test_a_store_that_may_not_be_read_is_not_deleted(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.open()
    store = source.stores[0]
    monkeypatch.setattr(array_store.np, "load", fail)
    with said(*[r"cannot be read \(Permission denied\)"] * 3, "cannot be kept", "in memory"):
        assert_same(source.open(), dataset())
    assert (store / "truth.npy").exists()


def test_verify_names_what_changed(source: Source) -> None:
    source.open()
    store = source.stores[0]
    assert array_store.verify(store) == []
    content = bytearray((store / "truth.npy").read_bytes())
    content[-1] ^= 1
    (store / "truth.npy").write_bytes(content)
    (store / "valid.npy").unlink()
    found = array_store.verify(store)
    assert [sentence.split(" has changed")[0] for sentence in found] == [
        str(store / "truth.npy"),
        str(store / "valid.npy"),
    ]
    _spoil(store, "edited")
    assert "manifest.json is damaged" in array_store.verify(store)[0]


def _read_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Nothing can be made below it (a root user may write anywhere, hence not by rights)."""
    make_folder = Path.mkdir
    monkeypatch.setattr(
        Path, "mkdir", lambda path, *a, **k: fail() if folder in path.parents else make_folder(path, *a, **k)
    )


def test_beside_read_only_files_the_cache_is_used(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _read_only(monkeypatch, source.folder)
    with said(r"cannot be kept in .*\.harness \(Permission denied\)"):
        first = source.open(cache=tmp_path / "cache")
    assert array_store.find(first) == next((tmp_path / "cache" / "data").glob("set-*"))
    assert_same(source.open(cache=tmp_path / "cache"), dataset())
    assert source.made == 1


def test_without_a_place_the_set_stays_in_memory(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    _read_only(monkeypatch, source.folder)
    with said("cannot be kept", "converted at every start and held in memory"):
        found = source.open()
    assert array_store.find(found) is None
    assert_same(found, dataset())


def test_a_full_disk_leaves_nothing_behind(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(array_store.os, "fsync", full)
    with said("No space left on device", "held in memory"):
        assert_same(source.open(), dataset())
    assert source.stores == []


def test_a_cache_tells_folders_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the same names, sizes and times, such as unpacked archives have, but other contents."""
    first = Source(tmp_path / "data" / "a")
    second = Source(tmp_path / "data" / "b", lambda: dataclasses.replace(dataset(), name="other"))
    _read_only(monkeypatch, tmp_path / "data")
    second.files[0].write_bytes(b"\x07" * 1000)
    for path in (*first.files, *second.files):
        os.utime(path, ns=(0, 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first.open(cache=tmp_path / "cache")
        found = second.open(cache=tmp_path / "cache")
    assert (second.made, found.name) == (1, "other")


def test_a_store_that_cannot_note_the_new_times_is_still_used(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.open()
    os.utime(source.files[0], ns=(1, 1))
    monkeypatch.setattr(array_store, "_write_manifest", fail)
    with said("the files are read through at every start"):
        assert_same(source.open(), dataset())
    assert source.made == 1


def test_two_that_convert_at_once_both_get_the_set(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=10)
    put_in_place = array_store._put_in_place

    def both_at_once(partial: Path, store: Path) -> Path:
        together.wait()
        return put_in_place(partial, store)

    monkeypatch.setattr(array_store, "_put_in_place", both_at_once)
    found: list[Dataset] = []
    threads = [threading.Thread(target=lambda: found.append(source.open())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.made == 2
    assert len(found) == 2
    for one in found:
        assert_same(one, dataset())
    assert len(source.stores) == 1


def test_leftovers_where_the_store_should_be_are_replaced(source: Source) -> None:
    source.open()
    store = source.stores[0]
    shutil.rmtree(store)
    store.mkdir()
    (store / "truth.npy").write_bytes(b"half")
    with said("are damaged"):
        assert_same(source.open(), dataset())
    assert_same(source.open(), dataset())
    assert source.made == 2


def test_the_digest_is_that_of_the_set_itself(tmp_path: Path) -> None:
    parts = [sequence("S1/W/1/c", 7, 0), sequence("S1/W/2/c", 5, 2, valid=np.ones(5, dtype=bool))]
    source = Source(tmp_path / "d", lambda: Dataset("x", "gt", tuple(parts), ()))
    assert digest(source.open().train) == digest(parts)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep")])
def test_a_store_is_kept_where_this_process_has_no_room(
    error: Exception, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.open()
    with monkeypatch.context() as patched:
        patched.setattr(array_store, "_map", raising(error))
        with warnings.catch_warnings(record=True) as said_of_it:
            warnings.simplefilter("always")
            assert_same(source.open(), dataset())
    assert f"cannot be opened by this process ({type(error).__name__}" in str(said_of_it[0].message)
    assert len(source.stores) == 1
    assert_same(source.open(), dataset())
    assert source.made == 2


def raising(error: BaseException) -> Callable[..., Any]:
    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


def touched(source: Source) -> Path:
    """The source's store, whose manifest is written anew when it is opened next."""
    source.open()
    os.utime(source.files[0], ns=(1, 1))
    return source.stores[0]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_manifest_that_cannot_be_written_leaves_nothing(
    error: BaseException, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = touched(source)
    monkeypatch.setattr(array_store.os, "fsync", raising(error))
    with contextlib.suppress(KeyboardInterrupt), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.open()
    assert list(store.glob("*.partial")) == []


def test_what_a_start_that_was_killed_left_beside_the_manifest_goes(source: Source) -> None:
    store = touched(source)
    left = store / "manifest.json.0123.partial"
    left.write_text("half")
    os.utime(left, ns=(0, 0))
    assert_same(source.open(), dataset())
    assert source.made == 1
    assert not left.exists()
