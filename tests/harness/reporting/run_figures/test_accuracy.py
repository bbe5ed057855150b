"""Bars of P1: seeds, the interval over takes and floors."""

from __future__ import annotations

import pytest
from matplotlib.colors import same_color

from harness.evaluation.statistics import mean_interval
from harness.reporting.look import looks_of
from harness.reporting.run_figures import accuracy
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases


def test_bars_are_as_long_as_the_error_and_gaps_stay() -> None:
    group, evidence = cases.of(records.typical())
    figure = accuracy.draw(group, evidence)
    assert figure is not None
    (axes,) = figure.axes
    lengths = [bar.get_width() for bar in axes.patches]
    assert lengths == [entry.p1_mm for entry in group.scored] + [115.3, 157.4, 231.2]
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [False] * 5 + [True] * 3
    looks = looks_of(group.scored)
    for entry, bar in zip(group.scored, axes.patches, strict=False):
        assert same_color(bar.get_facecolor(), looks[entry.title].colour)
    written = [text.get_text() for text in axes.texts]
    assert "no result: ran out of memory" in written
    assert "61.4 ± 0.4" in written
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[: len(group.entries)] == [entry.title for entry in group.entries]
    assert names[-3:] == ["linear per frame", "zero depth", "mean pose"]


def test_seeds_and_the_interval_over_takes_stand_apart() -> None:
    group, evidence = cases.of([records.record("posemamba-s", seed) for seed in range(3)])
    figure = accuracy.draw(group, evidence)
    assert figure is not None
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(drawn["seeds"].get_xdata()) == group.scored[0].values("accuracy.p1_mm")
    sequences = [run["accuracy"]["per_sequence"] for run in group.scored[0].runs]
    means = [sum(row["p1_mm"] for row in rows) / 3 for rows in zip(*sequences, strict=True)]
    expected = mean_interval(means, [row["take"] for row in sequences[0]], [row["frames"] for row in sequences[0]])
    low, high = drawn["interval"].get_xdata()
    assert (low, high) == pytest.approx((expected.low_mm, expected.high_mm), rel=5e-3)
    assert low < (group.scored[0].p1_mm or 0) < high
    assert not set(drawn["seeds"].get_ydata()) & set(drawn["interval"].get_ydata())


def test_without_errors_of_sequences_there_is_no_interval_and_no_key_of_it() -> None:
    run = records.record()
    assert "interval over takes" in layout.words(accuracy.draw(*cases.of([run])))  # type: ignore[arg-type]
    run["accuracy"]["per_sequence"] = []
    figure = accuracy.draw(*cases.of([run]))
    assert figure is not None
    assert "interval over takes" not in layout.words(figure)
    assert "one seed" in layout.words(figure)
