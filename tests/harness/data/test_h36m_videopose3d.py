"""VideoPose3D's archives: every value comes back, and everything wrong is named with its place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import Sequence, archive, array_store, h36m, load
from harness.data.rig import rigs
from harness.data.sequence import Dataset, digest
from harness.errors import BadInput
from tests.harness.data import h36m_files as files
from tests.harness.data.figures import shared_motion

Array = NDArray[Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files.write_archives(tmp_path)
    return tmp_path


def read(folder: Path, detector: str = "gt") -> Dataset:
    return h36m.load(str(folder), detector=detector, seed=0, cache=None)


def everything(dataset: Dataset) -> list[Sequence]:
    return [*dataset.train, *dataset.test]


#: In order of the split's subjects, then of action and clip; the takes' keys in the files.
ORDER = {
    "train": {"S1/Photo/1": "Photo 1", "S1/Walking/0": "Walking", "S5/Directions/1": "Directions 1",
              "S5/Sitting/2": "Sitting 2"},
    "test": {"S9/Directions/0": "Directions", "S9/Walking/1": "Walking 1", "S11/Walking/1": "Walking 1"},
}  # fmt: skip


def test_names_parts_and_order(folder: Path) -> None:
    dataset = read(folder)
    for part, sequences in (("train", dataset.train), ("test", dataset.test)):
        wanted = [f"{take}/{camera}" for take in ORDER[part] for camera in files.CAMERAS]
        assert [sequence.name for sequence in sequences] == wanted
    one = dataset.test[6]
    assert (one.name, one.subject, one.action, one.take) == ("S9/Walking/1/58860488", "S9", "Walking", "S9/Walking/1")
    assert (dataset.name, dataset.detector, dataset.space) == ("h36m", "gt", "camera")


def test_frames_of_2d_beyond_the_3d_are_left_out_with_a_note(folder: Path) -> None:
    (note,) = read(folder).notes
    assert re.fullmatch(
        r"data_2d_h36m_gt\.npz: the last frames of \d+ views have no 3D and are left out, such as S1, 'Photo 1', "
        r"camera \d+: (\d+) frames of 2D, (\d+) of 3D",
        note,
    )


def test_every_value(folder: Path) -> None:
    written = files.keypoints_2d()
    dataset = read(folder)
    keys = {**ORDER["train"], **ORDER["test"]}
    for number, sequence in enumerate(everything(dataset)):
        camera, key = number % 4, keys[sequence.take]
        frames = files.TAKES[sequence.subject][key]
        world = files.world_of(sequence.subject, key, frames)
        assert len(sequence) == frames
        assert sequence.truth == pytest.approx(files.camera_mm(world, sequence.subject, camera), abs=2e-3)
        assert np.array_equal(sequence.keypoints, written[sequence.subject][key][camera][:frames])
        assert np.array_equal(sequence.confidence, np.ones((frames, 17)))
        assert sequence.camera == rigs()[sequence.subject][camera]
        assert (sequence.camera.width, sequence.camera.height) == files.SIZES[camera]
        assert (sequence.fps, sequence.mm_per_pixel, sequence.valid) == (50, None, None)
        assert {array.dtype for array in (sequence.truth, sequence.keypoints, sequence.confidence)} == {np.dtype("f4")}


def test_the_keypoints_called_gt_are_the_projection_of_the_truth(folder: Path) -> None:
    for number, sequence in enumerate(everything(read(folder))):
        assert sequence.keypoints == pytest.approx(files.projected(sequence.truth, number % 4), abs=5e-3)


def test_detectors_are_those_present_in_the_order_of_preference(folder: Path) -> None:
    assert h36m.detectors(str(folder)) == ("cpn", "gt")
    for name in ("sh_ft_h36m", "detectron_ft_h36m", "a_mine"):
        files.write_objects(
            folder / f"data_2d_h36m_{name}.npz", positions_2d=files.keypoints_2d(offset=7), metadata=files.metadata()
        )
    assert h36m.detectors(str(folder)) == ("cpn", "detectron", "gt", "a_mine", "sh_ft_h36m")
    assert load(f"h36m:{folder}").detector == "cpn"
    for detector, offset in (("cpn", 3), ("gt", 0), ("a_mine", 7)):
        assert read(folder, detector).test[0].keypoints[0, 0] == pytest.approx(
            files.keypoints_2d()["S9"]["Directions"][0][0, 0] + offset, abs=1e-4
        )


def test_a_detector_that_is_not_there(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"no keypoints of 'detectron'; it has data_2d_h36m_cpn_ft.*DATASETS"):
        read(folder, "detectron")
    with pytest.raises(BadInput, match=r"unknown detector 'detectron'.*There are: cpn, gt"):
        load(f"h36m:{folder}", detector="detectron")


def test_two_archives_of_one_detector(folder: Path) -> None:
    (folder / "data_2d_h36m_cpn.npz").write_bytes(b"")
    with pytest.raises(BadInput, match=r"the detector 'cpn' is that of data_2d_h36m_cpn.npz too"):
        h36m.detectors(str(folder))


def test_a_third_channel_is_the_confidence(folder: Path) -> None:
    found = files.keypoints_2d()
    scores = np.linspace(0, 1, 10 * 17, dtype="f4").reshape(10, 17, 1)
    found["S9"]["Directions"][1] = np.concatenate([found["S9"]["Directions"][1], scores], axis=-1)
    rewrite(folder, found=found)
    one, other = read(folder).test[:2]
    assert np.array_equal(other.confidence, scores[:8, :, 0])
    assert other.keypoints.shape == (8, 17, 2)
    assert one.confidence.min() == 1


def test_seventeen_joints_are_taken_as_they_are_and_noted(folder: Path) -> None:
    poses = files.poses_3d()
    poses["S9"]["Directions"] = poses["S9"]["Directions"][:, files.RECORDED]
    before = read(folder)
    rewrite(folder, poses=poses)
    after = read(folder)
    assert digest(after.test) == digest(before.test)
    assert after.notes[:-1] == ("1 takes in data_3d_h36m.npz have 17 joints, taken to be in Human3.6M's order",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_older_and_newer_pickles(folder: Path, protocol: int) -> None:
    before = read(folder)
    files.write_objects(folder / "data_3d_h36m.npz", protocol=protocol, positions_3d=files.poses_3d())
    files.write_objects(
        folder / "data_2d_h36m_gt.npz",
        protocol=protocol,
        positions_2d=files.keypoints_2d(),
        metadata={**files.metadata(), "layout_name": "h36m"},
    )
    after = read(folder)
    assert digest(everything(after)) == digest(everything(before))
    assert [one.name for one in everything(after)] == [one.name for one in everything(before)]


def test_as_many_frames_of_2d_as_of_3d_do(folder: Path) -> None:
    rewrite(folder, found=files.keypoints_2d(more_frames=0))
    assert [len(sequence) for sequence in read(folder).test[::4]] == [8, 6, 6]


def test_what_one_of_the_files_lacks_is_left_out_and_named(folder: Path) -> None:
    found, poses = files.keypoints_2d(), files.poses_3d()
    found["S2"] = found["S1"]
    del found["S5"], found["S9"]["Walking 1"], poses["S9"]["Directions"]
    rewrite(folder, poses=poses, found=found)
    dataset = read(folder)
    assert [sequence.take for sequence in everything(dataset)[::4]] == ["S1/Photo/1", "S1/Walking/0", "S11/Walking/1"]
    assert dataset.notes[:-1] == (
        "left out, in data_3d_h36m.npz but not in data_2d_h36m_gt.npz: all of S5; S9, 'Walking 1'",
        "left out, in data_2d_h36m_gt.npz but not in data_3d_h36m.npz: all of S2; S9, 'Directions'",
    )


def test_a_long_list_of_what_is_left_out_is_cut(folder: Path) -> None:
    found = files.keypoints_2d()
    found["S9"] |= {f"Eating {number}": found["S9"]["Directions"] for number in range(15)}
    rewrite(folder, found=found)
    assert read(folder).notes[0].endswith("'Eating 11' and 3 more")


def rewrite(folder: Path, *, poses: Any = None, found: Any = None, metadata: Any = None) -> None:
    """Write the 3D or the 2D called gt again with something else in it."""
    if poses is not None:
        files.write_objects(folder / "data_3d_h36m.npz", positions_3d=poses)
    if found is not None or metadata is not None:
        files.write_objects(
            folder / "data_2d_h36m_gt.npz",
            positions_2d=files.keypoints_2d() if found is None else found,
            metadata=files.metadata() if metadata is None else metadata,
        )


def changed(array: Array, place: Any, value: Any) -> Array:
    array = array.copy()
    array[place] = value
    return array


NINE = "S9, 'Directions'"
POSES: list[tuple[Callable[[Array], Any], str]] = [
    (
        lambda a: a[:, :16],
        rf"data_3d_h36m.npz, 'positions_3d', {NINE}: has shape \(8, 16, 3\); expected \(frames, 32, 3\)",
    ),
    (lambda a: a[:, :31], r"has shape \(8, 31, 3\)"),
    (lambda a: a[..., :2], r"has shape \(8, 32, 2\); expected \(frames, 32, 3\)"),
    (lambda a: a.reshape(8, 96), r"has shape \(8, 96\)"),
    (lambda a: a[:0], f"{NINE}: has no frame"),
    (lambda a: a.astype("U"), "holds <U32; expected numbers"),
    (lambda a: [[1.0], [1.0, 2.0]], "lists of unlike lengths"),
    (lambda a: a.astype("i8"), "holds int64; expected float32 metres"),
    (lambda a: None, "holds object; expected numbers"),
    (lambda a: changed(a, (3, 27, 1), np.nan), rf"{NINE}: frame 3 \(from 0\), joint 16 \(right wrist\): nan"),
    (lambda a: changed(a, (5, 0, 0), np.inf), r"frame 5 \(from 0\), joint 0 \(pelvis\): inf"),
    (lambda a: a * 1000, r"1\d\d\d m from ankle to head .* look like millimetres; convert to metres"),
    (lambda a: a * 100, "look like centimetres"),
]


@pytest.mark.parametrize(("wrong", "message"), POSES)
def test_wrong_3d_is_named_with_its_place(folder: Path, wrong: Callable[[Array], Any], message: str) -> None:
    poses: Any = files.poses_3d()
    poses["S9"]["Directions"] = wrong(poses["S9"]["Directions"])
    rewrite(folder, poses=poses)
    with pytest.raises(BadInput, match=message):
        read(folder)


def test_joints_that_are_not_kept_may_be_anything(folder: Path) -> None:
    poses = files.poses_3d()
    poses["S9"]["Directions"][:, 4] = np.nan
    rewrite(folder, poses=poses)
    assert np.isfinite(read(folder).test[0].truth).all()


VIEW = f"data_2d_h36m_gt.npz, 'positions_2d', {NINE}"
KEYPOINTS: list[tuple[Callable[[list[Array]], Any], str]] = [
    (lambda v: v[:3], f"{VIEW}: keypoints of 3 cameras; expected those of 54138969, 55011271, 58860488, 60457274"),
    (lambda v: [*v, v[0]], "keypoints of 5 cameras"),
    (lambda v: None, "keypoints of 0 cameras"),
    (lambda v: {"54138969": v[0]}, "keypoints of 0 cameras"),
    (lambda v: [v[0], None, v[2], v[3]], f"{VIEW}, camera 55011271: holds object; expected numbers"),
    (lambda v: [v[0][:7], *v[1:]], f"{VIEW}, camera 54138969: 7 frames of 2D, but 8 of 3D"),
    (lambda v: [v[0][:, :16], *v[1:]], r"camera 54138969: has shape \(10, 16, 2\); expected \(frames, 17, 2\)"),
    (lambda v: [v[0][..., :1], *v[1:]], r"has shape \(10, 17, 1\)"),
    (lambda v: [*v[:3], v[3].astype("U")], "camera 60457274: holds <U32"),
    (lambda v: [*v[:3], [[1.0], [1.0, 2.0]]], "camera 60457274: holds lists of unlike lengths"),
    (lambda v: [v[0], changed(v[1], (7, 13, 1), np.nan), *v[2:]],
     rf"{VIEW}, camera 55011271: nan at frame 7 \(from 0\), joint 13 \(left wrist\)"),
    (lambda v: [v[0], changed(v[1], (2, 0), np.inf), *v[2:]], r"inf at frame 2 .* \(2 such values in all\)"),
    (lambda v: [np.concatenate([v[0], changed(v[0][..., :1], (1, 10), np.nan)], -1), *v[1:]],
     r"camera 54138969: nan at frame 1 \(from 0\), joint 10 \(head\)"),
    (lambda v: [v[0] / 500 - 1, *v[1:]], r"camera 54138969: reaches 0\.\d+ only; expected pixels, .* normalised"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "message"), KEYPOINTS)
def test_wrong_2d_is_named_with_its_place(folder: Path, wrong: Callable[[list[Array]], Any], message: str) -> None:
    found: Any = files.keypoints_2d()
    found["S9"]["Directions"] = wrong(found["S9"]["Directions"])
    rewrite(folder, found=found)
    with pytest.raises(BadInput, match=message):
        read(folder)


def test_what_is_wrong_after_the_last_frame_of_3d_does_not_matter(folder: Path) -> None:
    found = files.keypoints_2d()
    found["S9"]["Directions"][0][8:] = np.nan
    rewrite(folder, found=found)
    assert len(read(folder).test[0]) == 8


COCO = {"keypoints_symmetry": [list(range(1, 17, 2)), list(range(2, 17, 2))]}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            files.metadata(**COCO),
            r"h36m_gt.npz, 'metadata': 17 joints with \[1, 3, .* \(this is COCO's order\)",
        ),
        (files.metadata(num_joints=16), r"16 joints .* \(this looks like MPII's order\)"),
        (files.metadata(keypoints_symmetry=files.SYMMETRY[::-1]), "left and right are exchanged"),
        (files.metadata(keypoints_symmetry=[[4, 5], [1, 2]]), "this is another order"),
        (files.metadata(keypoints_symmetry=[[4, 5], [1, 2, 3]]), "this is another order"),
        (files.metadata(keypoints_symmetry=[[4, 5]]), "expected a left and a right list"),
        (files.metadata(keypoints_symmetry=None), "expected a left and a right list"),
        ({"num_joints": 17}, "'metadata': has no 'keypoints_symmetry'"),
        ({"keypoints_symmetry": files.SYMMETRY}, "'metadata': has no 'num_joints'"),
        ("h36m", "'metadata': is str; expected a dictionary"),
    ],
)
def test_another_order_of_joints(folder: Path, metadata: Any, message: str) -> None:
    rewrite(folder, metadata=metadata)
    with pytest.raises(BadInput, match=message):
        read(folder)


def test_the_metadata_of_gt_has_no_layout_name_and_may_be_arrays(folder: Path) -> None:
    sides = [np.array(side) for side in files.SYMMETRY]
    rewrite(folder, metadata={"num_joints": np.int64(17), "keypoints_symmetry": tuple(sides)})
    assert len(read(folder).test) == 12


@pytest.mark.parametrize(
    ("name", "objects", "message"),
    [
        ("data_3d_h36m.npz", {"positions": {}}, "data_3d_h36m.npz: has no 'positions_3d'. Did you mean: positions"),
        ("data_3d_h36m.npz", {"positions_3d": np.ones(3)}, "'positions_3d': is ndarray; expected a dictionary"),
        ("data_3d_h36m.npz", {"positions_3d": {"S1": [1]}}, "'positions_3d', S1: is list; expected a dictionary"),
        ("data_3d_h36m.npz", {"positions_3d": {}}, "have no take in common"),
        ("data_3d_h36m.npz", {"positions_3d": {"S10": {"Walking": 1}}}, "subject 'S10' is none of .* S1, S5, S6, S7"),
        ("data_3d_h36m.npz", {"positions_3d": {"S1": {"Walking": 1, "Walking 0": 2}}},
         "S1, 'Walking' and S1, 'Walking 0' are the same take by name"),
        ("data_2d_h36m_gt.npz", {"positions_2d": {}}, "data_2d_h36m_gt.npz: has no 'metadata'"),
        ("data_2d_h36m_gt.npz", {"metadata": files.metadata()}, "data_2d_h36m_gt.npz: has no 'positions_2d'"),
        ("data_2d_h36m_gt.npz", {"metadata": files.metadata(), "positions_2d": {"S1": {}}}, "no take in common"),
    ],
)  # fmt: skip
def test_a_wrong_key(folder: Path, name: str, objects: dict[str, Any], message: str) -> None:
    files.write_objects(folder / name, **objects)
    with pytest.raises(BadInput, match=message):
        read(folder)


class Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("name", ["data_3d_h36m.npz", "data_2d_h36m_gt.npz"])
@pytest.mark.parametrize("protocol", [None, 4])
def test_a_foreign_class_is_refused_and_nothing_runs(folder: Path, name: str, protocol: int | None) -> None:
    bomb = {"S1": {"Walking": Bomb(folder / "trace")}}
    files.write_objects(
        folder / name, protocol=protocol, positions_3d=bomb, positions_2d=bomb, metadata=files.metadata()
    )
    with pytest.raises(BadInput, match=f"{name}, array 'positions_[23]d': refused, since it names posix.system"):
        read(folder)
    assert not (folder / "trace").exists()


@pytest.mark.parametrize("name", ["data_3d_h36m.npz", "data_2d_h36m_gt.npz"])
def test_a_file_cut_short_anywhere(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for share in (0, 0.001, 0.2, 0.5, 0.9, 0.999):
        (folder / name).write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(BadInput, match=rf"{re.escape(name)}.*: is (damaged or cut short|not an .npz)"):
            read(folder)


def test_a_web_page_in_place_of_the_file(folder: Path) -> None:
    (folder / "data_2d_h36m_gt.npz").write_bytes(b"<!DOCTYPE html><html>404")
    with pytest.raises(BadInput, match=r"data_2d_h36m_gt.npz: is not an .npz but a web page"):
        read(folder)


def test_the_second_time_the_files_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(folder)

    def must_not(path: Path) -> Any:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(archive, "read_objects", must_not)
    second = read(folder)
    assert digest(everything(second)) == digest(everything(first))
    assert (second.notes, second.detector) == (first.notes, "gt")
    store = array_store.find(second)
    assert store
    assert store.parent == folder / ".harness"
    assert store.name.startswith("h36m-gt-")
    with pytest.raises(AssertionError, match="is read"):
        read(folder, "cpn")


@pytest.mark.parametrize("name", ["poses", "found"])
def test_a_changed_file_is_read_anew(folder: Path, name: str) -> None:
    before = read(folder)
    poses, found = files.poses_3d(), files.keypoints_2d()
    poses["S9"]["Directions"] += np.float32(0.01)
    found["S9"]["Directions"][0] += np.float32(10)
    rewrite(folder, **{name: {"poses": poses, "found": found}[name]})
    after = read(folder)
    truth_moved = np.abs(after.test[0].truth - before.test[0].truth).max()
    keypoints_moved = np.abs(after.test[0].keypoints - before.test[0].keypoints).max()
    assert (truth_moved > 1, keypoints_moved > 1) == (name == "poses", name == "found")


def test_real_motion_in_this_layout_comes_back(tmp_path: Path) -> None:
    real = load(f"motion:{shared_motion()}/hdm05_test.npz", detector="gt").test[:12]
    poses: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for number in range(0, len(real), 4):
        views = real[number : number + 4]
        world = views[0].camera.to_world(views[0].truth.astype("f8")) / 1000.0
        poses[f"Walking {number}"] = files.recorded(world.astype("f4"))
        found[f"Walking {number}"] = [view.keypoints for view in views]
        assert views[0].camera == rigs()["S9"][0]
    rewrite(tmp_path, poses={"S9": poses}, found={"S9": found})
    back = load(f"h36m:{tmp_path}")
    assert [len(sequence) for sequence in back.test] == [len(sequence) for sequence in real]
    for one, other in zip(back.test, real, strict=True):
        assert one.truth == pytest.approx(other.truth, abs=5e-3)
        assert np.array_equal(one.keypoints, other.keypoints)
        assert one.camera == other.camera
