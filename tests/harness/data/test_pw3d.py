"""3DPW in small: what is read, what it becomes, and what is said of files that are not as they should be."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data import array_store, load, pw3d, pw3d_recording
from harness.data.body import height
from harness.data.normalise import model_input
from harness.data.sequence import Dataset, Sequence, digest
from harness.errors import BadInput
from tests.harness.data.figures import shared_motion
from tests.harness.data.pw3d_files import (
    FRAMES,
    LANDSCAPE,
    PORTRAIT,
    contents,
    detections_of,
    h36m_regressor,
    pan,
    people,
    posed_slowly,
    project,
    skeleton_of,
    smpl_arrays,
    write,
    write_as_python2,
    write_set,
)  # fmt: skip

Array = NDArray[Any]

#: SMPL's joint for each of the 17, by hand; joint 10 has none.
SMPL_OF = (0, 2, 5, 8, 1, 4, 7, 6, 12, 15, None, 16, 18, 20, 17, 19, 21)
#: OpenPose's joints for each of the 17, by hand.
OPENPOSE_OF = ((8, 11), (8,), (9,), (10,), (11,), (12,), (13,), (8, 11, 2, 5), (2, 5), (0,), (14, 15), (5,), (6,), (7,),
               (2,), (3,), (4,))  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_set(tmp_path)


def load_set(folder: Path, detector: str = "openpose") -> Dataset:
    return load(f"3dpw:{folder}", detector=detector)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], Any], part: str = "train") -> Path:
    """The part's one file with its contents changed in place."""
    path = next((folder / "sequenceFiles" / part).glob("*.pkl"))
    content = pickle.loads(path.read_bytes())
    change(content)
    return write(path, content)


def changed(**entries: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.update(entries)


def noted(dataset: Dataset, words: str) -> str:
    found = [note for note in dataset.notes if words in note]
    assert len(found) == 1, f"{words!r} in {dataset.notes}"
    return found[0]


# What it becomes


def test_every_sequence_is_a_person_of_a_file(folder: Path) -> None:
    dataset = load_set(folder)
    assert [one.name for one in dataset.train] == [
        "downtown_cafe_00-person0/downtown/downtown_cafe_00/moving",
        "downtown_cafe_00-person1/downtown/downtown_cafe_00/moving",
    ]
    assert [one.name for one in dataset.test] == ["flat_guitar_01-person0/flat/flat_guitar_01/moving"]
    first, second = dataset.train
    assert (first.subject, first.action, first.take) == ("downtown_cafe_00-person0", "downtown", "downtown_cafe_00")
    assert second.take == first.take
    assert (len(first), first.fps, first.space) == (FRAMES, 30.0, "camera")
    assert (dataset.name, dataset.detector, dataset.grouped_by) == ("3dpw", "openpose", "scene")


def test_the_truth_is_the_skeleton_in_camera_space(folder: Path) -> None:
    dataset = load_set(folder)
    for number, sequence in enumerate(dataset.train):
        skeleton_m = skeleton_of(people()[number])
        for frame, pose in enumerate(pan(FRAMES)):
            for joint, source in enumerate(SMPL_OF):
                world_m = skeleton_m[frame, source or 0]
                if source is None:
                    world_m = 2 * skeleton_m[frame, 15] - skeleton_m[frame, 12]
                expected_mm = 1000 * (pose[:3, :3] @ world_m + pose[:3, 3])
                np.testing.assert_allclose(sequence.truth[frame, joint], expected_mm, atol=1e-3)
    assert dataset.joints == (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16)
    assert dataset.joints_name == "14:smpl"
    assert "SMPL joints, not the H36M regressor; not comparable with published 3DPW numbers" in dataset.notes
    assert "joint 10, not scored" in noted(dataset, "no top of the head")


def test_the_detections_are_openposes(folder: Path) -> None:
    sequence = load_set(folder).train[1]
    detected = detections_of(people()[1], pan(FRAMES), PORTRAIT)
    for frame in range(FRAMES):
        for joint, sources in enumerate(OPENPOSE_OF):
            expected = np.mean([detected[frame, :, source] for source in sources], axis=0)
            np.testing.assert_allclose(sequence.keypoints[frame, joint], expected[:2], rtol=1e-6)
            np.testing.assert_allclose(sequence.confidence[frame, joint], expected[2], rtol=1e-6)


def test_the_camera_is_the_files(folder: Path) -> None:
    dataset = load_set(folder)
    portrait, landscape = dataset.train[0].camera, dataset.test[0].camera
    assert (portrait.width, portrait.height, portrait.focal, portrait.centre) == (1080, 1920, (1961, 1969), (540, 960))
    assert (landscape.width, landscape.height, landscape.centre) == (1920, 1080, (960, 540))


def test_the_detector_gt_is_the_truths_projection(folder: Path) -> None:
    joints = people()[0]
    joints[3:, 16] += [0.0, 0.0, 3.0]
    rewrite(
        folder,
        changed(jointPositions=[skeleton_of(joints).reshape(FRAMES, 72), skeleton_of(people()[1]).reshape(FRAMES, 72)]),
    )
    dataset = load_set(folder, "gt")
    assert dataset.detector == "gt"
    skeleton_m = skeleton_of(joints)
    for frame, pose in enumerate(pan(FRAMES)):
        for joint, source in enumerate(SMPL_OF):
            if source is not None:
                pixel = project(pose, PORTRAIT, skeleton_m[frame, source])
                inside = 0 <= pixel[0] < 1080 and 0 <= pixel[1] < 1920
                np.testing.assert_allclose(dataset.train[0].keypoints[frame, joint], pixel, rtol=1e-5)
                assert dataset.train[0].confidence[frame, joint] == inside
    assert (dataset.train[0].confidence[3:, 16] == 0).all()
    assert not any("detected" in note for note in dataset.notes)


def test_the_parts(folder: Path) -> None:
    dataset = load_set(folder)
    assert noted(dataset, "not the whole set") == (
        "not the whole set: train 1 of 24, validation 1 of 12, test 1 of 24 sequences"
    )
    assert noted(dataset, "validation (") == (
        "validation (1 files, 2 persons with 10 frames) is neither trained nor tested on"
    )
    found = pw3d.sequence_files(str(folder))
    assert {part: [path.stem for path in paths] for part, paths in found.items()} == {
        "train": ["downtown_cafe_00"], "validation": ["courtyard_hug_00"], "test": ["flat_guitar_01"],
    }  # fmt: skip


def test_the_whole_set_is_not_noted(tmp_path: Path) -> None:
    content = contents(people(3, 1))
    for part, total in pw3d.TOTALS.items():
        for number in range(total):
            path = write(tmp_path / part / f"{part}_walk_{number:02}.pkl", content)
    dataset = load(f"3dpw:{tmp_path}")
    assert (len(dataset.train), len(dataset.test)) == (24, 24)
    assert not any("whole set" in note for note in dataset.notes)
    path.unlink()
    assert "train 24 of 24, validation 12 of 12, test 23 of 24" in noted(load(f"3dpw:{tmp_path}"), "whole set")


@pytest.mark.parametrize("given", ["", "sequenceFiles", "sequenceFiles/"])
def test_both_folders_can_be_named(folder: Path, given: str) -> None:
    assert load(f"3dpw:{folder}/{given}").train[0].name.startswith("downtown_cafe_00-person0")


def test_files_that_python_2_wrote(folder: Path) -> None:
    expected = digest(load_set(folder).train)
    path = folder / "sequenceFiles" / "train" / "downtown_cafe_00.pkl"
    before = path.read_bytes()
    write_as_python2(path, contents(people()))
    assert b"_codecs" in before
    assert b"_codecs" not in path.read_bytes()
    assert digest(load_set(folder).train) == expected


def test_the_readmes_spelling_of_the_keys(folder: Path) -> None:
    expected = digest(load_set(folder).train)
    rewrite(folder, lambda content: content.update(poses2D=content.pop("poses2d"), gender=content.pop("genders")))
    assert digest(load_set(folder).train) == expected


def test_the_second_time_it_comes_from_the_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_set(folder)
    monkeypatch.setattr(pw3d_recording, "read", None)
    second = load_set(folder)
    assert array_store.find(second) is not None
    assert not any(str(folder) in note for note in second.notes)
    assert digest(second.train + second.test) == digest(first.train + first.test)
    assert (second.notes, second.joints, second.joints_name) == (first.notes, first.joints, first.joints_name)


def test_a_detectors_store_is_its_own(folder: Path) -> None:
    assert digest(load_set(folder).train) != digest(load_set(folder, "gt").train)
    assert load_set(folder, "gt").detector == "gt"


# Frames whose camera pose is not valid


def test_a_frame_without_a_valid_camera_pose_is_not_scored(folder: Path) -> None:
    plain = load_set(folder).train[0]
    valid = [np.ones(FRAMES, dtype=int), np.ones(FRAMES, dtype=int)]
    valid[0][7] = 0
    rewrite(folder, changed(campose_valid=valid))
    dataset = load_set(folder)
    first, second = dataset.train
    assert first.valid is not None
    assert np.flatnonzero(~first.valid).tolist() == [7]
    assert second.valid is not None
    assert second.valid.all()
    assert (first.keypoints == plain.keypoints).all()
    assert "of 52 frames 1 whose camera pose is not valid and 0" in noted(dataset, "not scored: of")
    others = np.arange(FRAMES) != 7
    assert (first.truth[others] == plain.truth[others]).all()


def test_its_truth_is_a_guess_by_the_frames_around(folder: Path) -> None:
    plain = load_set(folder).train[0].truth
    poses, valid = pan(FRAMES), np.ones(FRAMES, dtype=int)
    poses[[0, 10, 11, 12, 13, 19]] = np.nan
    valid[[0, 10, 11, 12, 13, 19]] = 0
    rewrite(folder, changed(cam_poses=poses, campose_valid=[valid, valid]))
    guessed = load_set(folder).train[0].truth
    assert np.isfinite(guessed).all()
    skeleton_m = skeleton_of(people()[0])
    for frame, nearest in ((0, 1), (10, 9), (11, 9), (12, 14), (13, 14), (19, 18)):
        for joint, source in ((3, 8), (16, 21)):
            offset_mm = 1000 * (pan(FRAMES)[nearest, :3, :3] @ (skeleton_m[frame, source] - skeleton_m[frame, 0]))
            np.testing.assert_allclose(guessed[frame, joint] - guessed[frame, 0], offset_mm, atol=1e-2)
    np.testing.assert_allclose(guessed[11, 0], plain[9, 0] + (plain[14, 0] - plain[9, 0]) * 2 / 5, atol=1e-2)
    np.testing.assert_allclose(guessed[[0, 19], 0], plain[[1, 18], 0], atol=1e-2)


def test_a_guess_stays_in_front_of_the_camera(folder: Path) -> None:
    poses, valid = pan(FRAMES, 0.0), np.ones(FRAMES, dtype=int)
    poses[:, 2, 3] = 0.3
    valid[5] = 0
    joints = people()[0]
    joints[5, 13] += [0.0, -0.6, 0.0]
    entries = contents([joints], poses=poses, campose_valid=[valid], poses2d=[np.zeros((FRAMES, 3, 18))])
    rewrite(folder, lambda content: content.update(entries))
    truth = load_set(folder, "gt").train[0].truth
    assert truth[..., 2].min() == pytest.approx(100, abs=1e-3)
    assert truth[5, 13, 2] == pytest.approx(100, abs=1e-3)


def test_a_person_behind_the_camera_is_not_scored(folder: Path) -> None:
    joints = people()[0]
    joints[4:6, :, 1] -= 7.0
    rewrite(folder, changed(jointPositions=[skeleton_of(joints).reshape(FRAMES, 72)] * 2))
    dataset = load_set(folder)
    assert dataset.train[0].valid is not None
    assert np.flatnonzero(~dataset.train[0].valid).tolist() == [4, 5]
    assert dataset.train[0].truth[..., 2].min() > 100
    assert "and 4 with the person behind the camera" in noted(dataset, "not scored: of")


def test_a_person_that_is_mostly_behind_the_camera_is_left_out(folder: Path) -> None:
    joints = people()[0]
    joints[:12, :, 1] -= 7.0
    rewrite(folder, of_first("jointPositions", lambda _: skeleton_of(joints).reshape(FRAMES, 72)))
    dataset = load_set(folder)
    assert [one.subject for one in dataset.train] == ["downtown_cafe_00-person1"]
    assert noted(dataset, "left out") == "left out: downtown_cafe_00-person0 (behind the camera)"


def test_a_person_without_any_valid_camera_pose_is_left_out(folder: Path) -> None:
    rewrite(folder, changed(campose_valid=[np.zeros(FRAMES), np.ones(FRAMES)]))
    dataset = load_set(folder)
    assert [one.subject for one in dataset.train] == ["downtown_cafe_00-person1"]
    assert noted(dataset, "left out") == "left out: downtown_cafe_00-person0 (no valid camera pose)"


# Joints that were not detected


def test_a_joint_that_is_missing_is_where_it_was_last(folder: Path) -> None:
    plain = load_set(folder).train[0]

    def lose(content: dict[str, Any]) -> None:
        found = content["poses2d"][0]
        found[3:6, :, 9] = 0  # right knee
        found[0:2, :, 4] = 0  # right wrist, at the start
        found[8, :, 11] = 0  # left hip, of which pelvis and spine are made
        found[12] = 0

    rewrite(folder, lose)
    dataset = load_set(folder)
    sequence = dataset.train[0]
    assert (sequence.keypoints[3:6, 2] == plain.keypoints[2, 2]).all()
    assert (sequence.keypoints[0:2, 16] == plain.keypoints[2, 16]).all()
    assert (sequence.keypoints[12] == plain.keypoints[11]).all()
    assert (sequence.confidence[3:6, 2] == 0).all()
    assert (sequence.confidence[0:2, 16] == 0).all()
    assert (sequence.confidence[12] == 0).all()
    assert np.flatnonzero(sequence.confidence[8] == 0).tolist() == [0, 4, 7]
    np.testing.assert_allclose(sequence.keypoints[8, 0], (plain.keypoints[8, 1] + plain.keypoints[7, 4]) / 2, rtol=1e-6)
    assert np.count_nonzero(sequence.confidence == 0) == 3 + 2 + 3 + 17
    assert noted(dataset, "were not detected") == (
        f"{3 + 2 + 1 + 15} of {15 * 52} joints were not detected, all of them in 1 frames: their last known place,"
        " confidence 0"
    )


def test_a_joint_that_is_never_found_is_in_the_middle_of_the_others(folder: Path) -> None:
    def lose(content: dict[str, Any]) -> None:
        content["poses2d"][0][:, :, 10] = 0  # right ankle
        content["poses2d"][0][:, :, 16] = 0  # right ear, of which nothing is made

    rewrite(folder, lose)
    dataset = load_set(folder)
    detected = detections_of(people()[0], pan(FRAMES), PORTRAIT)
    others = [joint for joint in range(18) if joint not in (1, 10, 16, 17)]
    np.testing.assert_allclose(dataset.train[0].keypoints[:, 3], detected[:, :2, others].mean(axis=2), rtol=1e-6)
    assert (dataset.train[0].confidence[:, 3] == 0).all()
    assert noted(dataset, "never detected").endswith("downtown_cafe_00-person0 (right ankle)")


def test_a_person_that_is_never_detected_is_left_out(folder: Path) -> None:
    def lose(content: dict[str, Any]) -> None:
        content["poses2d"][1][:] = 0

    rewrite(folder, lose)
    dataset = load_set(folder)
    assert [one.subject for one in dataset.train] == ["downtown_cafe_00-person0"]
    assert noted(dataset, "left out") == "left out: downtown_cafe_00-person1 (no detection)"
    assert len(load_set(folder, "gt").train) == 2


def test_detections_far_outside_the_image_count_as_none(folder: Path) -> None:
    plain = load_set(folder).train[0]

    def spoil(content: dict[str, Any]) -> None:
        content["poses2d"][0][6, :2, 7] = 31415.0, -9.0  # left wrist
        content["poses2d"][0][6, 2, 0] = 1.7

    rewrite(folder, spoil)
    dataset = load_set(folder)
    assert (dataset.train[0].keypoints[6, 13] == plain.keypoints[5, 13]).all()
    assert dataset.train[0].confidence[6, 13] == 0
    assert dataset.train[0].confidence[6, 9] == 1
    assert model_input(dataset.train[0], 3).shape == (FRAMES, 17, 3)
    assert (
        "first downtown_cafe_00-person0, frame 6 (from 0), joint 7 (left wrist): [31415.0, -9.0] in 1080 x 1920"
        in noted(dataset, "1 detections far outside the image count as none")
    )


def test_detections_of_somebody_else_are_noted(folder: Path) -> None:
    def exchange(content: dict[str, Any]) -> None:
        content["poses2d"][0][:, 0] += 400.0

    rewrite(folder, exchange)
    assert noted(load_set(folder), "as if of somebody else").endswith(": downtown_cafe_00-person0")


def test_detections_where_the_truth_is_a_guess_are_not_held_against_it(folder: Path) -> None:
    def stray(content: dict[str, Any]) -> None:
        content["campose_valid"][0][:12] = 0
        content["poses2d"][0][:12, 0] += 400.0

    rewrite(folder, stray)
    assert not any("as if of somebody else" in note for note in load_set(folder).notes)


# Faults


def of_first(key: str, value: Callable[[Array], Any]) -> Callable[[dict[str, Any]], None]:
    """Changes the first person's array under ``key``."""

    def change(content: dict[str, Any]) -> None:
        content[key] = [value(content[key][0].copy()), *content[key][1:]]

    return change


def with_value(*place_and_value: Any) -> Callable[[Array], Array]:
    *place, value = place_and_value

    def change(array: Array) -> Array:
        array = array.astype(float)
        array[tuple(place)] = value
        return array

    return change


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.pop(key)  # type: ignore[return-value]


#: Added to x, y and score.
RIGHTWARDS_PX = np.array([[260.0], [0.0], [0.0]])

FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no detections": (without("poses2d"), r"downtown_cafe_00.pkl: has no 'poses2d'. .*It has: sequence"),
    "no truth": (without("jointPositions"), r"downtown_cafe_00.pkl: has no 'jointPositions'"),
    "no cameras": (without("cam_poses"), r"has no 'cam_poses'"),
    "no intrinsics": (without("cam_intrinsics"), r"has no 'cam_intrinsics'"),
    "no validity": (without("campose_valid"), r"has no 'campose_valid'"),
    "fewer detections": (
        of_first("poses2d", lambda found: found[:-1]),
        r"downtown_cafe_00.pkl, 'poses2d' of person 0: has 19 frames, but 'cam_poses' has 20",
    ),
    "more joints": (
        of_first("jointPositions", lambda joints: np.concatenate([joints, joints])),
        r"'jointPositions' of person 0: has 40 frames, but 'cam_poses' has 20",
    ),
    "fewer flags": (
        of_first("campose_valid", lambda valid: valid[:3]),
        r"'campose_valid' of person 0: has 3 frames, but 'cam_poses' has 20",
    ),
    "fewer persons": (
        lambda content: content.update(jointPositions=content["jointPositions"][:1]),
        r"downtown_cafe_00.pkl, 'jointPositions': has 1 persons, but 'poses2d' has 2",
    ),
    "no list": (changed(poses2d=3), r"'poses2d': is int; expected a list with one entry a person"),
    "nobody": (changed(poses2d=[]), r"'poses2d': is an empty list; expected a list with one entry a person"),
    "transposed": (
        of_first("poses2d", lambda found: found.swapaxes(1, 2)),
        r"'poses2d' of person 0: has shape \(20, 18, 3\); expected \(frames, 3, 18\), x, y and score before the joints:"
        " exchange the last two axes",
    ),
    "25 joints": (
        of_first("poses2d", lambda found: np.zeros((20, 3, 25))),
        r"'poses2d' of person 0: has shape \(20, 3, 25\); expected \(frames, 3, 18\)",
    ),
    "text": (of_first("jointPositions", lambda joints: joints.astype(str)), r"'jointPositions' of person 0: holds <U"),
    "unlike lengths": (
        of_first("jointPositions", lambda joints: [[1.0], [1.0, 2.0]]),
        r"'jointPositions' of person 0: holds lists of unlike lengths",
    ),
    "NaN in the truth": (
        of_first("jointPositions", with_value(4, 16, np.nan)),
        r"'jointPositions' of person 0: nan at frame 4 \(from 0\), joint 5 \(right knee\)",
    ),
    "NaN in 2D": (
        of_first("poses2d", with_value(9, 1, 6, np.nan)),
        r"'poses2d' of person 0: nan at frame 9 \(from 0\), joint 6 \(left elbow\)",
    ),
    "NaN in a valid camera": (
        lambda content: content["cam_poses"].__setitem__((3, 0, 0), np.nan),
        r"'cam_poses': nan at frame 3",
    ),
    "not a rotation": (
        lambda content: content["cam_poses"].__setitem__((3, slice(3), slice(3)), 2 * np.eye(3)),
        r"'cam_poses': frame 3 \(from 0\) is no rotation with a translation in its last column",
    ),
    "a mirror": (
        lambda content: content["cam_poses"].__setitem__((3, slice(3), slice(3)), np.diag([-1, 1, 1])),
        r"'cam_poses': frame 3 \(from 0\) is no rotation",
    ),
    "transposed cameras": (
        lambda content: content.update(cam_poses=content["cam_poses"].swapaxes(1, 2)),
        r"'cam_poses': frame 0 \(from 0\) is no rotation with a translation in its last column",
    ),
    "3 x 4 cameras": (
        lambda content: content.update(cam_poses=content["cam_poses"][:, :3]),
        r"'cam_poses': has shape \(20, 3, 4\); expected \(frames, 4, 4\)",
    ),
    "camera to world": (
        lambda content: content.update(cam_poses=np.linalg.inv(content["cam_poses"])),
        r"downtown_cafe_00-person0 and 1 more of 3 persons: 'poses2d' is .* away from 'jointPositions' as 'cam_poses'",
    ),
    "looking away": (
        lambda content: content.update(cam_poses=np.diag([-1, 1, -1, 1]) @ content["cam_poses"]),
r"person 0: not in front of the camera in most of the valid frames, as 2 of 3 persons; do 'cam_poses' take the",
    ),
    "intrinsics as numbers": (
        changed(cam_intrinsics=np.array([1961.0, 1969.0, 540.0, 960.0])),
        r"'cam_intrinsics': has shape \(4,\); expected \(3, 3\)",
    ),
    "transposed intrinsics": (
        changed(cam_intrinsics=PORTRAIT.T),
        r"'cam_intrinsics': is \[\[1961.0, .*expected \[\[fx, 0, cx\], \[0, fy, cy\], \[0, 0, 1\]\] in pixels",
    ),
    "someone else's detections": (
        lambda content: content.update(poses2d=[found + RIGHTWARDS_PX for found in content["poses2d"]]),
        r"downtown_cafe_00-person0 and 1 more of 3 persons: 'poses2d' is \d+ % of the person's size away from",
    ),
    "left for right": (
        lambda content: content.update(
            poses2d=[
                found[:, :, [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]]
                for found in content["poses2d"]
            ]
        ),
        r"downtown_cafe_00-person0 and 1 more of 3 persons: left and right in 'poses2d' are exchanged",
    ),
    "2D in shares of the width": (
        lambda content: content.update(poses2d=[found * [[[1e3], [1e3], [1]]] for found in content["poses2d"]]),
        r"detections in 'poses2d' are outside the image, first downtown_cafe_00-person0, frame 0 .*are they pixels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_with_their_place(folder: Path, fault: str) -> None:
    change, message = FAULTS[fault]
    rewrite(folder, change)
    with pytest.raises(BadInput, match=message):
        load_set(folder)
    assert not (folder / "sequenceFiles" / "train" / array_store.FOLDER).exists()


def test_millimetres(folder: Path) -> None:
    def scale(content: dict[str, Any]) -> None:
        content["jointPositions"] = [1000 * joints for joints in content["jointPositions"]]
        content["cam_poses"][:, :3, 3] *= 1000

    rewrite(folder, scale)
    with pytest.raises(BadInput, match=r"person 0, 'jointPositions': the person would be .* look like millimetres"):
        load_set(folder)


class Bomb:
    """Its unpickling would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def test_a_foreign_class_is_refused_and_nothing_runs(folder: Path) -> None:
    path = rewrite(folder, changed(texture_maps=[Bomb(folder / "trace")]))
    with pytest.raises(BadInput, match=rf"{path.name}: refused, since it names (_?io).open"):
        load_set(folder)
    assert not (folder / "trace").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file(folder: Path, share: float) -> None:
    path = folder / "sequenceFiles" / "train" / "downtown_cafe_00.pkl"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        BadInput, match=r"downtown_cafe_00.pkl: is (no pickle, or damaged or cut short|not a pickle but empty)"
    ):
        load_set(folder)


def test_a_pickle_of_something_else(folder: Path) -> None:
    write(folder / "sequenceFiles" / "train" / "downtown_cafe_00.pkl", [1, 2])
    with pytest.raises(BadInput, match=r"downtown_cafe_00.pkl: is list; expected a dictionary with 'cam_poses'"):
        load_set(folder)


def test_a_fault_in_the_validation_part_is_told_too(folder: Path) -> None:
    rewrite(folder, without("cam_poses"), "validation")
    with pytest.raises(BadInput, match=r"courtyard_hug_00.pkl: has no 'cam_poses'"):
        load_set(folder)


def test_no_files(tmp_path: Path) -> None:
    for spec, message in (
        ("", r"3dpw: which path\? Get sequenceFiles.zip at https://virtualhumans.mpi-inf.mpg.de/3DPW .*licence"),
        (f"{tmp_path}/absent", r"absent: no such folder. Get sequenceFiles.zip"),
        (f"{tmp_path}", r"no sequenceFiles/train/\*.pkl nor sequenceFiles/test/\*.pkl there. Get"),
    ):
        with pytest.raises(BadInput, match=message):
            load(f"3dpw:{spec}")


def test_a_part_in_place_of_the_set(folder: Path) -> None:
    inside = folder / "sequenceFiles" / "test"
    with pytest.raises(BadInput, match=rf"this is one of its parts; give {folder / 'sequenceFiles'}\)"):
        load(f"3dpw:{inside}")


def test_a_sequence_to_train_and_test_on(folder: Path) -> None:
    files = folder / "sequenceFiles"
    shutil.copy(files / "train" / "downtown_cafe_00.pkl", files / "test")
    with pytest.raises(BadInput, match=r"sequenceFiles: downtown_cafe_00.pkl is in train and in test"):
        load_set(folder)


def test_a_part_that_is_missing_is_noted(folder: Path) -> None:
    next((folder / "sequenceFiles" / "test").glob("*.pkl")).unlink()
    dataset = load_set(folder)
    assert "no test sequences" in dataset.notes
    assert "test 0 of 24" in noted(dataset, "not the whole set")


@pytest.mark.parametrize(
    ("centre", "size"),
    [((541.0, 958.5), (1080, 1920)), ((960.2, 539.0), (1920, 1080)), ((640.0, 360.0), (1280, 720))],
)
def test_the_image_size_follows_from_the_principal_point(
    folder: Path, centre: tuple[float, float], size: tuple[int, int]
) -> None:
    intrinsics = PORTRAIT.copy()
    intrinsics[:2, 2] = centre
    intrinsics[0, 0] = intrinsics[1, 1] = 700.0
    rewrite(folder, lambda content: content.update(contents(people(), intrinsics=intrinsics)))
    dataset = load_set(folder)
    assert (dataset.train[0].camera.width, dataset.train[0].camera.height) == size
    assert dataset.train[0].camera.centre == centre
    noted_sizes = [note for note in dataset.notes if "principal point" in note]
    assert bool(noted_sizes) == (size == (1280, 720))
    assert all("downtown_cafe_00 1280 x 720" in note for note in noted_sizes)


def test_an_unknown_detector(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"unknown detector 'sh'. There are: openpose, gt"):
        load_set(folder, "sh")


# The truth from SMPL's surface

VERTICES = 30


@pytest.fixture(scope="module")
def smpl_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sequence of two persons, and SMPL with a regressor beside it; both move."""
    folder, rng = tmp_path_factory.mktemp("smpl"), np.random.default_rng(3)
    entries = contents(people())
    (folder / "smpl").mkdir()
    for number, name in enumerate(("SMPL_MALE", "basicModel_f_lbs_10_207_0_v1.0.0")):
        arrays = smpl_arrays(VERTICES, seed=number)
        poses, betas = rng.normal(0, 0.1, (FRAMES, 72)), np.append(rng.normal(0, 0.5, 10), np.zeros(290))
        poses[:, 0] += np.pi / 2  # y up to z up
        trans = rng.normal((0.4 * number, 0.0, 0.1), 0.02, (FRAMES, 3))
        joints, vertices = posed_slowly(arrays, poses, betas, trans)
        truth = np.einsum("jv,tvc->tjc", h36m_regressor(VERTICES), vertices)
        entries["poses"][number], entries["betas"][number], entries["trans"][number] = poses, betas, trans
        entries["jointPositions"][number] = joints.reshape(FRAMES, 72)
        entries["poses2d"][number] = detections_of(truth, entries["cam_poses"], PORTRAIT)
        if number:
            write(folder / "smpl" / f"{name}.pkl", arrays)
        else:
            np.savez(folder / "smpl" / f"{name}.npz", **arrays)
        np.save(folder / f"expected{number}.npy", truth)
    np.save(folder / "smpl" / "J_regressor_h36m.npy", h36m_regressor(VERTICES))
    write(folder / "sequenceFiles" / "train" / "downtown_cafe_00.pkl", entries)
    return folder


@pytest.fixture
def with_smpl(smpl_set: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smpl_set, tmp_path / "set"))


def test_the_truth_is_regressed_from_the_surface(with_smpl: Path) -> None:
    dataset = load_set(with_smpl)
    for number, sequence in enumerate(dataset.train):
        world_m = np.load(with_smpl / f"expected{number}.npy")
        for frame, pose in enumerate(pan(FRAMES)):
            expected_mm = 1000 * (world_m[frame] @ pose[:3, :3].T + pose[:3, 3])
            np.testing.assert_allclose(sequence.truth[frame], expected_mm, atol=2e-3)
    assert dataset.joints == (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)
    assert dataset.joints_name == "14"
    assert noted(dataset, "truth as published") == (
        "truth as published: SMPL (basicModel_f_lbs_10_207_0_v1.0.0.pkl, SMPL_MALE.npz) and J_regressor_h36m.npy"
    )
    assert not any("not comparable" in note for note in dataset.notes)


def test_the_truth_changes_with_the_files_beside_the_set(with_smpl: Path) -> None:
    regressed = load_set(with_smpl)
    (with_smpl / "smpl" / "J_regressor_h36m.npy").rename(with_smpl / "J_regressor_h36m_correct.npy")
    moved = load(f"3dpw:{with_smpl}/sequenceFiles")
    assert digest(moved.train) == digest(regressed.train)
    (with_smpl / "J_regressor_h36m_correct.npy").unlink()
    skeleton = load_set(with_smpl)
    assert skeleton.joints_name == "14:smpl"
    assert "J_regressor_h36m.npy is missing" in noted(skeleton, "for the published truth")
    np.save(with_smpl / "J_regressor_h36m.npy", h36m_regressor(VERTICES))
    for path in (with_smpl / "smpl").iterdir():
        path.unlink()
    assert "SMPL_MALE and SMPL_FEMALE" in noted(load_set(with_smpl), "for the published truth")


def test_the_readmes_spelling_of_gender(with_smpl: Path) -> None:
    expected = digest(load_set(with_smpl).train)
    rewrite(with_smpl, lambda content: content.update(gender=content.pop("genders")))
    assert digest(load_set(with_smpl).train) == expected


def test_a_regressor_with_the_left_leg_first_is_noted(with_smpl: Path) -> None:
    expected = digest(load_set(with_smpl).train)
    order = [0, 4, 5, 6, 1, 2, 3, *range(7, 17)]
    np.save(with_smpl / "smpl" / "J_regressor_h36m.npy", h36m_regressor(VERTICES)[order])
    dataset = load_set(with_smpl)
    assert digest(dataset.train) == expected
    assert noted(dataset, "left leg in rows 1 to 3")


SMPL_FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no poses": (without("poses"), r"has no 'poses'"),
    "no genders": (without("genders"), r"has no 'genders'"),
    "another gender": (changed(genders=["n", "f"]), r"person 0: gender 'neutral', and no SMPL_NEUTRAL .*smpl.is.tue"),
    "an unknown gender": (changed(genders=["x", "f"]), r"person 0: gender 'x', and no SMPL_X"),
    "the wrong gender": (
        changed(genders=["f", "f"]),
        r"person 0, frame \d+ \(from 0\), joint \d+ .*basicModel_f.* mm from 'jointPositions'; is this the model",
    ),
    "few betas": (of_first("betas", lambda betas: betas[:4]), r"'betas' of person 0: expected at least 10 finite"),
    "NaN betas": (of_first("betas", with_value(2, np.nan)), r"'betas' of person 0: expected at least 10 finite"),
    "NaN in a pose": (
        of_first("poses", with_value(5, 70, np.nan)),
        r"'poses' of person 0: nan at frame 5 \(from 0\), joint 23 \(right hand\)",
    ),
    "NaN in a translation": (of_first("trans", with_value(5, 1, np.inf)), r"'trans' of person 0: inf at frame 5"),
    "60 Hz": (
        of_first("poses", lambda poses: np.repeat(poses, 2, axis=0)),
        r"'poses' of person 0: has 40 frames, but 'cam_poses' has 20",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", SMPL_FAULTS)
def test_faults_in_smpls_part(with_smpl: Path, fault: str) -> None:
    change, message = SMPL_FAULTS[fault]
    rewrite(with_smpl, change)
    with pytest.raises(BadInput, match=message):
        load_set(with_smpl)


# Real motion in this layout


def test_real_motion_comes_back(tmp_path: Path) -> None:
    takes = _takes(load(f"motion:{shared_motion() / 'hdm05_test.npz'}", detector="gt").test, 4)
    for number, sequence in enumerate(takes):
        camera = sequence.camera
        rotation = np.asarray(camera.rotation)
        frames = len(sequence)
        poses = np.tile(np.eye(4), (frames, 1, 1))
        poses[:, :3, :3] = rotation
        poses[:, :3, 3] = -rotation @ np.asarray(camera.position_mm) / 1000
        intrinsics = LANDSCAPE if number % 2 else PORTRAIT
        world_m = camera.to_world(sequence.poses_mm) / 1000
        write(tmp_path / "test" / f"outdoors_take_{number:02}.pkl", contents([world_m], poses, intrinsics))
    dataset = load(f"3dpw:{tmp_path}", detector="openpose")
    scored = list(dataset.joints)
    for sequence, found in zip(takes, dataset.test, strict=True):
        np.testing.assert_allclose(found.truth[:, scored], sequence.truth[:, scored], atol=1e-2)
        projected = found.camera.project(sequence.poses_mm.astype(np.float64))
        limbs = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]
        inside = found.confidence[:, limbs] > 0
        assert inside.mean() > 0.9
        np.testing.assert_allclose(found.keypoints[:, limbs][inside], projected[:, limbs][inside], atol=0.05)
        assert 0.8 < height(found.truth / 1000) < 2.4


def _takes(sequences: tuple[Sequence, ...], count: int) -> list[Sequence]:
    """One camera each of short takes of unlike actions."""
    by_action = {sequence.action: sequence for sequence in sequences if 30 < len(sequence) < 200}
    return [by_action[action] for action in sorted(by_action)][:count]
