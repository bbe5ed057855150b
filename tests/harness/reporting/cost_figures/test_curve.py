"""Curves: which points are joined, hollow or missing, and how far a fit is drawn on."""

from __future__ import annotations

import dataclasses

import pytest
from matplotlib.figure import Figure

from harness.complexity.growth import Exponent
from harness.complexity.series import Series, series
from harness.complexity.summary import summarise
from harness.reporting.cost_figures import complexity, curve, memory
from harness.reporting.cost_figures.curve import Curve
from harness.reporting.figure import style
from harness.reporting.palette import looks
from tests.harness.complexity import rows

LINEAR = Exponent(1.0, 0.9, 1.1, (243, 486, 729))


@pytest.fixture(scope="module")
def motionbert() -> Series:
    return next(one for one in series(summarise(rows.typical())) if one.label == "motionbert")


@pytest.mark.parametrize(
    ("frames", "third"), [(9, 10.0), (10, 21.54), (81, 100.0), (243, 464.2), (729, 1000.0), (1000, 2154.0)]
)
def test_the_next_third_of_a_decade(frames: int, third: float) -> None:
    assert curve.next_third(frames) == pytest.approx(third, rel=1e-3)


def test_a_third_that_is_as_good_as_reached_is_none() -> None:
    assert curve.next_third(990) is None


def test_what_is_invalid_is_not_joined_and_what_failed_is_missing(motionbert: Series) -> None:
    found = curve.of(motionbert, complexity.LATENCY, LINEAR, extrapolate=True)
    assert found.hollow == {9}
    assert found.missing == {2187}
    assert found.frames == [27, 81, 243, 486, 729]
    assert found.reach == pytest.approx(1000)
    assert found.end == (found.reach, pytest.approx(found.points[729][0] * found.reach / 729))


def test_a_verdict_is_about_durations_alone(motionbert: Series) -> None:
    assert curve.of(motionbert, memory.MEMORY, None).hollow == frozenset()
    counted = curve.of(motionbert, complexity.OPERATIONS, None)
    assert not counted.hollow
    assert not counted.missing
    assert 9 in counted.frames


def test_without_a_fit_to_the_last_point_nothing_is_extrapolated(motionbert: Series) -> None:
    assert curve.of(motionbert, complexity.LATENCY, None, extrapolate=True).reach is None
    shorter = dataclasses.replace(LINEAR, frames=(81, 243))
    assert curve.of(motionbert, complexity.LATENCY, shorter, extrapolate=True).reach is None
    assert curve.of(motionbert, complexity.LATENCY, LINEAR).reach is None


def test_labels_carry_the_exponent(motionbert: Series) -> None:
    assert curve.of(motionbert, complexity.LATENCY, LINEAR).text == "motionbert  1.00 ± 0.10"
    counted = dataclasses.replace(LINEAR, value=1.366, counted=True)
    assert curve.of(motionbert, complexity.OPERATIONS, counted).text == "motionbert  1.37"
    assert curve.of(motionbert, complexity.LATENCY, None).text == "motionbert"


def test_an_exponent_that_tells_nothing_is_left_out_and_not_followed(motionbert: Series) -> None:
    vague = dataclasses.replace(LINEAR, low=-0.2, high=2.2)
    found = curve.of(motionbert, complexity.LATENCY, vague, extrapolate=True)
    assert (found.text, found.reach) == ("motionbert", None)
    sound = curve.of(motionbert, complexity.LATENCY, LINEAR)
    (said,) = curve.exponents_in_words([sound])
    assert "T = 243, 486, 729, with its 95 % interval" in said
    assert "wider" not in said
    (said,) = curve.exponents_in_words([found, sound])
    assert "none where that is wider than 1" in said
    others = dataclasses.replace(sound, exponent=dataclasses.replace(LINEAR, frames=(81, 243), counted=True))
    assert "over the large-T half with" not in curve.exponents_in_words([others, sound])[0]
    assert "over the large-T half, with" in curve.exponents_in_words([others, sound])[0]
    assert "interval" not in curve.exponents_in_words([others])[0]
    assert curve.exponents_in_words([dataclasses.replace(sound, exponent=None)]) == []


def test_a_falling_exponent_has_a_minus_sign(motionbert: Series) -> None:
    falling = dataclasses.replace(LINEAR, value=-0.12, low=-0.2, high=-0.05)
    assert curve.of(motionbert, complexity.LATENCY, falling).text == "motionbert  −0.12 ± 0.08"


def drawn(*curves: Curve) -> Figure:
    with style():
        figure = Figure(figsize=(3, 3))
        axes = figure.subplots()
        look = looks([(one.label, one.label, 1.0) for one in curves])
        curve.draw(axes, curves, look, complexity.LATENCY)
        curve.set_frames_axis(axes, curves)
        curve.set_cost_axis(axes, curves)
        curve.write_key(axes, curves)
    return figure


def test_frames_are_plain_numbers_with_room_between_them() -> None:
    points = {frames: (float(frames), None, None) for frames in (9, 27, 81, 243, 486, 729)}
    (axes,) = drawn(Curve("a", "a", points)).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["9", "27", "81", "243", "729"]
    assert 486 in axes.xaxis.get_minorticklocs()


def test_bands_hollow_points_crosses_and_the_dashed_end_are_drawn() -> None:
    points = {27: (1.0, None, None), 81: (3.0, 2.5, 3.5), 243: (9.0, 8.0, 10.0)}
    (axes,) = drawn(Curve("a", "a", points, frozenset({27}), frozenset({729}), LINEAR, 464.0)).axes
    line, hollow, dashed, cross = axes.lines
    assert list(line.get_xdata()) == [81, 243]
    assert (list(hollow.get_xdata()), hollow.get_markerfacecolor()) == ([27], "none")
    assert list(dashed.get_xdata()) == [243, 464.0]
    assert list(dashed.get_ydata()) == pytest.approx([9.0, 9.0 * 464 / 243])
    assert (list(cross.get_xdata()), cross.get_marker()) == ([729], "x")
    (band,) = axes.collections
    extent = band.get_paths()[0].get_extents()
    assert (extent.y0, extent.y1) == (2.5, 10.0)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["extrapolated", "no result", "INVALID"]


def test_a_sound_curve_needs_no_key() -> None:
    (axes,) = drawn(Curve("a", "a", {27: (1.0, None, None)})).axes
    assert axes.get_legend() is None


def test_missing_points_at_one_length_are_below_each_other() -> None:
    points = {27: (1.0, None, None)}
    (axes,) = drawn(*(Curve(name, name, points, missing=frozenset({81})) for name in "abc")).axes
    heights = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "x"]
    assert len(set(heights)) == 3
