"""The figure of printed costs: shares of everything, and what could not be reproduced."""

from __future__ import annotations

import pytest

from harness.reporting.cost_figures import published
from tests.harness.reporting.cost_figures import layout, printed


def test_every_figure_is_a_share_of_everything() -> None:
    (figure,) = published.draw(printed.typical()).values()
    layout.check(figure)
    compute, parameters = figure.axes
    assert [label.get_text() for label in compute.get_yticklabels()] == ["posemamba-s, T = 243", "mixste, T = 243"]
    matched = {tuple(line.get_xydata()[0]) for line in compute.lines if line.get_marker() == "o"}
    # A multiplication and its addition are counted apart in 278 G, so half of it is compared.
    assert sorted(matched) == [(pytest.approx(3.6 / 8), 0), (pytest.approx(139 / 150), 1)]
    sizes = {tuple(line.get_xydata()[0]) for line in parameters.lines if line.get_marker() == "o"}
    assert sorted(sizes) == [(pytest.approx(0.86 / 1.470211), 0), (pytest.approx(33.6 / 33.78), 1)]
    assert [text.get_text() for text in compute.texts] == ["8.00 G", "150 G"]


def test_what_lies_far_outside_is_an_arrow_at_the_edge() -> None:
    (figure,) = published.draw(printed.typical()).values()
    (arrow,) = [line for line in figure.axes[0].lines if line.get_marker() == ">"]
    assert arrow.get_xdata()[0] < figure.axes[0].get_xlim()[1]


def test_the_caption_counts_and_names_what_is_not_reproduced() -> None:
    said = layout.words(published.draw(printed.typical())["published"])
    assert "4 of 5 printed figures are reproduced" in said
    assert "Not reproduced" in said
    assert "mixste, T = 243 [elsewhere]" in said
    assert "Not reproduced" not in layout.words(published.draw([printed.row()])["published"])


def test_variants_are_rows_of_their_own() -> None:
    rows = [printed.row(), printed.row(options="depth=6 dim=64"), printed.row(frames=81)]
    (figure,) = published.draw(rows).values()
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    # Those of one network stand together, by T.
    assert names == ["posemamba-s, T = 81", "posemamba-s, T = 243", "posemamba-s (depth 6, dim 64), T = 243"]


def test_a_metric_that_nobody_prints_is_no_blank() -> None:
    (figure,) = published.draw([printed.row()]).values()
    said = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert sorted(len(texts) for texts in said) == [1, 1]
    assert ["none printed"] in said


def test_nothing_without_a_figure_that_is_drawn() -> None:
    assert published.draw([]) == {}
    assert published.draw([printed.row(metric="compute per output frame", unit="M")]) == {}
