"""Exponents: known laws are recovered, and their intervals hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.complexity.growth import Exponent, fit_latency, fit_operations, fit_values, growths, large_half
from harness.complexity.summary import summarise
from harness.errors import BadInput
from tests.harness.complexity import rows

FRAMES = (9, 27, 81, 243, 486, 729)


def drawn_rounds(exponent: float, noise: float, rng: np.random.Generator) -> list[list[list[float]]]:
    """Three rounds of ten samples at each of FRAMES, each round with an error of its own."""
    return [
        [
            list(length**exponent * np.exp(noise * rng.standard_normal() + noise * rng.standard_normal(10)))
            for _ in range(3)
        ]
        for length in FRAMES
    ]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (FRAMES, (81, 243, 486, 729)),
        ((9, 729), (9, 729)),
        ((9, 81, 729), (9, 81, 729)),
        ((9, 10, 11, 729), (10, 11, 729)),
        ((27,), (27,)),
        ((729, 9, 243, 81, 27), (81, 243, 729)),
    ],
)
def test_large_half_begins_in_the_middle_of_a_logarithmic_axis(
    frames: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert large_half(frames) == expected


def test_a_minimum_is_taken_at_its_word() -> None:
    assert large_half(FRAMES, 243) == (243, 486, 729)
    assert large_half(FRAMES, 729) == (729,)
    assert large_half(FRAMES, 1000) == ()


@given(st.floats(0.1, 3), st.floats(1e-6, 1e6))
def test_a_power_law_without_noise_is_recovered(exponent: float, factor: float) -> None:
    fit = fit_values(FRAMES, [factor * length**exponent for length in FRAMES])
    assert fit is not None
    assert fit.low is not None
    assert fit.high is not None
    assert fit.value == pytest.approx(exponent, abs=1e-9)
    assert fit.high - fit.low < 1e-6


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_interval_holds_the_exponent_as_often_as_it_says(exponent: float) -> None:
    rng = np.random.default_rng(11)
    held, widths = 0, []
    for seed in range(100):
        fit = fit_latency(FRAMES, drawn_rounds(exponent, 0.03, rng), seed=seed, draws=400)
        assert fit is not None
        assert fit.low is not None
        assert fit.high is not None
        held += fit.low <= exponent <= fit.high
        widths.append(fit.high - fit.low)
    assert held >= 90
    assert np.median(widths) < 0.15  # and not by being endless


def test_resampling_alone_gives_two_points_an_interval() -> None:
    rounds = [[[1.0, 1.1, 1.2], [0.9, 1.0, 1.3]], [[2.0, 2.2, 2.5], [1.9, 2.1, 2.4]]]
    fit = fit_latency((10, 20), rounds)
    assert fit is not None
    assert fit.low is not None
    assert fit.high is not None
    assert fit.low < fit.value < fit.high
    assert fit_values((10, 20), (1.0, 2.0)) == Exponent(pytest.approx(1.0), None, None, (10, 20))  # type: ignore[arg-type]


def test_a_bent_curve_has_a_wide_interval_however_quiet_the_clock() -> None:
    bent = [length + length**2 / 300 for length in FRAMES]
    straight = [length**1.3 for length in FRAMES]
    widths = [
        fit.high - fit.low
        for values in (bent, straight)
        if (fit := fit_latency(FRAMES, [[[value] * 8] * 3 for value in values])) and fit.high and fit.low
    ]
    assert widths[0] > 0.1
    assert widths[1] < 1e-6


def test_the_residual_interval_is_that_of_scipy() -> None:
    values = [1.0, 2.9, 9.5, 25.0, 61.0, 80.0]
    fit = fit_values(FRAMES, values, minimum=9)
    line = stats.linregress(np.log(FRAMES), np.log(values))
    reach = line.stderr * stats.t.ppf(0.975, 4)
    assert fit is not None
    assert (fit.value, fit.low, fit.high) == pytest.approx((line.slope, line.slope - reach, line.slope + reach))


def test_operations_of_a_linear_model_have_the_exponent_one() -> None:
    fit = fit_operations(FRAMES, [53_800_000 * length for length in FRAMES])
    assert fit is not None
    assert (fit.low, fit.high) == (1.0, 1.0)
    assert str(fit) == "1.000"


def test_operations_have_an_interval_from_the_lowest_to_the_highest_slope_rounded_outward() -> None:
    # Doubling T multiplies by 3, then by 3.5: slopes 1.58496 and 1.80735.
    fit = fit_operations((10, 20, 40), (100, 300, 1050))
    assert fit is not None
    assert (fit.low, fit.high) == (1.584, 1.808)
    assert str(fit) == "1.696 [1.584, 1.808]"
    nearly = fit_operations((10, 20, 40), (100_001, 200_001, 400_001))
    assert nearly is not None
    assert (nearly.low, nearly.high) == (0.999, 1.0)
    assert str(nearly) == "1.000 [0.999, 1.000]"


@pytest.mark.parametrize("counts", [(0, 0, 0), (0, 5, 7)])
def test_nothing_has_no_exponent(counts: tuple[int, ...]) -> None:
    assert fit_operations((10, 20, 40), counts) is None


def test_one_point_has_no_exponent() -> None:
    assert fit_operations((10,), (5,)) is None
    assert fit_values((), ()) is None
    assert fit_latency(FRAMES, [[[1.0] * 6]] * 6, minimum=700) is None


def test_the_same_frames_twice_are_refused() -> None:
    with pytest.raises(BadInput, match="same T twice"):
        fit_values((9, 9, 27), (1, 2, 3))


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.99, 1.05, "1.02 ± 0.03"),
        (0.991, 1.049, "1.02 ± 0.03"),
        (0.99, 1.062, "1.02 [0.99, 1.07]"),
        (None, None, "1.02"),
    ],
)
def test_how_an_exponent_is_written(low: float | None, high: float | None, shown: str) -> None:
    assert str(Exponent(1.02, low, high, FRAMES)) == shown


@given(st.floats(-1, 3), st.floats(0, 1), st.floats(0, 1))
def test_what_is_written_holds_the_interval(value: float, below: float, above: float) -> None:
    words = str(Exponent(value, value - below, value + above, FRAMES)).replace("[", "").replace("]", "").split()
    if words[1] == "±":
        low, high = float(words[0]) - float(words[2]), float(words[0]) + float(words[2])
    else:
        low, high = float(words[1].rstrip(",")), float(words[2])
    assert low <= value - below + 1e-6
    assert high >= value + above - 1e-6


def test_growths_of_a_survey() -> None:
    found = {one.label: one for one in growths(summarise(rows.survey()), minimum=243)}
    posemamba, motionagformer = found["posemamba-s"].exponents, found["motionagformer-xs"].exponents
    latency = posemamba["latency"]
    assert latency.frames == (243, 486, 729)
    assert latency.low is not None
    assert latency.high is not None
    assert latency.low <= 1 <= latency.high
    assert str(posemamba["flops_exact"]) == "1.000"
    assert "flops_exact.attention" not in posemamba
    assert motionagformer["flops_exact.attention"].value > 1.9
    assert motionagformer["flops_exact"].value > 1.3
    assert motionagformer["seconds.attention"].value > motionagformer["seconds.projection"].value
    assert motionagformer["memory"].value > 1.4 > posemamba["memory"].value


def test_a_batch_of_its_own_at_each_length_changes_no_latency_of_a_clip_and_has_no_memory() -> None:
    law, auto = rows.power_law(1.5), {"batch_asked": "auto"}
    made = [
        row
        for frames, batch in ((27, 64), (81, 20), (243, 6), (729, 2))
        for row in rows.of_point(law, rows.point("a", frames, batch=batch, **auto), noise=0)
    ]
    (found,) = growths(summarise(made))
    assert found.exponents["latency"].value == pytest.approx(1.5)
    assert "memory" not in found.exponents


def test_invalid_and_failed_points_are_left_out_and_said() -> None:
    quiet = rows.survey({"motionbert": rows.power_law(1.0)}, noise=0)
    broken = rows.of_point(rows.power_law(3.0), rows.point("motionbert", 729), noise=0)
    for row in broken[1:]:
        row["timing"] |= {"verdict": "INVALID", "reason": "the clock went backwards"}
    made = [row for row in quiet if row.get("point", {}).get("frames") != 729] + broken + [rows.out_of_memory()]
    (found,) = growths(summarise(made))
    assert found.exponents["latency"].value == pytest.approx(1.0)
    assert found.exponents["latency"].frames[-1] == 486
    assert [said.split(":")[0] for said in found.left_out] == ["T=729", "T=2187"]


def test_environments_are_fitted_apart() -> None:
    other = {**rows.ENVIRONMENT, "processor": "another"}
    made = [
        *rows.survey({"a": rows.power_law(1.0)}, noise=0),
        *rows.survey({"a": rows.power_law(2.0)}, noise=0, environment=other),
    ]
    assert [one.exponents["latency"].value for one in growths(summarise(made))] == pytest.approx([1.0, 2.0])


def test_the_same_rows_give_the_same_figures() -> None:
    summaries = summarise(rows.typical())
    assert growths(summaries) == growths(summarise(rows.typical()))


def test_what_was_counted_holds_although_the_timing_is_invalid() -> None:
    """One slow point with too few samples must not take the operations and the memory of its T away."""
    (found,) = growths(
        summarise([*rows.survey({"motionbert": rows.LAWS["motionbert"]}, (27, 81, 243)), *rows.invalid()])
    )
    assert found.exponents["latency"].frames[0] == 27
    assert growths(summarise(rows.invalid()))[0].exponents == {}
    alone = [*rows.survey({"motionbert": rows.LAWS["motionbert"]}, (27,)), *rows.invalid()]
    (found,) = growths(summarise(alone))
    assert "latency" not in found.exponents
    assert found.exponents["flops_exact"].frames == (9, 27)
    assert found.exponents["memory"].frames == (9, 27)
