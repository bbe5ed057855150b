"""The figure of memory: peaks as lines, weights as ticks."""

from __future__ import annotations

from harness.complexity.summary import summarise
from harness.reporting.cost_figures import memory
from tests.harness.complexity import rows
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.cost_figures.test_complexity import every_model


def test_peaks_weights_and_what_did_not_fit() -> None:
    (figure,) = memory.draw(summarise(rows.typical())).values()
    layout.check(figure)
    (axes,) = figure.axes
    ticks = [line.get_ydata()[0] for line in axes.lines if line.get_linewidth() == 2.2]
    assert sorted(ticks) == sorted(4.0 * law.params for law in rows.LAWS.values())
    line = next(line for line in axes.lines if list(line.get_xdata()) == list(rows.FRAMES))
    assert line.get_ydata()[0] == rows.value(rows.LAWS["posemamba-s"].peak_bytes, 9)
    assert "Out of memory (×): motionbert T = 2187" in layout.words(figure)
    assert any(text.get_text().startswith("posemamba-s  0.9") for text in axes.texts)
    assert all(label.get_text().endswith("B") for label in axes.get_yticklabels() if label.get_text())


def test_many_lifters_have_panels_by_kinship() -> None:
    (figure,) = memory.draw(summarise(every_model())).values()
    layout.check(figure)
    assert len(figure.axes) > 4


def test_nothing_where_no_memory_was_measured() -> None:
    made = rows.survey(frames=(27,))
    for row in made:
        row.pop("memory", None)
    assert memory.draw(summarise(made)) == {}
