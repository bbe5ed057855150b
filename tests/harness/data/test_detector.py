"""The simulated detector: repeatable, as bad as its sources say, and honest about what it cannot see.

The figures expected of ``sh`` were measured with an earlier implementation of the same model, written apart and run
frame by frame on the same person: mean 4.23 px, median 3.45, 95th percentile 10.5, autocorrelation .82/.41/.10.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.detector import BURST_FRAMES, LIMB_PAIRS, PRESETS, bursts, detect
from harness.errors import BadInput
from tests.harness.data.figures import STANDING_M

Array = NDArray[Any]

#: True pixels, keypoints and confidence.
Detections = tuple[Array, Array, Array]

FRAMES = 20_000


def still_person(frames: int) -> Array:
    """The standing person with arms down, 330 px tall, seen from half a side: (T, 17, 2)."""
    pose = STANDING_M.copy()
    for elbow, wrist in ((12, 13), (15, 16)):
        pose[elbow] = pose[elbow - 1] - [0, 0, 0.28]
        pose[wrist] = pose[elbow] - [0, 0, 0.25]
    places = 500 + 200 * np.stack([0.7 * pose[:, 0], 0.85 - pose[:, 2]], axis=-1)
    return np.broadcast_to(places, (frames, 17, 2)).copy()


def run(preset: str, frames: int = FRAMES, seed: int = 0) -> Detections:
    pixels = still_person(frames)
    visible = np.ones((frames, 17), dtype=bool)
    found, confidence = detect(pixels, visible, preset, np.random.default_rng(seed), 1000)
    return pixels, found, confidence


@pytest.fixture(scope="module")
def hourglass() -> Detections:
    return run("sh")


def test_ground_truth_is_the_projection_itself() -> None:
    pixels, found, confidence = run("gt", 10)
    assert found.dtype == confidence.dtype == np.float32
    assert found == pytest.approx(pixels, abs=1e-4)
    assert (confidence == 1).all()


def test_size_of_the_error(hourglass: Detections) -> None:
    pixels, found, confidence = hourglass
    error = np.linalg.norm(found - pixels, axis=-1)
    assert error.mean() == pytest.approx(4.23, abs=0.1)
    assert np.median(error) == pytest.approx(3.45, abs=0.08)
    assert np.percentile(error, 95) == pytest.approx(10.5, abs=0.3)
    assert confidence.mean() == pytest.approx(0.78, abs=0.01)
    assert np.corrcoef(error.ravel(), confidence.ravel())[0, 1] == pytest.approx(-0.52, abs=0.04)
    wrists, pelvis = error[:, [13, 16]].mean(), error[:, 0].mean()
    assert wrists > 2 * pelvis


def test_error_is_slow(hourglass: Detections) -> None:
    pixels, found, _ = hourglass
    error = found - pixels
    error = error - error.mean(axis=0)
    for lag, expected in ((1, 0.82), (5, 0.41), (10, 0.10)):
        correlation = (error[lag:] * error[:-lag]).mean() / (error**2).mean()
        assert correlation == pytest.approx(expected, abs=0.08)


def test_presets_are_in_order() -> None:
    means = [
        np.linalg.norm(found - pixels, axis=-1).mean() for pixels, found, _ in map(run, ("gt", "cpn", "sh", "wild"))
    ]
    assert means == sorted(means)
    assert means[3] > 1.5 * means[2]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("frames", [1, 2, 9, 10, 11])
def test_short_sequences(preset: str, frames: int) -> None:
    _, found, confidence = run(preset, frames)
    assert found.shape == (frames, 17, 2)
    assert np.isfinite(found).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()


def test_the_same_stream_gives_the_same_detections() -> None:
    assert (run("sh", 50, seed=3)[1] == run("sh", 50, seed=3)[1]).all()
    assert (run("sh", 50, seed=3)[1] != run("sh", 50, seed=4)[1]).any()


def test_joints_outside_the_image_are_kept_with_confidence_0() -> None:
    pixels, visible = still_person(30), np.ones((30, 17), dtype=bool)
    pixels[10:, 4] += 2000
    visible[10:, 4] = False
    found, confidence = detect(pixels, visible, "sh", np.random.default_rng(0), 1000)
    assert (confidence[10:, 4] == 0).all()
    assert confidence[:10, 4].mean() > 0.4
    assert (found[10:, 4] > 1800).any()


def test_lost_joints_stay_where_they_were_with_hardly_any_confidence() -> None:
    _, found, confidence = run("wild")
    held = (np.diff(found, axis=0) == 0).all(axis=-1)
    assert held.mean() == pytest.approx(0.03 * (1 - 1 / BURST_FRAMES), abs=0.02)
    assert confidence[1:][held].mean() < 0.1


def test_limbs_are_exchanged_as_a_whole() -> None:
    pixels = np.zeros((FRAMES, 17, 2))
    for right, left in LIMB_PAIRS:
        pixels[:, right], pixels[:, left] = 200.0, 800.0
    found, _ = detect(pixels, np.ones((FRAMES, 17), bool), "wild", np.random.default_rng(0), 1000)
    for right, left in LIMB_PAIRS:
        on_the_other_side = np.concatenate([found[:, right, 0] > 500, found[:, left, 0] < 500], axis=1)
        exchanged = on_the_other_side.mean(axis=1) > 0.5
        assert exchanged.mean() == pytest.approx(0.03, abs=0.01)
        # Joints lost during an exchange stay on their side, and the other way round.
        assert on_the_other_side[exchanged].mean() > 0.95
        assert on_the_other_side[~exchanged].mean() < 0.005


def test_bursts_equal_the_chain_run_frame_by_frame() -> None:
    rates = np.array([0.0, 0.003, 0.3])
    draws = np.random.default_rng(7).random((500, 3))
    expected = np.zeros((500, 3), dtype=bool)
    for column, rate in enumerate(rates):
        on = draws[0, column] < rate
        for frame in range(500):
            if frame:
                # On stays on but for one chance in BURST_FRAMES; off turns on as often as the rate demands.
                threshold = 1 - 1 / BURST_FRAMES if on else rate / (1 - rate) / BURST_FRAMES
                on = draws[frame, column] < threshold
            expected[frame, column] = on
    assert (bursts(np.random.default_rng(7), 500, rates) == expected).all()


def test_bursts_have_the_rate_and_the_length() -> None:
    chain = bursts(np.random.default_rng(0), 200_000, np.array([0.1]))[:, 0]
    assert chain.mean() == pytest.approx(0.1, rel=0.05)
    starts = (np.diff(chain.astype(int)) == 1).sum()
    assert chain.sum() / starts == pytest.approx(BURST_FRAMES, rel=0.05)


def test_an_unknown_preset() -> None:
    with pytest.raises(BadInput, match=r"unknown detector 'shh'. Did you mean: sh\? There are: sh, gt, cpn, wild"):
        run("shh", 5)
