"""MPI-INF-3DHP from files in its published layout: every value, every part missing, every corruption named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import Dataset, Sequence, array_store, load, mpi_inf_3dhp
from harness.data.mpi_inf_3dhp_published import TEST_VALID_FRAMES, TRAIN_CAMERAS, TRAIN_RECORDINGS, differences
from harness.data.source import detectors, published_protocol
from harness.errors import BadInput
from tests.harness.data.figures import shared_motion
from tests.harness.data.mpi_inf_3dhp_files import (
    OUTDOOR_LENS,
    STUDIO_LENS,
    TEST_FILE,
    TRAIN_FILE,
    VALID,
    scored_recordings,
    shown,
    train_recordings,
    view,
    walk,
    walk_mm,
    write,
    write_all,
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny files; tests read them only."""
    return write_all(tmp_path_factory.mktemp("3dhp"))


def loaded(path: Path) -> Any:
    return load(f"3dhp:{path}")


def test_every_sequence_is_named_and_described(published: Path) -> None:
    dataset = loaded(published)
    assert [(s.name, s.subject, s.action, s.take, s.fps) for s in (*dataset.train, *dataset.test)] == [
        ("S1/green screen/Seq1/cam0", "S1", "green screen", "S1/green screen/Seq1", 25.0),
        ("S1/green screen/Seq1/cam4", "S1", "green screen", "S1/green screen/Seq1", 25.0),
        ("S3/green screen/Seq2/cam0", "S3", "green screen", "S3/green screen/Seq2", 50.0),
        ("TS1/green screen/1/cam", "TS1", "green screen", "TS1/green screen/1", 25.0),
        ("TS5/outdoor/1/cam", "TS5", "outdoor", "TS5/outdoor/1", 25.0),
    ]
    assert (dataset.name, dataset.detector, dataset.grouped_by, dataset.space) == ("3dhp", "gt", "scene", "camera")
    assert dataset.joints == tuple(range(17))
    assert detectors(f"3dhp:{published}") == ("gt",)
    assert published_protocol(f"3dhp:{published}") == "3dhp"


def test_every_value_of_every_sequence(published: Path) -> None:
    dataset = loaded(published)
    walks = [(40, 0.0), (40, 3.0), (30, 7.0), (30, 11.0), (30, 13.0)]
    for sequence, (frames, start) in zip((*dataset.train, *dataset.test), walks, strict=True):
        poses_mm = walk_mm(frames, start)
        lens = OUTDOOR_LENS if sequence.subject == "TS5" else STUDIO_LENS
        np.testing.assert_array_equal(sequence.poses_mm, poses_mm.astype(np.float32))
        np.testing.assert_array_equal(sequence.keypoints, shown(poses_mm, lens).astype(np.float32))
        np.testing.assert_array_equal(sequence.confidence, np.ones((frames, 17), dtype=np.float32))


def test_test_sequences_alone_have_a_mask(published: Path) -> None:
    dataset = loaded(published)
    assert all(sequence.valid is None for sequence in dataset.train)
    for sequence in dataset.test:
        np.testing.assert_array_equal(sequence.valid, VALID)
        assert sequence.valid.dtype == bool


def test_cameras_are_told_from_the_joints(published: Path) -> None:
    dataset = loaded(published)
    studio, outdoor = dataset.train[0].camera, dataset.test[1].camera
    np.testing.assert_allclose([studio.focal, studio.centre], STUDIO_LENS, rtol=1e-4)
    np.testing.assert_allclose([outdoor.focal, outdoor.centre], OUTDOOR_LENS, rtol=1e-4)
    assert (studio.width, studio.height) == (2048, 2048)
    assert (outdoor.width, outdoor.height) == (1920, 1080)
    assert not any("assumed" in note for note in dataset.notes)


def test_scenes_and_image_sizes_of_all_six(tmp_path: Path) -> None:
    recordings = {f"TS{number}": {**walk(30, number), "valid": VALID} for number in (6, 5, 4, 3, 2, 1)}
    write(tmp_path / TEST_FILE, recordings)
    studio, outdoor = (2048, 2048), (1920, 1080)
    assert [(s.subject, s.action, (s.camera.width, s.camera.height)) for s in loaded(tmp_path).test] == [
        ("TS1", "green screen", studio), ("TS2", "green screen", studio),
        ("TS3", "no green screen", studio), ("TS4", "no green screen", studio),
        ("TS5", "outdoor", outdoor), ("TS6", "outdoor", outdoor),
    ]  # fmt: skip


def test_one_of_the_files_names_the_folder(published: Path) -> None:
    names = [sequence.name for sequence in loaded(published).train]
    for name in (TRAIN_FILE, TEST_FILE):
        assert [sequence.name for sequence in loaded(published / name).train] == names


def test_the_second_load_reads_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = loaded(write_all(tmp_path))
    monkeypatch.setattr(mpi_inf_3dhp, "read_objects", lambda path: pytest.fail(f"{path} is read again"))
    second = loaded(tmp_path)
    assert array_store.find(second) is not None
    assert second.notes == first.notes
    for one, other in zip((*first.train, *first.test), (*second.train, *second.test), strict=True):
        assert (one.name, one.camera, one.fps) == (other.name, other.camera, other.fps)
        np.testing.assert_array_equal(one.truth, other.truth)


def test_a_file_added_later_is_seen(tmp_path: Path) -> None:
    write(tmp_path / TEST_FILE, scored_recordings())
    assert not loaded(tmp_path).train
    write(tmp_path / TRAIN_FILE, train_recordings())
    assert len(loaded(tmp_path).train) == 3


@pytest.mark.parametrize("absent", [TRAIN_FILE, TEST_FILE])
def test_one_file_alone_is_its_part(tmp_path: Path, absent: str) -> None:
    (write_all(tmp_path) / absent).unlink()
    dataset = loaded(tmp_path)
    assert bool(dataset.train) == (absent == TEST_FILE)
    assert bool(dataset.test) == (absent == TRAIN_FILE)
    assert [note for note in dataset.notes if f"no {absent} beside" in note and "github.com/paTRICK-swk/P-STMO" in note]


def test_what_is_not_as_published_is_noted(published: Path) -> None:
    dataset = loaded(published)
    (note,) = [note for note in dataset.notes if note.startswith("not as published: ")]
    assert "S1 Seq1 lacks camera 1, 2, 5, 6, 7, 8 and has 40 frames at 25 fps, published are 6416 at 25;" in note
    assert "S1 Seq2 is missing;" in note
    assert "TS1 has 17 valid frames, published are 603; TS2 is missing;" in note
    assert any("universal skeleton" in note for note in dataset.notes)
    assert differences(dataset)[0].startswith("S1 Seq1 lacks")


def test_a_whole_set_has_no_differences(published: Path) -> None:
    dataset = loaded(published)
    names = [(recording, camera) for recording in TRAIN_RECORDINGS for camera in TRAIN_CAMERAS]
    train = tuple(recorded(dataset.train[0], recording, camera) for recording, camera in names)
    test = tuple(scored(dataset.test[0], name, valid) for name, valid in TEST_VALID_FRAMES.items())
    whole = Dataset("3dhp", "gt", train, test)
    assert len(train) == 128
    assert sum(frames for frames, _ in TRAIN_RECORDINGS.values()) == 131_592
    fast = {recording for recording, (_, fps) in TRAIN_RECORDINGS.items() if fps == 50}
    assert fast == {"S1 Seq2", "S3 Seq1", "S3 Seq2", "S5 Seq1", "S5 Seq2"}
    assert sum(TEST_VALID_FRAMES.values()) == 2929
    assert differences(whole) == []


def recorded(sequence: Sequence, recording: str, camera: str) -> Sequence:
    frames, fps = TRAIN_RECORDINGS[recording]
    fields = vars(sequence.at(np.zeros(frames, dtype=int)))
    named = {"take": "/green screen/".join(recording.split()), "fps": fps}
    return Sequence(**{**fields, **named, "camera": type(sequence.camera)(f"cam{camera}", 1, 1, (1, 1), (0, 0))})


def scored(sequence: Sequence, subject: str, valid: int) -> Sequence:
    mask = np.arange(700) < valid
    return Sequence(**{**vars(sequence.at(np.zeros(700, dtype=int))), "subject": subject, "valid": mask})


def test_a_camera_that_fits_nothing_is_assumed_and_said_to_be(tmp_path: Path) -> None:
    recordings = scored_recordings()
    recordings["TS5"]["data_2d"] = np.random.default_rng(0).uniform(0, 1000, (30, 17, 2))
    write(tmp_path / TEST_FILE, recordings)
    dataset = loaded(tmp_path)
    camera = dataset.test[1].camera
    assert camera.focal == (1500 * 1920 / 2048, 1500 * 1920 / 2048)
    assert camera.centre == (960.0, 540.0)
    (note,) = [note for note in dataset.notes if "assumed" in note]
    assert "TS5/outdoor/1/cam (2D and 3D" in note
    assert "px apart)" in note
    assert "TS1" not in note


def test_frames_that_are_not_valid_bend_neither_camera_nor_body(tmp_path: Path) -> None:
    recordings = scored_recordings()
    recordings["TS1"]["data_2d"][~VALID] = 0.0
    recordings["TS1"]["data_3d"][~VALID] = 0.0
    write(tmp_path / TEST_FILE, recordings)
    camera = loaded(tmp_path).test[0].camera
    np.testing.assert_allclose([camera.focal, camera.centre], STUDIO_LENS, rtol=1e-4)


Corruption = Callable[[Any, Any], Any]


def put(*path: Any) -> Corruption:
    """Puts the last of ``path`` into the place that those before it lead to, in the training file."""
    *places, value = path
    return lambda train, test: set_in(train, places, value)


def put_in_test(*path: Any) -> Corruption:
    *places, value = path
    return lambda train, test: set_in(test, places, value)


def set_in(container: Any, places: list[Any], value: Any) -> None:
    for place in places[:-1]:
        container = container[place]
    container[places[-1]] = value(container[places[-1]]) if callable(value) else value


def with_nan(array: Any) -> Any:
    array[12, 4, 1] = np.nan
    return array


class Foreign:
    """A class that no file of the set names."""


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (put("S1 Seq1", lambda pair: pair[0]),
         r"data_train_3dhp.npz, 'S1 Seq1': is dict; expected the list \[cameras, frames per second\]"),
        (put("S1 Seq1", 1, 30), r"'S1 Seq1': 30 frames per second; the set has 25 or 50"),
        (put("S1 Seq1", 1, "25"), r"'S1 Seq1': '25' frames per second"),
        (put("S1 Seq1", 0, {}), r"'S1 Seq1', cameras: is empty; expected a dictionary by camera: 0, 1, 2, 4"),
        (put("S1 Seq1", 0, "3", {}), r"'S1 Seq1', cameras: unknown camera '3'. .*There are: '0', '1', '2', '4'"),
        (put("S9 Seq1", []), r"data: unknown recording 'S9 Seq1'. Did you mean: .*There are: 'S1 Seq1'"),
        (put_in_test("TS7", {}), r"data_test_3dhp.npz, data: unknown recording 'TS7'"),
        (put("S1 Seq1", 0, "4", "data_3d", lambda poses: poses[:-1]),
         r"'S1 Seq1', camera '4': 'data_2d' has 40 frames, 'data_3d' 39"),
        (put_in_test("TS5", "valid", VALID[1:]), r"'TS5': 'data_2d' has 30 frames, 'valid' 29"),
        (put("S1 Seq1", 0, "4", "data_2d", np.ones((40, 28, 2))),
         r"camera '4', data_2d: has 28 joints; expected the 17 .* numbers 7, 5, 14, .* of the set's 28 .*: 0 head top"),
        (put("S1 Seq1", 0, "4", "data_3d", lambda poses: poses[..., :2]),
         r"data_3d: has shape \(40, 17, 2\); expected \(frames, 17, 3\)"),
        (put_in_test("TS5", "data_2d", lambda keypoints: keypoints[:, None]),
         r"'TS5', data_2d: has shape \(30, 1, 17, 2\); expected \(frames, 17, 2\)"),
        (put("S1 Seq1", 0, "4", "data_3d", np.ones((0, 17, 3))), r"data_3d: has no frame"),
        (put("S1 Seq1", 0, "4", "data_2d", with_nan), r"camera '4', data_2d: nan at frame 12 .* 4 \(right wrist\)"),
        (put_in_test("TS5", "data_3d", with_nan), r"'TS5', data_3d: nan at frame 12 .*joint 4 \(right wrist\)"),
        (put("S1 Seq1", 0, "4", {"data_3d": 0}),
         r"camera '4': has no 'data_2d'. Did you mean: data_3d\? It has: data_3d"),
        (put_in_test("TS1", lambda entry: {key: entry[key] for key in ("data_2d", "data_3d")}),
         r"'TS1': has no 'valid'. .*It has: data_2d, data_3d"),
        (put_in_test("TS1", "valid", VALID * 2), r"'TS1', valid: 2 at frame 4"),
        (put_in_test("TS1", "data_3d", lambda poses: poses / 1000), r"'TS1', data_3d: .* so these are metres"),
        (put("S1 Seq1", 0, "4", "data_2d", lambda keypoints: keypoints / 1024 - 1),
         r"camera '4', data_2d: reaches .* expected pixels"),
        (put("S1 Seq1", 0, "4", Foreign()), r"data_train_3dhp.npz, array 'data': refused, since it names .*Foreign"),
    ],
)  # fmt: skip
def test_corruptions_are_named(tmp_path: Path, corrupt: Corruption, message: str) -> None:
    train, test = train_recordings(), scored_recordings()
    corrupt(train, test)
    write(tmp_path / TRAIN_FILE, train)
    write(tmp_path / TEST_FILE, test)
    with pytest.raises(BadInput, match=message):
        loaded(tmp_path)
    assert not list(tmp_path.glob(".harness/*"))


def test_another_key(tmp_path: Path) -> None:
    write(tmp_path / TEST_FILE, scored_recordings(), key="positions")
    with pytest.raises(BadInput, match=r"data_test_3dhp.npz: has no 'data'. It has: positions"):
        loaded(tmp_path)


def test_a_plain_array(tmp_path: Path) -> None:
    np.savez(tmp_path / TEST_FILE, data=np.ones(3))
    with pytest.raises(
        BadInput, match=r"data_test_3dhp.npz, data: is ndarray; expected a dictionary by recording: TS1"
    ):
        loaded(tmp_path)


def test_a_file_cut_short(tmp_path: Path) -> None:
    path = write_all(tmp_path) / TRAIN_FILE
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BadInput, match=r"data_train_3dhp.npz.* is damaged or cut short"):
        loaded(tmp_path)


def test_a_folder_with_neither_file(tmp_path: Path) -> None:
    message = r"neither data_train_3dhp.npz nor data_test_3dhp.npz is in this folder. .*github.com/paTRICK-swk/P-STMO"
    with pytest.raises(BadInput, match=message):
        loaded(tmp_path)


def test_files_one_level_below(tmp_path: Path) -> None:
    (tmp_path / "motion3d").mkdir()
    write_all(tmp_path / "motion3d")
    with pytest.raises(BadInput, match=r"one level below; give 3dhp:.*motion3d$"):
        loaded(tmp_path)


@pytest.mark.parametrize("argument", ["", "nowhere", "nowhere/data_test_3dhp.npz"])
def test_a_path_that_is_not_there(argument: str) -> None:
    with pytest.raises(BadInput, match=rf"^3dhp:{argument}: no such file or folder. Expected a folder with data_train"):
        load(f"3dhp:{argument}")


def test_another_file(published: Path, tmp_path: Path) -> None:
    shutil.copy(published / TEST_FILE, tmp_path / "copy.npz")
    with pytest.raises(BadInput, match=r"copy.npz: is none of the set's files"):
        loaded(tmp_path / "copy.npz")


def test_real_motion_there_and_back(tmp_path: Path) -> None:
    motion = load(f"motion:{shared_motion()}", detector="gt").test[::30]
    entries = {f"TS{number}": one for number, one in enumerate(motion[:6], start=1)}
    views = {name: view(one.poses_mm, one.keypoints) for name, one in entries.items()}
    write(
        tmp_path / TEST_FILE,
        {name: {**entry, "valid": np.ones(len(entry["data_2d"]))} for name, entry in views.items()},
    )
    dataset = loaded(tmp_path)
    assert len(dataset.test) == 6
    for sequence in dataset.test:
        original = entries[sequence.subject]
        np.testing.assert_array_equal(sequence.poses_mm, original.poses_mm)
        np.testing.assert_array_equal(sequence.keypoints, original.keypoints)
        # These cameras' lenses distort, so that no pinhole camera is theirs to the pixel.
        np.testing.assert_allclose(sequence.camera.focal, original.camera.focal, rtol=0.05)
    assert not any("assumed" in note for note in dataset.notes)
