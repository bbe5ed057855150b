"""Intervals by simulated coverage, p-values against scipy.stats, Holm against its published definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from harness.errors import BadInput
from harness.evaluation.statistics import Comparison, Interval, compare, holm, mean_interval

Float64Array = NDArray[np.float64]


def two_models(
    takes: int = 20, seed: int = 0, gap_mm: float = 2.0
) -> tuple[Float64Array, Float64Array, NDArray[np.str_]]:
    """Four sequences (cameras) a take; model B is worse by ``gap_mm`` on average."""
    rng = np.random.default_rng(seed)
    names = np.repeat([f"S/a/{number}" for number in range(takes)], 4)
    errors_a = np.repeat(rng.normal(60, 10, takes), 4) + rng.normal(0, 2, 4 * takes)
    return errors_a, errors_a + np.repeat(rng.normal(gap_mm, 3, takes), 4) + rng.normal(0, 1, 4 * takes), names


@pytest.mark.parametrize(("takes", "kind"), [(8, "normal"), (25, "normal"), (60, "skewed")])
def test_intervals_hold_the_truth_as_often_as_they_say(takes: int, kind: str) -> None:
    """90 % intervals of a mean over frames with takes of unequal length; 600 worlds, so ± 3 % at 2.5 sigma."""
    rng = np.random.default_rng(takes)
    held = 0
    for world in range(600):
        draws = rng.normal(2, 1.5, takes) if kind == "normal" else rng.exponential(2, takes)
        interval = mean_interval(
            draws, np.arange(takes), rng.integers(50, 600, takes), resamples=500, confidence=0.9, seed=world
        )
        held += interval.low_mm <= 2 <= interval.high_mm
    assert held / 600 == pytest.approx(0.9, abs=0.035)


@pytest.mark.parametrize(("takes", "spread"), [(12, 0.5), (40, 0.5), (77, 0.75)])
def test_paired_intervals_of_unequal_takes_hold_the_truth_as_often_as_they_say(takes: int, spread: float) -> None:
    """Takes of log-normal length seen by one to four cameras, as in recorded motion (whose spread is 0.76)."""
    rng = np.random.default_rng(takes)
    held = significant = 0
    for world in range(600):
        cameras = rng.integers(1, 5, takes)
        names = np.repeat(np.arange(takes), cameras)
        frames = np.repeat(np.ceil(rng.lognormal(5.5, spread, takes)), cameras)
        errors = np.repeat(rng.normal(60, 10, takes), cameras)
        worse = errors + np.repeat(rng.normal(0, 3, takes), cameras) + rng.normal(0, 1, len(names))
        found = compare(worse, errors, names, frames, resamples=600, confidence=0.9, seed=world % 7)
        held += found.difference.low_mm <= 0 <= found.difference.high_mm
        significant += found.p_value <= 0.1
    # 600 worlds: ± 3 % at 2.5 sigma.
    assert held / 600 == pytest.approx(0.9, abs=0.035)
    assert significant / 600 == pytest.approx(0.1, abs=0.03)


def test_frames_taken_one_by_one_would_not_hold_it() -> None:
    """The same worlds with every sequence as a take of its own: what resampling by take is there for."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(300):
        errors = np.repeat(rng.normal(0, 3, 20), 4) + rng.normal(0, 0.5, 80)
        interval = mean_interval(errors, np.arange(80), resamples=400, confidence=0.9)
        held += interval.low_mm <= 0 <= interval.high_mm
    assert held / 300 < 0.75


def test_holm_keeps_the_chance_of_any_false_alarm() -> None:
    rng = np.random.default_rng(9)
    alarms = 0
    for _ in range(300):
        best = rng.normal(60, 10, 15)
        rivals = [best + rng.normal(0, 3, 15) for _ in range(4)]
        alarms += holm([compare(rival, best, np.arange(15), resamples=600).p_value for rival in rivals]).min() <= 0.1
    assert alarms / 300 < 0.1 + 2.5 * np.sqrt(0.09 / 300)


def test_the_unit_of_resampling_is_the_take() -> None:
    # A hundred copies of each frame are no new evidence.
    errors = np.random.default_rng(0).normal(60, 10, 12)
    once = mean_interval(errors, np.arange(12))
    copied = mean_interval(np.repeat(errors, 100), np.repeat(np.arange(12), 100))
    assert (copied.takes, copied.mean_mm) == (12, pytest.approx(once.mean_mm))
    assert (copied.low_mm, copied.high_mm) == pytest.approx((once.low_mm, once.high_mm))


def test_frame_counts_and_single_frames_say_the_same() -> None:
    errors_a, errors_b, takes = two_models()
    frames = np.random.default_rng(1).integers(1, 9, len(takes))
    by_sequence = compare(errors_a, errors_b, takes, frames)
    by_frame = compare(*(np.repeat(values, frames) for values in (errors_a, errors_b, takes)))
    assert by_sequence.p_value == by_frame.p_value
    assert by_sequence.difference.mean_mm == pytest.approx(np.average(errors_a - errors_b, weights=frames))
    assert by_sequence.difference.low_mm == pytest.approx(by_frame.difference.low_mm)


def test_the_interval_is_the_studentised_bootstrap_written_out() -> None:
    """One resample at a time, from the definition; the draws differ, so the width agrees to sampling error."""
    rng = np.random.default_rng(3)
    means, frames = rng.gamma(2, 10, 30), rng.integers(50, 600, 30).astype(float)
    mean = np.average(means, weights=frames)

    def standard_error(chosen: NDArray[np.intp]) -> float:
        centre = np.average(means[chosen], weights=frames[chosen])
        return float(np.sqrt(((frames[chosen] * (means[chosen] - centre)) ** 2).sum()) / frames[chosen].sum())

    pivots = []
    for _ in range(4000):
        chosen = rng.integers(0, 30, 30)
        pivots.append((np.average(means[chosen], weights=frames[chosen]) - mean) / standard_error(chosen))
    half_width = np.quantile(np.abs(pivots), 0.95) * standard_error(np.arange(30))
    interval = mean_interval(means, np.arange(30), frames)
    assert interval.mean_mm - interval.low_mm == pytest.approx(half_width, rel=0.06)
    assert interval.high_mm - interval.mean_mm == pytest.approx(half_width, rel=0.06)


def test_with_many_takes_the_interval_is_near_scipys_bootstrap() -> None:
    errors = np.random.default_rng(4).normal(60, 10, 300)
    expected = stats.bootstrap((errors,), np.mean, n_resamples=4000, method="BCa", rng=0).confidence_interval
    interval = mean_interval(errors, np.arange(300))
    width = expected.high - expected.low
    assert (interval.low_mm, interval.high_mm) == pytest.approx((expected.low, expected.high), abs=0.06 * width)


def test_a_paired_interval_over_unequal_takes_is_near_scipys_bootstrap() -> None:
    rng = np.random.default_rng(7)
    frames = np.ceil(rng.lognormal(5.5, 0.5, 250))
    gap = rng.normal(1, 3, 250)

    def ratio(sums: Float64Array, sizes: Float64Array, axis: int) -> Float64Array:
        return np.asarray(sums.sum(axis=axis) / sizes.sum(axis=axis))

    expected = stats.bootstrap(
        (gap * frames, frames), ratio, n_resamples=4000, paired=True, method="percentile", rng=0
    ).confidence_interval
    found = compare(60 + gap, np.full(250, 60.0), np.arange(250), frames).difference
    width = expected.high - expected.low
    assert (found.low_mm, found.high_mm) == pytest.approx((expected.low, expected.high), abs=0.06 * width)


@pytest.mark.parametrize("gap_mm", [0.0, 0.8, 1.5])
def test_p_value_agrees_with_scipys_permutation_test(gap_mm: float) -> None:
    errors_a, errors_b, takes = two_models(takes=11, seed=5, gap_mm=gap_mm)
    # Every take has four sequences, so that its mean difference is its share of the whole; 2^11 flips, all of them.
    differences = (errors_a - errors_b).reshape(11, 4).mean(axis=1)
    expected = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    p_value = compare(errors_a, errors_b, takes).p_value
    assert p_value == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 10_000) + 2e-4)


def test_p_value_of_unequal_takes_agrees_with_scipys_permutation_test() -> None:
    rng = np.random.default_rng(11)
    frames, gap = rng.integers(20, 900, 12), rng.normal(1.2, 3, 12)
    # A flip changes the sign of a take's summed error; its frames stay.
    expected = stats.permutation_test(
        (gap * frames,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=True
    ).pvalue
    p_value = compare(60 + gap, np.full(12, 60.0), np.arange(12), frames).p_value
    assert p_value == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 10_000) + 2e-4)


def test_p_values_are_uniform_when_nothing_differs() -> None:
    rng = np.random.default_rng(6)
    nothing = np.zeros(12)
    p_values = [compare(rng.normal(0, 3, 12), nothing, np.arange(12), resamples=400).p_value for _ in range(400)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_the_smallest_p_value_is_one_in_resamples_plus_one() -> None:
    errors_a, _, takes = two_models(takes=40)
    assert compare(errors_a, errors_a + 5, takes, resamples=999).p_value == 1 / 1000


@pytest.mark.parametrize("seed", range(5))
def test_swapping_the_models_flips_the_sign_to_the_last_bit(seed: int) -> None:
    errors_a, errors_b, takes = two_models(takes=9 + seed, seed=seed)
    frames = np.random.default_rng(seed).integers(1, 900, len(takes))
    forth, back = (compare(*pair, takes, frames) for pair in ((errors_a, errors_b), (errors_b, errors_a)))
    assert back == forth.swapped()
    assert back.difference.mean_mm == -forth.difference.mean_mm
    assert (back.difference.low_mm, back.difference.high_mm) == (-forth.difference.high_mm, -forth.difference.low_mm)
    assert back.p_value == forth.p_value
    assert forth == back.swapped()


def test_a_model_against_itself() -> None:
    errors, _, takes = two_models()
    comparison = compare(errors, errors, takes)
    assert comparison.p_value == 1
    assert (comparison.difference.mean_mm, comparison.difference.low_mm, comparison.difference.high_mm) == (0, 0, 0)
    assert comparison.sentence("A", "B") == "A and B have the same error in all 20 takes, p = 1."


def test_the_same_seed_gives_the_same_figures() -> None:
    errors_a, errors_b, takes = two_models()
    assert compare(errors_a, errors_b, takes) == compare(errors_a, errors_b, takes)
    assert compare(errors_a, errors_b, takes) != compare(errors_a, errors_b, takes, seed=1)


def test_the_sentence_names_the_better_model_the_gain_and_the_condition() -> None:
    comparison = Comparison(Interval(-1.9, -2.6, -1.2, 77, 0.95, 10_000), p_value=0.0004)
    expected = (
        "A is 1.9 mm better than B [1.2, 2.6], p = 0.0004 "
        "(95% interval over 77 takes, conditional on the test subjects)."
    )
    assert comparison.sentence("A", "B") == expected
    swapped = Comparison(Interval(1.9, 1.2, 2.6, 77, 0.95, 10_000), p_value=0.0004)
    assert swapped.sentence("B", "A") == expected
    assert "less than the 2 mm worth having" in comparison.sentence("A", "B", worth_having_mm=2)


def test_holm_on_a_textbook_case() -> None:
    # 4 x 0.005, 3 x 0.01, 2 x 0.03 and 0.04, the last raised to the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize(
    ("errors_a", "errors_b", "takes", "frames", "problem"),
    [
        ([1.0] * 6, [1.0] * 5, list("abcdef"), None, "same frames"),
        ([1.0] * 6, [1.0] * 6, list("abcde"), None, "equally long"),
        ([1.0] * 6, [1.0] * 6, list("aabbcc"), None, "3 takes are too few"),
        ([1.0] * 5 + [np.nan], [1.0] * 6, list("abcdef"), None, "finite"),
        ([1.0] * 6, [1.0] * 6, list("abcdef"), [1, 1, 0, 1, 1, 1], "positive"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    errors_a: list[float], errors_b: list[float], takes: list[str], frames: list[int] | None, problem: str
) -> None:
    with pytest.raises(BadInput, match=problem):
        compare(errors_a, errors_b, takes, frames)
