"""``motion:PATH`` on sets made here, on the real one, and on every kind of wrong file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import motion
from harness.data.sequence import Dataset
from harness.data.take import Take
from harness.errors import BadInput
from tests.harness.data.figures import asf_text, bvh_text, save, shared_motion, standing

Array = NDArray[Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "own_train.npz", {"A/Walk/1": standing(30), "B/Run/1": standing(20, 1.05)})
    save(tmp_path / "own_test.npz", {"C/Walk/1": standing(10, 0.9)})
    (tmp_path / "motion.json").write_text('{"fps": 50}')
    return tmp_path


def parts(takes: list[Take]) -> dict[str, list[str]]:
    return {part: sorted(take.name for take in takes if take.part == part) for part in ("train", "test")}


def load(path: Path | str) -> Dataset:
    return motion.load(str(path), detector="gt", seed=0, cache=None)


def test_a_folder_parted_by_file_name(folder: Path) -> None:
    takes, notes = motion.takes_at(folder)
    assert parts(takes) == {"train": ["A/Walk/1", "B/Run/1"], "test": ["C/Walk/1"]}
    first = next(take for take in takes if take.name == "A/Walk/1")
    assert first.joints_mm == pytest.approx(1000 * standing(30), abs=1e-3)
    assert first.fps == 50
    assert notes == []


def test_the_folder_becomes_sequences(folder: Path) -> None:
    dataset = load(folder)
    assert (dataset.name, dataset.detector, len(dataset.train), len(dataset.test)) == ("motion", "gt", 8, 4)


def test_subfolders_are_not_looked_at_where_archives_lie_above(folder: Path) -> None:
    (folder / "originals").mkdir()
    (folder / "originals/broken.bvh").write_text("not a BVH file")
    assert len(motion.takes_at(folder)[0]) == 3


def test_other_archives_beside_are_left_out_and_named(folder: Path) -> None:
    save(folder / "extra.npz", {"D/Walk/1": standing(5)})
    takes, notes = motion.takes_at(folder)
    assert len(takes) == 3
    assert notes == ["not read, since neither _train nor _test ends its name: extra.npz"]


def test_archives_without_a_part_are_split_by_subject(tmp_path: Path) -> None:
    path = save(tmp_path / "all.npz", {"A/Walk/1": standing(5), "B/Walk/1": standing(5), "B/Run/1": standing(5)})
    for place in (path, tmp_path):
        takes, notes = motion.takes_at(place)
        assert parts(takes) == {"train": ["A/Walk/1"], "test": ["B/Run/1", "B/Walk/1"]}
        assert notes[0] == "no motion.json beside the archives: 50 fps assumed"
        assert "split by subject" in notes[1]


def test_a_single_test_archive_is_all_test(folder: Path) -> None:
    assert parts(motion.takes_at(folder / "own_test.npz")[0]) == {"train": [], "test": ["C/Walk/1"]}


def test_a_folder_of_originals_is_searched_through_and_split(tmp_path: Path) -> None:
    for person in ("anna", "bert"):
        (tmp_path / "deep" / person).mkdir(parents=True)
        (tmp_path / "deep" / person / "walk_01.bvh").write_text(bvh_text([{}, {}]))
    takes, notes = motion.takes_at(tmp_path)
    assert parts(takes) == {"train": ["deep-anna/walk/walk_01"], "test": ["deep-bert/walk/walk_01"]}
    assert any("split by subject" in note for note in notes)
    assert any("have the same bones" in note for note in load(tmp_path).notes)


def test_archives_below_the_originals_are_not_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "walk.bvh").write_text(bvh_text([{}, {}]))
    (tmp_path / "sets").mkdir()
    save(tmp_path / "sets" / "own_train.npz", {"A/Walk/1": standing(5)})
    takes, notes = motion.takes_at(tmp_path)
    assert len(takes) == 1
    assert "original files are read, .npz archives in subfolders such as sets are not" in notes


def test_a_single_bvh_is_all_test(tmp_path: Path) -> None:
    path = tmp_path / "walk.bvh"
    path.write_text(bvh_text([{}, {}]))
    takes, _ = motion.takes_at(path)
    assert parts(takes) == {"train": [], "test": [f"{tmp_path.name}/walk/walk"]}


def test_another_frame_rate_is_kept_and_noted(folder: Path) -> None:
    (folder / "motion.json").write_text('{"fps": 60}')
    takes, notes = motion.takes_at(folder)
    assert takes[0].fps == 60
    assert notes == ["60 fps, by motion.json"]


def test_people_lying_along_y_are_noted(folder: Path) -> None:
    save(folder / "own_train.npz", {"A/Walk/1": standing(30)[..., [0, 2, 1]]})
    save(folder / "own_test.npz", {"C/Walk/1": standing(30, 0.9)[..., [0, 2, 1]]})
    assert any("people stand along y, not along z" in note for note in load(folder).notes)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"fps": "fast"}', '{"fps": null}'])
def test_a_description_that_gives_no_frame_rate(folder: Path, content: str) -> None:
    (folder / "motion.json").write_text(content)
    with pytest.raises(BadInput, match=r"motion.json: cannot read \"fps\""):
        motion.takes_at(folder)


@pytest.mark.parametrize("fps", ["0", "-50", "NaN", "Infinity"])
def test_a_frame_rate_that_cannot_be(folder: Path, fps: str) -> None:
    (folder / "motion.json").write_text(f'{{"fps": {fps}}}')
    with pytest.raises(BadInput, match=r"motion.json: .* fps; expected a positive number"):
        motion.takes_at(folder)


def corrupted(joints: Array, frame: int, joint: int) -> Array:
    joints[frame, joint, 2] = np.nan
    return joints


@pytest.mark.parametrize(
    ("key", "array", "message"),
    [
        ("A/Walk/1", corrupted(standing(9), 4, 10), r"frame 4 \(from 0\), joint 10 \(head\): nan in the 3D"),
        ("A/Walk/1", standing(9)[:, :16], "16 joints; expected the 17 of Human3.6M in this order: 0 pelvis"),
        ("A/Walk/1", standing(9)[..., :2], r"shape \(9, 17, 2\)"),
        ("A/Walk/1", standing(9).reshape(9, 51), r"shape \(9, 51\)"),
        ("A/Walk/1", standing(9)[:0], "no frame"),
        ("A/Walk/1", standing(9).astype("i4"), "holds int32; expected float32 metres"),
        ("A/Walk/1", standing(9) * 1000, "would be 1620 m .* these look like millimetres"),
        ("A/Walk/1", standing(9) * 100, "would be 162 m .* these look like centimetres"),
        ("A/Walk/1", np.array([{}], dtype=object), "holds Python objects"),
        ("A/Walk", standing(9), "the key should be SUBJECT/Action/clip"),
        ("A//1", standing(9), "the key should be SUBJECT/Action/clip"),
    ],
)
def test_a_wrong_array_is_named_with_file_and_key(folder: Path, key: str, array: Array, message: str) -> None:
    save(folder / "own_train.npz", {"B/Run/1": standing(9), key: array})
    with pytest.raises(BadInput, match=f"own_train.npz, array '{key}': .*{message}"):
        motion.takes_at(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"<html>404</html>", "a web page"), (b"PK\3\4 and then nothing", "damaged or cut short")],
)
def test_a_wrong_file_is_named(folder: Path, content: bytes, message: str) -> None:
    (folder / "own_train.npz").write_bytes(content)
    with pytest.raises(BadInput, match=f"own_train.npz: .*{message}"):
        motion.takes_at(folder)


def test_a_truncated_archive(folder: Path) -> None:
    path = folder / "own_train.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"own_train.npz: is damaged or cut short"):
        motion.takes_at(folder)


def test_an_archive_without_arrays(folder: Path) -> None:
    save(folder / "own_train.npz", {})
    with pytest.raises(BadInput, match=r"own_train.npz: holds no array"):
        motion.takes_at(folder)


def test_one_take_in_two_archives(folder: Path) -> None:
    save(folder / "more_test.npz", {"A/Walk/1": standing(5)})
    with pytest.raises(BadInput, match="'A/Walk/1' is in another archive"):
        motion.takes_at(folder)


@pytest.mark.parametrize("missing", ["", "gone", "gone/set.npz"])
def test_a_path_that_is_not_there(tmp_path: Path, missing: str) -> None:
    with pytest.raises(BadInput, match=r"Expected an .npz .* --data synthetic"):
        load(tmp_path / missing if missing else "")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nothing to read in this folder\. Expected .* --data synthetic"):
        load(tmp_path)


def test_a_folder_above_the_archives_says_where_they_are(folder: Path) -> None:
    below = folder / "above" / "below"
    below.mkdir(parents=True)
    (folder / "own_train.npz").rename(below / "own_train.npz")
    with pytest.raises(BadInput, match=rf"nothing to read in this folder \(but {below} holds .npz archives\)"):
        load(folder / "above")


def test_a_skeleton_alone_is_not_a_kind_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "07.asf").write_text(asf_text())
    with pytest.raises(BadInput, match=r"07.asf: not a kind of file that is read"):
        load(tmp_path / "07.asf")


def test_the_real_set() -> None:
    folder = shared_motion()
    takes, notes = motion.takes_at(folder)
    described = json.loads((folder / "motion.json").read_text())["parts"]
    for part in ("train", "test"):
        mine = [take for take in takes if take.part == part]
        assert len(mine) == described[part]["clips"]
        assert sum(len(take.joints_mm) for take in mine) == described[part]["frames"]
        assert sorted({take.subject for take in mine}) == described[part]["subjects"]
    assert notes == []
