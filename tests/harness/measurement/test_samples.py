"""Order statistics against simulation and scipy, the percentile rule, and verdicts."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measurement import samples
from harness.measurement.samples import judge, rank_of_interval, summarise

DURATIONS = st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=1, max_size=40)


def test_the_interval_is_binomial() -> None:
    binomial = pytest.importorskip("scipy.stats").binom
    for n in (*range(1, 300), 999, 1000, 1001, 4000):
        rank = rank_of_interval(n)
        assert rank == 0 or binomial.cdf(rank - 1, n, 0.5) <= 0.025 + 1e-12
        assert binomial.cdf(rank, n, 0.5) > 0.025 - 1e-12, "a narrower interval would do"


@pytest.mark.parametrize("n", [6, 10, 30, 101])
def test_coverage_by_simulation(n: int) -> None:
    """Skewed durations: the interval holds the true median in at least 95 % of the trials, less sampling error."""
    generator, trials = random.Random(0), 1500
    true_median = math.exp(0)
    held = 0
    for _ in range(trials):
        found = summarise([[generator.lognormvariate(0, 0.5) for _ in range(n)]])
        assert found.low_ms is not None
        assert found.high_ms is not None
        held += found.low_ms <= true_median <= found.high_ms
    assert held / trials >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)
    assert held / trials < 0.99, "so wide an interval says nothing"


def test_the_interval_spans_the_rounds() -> None:
    slow, fast = [10.0 + i / 100 for i in range(30)], [8.0 + i / 100 for i in range(30)]
    found = summarise([slow, fast])
    assert (found.low_ms, found.high_ms) == (summarise([fast]).low_ms, summarise([slow]).high_ms)
    assert found.medians_ms == (statistics.median(slow), statistics.median(fast))
    assert (found.n, found.rounds) == (60, 2)


def test_rounds_too_short_for_an_interval_give_their_range() -> None:
    found = summarise([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert (found.low_ms, found.high_ms) == (1.0, 6.0)
    with_a_long_one = summarise([[2.0] * 30, [5.0]])
    assert (with_a_long_one.low_ms, with_a_long_one.high_ms) == (2.0, 5.0)


def test_fewer_than_six_samples_have_a_median_and_no_interval() -> None:
    found = summarise([[3.0], [1.0], [2.0]])
    assert (found.median_ms, found.low_ms, found.high_ms) == (2.0, None, None)
    verdict, reason = judge(found, 30)
    assert verdict == "INVALID"
    assert "only 3 samples" in reason


@given(DURATIONS, DURATIONS)
def test_what_holds_of_any_samples(one: list[float], other: list[float]) -> None:
    found = summarise([one, other])
    pooled = one + other
    assert min(pooled) <= found.lower_quartile_ms <= found.median_ms <= found.upper_quartile_ms <= max(pooled)
    assert found.median_ms == statistics.median(pooled)
    if found.low_ms is not None and found.high_ms is not None:
        assert found.low_ms <= found.median_ms <= found.high_ms
        assert all(found.low_ms <= median <= found.high_ms for median in found.medians_ms)


@given(st.lists(st.floats(min_value=0.1, max_value=10), min_size=2, max_size=60))
def test_quartiles_are_those_of_the_statistics_module(durations: list[float]) -> None:
    found = summarise([durations])
    lower, _, upper = statistics.quantiles(durations, n=4, method="inclusive")
    assert (found.lower_quartile_ms, found.upper_quartile_ms) == pytest.approx((lower, upper))


def test_percentiles_only_where_there_are_enough_samples() -> None:
    assert [samples.samples_for(p) for p in (0.90, 0.95, 0.99)] == [44, 90, 459]
    for n, names in ((43, []), (44, ["p90"]), (90, ["p90", "p95"]), (459, ["p90", "p95", "p99"])):
        assert list(summarise([[float(1 + i) for i in range(n)]]).percentiles_ms) == names
    assert summarise([[float(1 + i) for i in range(101)]]).percentiles_ms["p90"] == pytest.approx(91)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_duration_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="clock"):
        summarise([[1.0, bad]])
    with pytest.raises(ValueError, match="no samples"):
        summarise([[], []])


def test_verdicts() -> None:
    steady = summarise([[1.0, 1.01, 1.02, 0.99, 0.98] * 6])
    assert judge(steady, 30) == ("STABLE", "interquartile range is 2.0 % of the median")
    verdict, reason = judge(steady, 60)
    assert verdict == "STABLE"
    assert "30 of the 60 samples wanted" in reason
    verdict, reason = judge(summarise([[1.0, 1.3, 0.8] * 10]), 30)
    assert verdict == "NOISY"
    assert "close other programs and measure again with --again" in reason
    verdict, reason = judge(summarise([[1.0] * 40, [1.15] * 10]), 30)
    assert verdict == "NOISY"
    assert "rounds lie 15.0 % apart" in reason
    assert "with --again" in reason
    assert judge(steady, 30, "the output is not finite") == ("INVALID", "the output is not finite")
    assert judge(None)[0] == "INVALID"
