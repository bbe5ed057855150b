from __future__ import annotations

import numpy as np

from harness.data.synthetic.curves import beats, drift, ease, envelope, hermite, interleave, moves, smooth


def test_ease_starts_and_ends_at_rest() -> None:
    np.testing.assert_allclose(ease([-1.0, 0.0, 0.5, 1.0, 2.0]), [0.0, 0.0, 0.5, 1.0, 1.0])
    fine = ease(np.linspace(0.0, 1.0, 1001))
    assert (np.diff(fine) > -1e-12).all()
    assert abs(np.diff(fine)[0]) < 1e-7


def test_moves_rest_before_between_and_after() -> None:
    time_s = np.array([0.0, 1.0, 1.5, 2.0, 2.9, 3.5, 9.0])
    curve = moves(time_s, [1.0, 3.0], [1.0, 1.0], [[0.0, 5.0], [2.0, 5.0], [-1.0, 7.0]])
    expected = np.array([[0, 5], [0, 5], [1, 5], [2, 5], [2, 5], [0.5, 6], [-1, 7]])
    np.testing.assert_allclose(curve, expected)


def test_hermite_is_a_free_fall_where_its_ends_are() -> None:
    flight_s, up = 0.5, 0.5 * 9.81 * 0.5
    time_s = np.linspace(0.0, flight_s, 21)
    curve = hermite(time_s, np.array([0.0, flight_s]), np.zeros(2), np.array([up, -up]))
    np.testing.assert_allclose(curve, up * time_s - 0.5 * 9.81 * time_s**2, atol=1e-12)


def test_hermite_is_flat_outside_its_keys() -> None:
    curve = hermite(np.array([-5.0, 9.0]), np.array([0.0, 1.0]), np.array([2.0, 3.0]), np.zeros(2))
    np.testing.assert_allclose(curve, [2.0, 3.0])


def test_drift_is_slow_and_of_about_unit_size() -> None:
    time_s = np.arange(0.0, 400.0, 0.02)
    curves = np.stack([drift(np.random.default_rng(seed), time_s, 2.0) for seed in range(8)])
    assert 0.9 < curves.std() < 1.1
    speed = np.diff(curves, axis=1) / 0.02
    assert np.abs(speed).max() < 2 * np.pi / 2.0 * np.sqrt(2.0 * 8)  # eight sinusoids, none above 1 / 2 s


def test_beats_keep_their_pauses() -> None:
    instants = beats(np.random.default_rng(0), 60.0, (1.0, 2.0))
    assert 28 <= len(instants) <= 60
    assert instants[-1] < 60.0
    assert (np.diff(instants) >= 1.0).all()
    assert (np.diff(instants) <= 2.0).all()
    assert len(beats(np.random.default_rng(0), -1.0, (1.0, 2.0))) == 0


def test_envelope_is_nowhere_below() -> None:
    values = np.random.default_rng(1).random(200)
    curve = envelope(values, 4)
    assert curve.shape == values.shape
    assert (curve >= values - 1e-12).all()
    assert np.abs(np.diff(curve)).max() < np.abs(np.diff(values)).max()


def test_smooth_keeps_a_constant_and_the_shape() -> None:
    np.testing.assert_allclose(smooth(np.full((9, 2), 3.0), 2.0), 3.0)
    assert smooth(np.random.default_rng(0).random(300), 4.0).std() < 0.15


def test_interleave() -> None:
    np.testing.assert_array_equal(
        interleave(np.array([1, 2]), np.array([10, 20]), np.array([0, 5])), [1, 10, 0, 2, 20, 5]
    )
