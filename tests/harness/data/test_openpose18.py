"""OpenPose's 18 joints as the 17 of this project."""

from __future__ import annotations

import numpy as np

from harness.data import openpose18
from harness.data.skeleton import JOINT_NAMES

FRAMES = 4


def detections() -> np.ndarray:
    """(T, 18, 3): every number another one."""
    found = np.arange(FRAMES * 18 * 3, dtype=float).reshape(FRAMES, 18, 3) + 1
    found[..., 2] /= found.max() + 1
    return found


def test_joints_are_where_their_namesakes_are() -> None:
    found = detections()
    keypoints, confidence = openpose18.keypoints(found)
    for joint, name in enumerate(JOINT_NAMES):
        if name in openpose18.JOINTS:
            index = openpose18.JOINTS.index(name)
            assert (keypoints[:, joint] == found[:, index, :2]).all()
            assert (confidence[:, joint] == found[:, index, 2]).all()
    assert sum(name in openpose18.JOINTS for name in JOINT_NAMES) == 12


def test_the_others_are_means() -> None:
    found = detections()
    keypoints, confidence = openpose18.keypoints(found)
    for joint, sources in ((0, (8, 11)), (7, (2, 5, 8, 11)), (8, (2, 5)), (9, (0,)), (10, (14, 15))):
        mean = sum(found[:, source] for source in sources) / len(sources)
        np.testing.assert_allclose(keypoints[:, joint], mean[:, :2])
        np.testing.assert_allclose(confidence[:, joint], mean[:, 2])
    # The spine is halfway between the other two.
    np.testing.assert_allclose(keypoints[:, 7], (keypoints[:, 0] + keypoints[:, 8]) / 2)


def test_a_mean_lacks_confidence_where_one_of_its_parts_was_not_found() -> None:
    found = detections()
    found[2, 14] = 0
    keypoints, confidence = openpose18.keypoints(found)
    assert confidence[2, 10] == 0
    assert np.count_nonzero(confidence == 0) == 1
    np.testing.assert_allclose(keypoints[2, 10], (found[1, 14, :2] + found[2, 15, :2]) / 2)


def test_places_are_held() -> None:
    found = detections()
    found[[0, 2], 4] = 0
    found[:, 7] = 0
    places = openpose18.filled(found)
    assert (places[[0, 2], 4] == found[[1, 1], 4, :2]).all()
    others = [joint for joint in openpose18.USED if joint != 7]
    np.testing.assert_allclose(places[:, 7], places[:, others].mean(axis=1))
    untouched = [joint for joint in range(18) if joint not in (4, 7)]
    assert (places[:, untouched] == found[:, untouched, :2]).all()


def test_neck_and_ears_are_not_used() -> None:
    names = {openpose18.JOINTS[joint] for joint in range(18) if joint not in openpose18.USED}
    assert names == {"openpose's neck", "right ear", "left ear"}


def test_nothing_found_at_all_is_told_by_confidence() -> None:
    keypoints, confidence = openpose18.keypoints(np.zeros((FRAMES, 18, 3)))
    assert not confidence.any()
    assert np.isfinite(keypoints).all()
