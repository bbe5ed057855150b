"""What the checks get to see of a sequence: frames that count and are finite, joints that have a truth."""

from __future__ import annotations

import dataclasses

import numpy as np

from harness.data.checks.look import Look
from tests.harness.data.checks.people import ALL_JOINTS, CAMERA, filmed, in_image, walker_mm


def test_only_frames_that_count_and_are_finite() -> None:
    one = filmed(valid=np.arange(60) >= 10)
    one.truth[20, 5] = np.nan
    one.keypoints[30, 5, 1] = np.inf
    one.confidence[40, 5] = np.nan
    expected = [frame for frame in range(10, 60) if frame not in (20, 30, 40)]
    look = Look(one, ALL_JOINTS)
    assert look.frames.tolist() == expected
    assert len(look) == len(expected)
    assert look.truth.shape == (len(expected), 17, 3)
    assert look.place(0) == "S1/Walk/1/c, frame 10"
    assert look.place(10, 3) == "S1/Walk/1/c, frame 21, right ankle"


def test_truth_of_other_joints_does_not_matter() -> None:
    one = filmed()
    one.truth[:, 10] = np.nan
    assert len(Look(one, ALL_JOINTS)) == 0
    look = Look(one, tuple(joint for joint in range(1, 17) if joint != 10))
    assert len(look) == 60
    assert look.joints == [joint for joint in range(17) if joint != 10]
    assert look.errors_px is not None
    assert np.isnan(look.errors_px[:, 10]).all()
    assert np.nanmax(look.errors_px) < 1e-3


def test_errors_are_of_joints_that_were_found() -> None:
    one = filmed()
    one.keypoints[7, 3] += [3.0, 4.0]
    one.confidence[8, 4] = 0
    errors = Look(one, ALL_JOINTS).errors_px
    assert errors is not None
    assert abs(errors[7, 3] - 5) < 1e-3
    assert np.argwhere(np.isnan(errors)).tolist() == [[8, 4]]


def test_the_truth_in_the_image_is_its_own_projection() -> None:
    look = Look(in_image(filmed()), ALL_JOINTS)
    assert look.errors_px is not None
    assert look.errors_px.max() < 1e-3


def test_joints_behind_the_camera_are_nowhere_in_the_image() -> None:
    poses = walker_mm()
    poses[3, 16, 2] = -200.0
    errors = Look(filmed(poses_mm=poses), ALL_JOINTS).errors_px
    assert errors is not None
    assert np.argwhere(np.isnan(errors)).tolist() == [[3, 16]]


def test_without_a_focal_length_nothing_is_projected() -> None:
    unknown = dataclasses.replace(CAMERA, focal=(np.nan, np.nan))
    look = Look(filmed(camera=unknown), ALL_JOINTS)
    assert look.pixels is None
    assert look.errors_px is None
    assert Look(in_image(filmed(camera=CAMERA)), ALL_JOINTS).pixels is not None
