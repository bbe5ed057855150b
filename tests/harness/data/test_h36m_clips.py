"""Clips sliced beforehand: the normalised values come back, and everything wrong is named with its file."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import Sequence, h36m, h36m_clips, load
from harness.data.normalise import TARGET_SPACES, model_input, true_poses_mm
from harness.data.sequence import digest
from harness.errors import BadInput
from tests.harness.data import h36m_files as files
from tests.harness.data.figures import shared_motion

Array = NDArray[Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return files.write_clips(tmp_path / "H36M-SH")


def contents() -> list[dict[str, Array]]:
    return [files.clip_content(number) for number in (0, 1, 2, 3, 100, 101)]


def everything(folder: Path, detector: str = "sh") -> list[Sequence]:
    dataset = load(f"h36m:{folder}", detector=detector)
    return [*dataset.train, *dataset.test]


def encoded(sequence: Sequence) -> Array:
    return TARGET_SPACES["image"].encode(sequence)


def test_a_clip_is_a_sequence(folder: Path) -> None:
    dataset = load(f"h36m:{folder}")
    assert [one.name for one in dataset.train] == [f"train/0000000{number}" for number in range(4)]
    assert [one.name for one in dataset.test] == ["test/00000000", "test/00000001"]
    one = dataset.test[1]
    assert (one.subject, one.action, one.take) == ("unknown", "unknown", one.name)
    assert (one.camera.name, one.camera.width, one.camera.height, one.fps) == ("unknown", 1000, 1000, 50)
    assert (dataset.name, dataset.detector, dataset.space) == ("h36m", "sh", "image")
    assert len(dataset.notes) == 1
    assert "cannot be scored in millimetres without the pickle" in dataset.notes[0]
    assert "docs/pose3d.md" in dataset.notes[0]


def test_the_normalised_values_come_back(folder: Path) -> None:
    for sequence, content in zip(everything(folder), contents(), strict=True):
        assert model_input(sequence, 3) == pytest.approx(content["data_input"], abs=2.5e-7)
        assert np.array_equal(sequence.confidence, content["data_input"][..., 2])
        label = content["data_label"]
        assert encoded(sequence) == pytest.approx(label - label[:, :1], abs=2.5e-7)
        assert sequence.truth[..., 2] == pytest.approx(label[..., 2] * 500.0, rel=1e-6)
        assert {sequence.truth.dtype, sequence.keypoints.dtype, sequence.confidence.dtype} == {np.dtype("f4")}


def test_without_the_pickle_nothing_is_in_millimetres(folder: Path) -> None:
    one = everything(folder)[-1]
    assert one.mm_per_pixel is not None
    assert np.isnan(one.mm_per_pixel).all()
    with pytest.raises(BadInput, match="test/00000001: how many millimetres a pixel has is not known"):
        true_poses_mm(one, "image")


def test_the_projection_of_the_truth_as_detector(folder: Path) -> None:
    for sequence, content in zip(everything(folder, "gt"), contents(), strict=True):
        assert model_input(sequence, 2) == pytest.approx(content["data_label"][..., :2], abs=2.5e-7)
        assert np.array_equal(sequence.confidence, np.ones((9, 17)))


def test_clips_without_detections_show_the_truth_and_it_is_noted(folder: Path) -> None:
    content = files.clip_content(2)
    files.write_pickle(folder / "train/00000002.pkl", {**content, "data_input": None})
    dataset = load(f"h36m:{folder}")
    assert model_input(dataset.train[2], 2) == pytest.approx(content["data_label"][..., :2], abs=2.5e-7)
    assert dataset.train[2].confidence.min() == 1
    assert dataset.train[1].confidence.min() < 1
    assert "1 of 6 clips have no detections: their input is the truth's x and y" in dataset.notes
    assert not any("no detections" in note for note in load(f"h36m:{folder}", detector="gt").notes)


@pytest.mark.parametrize(
    ("name", "detector"), [("H36M-SH", "sh"), ("H36M-cpn", "cpn"), ("H36M-243", "file"), ("H36M-27", "file")]
)
def test_the_detector_is_named_by_the_folder(tmp_path: Path, name: str, detector: str) -> None:
    folder = files.write_clips(tmp_path / name)
    assert h36m.detectors(str(folder)) == (detector, "gt")
    assert load(f"h36m:{folder}").detector == detector


def test_older_and_newer_pickles(folder: Path) -> None:
    before = digest(everything(folder))
    for path in folder.rglob("*.pkl"):
        content = pickle.loads(path.read_bytes())
        path.write_bytes(files.python2(content) if path.stem[-1] in "02" else pickle.dumps(content, 5))
    assert digest(everything(folder)) == before


def test_clips_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = files.write_clips(tmp_path / "H36M-27", train=12, test=1, frames=3)
    first = [sequence.keypoints[0, 0, 0] for sequence in everything(folder, "file")[:12]]
    assert first == pytest.approx([500 + 500 * files.clip_content(n, 3)["data_input"][0, 0, 0] for n in range(12)])


def test_clips_may_have_lengths_of_their_own(folder: Path) -> None:
    files.write_pickle(folder / "test/00000002.pkl", files.clip_content(7, frames=4))
    assert [len(one) for one in everything(folder)[-2:]] == [9, 4]


@pytest.mark.parametrize(("gone", "missing"), [("00000000", "00000000"), ("00000002", "00000002")])
def test_a_copy_that_is_not_complete(folder: Path, gone: str, missing: str) -> None:
    (folder / "train" / f"{gone}.pkl").unlink()
    with pytest.raises(BadInput, match=rf"H36M-SH/train: {missing}.pkl is missing \(0000000\d.pkl is there\)"):
        load(f"h36m:{folder}")


@pytest.mark.parametrize(("gone", "there"), [("train", "test"), ("test", "train")])
@pytest.mark.parametrize("empty", [True, False])
def test_one_half_alone(folder: Path, gone: str, there: str, empty: bool) -> None:
    for path in (folder / gone).iterdir():
        path.unlink()
    if not empty:
        (folder / gone).rmdir()
    with pytest.raises(BadInput, match=rf"H36M-SH: has clips in {there} but none in {gone} .*docs/pose3d.md"):
        load(f"h36m:{folder}")


def test_other_files_among_the_clips_are_no_clips(folder: Path) -> None:
    before = digest(everything(folder))
    (folder / "train" / ".DS_Store").write_bytes(b"x")
    (folder / "train" / "notes.txt").write_bytes(b"x")
    assert digest(everything(folder)) == before


def test_nothing_is_written_where_their_authors_list_clips(folder: Path) -> None:
    everything(folder)
    assert sorted(path.name for path in folder.glob("*/*.pkl")) == sorted(
        f"0000000{number}.pkl" for number in (0, 1, 2, 3, 0, 1)
    )
    assert {path.name for path in folder.iterdir()} == {"train", "test", ".harness"}
    assert all(path.suffix == ".pkl" for part in ("train", "test") for path in (folder / part).iterdir())


def test_the_second_start_reads_no_clip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = everything(folder)
    monkeypatch.setattr(h36m_clips, "read", None)
    assert digest(everything(folder)) == digest(before)


def changed(array: Array, place: Any, value: Any) -> Array:
    array = array.copy()
    array[place] = value
    return array


CLIP = "train/00000002.pkl"
WRONG: list[tuple[Callable[[dict[str, Array]], Any], str]] = [
    (lambda clip: {"data_label": clip["data_label"]}, f"{CLIP}: has no 'data_input'"),
    (lambda clip: {"data_input": clip["data_input"]}, f"{CLIP}: has no 'data_label'"),
    (lambda clip: clip["data_label"], f"{CLIP}: is ndarray; expected a dictionary"),
    (lambda clip: clip | {"data_label": None}, f"{CLIP}, 'data_label': holds object; expected numbers"),
    (lambda clip: clip | {"data_label": clip["data_label"][:, :16]}, r"'data_label': has shape \(9, 16, 3\)"),
    (lambda clip: clip | {"data_input": clip["data_input"][..., :2]}, r"'data_input': has shape \(9, 17, 2\)"),
    (lambda clip: clip | {"data_input": clip["data_input"].astype("U")}, "'data_input': holds <U32"),
    (lambda clip: clip | {"data_input": [[1.0], [1.0, 2.0]]}, "'data_input': holds lists of unlike lengths"),
    (lambda clip: clip | {"data_input": clip["data_input"][:8]}, f"{CLIP}: 'data_label' has 9 frames, 'data_input' 8"),
    (lambda clip: clip | {"data_input": changed(clip["data_input"], (4, 6, 2), np.nan)},
     rf"{CLIP}, 'data_input': nan at frame 4 \(from 0\), joint 6 \(left ankle\)"),
    (lambda clip: clip | {"data_label": changed(clip["data_label"], (8, 0, 0), -np.inf)},
     r"'data_label': -inf at frame 8 \(from 0\), joint 0 \(pelvis\)"),
    (lambda clip: clip | {"data_label": clip["data_label"] * 500}, "'data_label': reaches 2.*; .* not pixels"),
    (lambda clip: clip | {"data_input": clip["data_input"] * 500}, "'data_input': reaches .*; .* not pixels"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "message"), WRONG)
@pytest.mark.filterwarnings("error")
def test_what_is_wrong_is_named_with_its_file(folder: Path, wrong: Callable[[Any], Any], message: str) -> None:
    files.write_pickle(folder / CLIP, wrong(files.clip_content(2)))
    with pytest.raises(BadInput, match=message):
        load(f"h36m:{folder}")


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


def test_a_foreign_class_is_refused_and_nothing_runs(folder: Path) -> None:
    files.write_pickle(folder / CLIP, {"data_input": None, "data_label": Bomb(folder / "trace")})
    with pytest.raises(BadInput, match=f"{CLIP}: refused, since it names posix.system"):
        load(f"h36m:{folder}")
    assert not (folder / "trace").exists()


def test_a_clip_cut_short_anywhere(folder: Path) -> None:
    whole = (folder / CLIP).read_bytes()
    for share in (0, 0.01, 0.2, 0.5, 0.9, 0.9999):
        (folder / CLIP).write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(BadInput, match=rf"{CLIP}: is (no pickle, or damaged or cut short|not a pickle but empty)"):
            load(f"h36m:{folder}")


def test_real_motion_in_this_layout_comes_back(tmp_path: Path) -> None:
    real = load(f"motion:{shared_motion()}/hdm05_test.npz", detector="gt").test[:8]
    folder, frames = tmp_path / "H36M-27", 27
    clips = []
    for number, sequence in enumerate(real):
        width, height = files.SIZES[number % 4]
        image, _ = files.in_image(sequence.truth[:frames].astype("f8"), number % 4)
        found = np.concatenate([sequence.keypoints[:frames], np.full((frames, 17, 1), 0.5)], axis=-1)
        middle = np.array([1.0, height / width, 0.0])
        clips.append({
            "data_input": (found * [2 / width, 2 / width, 1.0] - middle).astype("f4"),
            "data_label": (image * 2 / width - middle).astype("f4"),
        })  # fmt: skip
        for part in ("train", "test"):
            files.write_pickle(folder / part / f"{number:08d}.pkl", clips[-1])
    back = load(f"h36m:{folder}")
    for part in (back.train, back.test):
        for one, other, clip in zip(part, real, clips, strict=True):
            assert model_input(one, 3)[..., :2] == pytest.approx(model_input(other, 3)[:frames, :, :2], abs=3e-7)
            assert np.array_equal(model_input(one, 3)[..., 2], clip["data_input"][..., 2])
            assert encoded(one) == pytest.approx(encoded(other)[:frames], abs=5e-7)
