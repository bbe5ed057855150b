"""Crossovers of known curves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.complexity.crossover import Curve, Float64Array, between, crossings, crossovers
from harness.complexity.resampling import medians
from harness.complexity.summary import summarise
from tests.harness.complexity import rows

FRAMES = (9, 27, 81, 243, 729)
COUNTS = st.lists(st.integers(1, 50).map(lambda n: 1 + n / 7), min_size=5, max_size=5)
COSTS = st.lists(st.floats(0.01, 100), min_size=5, max_size=5)


def curve(label: str, costs: list[float], noise: float = 0.0, seed: int = 0) -> Curve:
    """Through ``costs`` at FRAMES, with resamples if there is noise."""
    rng = np.random.default_rng(seed)
    draws: dict[int, Float64Array] = {}
    if noise:
        draws = {
            frames: cost * np.exp(noise * rng.standard_normal(2000)) for frames, cost in zip(FRAMES, costs, strict=True)
        }
    return Curve(label, "here", dict(zip(FRAMES, costs, strict=True)), draws)


def law(exponent: float, at_100: float) -> list[float]:
    return [at_100 * (frames / 100) ** exponent for frames in FRAMES]


def test_two_power_laws_cross_where_they_are_equal() -> None:
    (found,) = between(curve("linear", law(1, 5.0)), curve("quadratic", law(2, 5.0)), "flops_exact")
    assert found.frames == pytest.approx(100)
    assert (found.low, found.high) == pytest.approx((100, 100))
    assert (found.faster_below, found.faster_above) == ("quadratic", "linear")
    assert str(found) == "100"
    assert found.reason == "quadratic is cheaper below, linear above"


def test_between_measured_lengths_the_way_is_straight_on_logarithmic_axes() -> None:
    gaps = np.log([2.0, 1.0]) - np.log([1.0, 8.0])
    # log 2 at T = 9, -3 log 2 at T = 144: zero after a quarter of the way, 9 * 16^(1/4).
    assert crossings((9, 144), gaps) == [(pytest.approx(18.0), False)]


def test_none_within_the_range_names_the_faster_one() -> None:
    (found,) = between(curve("a", law(1, 5.0), 0.01), curve("b", law(1, 9.0), 0.01, seed=1))
    assert found.frames is None
    assert (found.faster_below, found.faster_above) == ("a", "a")
    assert found.reason == "none within 9..729: a is faster throughout"
    assert str(found) == "none in 9..729"


def test_a_crossing_beyond_the_range_is_not_extrapolated() -> None:
    beyond = law(2, 5.0 * 100 / 800)  # would meet at T = 800
    (found,) = between(curve("a", law(1, 5.0)), curve("b", beyond), "memory")
    assert found.frames is None
    assert found.reason == "none within 9..729: b is smaller throughout"


def test_a_crossing_that_only_noise_could_bring_about_is_said() -> None:
    near = law(2, 5.0 * 100 / 740)
    (found,) = between(curve("a", law(1, 5.0), 0.05), curve("b", near, 0.05, seed=1))
    assert found.frames is None
    assert "of the resamples cross" in found.reason


@pytest.mark.parametrize(("meet", "low", "high"), [(700, False, True), (9.5, True, False), (80, False, False)])
def test_the_interval_is_open_where_resamples_do_not_cross(meet: float, low: bool, high: bool) -> None:
    (found,) = between(curve("a", law(1, 5.0), 0.05), curve("b", law(2, 5.0 * 100 / meet), 0.05, seed=1))
    assert found.frames == pytest.approx(meet)
    assert found.low is not None
    assert found.high is not None
    assert (found.low == -math.inf, found.high == math.inf) == (low, high)
    assert ("> 729" in str(found)) == high
    assert ("< 9" in str(found)) == low
    assert ("do not cross so within 9..729" in found.reason) == (low or high)


def test_several_crossings_are_named_one_by_one() -> None:
    first, second = curve("a", [1, 3, 1, 3, 1], 0.01), curve("b", [2, 2, 2, 2, 2], 0.01, seed=1)
    found = between(first, second)
    assert len(found) == 4
    assert [one.faster_below for one in found] == ["a", "b", "a", "b"]
    assert [one.faster_above for one in found] == ["b", "a", "b", "a"]
    assert found[1].reason == "b is faster below, a above; crossing 2 of 4"
    for one, (left, right) in zip(found, itertools.pairwise(FRAMES), strict=True):
        assert one.frames is not None
        assert one.low is not None
        assert one.high is not None
        assert left < one.frames < right
        assert one.low < one.frames < one.high


def test_touching_is_not_crossing() -> None:
    assert crossings(FRAMES, np.array([-1.0, 0.0, -1.0, -2.0, -1.0])) == []
    assert crossings(FRAMES, np.zeros(5)) == []
    (same,) = between(curve("a", law(1, 5.0)), curve("b", law(1, 5.0)), "memory")
    assert (same.frames, same.faster_below) == (None, None)
    assert same.reason == "none within 9..729: both cost the same"


def test_equal_on_a_measured_length_is_a_crossing_there() -> None:
    assert crossings(FRAMES, np.array([-1.0, -1.0, 0.0, 2.0, 3.0])) == [(81.0, True)]
    assert crossings(FRAMES, np.array([1.0, 0.0, 0.0, 0.0, -3.0])) == [(pytest.approx(81.0), False)]


def test_a_bent_curve_has_an_interval_that_holds_the_truth_though_nothing_is_noisy() -> None:
    # 2 + 0.42 T + 0.0025 T^2 = 2.5 + 0.76 T at T = 137.455
    bent = [2 + 0.42 * frames + 0.0025 * frames**2 for frames in FRAMES]
    (found,) = between(curve("a", bent), curve("b", [2.5 + 0.76 * frames for frames in FRAMES]), "memory")
    assert found.low is not None
    assert found.high is not None
    assert found.low < 137.455 < found.high
    assert found.low > 81
    assert found.high < 243


def test_one_common_length_is_too_few() -> None:
    second = Curve("b", "here", {243: 2.0, 486: 3.0}, {})
    (found,) = between(curve("a", law(1, 5.0)), second, "memory")
    assert (found.frames, found.measured, found.faster_below) == (None, None, None)
    assert found.reason == "1 T at which both have a figure; a crossing needs two"


@given(COSTS, COSTS, st.sampled_from([0.0, 0.1]))
def test_swapping_the_pair_swaps_the_names_and_keeps_everything_else(
    first: list[float], second: list[float], noise: float
) -> None:
    a, b = curve("a", first, noise), curve("b", second, noise, seed=1)
    there, back = between(a, b), between(b, a)
    assert len(there) == len(back)
    for one, other in zip(there, back, strict=True):
        assert (one.first, one.second) == (other.second, other.first)
        assert (one.faster_below, one.faster_above) == (other.faster_below, other.faster_above)
        assert (one.frames, one.low, one.high) == pytest.approx((other.frames, other.low, other.high))
        assert one.reason == other.reason


@given(COUNTS, COUNTS, st.sampled_from([0.001, 0.5, 8.0, 1e6]))
def test_another_unit_changes_nothing(first: list[float], second: list[float], factor: float) -> None:
    found = between(curve("a", first), curve("b", second))
    scaled = between(curve("a", [factor * cost for cost in first]), curve("b", [factor * cost for cost in second]))
    assert [one.frames or 0 for one in found] == pytest.approx([one.frames or 0 for one in scaled], rel=1e-6)
    assert [one.faster_below for one in found] == [one.faster_below for one in scaled]


@given(COSTS, COSTS)
def test_a_crossing_lies_within_its_interval_and_both_within_the_range(first: list[float], second: list[float]) -> None:
    for found in between(curve("a", first, 0.02), curve("b", second, 0.02, seed=1)):
        if found.frames is not None and found.low is not None and found.high is not None:
            assert 9 <= found.frames <= 729
            assert found.low == -math.inf or 9 <= found.low <= found.frames
            assert found.high == math.inf or found.frames <= found.high <= 729


def test_the_interval_holds_the_crossing_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(100):
        (found,) = between(
            timed("a", rows.power_law(1.0, 1.0), rng, seed), timed("b", rows.power_law(1.5, 0.1), rng, -seed)
        )
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 100 <= found.high
        assert found.high - found.low < 80
    assert held >= 90


def timed(label: str, of: rows.Law, rng: np.random.Generator, seed: int) -> Curve:
    """Of three rounds of ten samples at each of FRAMES."""
    rounds = {frames: rows.samples_ms(of, rows.point(label, frames), 0.04, 3, 10, rng) for frames in FRAMES}
    costs = {frames: float(np.median(np.concatenate(drawn))) for frames, drawn in rounds.items()}
    draws = {frames: medians(drawn, (abs(seed), frames, seed < 0), 500) for frames, drawn in rounds.items()}
    return Curve(label, "here", costs, draws)


def test_pairs_are_of_one_environment_and_equal_settings() -> None:
    other = {**rows.ENVIRONMENT, "processor": "another"}
    laws = {name: rows.LAWS[name] for name in ("posemamba-s", "motionagformer-xs")}
    made = [
        *rows.survey(laws, (9, 729), noise=0),
        *rows.survey(laws, (9, 729), noise=0, environment=other),
        *rows.survey(laws, (9, 729), noise=0, threads=1),
    ]
    found = crossovers(summarise(made))
    assert [(one.first, one.second) for one in found] == [
        ("posemamba-s (2 threads)", "motionagformer-xs (2 threads)"),
        ("posemamba-s (1 thread)", "motionagformer-xs (1 thread)"),
        ("posemamba-s", "motionagformer-xs"),
    ]
    assert found[2].environment_key == rows.key(other)


def test_latency_is_compared_per_output_frame_and_memory_per_forward() -> None:
    laws = {"every": rows.power_law(1.0, 1.0), "centre": rows.LAWS["videopose3d"]}
    summaries = summarise(rows.survey(laws, noise=0))
    (latency,) = crossovers(summaries)
    # A forward of the one that answers for its centre frame is shorter from T = 3 on, and yet it is slower per frame.
    assert latency.reason == "none within 9..729: every is faster throughout"
    (memory,) = crossovers(summaries, "memory")
    # 1 MB a frame against 6 MB and 0.02 MB a frame: equal at T = 6.1, below the range.
    assert memory.reason == "none within 9..729: centre is smaller throughout"


def test_the_largest_batch_is_no_comparison_of_memory() -> None:
    laws = {"a": rows.power_law(1.0), "b": rows.power_law(2.0, 0.01)}
    summaries = summarise(rows.survey(laws, noise=0, batch=8, batch_asked="auto"))
    assert crossovers(summaries, "memory") == []
    (latency,) = crossovers(summaries)
    assert latency.frames == pytest.approx(100)


def test_invalid_and_missing_points_take_no_part() -> None:
    found = {(one.first, one.second): one for one in crossovers(summarise(rows.typical()))}
    assert found["posemamba-s", "motionbert"].measured == (27, 729)


def test_typical_survey() -> None:
    found = {(one.first, one.second): one for one in crossovers(summarise(rows.survey()))}
    one = found["posemamba-s", "motionagformer-xs"]
    assert (one.faster_below, one.faster_above) == ("motionagformer-xs", "posemamba-s")
    assert one.low is not None
    assert one.high is not None
    assert one.low < 137.455 < one.high


def test_operations_of_an_invalid_point_are_compared() -> None:
    found = {(one.first, one.second): one for one in crossovers(summarise(rows.typical()), "flops_exact")}
    assert found["posemamba-s", "motionbert"].measured == (9, 729)
