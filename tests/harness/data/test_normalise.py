"""Inputs and targets against their formulas, one sequence or clips of several, and there and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.data.normalise import TARGET_SPACES, mm_per_pixel, model_input, target_space, true_poses_mm
from harness.data.sequence import Sequence
from harness.errors import BadInput
from harness.training.batches import Clips
from tests.harness.evaluation.scenes import filmed

CAMERA = filmed(length=20)


def published(factor: bool = True) -> Sequence:
    """A video as MotionBERT's pickle has it."""
    rng = np.random.default_rng(0)
    truth = np.concatenate([CAMERA.keypoints + 3.0, rng.normal(0, 80, (20, 17, 1))], axis=-1)
    factors = rng.uniform(2.9, 4.7, 20) if factor else np.full(20, np.nan)
    return dataclasses.replace(CAMERA, name="video", truth=truth, mm_per_pixel=factors)


def test_the_image_spans_minus_one_to_one_across() -> None:
    corners = np.zeros((2, 17, 2), dtype=np.float32)
    corners[1] = 1000, 1002
    seen = dataclasses.replace(CAMERA.at([0, 1]), keypoints=corners, confidence=np.full((2, 17), 0.5, np.float32))
    inputs = model_input(seen, 3)
    assert inputs.dtype == np.float32
    assert inputs[0, 0].tolist() == pytest.approx([-1, -1.002, 0.5])
    assert inputs[1, 0].tolist() == pytest.approx([1, 1.002, 0.5])
    np.testing.assert_array_equal(model_input(seen, 2), inputs[..., :2])


def test_the_published_target_is_the_published_formula() -> None:
    video = published()
    x, y, z = np.moveaxis(video.truth, -1, 0)
    label = np.stack([x / 1000 * 2 - 1, y / 1000 * 2 - 1002 / 1000, z / 1000 * 2], axis=-1)
    label -= label[:, :1]
    np.testing.assert_allclose(TARGET_SPACES["image"].encode(video), label, atol=1e-6)
    assert video.mm_per_pixel is not None
    expected = (video.truth - video.truth[:, :1]) * video.mm_per_pixel[:, None, None]
    np.testing.assert_allclose(true_poses_mm(video, "image"), expected, atol=1e-9)


@pytest.mark.parametrize("video", [CAMERA, published()], ids=["camera", "image"])
@pytest.mark.parametrize("space", ["camera", "image"])
def test_decoding_the_target_gives_the_truth(video: Sequence, space: str) -> None:
    if space == "camera" and video.mm_per_pixel is not None:
        with pytest.raises(BadInput, match=r"video: these files give the truth in the image \(2.5-D\)"):
            TARGET_SPACES[space].encode(video)
        return
    chosen = TARGET_SPACES[space]
    np.testing.assert_allclose(chosen.decode(chosen.encode(video), video), true_poses_mm(video, chosen.name), atol=1e-3)


def test_weak_perspective_agrees_at_the_depth_of_the_pelvis() -> None:
    flat = CAMERA.truth.copy()
    flat[..., 2] = flat[:, :1, 2]
    person = dataclasses.replace(CAMERA, truth=flat)
    difference = true_poses_mm(person, "image") - true_poses_mm(person, "camera")
    # 2.5-D has one focal length where the lens has two, and a millimetre in two metres.
    assert np.abs(difference).max() < 0.005 * np.abs(true_poses_mm(person, "camera")).max()
    assert mm_per_pixel(person) == pytest.approx(
        CAMERA.camera.millimetres_per_pixel(person.truth[:, 0, 2].astype(float))
    )


def test_clips_of_several_sequences_are_as_one_after_the_other() -> None:
    sequences = [CAMERA, filmed("S1/Run/1/d", 30, seed=4), CAMERA]
    sequences[1] = dataclasses.replace(
        sequences[1], camera=dataclasses.replace(CAMERA.camera, width=1920, height=1080, focal=(1500.0, 1400.0))
    )
    rows = np.array([[0, 0, 1, 2], [7, 8, 9, 29], [16, 17, 18, 19]])
    clips = Clips(sequences, rows)
    for number, (sequence, indices) in enumerate(zip(sequences, rows, strict=True)):
        alone = sequence.at(indices)
        np.testing.assert_array_equal(model_input(clips, 3)[number], model_input(alone, 3))
        for space in TARGET_SPACES.values():
            np.testing.assert_array_equal(space.encode(clips)[number], space.encode(alone))


def test_clips_of_published_videos() -> None:
    clips = Clips([published(), published()], np.array([[1, 2, 3], [4, 4, 5]]))
    np.testing.assert_array_equal(
        TARGET_SPACES["image"].encode(clips)[1], TARGET_SPACES["image"].encode(published().at([4, 4, 5]))
    )


def test_unknown_millimetres_train_but_do_not_score() -> None:
    video = published(factor=False)
    assert np.isfinite(TARGET_SPACES["image"].encode(video)).all()
    with pytest.raises(BadInput, match=r"video: how many millimetres a pixel has is not known"):
        true_poses_mm(video, "image")


def test_pixels_that_fit_no_image_are_named() -> None:
    small = dataclasses.replace(CAMERA, camera=dataclasses.replace(CAMERA.camera, width=10, height=10))
    with pytest.raises(BadInput, match=r"S9/Walk/1/c: keypoints reach \d+ pixels, but the image is given as 10 x 10"):
        model_input(small, 2)
    with pytest.raises(BadInput, match=r"S9/Walk/1/c: keypoints"):
        model_input(Clips([CAMERA, small], np.array([[0, 1], [0, 1]])), 2)
    with pytest.raises(BadInput, match="--in-channels 4"):
        model_input(CAMERA, 4)


def test_an_unknown_space() -> None:
    with pytest.raises(BadInput, match=r"unknown target space 'imag'. Did you mean: image"):
        target_space("imag")
