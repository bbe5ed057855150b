"""MotionBERT's pickle: every value comes back, and everything wrong is named with its place."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import Sequence, array_store, h36m, h36m_contents, load, unpickle
from harness.data.h36m_contents import ACTION_NUMBERS, ACTIONS, common_action
from harness.data.normalise import TARGET_SPACES, true_poses_mm
from harness.data.rig import rigs
from harness.data.sequence import Dataset, digest
from harness.errors import BadInput
from tests.harness.data import h36m_files as files
from tests.harness.data.figures import shared_motion

Array = NDArray[Any]
SH = "h36m_sh_conf_cam_source_final.pkl"
TRAIN, TEST = list(files.TRAIN_VIDEOS), list(files.TEST_VIDEOS)


@pytest.fixture
def content() -> dict[str, Any]:
    return files.pickle_content()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / SH


def read(path: Path, content: Any, detector: str = "sh") -> Dataset:
    return load(f"h36m:{files.write_pickle(path, content)}", detector=detector)


def everything(dataset: Dataset) -> list[Sequence]:
    return [*dataset.train, *dataset.test]


def frames_of(videos: dict[str, int], source: str) -> slice:
    first = sum(list(videos.values())[: list(videos).index(source)])
    return slice(first, first + videos[source])


def test_names_parts_and_the_files_order(path: Path, content: dict[str, Any]) -> None:
    dataset = read(path, content)
    assert [(one.name, one.subject, one.take, len(one)) for one in dataset.train] == [
        ("s_05_act_04_subact_01_ca_01", "S5", "s_05_act_04_subact_01", 12),
        ("s_01_act_14_subact_02_ca_04", "S1", "s_01_act_14_subact_02", 7),
        ("s_01_act_02_subact_02_ca_02", "S1", "s_01_act_02_subact_02", 5),
    ]
    assert [(one.name, one.subject, one.action, len(one)) for one in dataset.test] == [
        ("s_11_act_14_subact_01_ca_03", "S11", "Walk", 9),
        ("s_09_act_05_subact_02_ca_01", "S9", "Greet", 6),
    ]
    assert (dataset.name, dataset.detector, dataset.space) == ("h36m", "sh", "image")
    assert dataset.notes == ("test actions that do not occur in training: Greet",)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_value(path: Path, dtype: str) -> None:
    content = files.pickle_content(dtype)
    dataset = read(path, content)
    for part, videos in (("train", files.TRAIN_VIDEOS), ("test", files.TEST_VIDEOS)):
        half = content[part]
        for sequence in getattr(dataset, part):
            at = frames_of(videos, sequence.name)
            assert np.array_equal(sequence.keypoints, half["joint_2d"][at].astype("f4"))
            assert np.array_equal(sequence.confidence, half["confidence"][at].astype("f4"))
            assert {sequence.keypoints.dtype, sequence.confidence.dtype} == {np.dtype("f4")}
            assert (sequence.fps, sequence.valid, sequence.truth.dtype) == (50, None, np.dtype("f8"))
            camera = int(sequence.name[-1]) - 1
            assert sequence.camera == rigs()[sequence.subject][camera]
            assert (sequence.camera.width, sequence.camera.height) == files.SIZES[camera]
    for sequence in dataset.train:
        at = frames_of(files.TRAIN_VIDEOS, sequence.name)
        assert np.array_equal(sequence.truth, content["train"]["joint3d_image"][at].astype("f8"))
        assert sequence.mm_per_pixel is not None
        assert np.isnan(sequence.mm_per_pixel).all()
    for sequence in dataset.test:
        at = frames_of(files.TEST_VIDEOS, sequence.name)
        factor = content["test"]["2.5d_factor"][at].astype("f8")
        assert np.array_equal(sequence.mm_per_pixel, factor)
        scored = content["test"]["joints_2.5d_image"][at].astype("f8")
        assert np.array_equal(sequence.truth, scored / factor[:, None, None])


def test_errors_are_measured_against_the_published_array(path: Path, content: dict[str, Any]) -> None:
    scored = content["test"]["joints_2.5d_image"]
    for sequence in read(path, content).test:
        at = frames_of(files.TEST_VIDEOS, sequence.name)
        assert true_poses_mm(sequence, "image") == pytest.approx(scored[at] - scored[at, :1], abs=1e-9)


def test_the_truth_is_that_of_the_person_filmed(path: Path, content: dict[str, Any]) -> None:
    for sequence in everything(read(path, content)):
        joints_mm, camera = files.video_mm(sequence.name, len(sequence))
        image, factor = files.in_image(joints_mm, camera)
        assert sequence.truth == pytest.approx(image, abs=1e-9)
        assert sequence.camera.millimetres_per_pixel(joints_mm[:, 0, 2]) == pytest.approx(factor)


def test_training_in_millimetres_where_the_factor_is_there(path: Path, content: dict[str, Any]) -> None:
    content["train"]["2.5d_factor"] = np.linspace(3, 5, 24)
    assert np.array_equal(read(path, content).train[1].mm_per_pixel, np.linspace(3, 5, 24)[12:19])


def test_the_projection_of_the_truth_as_detector(path: Path, content: dict[str, Any]) -> None:
    del content["train"]["joint_2d"], content["test"]["confidence"]
    dataset = read(path, content, "gt")
    for sequence in everything(dataset):
        assert np.array_equal(sequence.keypoints, sequence.truth[..., :2].astype("f4"))
        assert np.array_equal(sequence.confidence, np.ones((len(sequence), 17)))
    assert not any("confidence" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("name", "detector"), [(SH, "sh"), ("h36m_cpn_cam_source.pkl", "cpn"), ("mine.pkl", "file"), ("h36m_x.pkl", "file")]
)
def test_the_detector_is_named_by_the_file(tmp_path: Path, content: Any, name: str, detector: str) -> None:
    path = files.write_pickle(tmp_path / name, content)
    assert h36m.detectors(str(path)) == (detector, "gt")
    assert load(f"h36m:{path}").detector == detector


def test_confidence_in_three_dimensions(path: Path, content: dict[str, Any]) -> None:
    plain = content["train"]["confidence"]
    content["train"]["confidence"] = plain[..., None]
    assert np.array_equal(read(path, content).train[0].confidence, plain[:12].astype("f4"))


def test_no_confidence_is_one_everywhere_and_noted(path: Path, content: dict[str, Any]) -> None:
    del content["train"]["confidence"]
    dataset = read(path, content)
    assert np.array_equal(dataset.train[0].confidence, np.ones((12, 17)))
    assert dataset.test[0].confidence.max() < 1
    assert f"{path}, train: no 'confidence', taken as 1" in dataset.notes


def test_more_channels_of_detections_are_not_read(path: Path, content: dict[str, Any]) -> None:
    found = content["test"]["joint_2d"]
    content["test"]["joint_2d"] = np.concatenate([found, np.full_like(found, np.nan)], axis=-1)
    assert np.array_equal(read(path, content).test[1].keypoints, found[9:].astype("f4"))


def as_bytes(names: Any) -> list[bytes]:
    return [str(name).encode() for name in names]


@pytest.mark.parametrize(
    "kind",
    [list, np.array, as_bytes, lambda names: np.array(as_bytes(names)), lambda names: np.array(as_bytes(names), "O"),
     lambda names: np.array(list(names), "O"), tuple],
)  # fmt: skip
def test_names_as_text_or_bytes(path: Path, content: dict[str, Any], kind: Callable[[Any], Any]) -> None:
    before = read(path, content)
    for half in content.values():
        half |= {key: kind(half[key]) for key in ("source", "camera_name", "action") if key in half}
    after = read(path, content)
    assert [(one.name, one.action, one.camera) for one in everything(after)] == [
        (one.name, one.action, one.camera) for one in everything(before)
    ]


@pytest.mark.parametrize("protocol", [2, 3, 5])
def test_older_and_newer_pickles(path: Path, content: dict[str, Any], protocol: int) -> None:
    before = digest(everything(read(path, content)))
    written = files.python2(content) if protocol == 2 else pickle.dumps(content, protocol)
    path.write_bytes(written)
    after = load(f"h36m:{path}")
    assert digest(everything(after)) == before
    assert [one.name for one in everything(after)] == TRAIN + TEST


def test_depth_may_be_from_the_camera_or_from_the_pelvis(path: Path, content: dict[str, Any]) -> None:
    content["test"]["joint3d_image"][..., 2] += 1000.0
    content["train"]["joint3d_image"][..., 2] += 1000.0
    shifted = read(path, content)
    plain = read(path, files.pickle_content())
    assert shifted.notes == plain.notes
    for one, other in zip(everything(shifted), everything(plain), strict=True):
        encoded = TARGET_SPACES["image"].encode
        assert encoded(one) == pytest.approx(encoded(other), abs=1e-6)


def test_two_truths_that_differ_are_noted_and_the_published_one_is_taken(path: Path, content: dict[str, Any]) -> None:
    content["test"]["joint3d_image"][11, 5, 1] += 0.3
    dataset = read(path, content)
    note = "joints_2.5d_image / 2.5d_factor, which is scored, is up to 0.3 px from joint3d_image, at frame 11 (s_09_act"
    assert any(note in one for one in dataset.notes)
    assert dataset.test[1].truth == pytest.approx(read(path, files.pickle_content()).test[1].truth)


def test_two_truths_that_agree_to_rounding_are_not_noted(path: Path, content: dict[str, Any]) -> None:
    content["test"]["joint3d_image"][11, 5, 1] += 0.04
    assert not any("which is scored" in note for note in read(path, content).notes)


def test_training_videos_are_called_as_test_videos_of_the_same_number(path: Path, content: dict[str, Any]) -> None:
    assert [one.action for one in read(path, content).train] == ["Eating", "Walk", "Directions"]
    content["test"]["action"] = ["Walk"] * 9 + ["Walk"] * 6
    content["test"]["source"] = ["s_11_act_02_subact_01_ca_03"] * 9 + ["s_09_act_02_subact_02_ca_01"] * 6
    assert [one.action for one in read(path, content).train] == ["Eating", "Walking", "Walk"]


def test_an_action_called_in_two_ways_is_called_as_in_the_table(path: Path, content: dict[str, Any]) -> None:
    content["test"]["source"] = ["s_11_act_02_subact_01_ca_03"] * 9 + ["s_09_act_02_subact_02_ca_01"] * 6
    assert read(path, content).train[2].action == "Directions"


def test_a_number_that_is_in_no_table(path: Path, content: dict[str, Any]) -> None:
    content["train"]["source"] = ["s_05_act_21_subact_01_ca_01"] * 12 + content["train"]["source"][12:]
    assert read(path, content).train[0].action == "act_21"


def test_training_videos_with_labels_of_their_own(path: Path, content: dict[str, Any]) -> None:
    content["train"]["action"] = ["A"] * 12 + ["B"] * 12
    assert [one.action for one in read(path, content).train] == ["A", "B", "B"]


def test_sources_of_other_names(path: Path, content: dict[str, Any]) -> None:
    content["train"]["source"] = ["somebody"] * 12 + content["train"]["source"][12:]
    dataset = read(path, content)
    one = dataset.train[0]
    assert (one.name, one.take, one.subject, one.action) == ("somebody", "somebody", "unknown", "unknown")
    assert one.camera == rigs()["S1"][0]
    assert any("1 videos such as 'somebody' are not called s_XX_act_XX" in note for note in dataset.notes)


def test_a_part_without_frames(path: Path, content: dict[str, Any]) -> None:
    content["train"] = {key: np.asarray(value)[:0] for key, value in content["train"].items()}
    dataset = read(path, content)
    assert (len(dataset.train), len(dataset.test)) == (0, 2)
    assert "no training sequences" in dataset.notes


def edit(part: str, key: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Any]:
    def edited(content: dict[str, Any]) -> dict[str, Any]:
        value = content[part][key]
        content[part][key] = change(value.copy() if isinstance(value, np.ndarray) else list(value))
        return content

    return edited


def put(part: str, key: str, place: Any, value: Any) -> Callable[[dict[str, Any]], Any]:
    def change(values: Any) -> Any:
        values[place] = value
        return values

    return edit(part, key, change)


def drop(part: str, key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda content: {**content, part: {name: value for name, value in content[part].items() if name != key}}


WRONG: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda content: content["train"], f"{SH}: has no 'train'.*It has: joint_2d, confidence"),
    (lambda content: {"train": content["train"]}, f"{SH}: has no 'test'"),
    (lambda content: {"train": [], "test": []}, f"{SH}, train: is list; expected a dictionary with 'joint3d_image'"),
    (lambda content: [content], f"{SH}: is list; expected a dictionary with 'train'"),
    (drop("train", "joint_2d"), f"{SH}, train: has no 'joint_2d'"),
    (drop("train", "joint3d_image"), f"{SH}, train: has no 'joint3d_image'"),
    (drop("train", "camera_name"), f"{SH}, train: has no 'camera_name'"),
    (drop("test", "source"), f"{SH}, test: has no 'source'"),
    (drop("test", "action"), f"{SH}, test: has no 'action'"),
    (drop("test", "2.5d_factor"), f"{SH}, test: has no '2.5d_factor'"),
    (drop("test", "joints_2.5d_image"), f"{SH}, test: has no 'joints_2.5d_image'.*Did you mean: joint3d_image"),
    (edit("train", "joint_2d", lambda a: a[:, :16]), r"\['joint_2d'\]: has shape \(24, 16, 2\); expected \(frames, 17"),
    (edit("train", "joint_2d", lambda a: a.reshape(24, 34)), r"has shape \(24, 34\); expected \(frames, 17, 2\)"),
    (edit("train", "joint_2d", lambda a: a[..., :1]), r"has shape \(24, 17, 1\); expected \(frames, 17, 2\)"),
    (edit("train", "joint_2d", lambda a: a.astype("U")), r"train\['joint_2d'\]: holds <U\d+; expected numbers"),
    (edit("train", "joint_2d", lambda a: [[1.0], [1.0, 2.0]]), r"train\['joint_2d'\]: holds lists of unlike lengths"),
    (edit("train", "joint3d_image", lambda a: a[..., :2]), r"train\['joint3d_image'\]: has shape \(24, 17, 2\)"),
    (edit("train", "confidence", lambda a: a[:, :16]), r"train\['confidence'\]: has shape \(24, 16\)"),
    (edit("train", "confidence", lambda a: a[..., None].repeat(2, 2)), r"\['confidence'\]: has shape \(24, 17, 2\)"),
    (edit("test", "2.5d_factor", lambda a: a[:, None]), r"test\['2.5d_factor'\]: has shape \(15, 1\)"),
    (edit("train", "camera_name", lambda a: a.astype("i8")), r"train\['camera_name'\]: holds int64 .*; expected text"),
    (edit("train", "source", lambda names: [None, *names[1:]]), r"train\['source'\]: holds object"),
    (edit("train", "confidence", lambda a: a[:-1]), "train: 'joint3d_image' has 24 frames, 'confidence' 23"),
    (edit("train", "source", lambda names: names[:-2]), "train: 'joint3d_image' has 24 frames, 'source' 22"),
    (edit("test", "action", lambda names: names[1:]), "test: 'joint3d_image' has 15 frames, 'action' 14"),
    (edit("test", "2.5d_factor", lambda a: a[1:]), "test: 'joint3d_image' has 15 frames, '2.5d_factor' 14"),
    (put("test", "camera_name", 13, "54138968"),
     rf"test\['camera_name'\]: '54138968' at frame 13 \({TEST[1]}\) is no camera .* 54138969, 55011271"),
    (put("test", "camera_name", 11, files.CAMERAS[1]),
     rf"\['camera_name'\]: changes from '54138969' to '55011271' at frame 11, .* video {TEST[1]} of frames 9 to 14"),
    (put("test", "action", 4, "Sitting"),
     rf"test\['action'\]: changes from 'Walk' to 'Sitting' at frame 4, within the video {TEST[0]} of frames 0 to 8"),
    (put("train", "source", 20, TRAIN[0]),
     rf"train\['source'\]: '{TRAIN[0]}' comes back at frame 20, .* \(it was over at frame 12\)"),
    (put("train", "joint_2d", (14, 3, 0), np.nan),
     rf"train\['joint_2d'\], video {TRAIN[1]} \(its frame 0 is the file's 12\): nan at frame 2 .* 3 \(right ankle\)"),
    (put("train", "confidence", (23, 16), np.nan), rf"'confidence'\], video {TRAIN[2]} .*: nan at frame 4 .* 16"),
    (put("train", "joint3d_image", (0, 0, 2), np.inf), r"\['joint3d_image'\].*: inf at frame 0 .* 0 \(pelvis\)"),
    (put("test", "joint3d_image", (9, 8, 2), np.nan), rf"test\['joint3d_image'\], video {TEST[1]}.*frame 0 .* joint 8"),
    (put("test", "joints_2.5d_image", (8, 10, 1), np.nan), rf"_image'\], video {TEST[0]}.* nan at frame 8 .* joint 10"),
    (put("test", "2.5d_factor", 10, np.nan), rf"\['2.5d_factor'\], video {TEST[1]}.*: nan at frame 1 \(from 0\)"),
    (put("test", "2.5d_factor", 10, 0.0), rf"\['2.5d_factor'\], video {TEST[1]}.*: 0.0 at frame 1 .* are above 0"),
    (edit("test", "joints_2.5d_image", lambda a: a / 1000), r"would be 0.00\d+ m from ankle to head .* be millimetres"),
    (edit("test", "joints_2.5d_image", lambda a: a * 1000), r"would be 1\d\d\d m from ankle to head .* be millimetres"),
    (edit("train", "joint_2d", lambda a: a / 500 - 1), r"train\['joint_2d'\].*: reaches 0\.\d+ only; expected pixels"),
    (edit("train", "joint3d_image", lambda a: a / 500 - 1), r"train\['joint3d_image'\].* expected pixels"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "message"), WRONG)
@pytest.mark.filterwarnings("error")
def test_what_is_wrong_is_named_with_its_place(
    path: Path, content: dict[str, Any], wrong: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read(path, wrong(content))


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


def test_a_foreign_class_is_refused_and_nothing_runs(path: Path, content: dict[str, Any]) -> None:
    content["test"]["action"] = Bomb(path.parent / "trace")
    with pytest.raises(BadInput, match=f"{SH}: refused, since it names posix.system"):
        read(path, content)
    assert not (path.parent / "trace").exists()


def test_a_file_cut_short_anywhere(path: Path, content: dict[str, Any]) -> None:
    whole = pickle.dumps(content)
    for share in (0, 0.001, 0.2, 0.5, 0.9, 0.9999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(BadInput, match=f"{SH}: is (no pickle, or damaged or cut short|not a pickle but empty)"):
            load(f"h36m:{path}")


def test_a_web_page_in_place_of_the_file(path: Path) -> None:
    path.write_bytes(b"<!DOCTYPE html><html>sign in to download")
    with pytest.raises(BadInput, match=SH):
        load(f"h36m:{path}")


@pytest.mark.parametrize("detector", ["sh", "gt"])
def test_the_second_time_the_file_is_not_read(
    path: Path, content: dict[str, Any], detector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(path, content, detector)

    def must_not(path: Path) -> Any:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(unpickle, "read", must_not)
    second = load(f"h36m:{path}", detector=detector)
    assert digest(everything(second)) == digest(everything(first))
    assert [(one.name, one.action, one.take) for one in everything(second)] == [
        (one.name, one.action, one.take) for one in everything(first)
    ]
    assert second.notes == first.notes
    store = array_store.find(second)
    assert store
    assert store.name.startswith(f"h36m-{detector}-")
    with pytest.raises(AssertionError, match="is read"):
        load(f"h36m:{path}", detector="gt" if detector == "sh" else "sh")


def test_a_set_in_memory_is_the_one_in_the_store(
    path: Path, content: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for half in content.values():
        half["joint3d_image"] = half["joint3d_image"].astype("f4")
    stored = digest(everything(read(path, content)))
    monkeypatch.setattr(array_store, "stored", lambda files, name, make, **_: make())
    assert digest(everything(load(f"h36m:{path}"))) == stored


def test_a_changed_file_is_read_anew(path: Path, content: dict[str, Any]) -> None:
    before = read(path, content)
    content["test"]["joint_2d"][0] += 5
    after = read(path, content)
    assert after.test[0].keypoints[0, 0, 0] - before.test[0].keypoints[0, 0, 0] == pytest.approx(5)
    assert np.array_equal(after.test[0].keypoints[1:], before.test[0].keypoints[1:])


def test_real_motion_in_this_layout_comes_back(path: Path) -> None:
    real = load(f"motion:{shared_motion()}/hdm05_test.npz", detector="gt").test[:6]
    names = [f"s_09_act_{number // 4 + 2:02d}_subact_01_ca_{number % 4 + 1:02d}" for number in range(len(real))]
    lengths = [len(sequence) for sequence in real]
    images, factors = zip(
        *(files.in_image(sequence.truth.astype("f8"), number % 4) for number, sequence in enumerate(real)), strict=True
    )
    factor = np.concatenate(factors)
    half = {
        "joint_2d": np.concatenate([sequence.keypoints for sequence in real]),
        "confidence": np.concatenate([sequence.confidence for sequence in real]),
        "joint3d_image": np.concatenate(images),
        "camera_name": np.repeat([files.CAMERAS[number % 4] for number in range(len(real))], lengths),
        "source": np.repeat(names, lengths),
        "action": np.repeat([sequence.action for sequence in real], lengths),
        "2.5d_factor": factor,
        "joints_2.5d_image": np.concatenate(images) * factor[:, None, None],
    }
    back = read(path, {"train": half, "test": half})
    for part in (back.train, back.test):
        assert [(one.name, len(one), one.action) for one in part] == [
            (name, len(other), other.action) for name, other in zip(names, real, strict=True)
        ]
        for one, other in zip(part, real, strict=True):
            assert np.array_equal(one.keypoints, other.keypoints)
            assert np.array_equal(one.confidence, other.confidence)
            assert one.camera == other.camera
            assert true_poses_mm(one, "image") == pytest.approx(true_poses_mm(other, "image"), abs=2e-3)


def test_labels_of_others_in_the_common_words() -> None:
    published = ("Direction", "Discuss", "Eating", "Greet", "Phone", "Photo", "Pose", "Purchase", "Sitting",
                 "SittingDown", "Smoke", "Wait", "WalkDog", "Walk", "WalkTwo")  # fmt: skip
    assert tuple(common_action(label) for label in published) == ACTIONS
    assert tuple(common_action(label) for label in ACTIONS) == ACTIONS
    assert sorted(ACTION_NUMBERS.values()) == sorted(ACTIONS)
    assert common_action("TakingPhoto") == "Photo"
    assert common_action("Juggling") is None


def test_the_known_numbers_of_frames_add_up() -> None:
    train = sum(h36m_contents.SUBJECT_FRAMES.values())
    assert train == h36m_contents.ARCHIVE_FRAMES["train"] == h36m_contents.PICKLE_FRAMES["train"]
    assert sum(h36m_contents.SUBJECT_TAKES.values()) == 7 * 30 - 1
    assert tuple(camera.name for camera in rigs()["S11"]) == h36m_contents.CAMERAS
