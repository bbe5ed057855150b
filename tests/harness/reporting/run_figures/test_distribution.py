"""The spread of errors: shares of frames, and joints within a threshold."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparison.group import group
from harness.reporting.run_figures import distribution
from harness.reporting.run_figures.distribution import Spread, spread_of
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases


def test_pck_and_auc_are_those_of_evenly_spread_errors() -> None:
    # Joint errors even over 0 to 300 mm: half of them within 150 mm, and on average a quarter over the thresholds.
    spread = Spread(5.0, np.array(cases.evenly(50, 150)), np.array(cases.evenly(0, 300)))
    assert spread.thresholds_mm.tolist() == list(range(0, 151, 5))
    assert spread.within[-1] == pytest.approx(0.5)
    assert spread.within.mean() == pytest.approx(0.25)
    assert spread.within[0] == 0


def test_lines_are_the_means_over_seeds() -> None:
    runs = [cases.whole("posemamba-s", seed) for seed in range(2)]
    given, evidence = cases.of(runs)
    figure = distribution.draw(given, evidence)
    assert figure is not None
    frames, joints, _ = figure.axes
    means = np.mean([run["accuracy"]["distribution"]["frame_share"] for run in runs], axis=0)
    (line,) = frames.lines
    shown = len(line.get_xdata())
    assert line.get_xdata()[:2].tolist() == [2.5, 7.5]
    assert line.get_ydata() == pytest.approx(100 * means[:shown])
    (line,) = joints.lines
    spread = spread_of(given.scored[0])
    assert spread is not None
    assert line.get_ydata() == pytest.approx(100 * spread.within)
    assert f"{100 * spread.within[-1]:.1f}" in layout.texts(figure)
    assert f"{100 * spread.within.mean():.1f}" in layout.texts(figure)


def test_the_key_is_in_the_order_of_pck() -> None:
    runs = [cases.whole(model) for model in ("posemamba-xs", "posemamba-s", "dstformer-lite")]
    figure = distribution.draw(*cases.of(runs))
    assert figure is not None
    names = [text for text in layout.texts(figure) if text in {run["config"]["model"] for run in runs}]
    assert names == ["posemamba-s", "posemamba-xs", "dstformer-lite"]


def test_the_axis_ends_where_nearly_all_frames_are_and_the_notes_say_what_lies_beyond() -> None:
    run = cases.whole()
    shares = np.array(cases.evenly(0, 100)) * 0.996
    shares[-1] = 0.004
    run["accuracy"]["distribution"]["frame_share"] = shares.tolist()
    figure = distribution.draw(*cases.of([run]))
    assert figure is not None
    assert figure.axes[0].get_xlim() == (0, 100)
    assert "Beyond 100 mm, where the left axis ends, lie 0.4 %" in distribution.notes(*cases.of([run]))[0]


def test_a_tail_that_is_open_is_never_drawn_as_a_bin() -> None:
    run = cases.whole()
    shares = np.zeros(101)
    shares[[10, 100]] = 0.5
    run["accuracy"]["distribution"]["frame_share"] = shares.tolist()
    figure = distribution.draw(*cases.of([run]))
    assert figure is not None
    assert figure.axes[0].get_xlim() == (0, 500)
    assert "Beyond 500 mm, where the left axis ends, lie 50.0 %" in distribution.notes(*cases.of([run]))[0]


def test_none_without_a_distribution_and_the_notes_name_who_has_none() -> None:
    early = records.record("posemamba-s")
    assert distribution.draw(*cases.of([early])) is None
    assert spread_of(group([early])[0].scored[0]) is None
    notes = distribution.notes(*cases.of([early, cases.whole("posemamba-xs")]))
    assert notes[-1] == "Nothing kept of posemamba-s."


def test_of_many_the_best_ten_are_drawn_and_the_notes_say_so() -> None:
    runs = [cases.renamed(cases.whole("posemamba-s"), f"lifter-{place:02}") for place in range(12)]
    for place, run in enumerate(runs):
        run["accuracy"]["p1_mm"] = 60.0 + place
    given, evidence = cases.of(runs)
    figure = distribution.draw(given, evidence)
    assert figure is not None
    assert [len(axes.lines) for axes in figure.axes[:2]] == [10, 10]
    named = [text for text in layout.texts(figure) if text.startswith("lifter")]
    assert sorted(named) == [f"lifter-{place:02}" for place in range(10)]
    assert "The best 10 by P1 of 12 that kept how their errors are spread." in distribution.notes(given, evidence)
