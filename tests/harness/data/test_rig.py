"""Filming: where the people stand, which camera sees them, and what does not depend on what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import rig
from harness.data.sequence import Dataset, Sequence
from harness.data.take import Take
from harness.errors import BadInput
from tests.harness.data.figures import take

TAKES = [take("A"), take("B", "two"), take("C", part="test", frames=25)]


def film(takes: list[Take] = TAKES, detector: str = "sh", seed: int = 0, cache: Path | None = None) -> Dataset:
    return rig.film(takes, "set", detector=detector, seed=seed, cache=cache)


def by_name(dataset: Dataset) -> dict[str, Sequence]:
    return {sequence.name: sequence for sequence in dataset.train + dataset.test}


def test_the_calibration_as_published() -> None:
    assert list(rig.rigs()) == ["S1", "S5", "S6", "S7", "S8", "S9", "S11"]
    for cameras in rig.rigs().values():
        assert [camera.name for camera in cameras] == ["54138969", "55011271", "58860488", "60457274"]
        assert [(camera.width, camera.height) for camera in cameras] == [
            (1000, 1002),
            *[(1000, 1000)] * 2,
            (1000, 1002),
        ]


def test_all_cameras_look_at_the_focus_the_right_way_up() -> None:
    for cameras in rig.rigs().values():
        for camera in cameras:
            foot, head = camera.to_camera(np.array([[*rig.FOCUS_MM, 0.0], [*rig.FOCUS_MM, 1700.0]]))
            assert foot[2] > 3000
            (foot_x, foot_y), (head_x, head_y) = camera.project(np.array([foot, head]))
            assert head_y < foot_y - 200
            assert 300 < (foot_x + head_x) / 2 < 700


def test_every_take_is_seen_by_four_cameras() -> None:
    dataset = film()
    assert len(dataset.train) == 8
    assert len(dataset.test) == 4
    sequence = dataset.test[0]
    assert sequence.name == f"C/Stand/one/{sequence.camera.name}"
    assert (sequence.take, sequence.subject, sequence.action, sequence.fps) == ("C/Stand/one", "C", "Stand", 50.0)
    assert sequence.keypoints.shape == (25, 17, 2)
    assert sequence.confidence.shape == (25, 17)
    assert sequence.poses_mm.shape == (25, 17, 3)
    assert {array.dtype for array in (sequence.keypoints, sequence.confidence, sequence.poses_mm)} == {np.dtype("f4")}


def test_people_stand_at_the_focus_and_keep_their_own_travel() -> None:
    travelling = TAKES[0].joints_mm + np.linspace(0, 2000, 40)[:, None, None] * [1.0, 0.0, 0.0]
    sequence = film([replace(TAKES[0], joints_mm=travelling + np.array([9000.0, -7000.0, 0.0]))]).train[0]
    world = sequence.camera.to_world(sequence.poses_mm.astype(float))
    assert world[:, 0, :2].mean(axis=0) == pytest.approx(rig.FOCUS_MM, abs=0.01)
    assert np.diff(world[:, 0], axis=0) == pytest.approx(np.diff(travelling[:, 0], axis=0), abs=0.01)
    assert world[..., 2] == pytest.approx(travelling[..., 2], abs=0.01)


def test_detections_are_of_the_same_pose_that_is_the_truth() -> None:
    for sequence in film(detector="gt").train:
        assert sequence.keypoints == pytest.approx(sequence.camera.project(sequence.poses_mm.astype(float)), abs=1e-2)
    noisy, exact = film().train[0], film(detector="gt").train[0]
    assert 1 < np.linalg.norm(noisy.keypoints - exact.keypoints, axis=-1).mean() < 10


def test_rigs_go_round_by_subject() -> None:
    takes = [take(f"P{number}") for number in range(6)] + [take(f"T{number}", part="test") for number in range(3)]
    dataset = film(takes, detector="gt")
    rig_of = {camera: subject for subject, cameras in rig.rigs().items() for camera in cameras}
    used = {sequence.subject: rig_of[sequence.camera] for sequence in dataset.train + dataset.test}
    assert [used[f"P{number}"] for number in range(6)] == ["S1", "S5", "S6", "S7", "S8", "S1"]
    assert [used[f"T{number}"] for number in range(3)] == ["S9", "S11", "S9"]


def test_neither_order_nor_company_changes_a_sequence() -> None:
    together, backwards, alone = film(TAKES), film(TAKES[::-1]), film(TAKES[:1])
    assert by_name(together).keys() == by_name(backwards).keys()
    for name, sequence in by_name(together).items():
        for other in (by_name(backwards), by_name(alone)):
            if name in other:
                assert (sequence.keypoints == other[name].keypoints).all()
                assert (sequence.confidence == other[name].confidence).all()


def test_every_sequence_and_every_seed_has_noise_of_its_own() -> None:
    exact, zero, one = film(detector="gt"), film(seed=0), film(seed=1)
    errors = [a.keypoints - b.keypoints for a, b in zip(zero.train, exact.train, strict=True)]
    errors += [one.train[0].keypoints - exact.train[0].keypoints]
    for index, error in enumerate(errors):
        for other in errors[:index]:
            assert abs(np.corrcoef(error.ravel(), other.ravel())[0, 1]) < 0.3


def test_joints_outside_the_image_have_confidence_0_and_the_share_is_noted() -> None:
    away = TAKES[0].joints_mm.copy()
    away[20:] += [30_000.0, 0.0, 0.0]
    away[:20] -= [30_000.0, 0.0, 0.0]
    dataset = film([replace(TAKES[0], joints_mm=away)], detector="gt")
    assert all((sequence.confidence == 0).any() for sequence in dataset.train)
    assert all(np.isfinite(sequence.keypoints).all() for sequence in dataset.train)
    assert "% of the frames have a joint outside the image" in dataset.notes[-1]
    assert film().notes == ()


def test_joints_behind_the_camera_have_confidence_0_wherever_they_project() -> None:
    camera = rig.rigs()["S1"][0]
    aside = np.array(camera.position_mm) - [*rig.FOCUS_MM, 0.0]
    there_and_back = np.linspace(-3.0, 3.0, 40)[:, None, None] * np.array([*aside[:2], 0.0])
    sequence = film([replace(TAKES[0], joints_mm=TAKES[0].joints_mm + there_and_back)], detector="gt").train[0]
    behind = sequence.poses_mm[..., 2] <= 0
    inside = ((sequence.keypoints > 0) & (sequence.keypoints < 1000)).all(axis=-1)
    assert (behind & inside).any()
    assert (sequence.confidence[behind] == 0).all()


def test_a_cached_set_equals_one_just_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = film(cache=tmp_path)
    monkeypatch.setattr(rig, "detect", lambda *_: pytest.fail("detected again"))
    cached = film(cache=tmp_path)
    assert cached.notes == fresh.notes
    for one, other in zip(fresh.train + fresh.test, cached.train + cached.test, strict=True):
        assert one.name == other.name
        assert (one.keypoints == other.keypoints).all()
        assert (one.confidence == other.confidence).all()
        assert (one.poses_mm == other.poses_mm).all()


@pytest.mark.parametrize(
    "change", [{"detector": "cpn"}, {"seed": 1}, {"takes": [take("A", frames=41), *TAKES[1:]]}, {"takes": TAKES[1:]}]
)
def test_another_set_preset_or_seed_is_detected_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    film(cache=tmp_path)
    film(**change, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_two_takes_of_one_name() -> None:
    with pytest.raises(BadInput, match="two takes are called A/Stand/one"):
        film([TAKES[0], TAKES[0]])


def test_no_take_at_all() -> None:
    with pytest.raises(BadInput, match="set: holds no take"):
        film([])
