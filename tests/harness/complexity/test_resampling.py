"""Resampled medians: what they vary by is what medians vary by."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.complexity import resampling


def test_same_seed_same_draws_and_another_seed_others() -> None:
    rounds = [[1.0, 1.1, 1.3], [0.9, 1.2, 1.25]]
    assert np.array_equal(resampling.medians(rounds, (1, 2)), resampling.medians(rounds, (1, 2)))
    assert not np.array_equal(resampling.medians(rounds, (1, 2)), resampling.medians(rounds, (1, 3)))


def test_unvarying_durations_have_one_median() -> None:
    assert set(resampling.medians([[2.5] * 4, [2.5] * 7], 0)) == {2.5}


def test_within_one_round_it_is_the_plain_bootstrap_of_the_median() -> None:
    rng = np.random.default_rng(0)
    samples = np.exp(0.1 * rng.standard_normal(41))
    plain = np.median(rng.choice(samples, size=(20_000, 41)), axis=1)
    drawn = resampling.medians([list(samples)], 0, draws=20_000)
    assert drawn.std() == pytest.approx(plain.std(), rel=0.05)
    assert drawn.mean() == pytest.approx(plain.mean(), rel=0.002)


def test_between_rounds_it_varies_as_a_median_of_rounds_does() -> None:
    # Rounds of hardly any noise inside: the pooled median is that of three rounds, whatever the number of samples.
    rng = np.random.default_rng(0)
    spread, apart = [], []
    for seed in range(60):
        middles = np.exp(0.05 * rng.standard_normal(3))
        rounds = [list(middle * np.exp(0.03 * rng.standard_normal(30))) for middle in middles]
        apart.append(math.log(np.median(np.concatenate(rounds))))
        spread.append(np.log(resampling.medians(rounds, seed, draws=400)).std())
    assert np.mean(spread) == pytest.approx(np.std(apart), rel=0.3)


def test_a_round_that_is_not_drawn_takes_no_part() -> None:
    drawn = resampling.medians([[1.0] * 5, [4.0] * 5], 0, draws=500)
    # Half of the draws are of one round alone; deviations from the median 2.5 are stretched by the root of two.
    root = math.sqrt(2)
    assert set(np.round(drawn, 9)) == {round(2.5 * (value / 2.5) ** root, 9) for value in (1.0, 4.0)}


def test_interval_is_of_drawn_values_and_may_be_infinite() -> None:
    drawn = np.concatenate([np.full(10, -np.inf), np.arange(80.0), np.full(10, np.inf)])
    assert resampling.interval(drawn, 0.9) == (-math.inf, math.inf)
    assert resampling.interval(drawn, 0.5) == (14.0, 65.0)
