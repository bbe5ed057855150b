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


def test_a_peak_of_nothing_is_no_point_and_the_caption_says_so() -> None:
    made = rows.typical()
    for row in made:
        if "memory" in row and row["point"]["model"] in ("videopose3d", "posemamba-s"):
            row["memory"]["peak_bytes"] *= row["point"]["model"] == "posemamba-s" and row["point"]["frames"] > 9
    (figure,) = memory.draw(summarise(made)).values()
    layout.check(figure)
    (axes,) = figure.axes
    assert not any(text.get_text().startswith("videopose3d") for text in axes.texts)
    assert any(list(line.get_xdata()) == [27, 81, 243, 486, 729] for line in axes.lines)
    said = layout.words(figure)
    assert "0 bytes): posemamba-s T = 9; videopose3d T = 9, 27" in said


def test_streams_and_largest_batches_are_called_so() -> None:
    laws = {"posemamba-s": rows.LAWS["posemamba-s"]}
    (figure,) = memory.draw(summarise(rows.survey(laws, streaming=True))).values()
    assert "new frame" in layout.words(figure)
    assert "forward" not in layout.words(figure)
    (figure,) = memory.draw(summarise(rows.survey(laws, batch=4, batch_asked="auto"))).values()
    # What fills the memory whatever T has no exponent.
    assert "exponent" not in layout.words(figure)


def test_weights_are_on_one_axis_in_all_panels_with_one_key() -> None:
    (figure,) = memory.draw(summarise(every_model())).values()
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [axes.get_legend() is not None for axes in figure.axes].count(True) == 1


def test_nothing_where_no_memory_was_measured() -> None:
    made = rows.survey(frames=(27,))
    for row in made:
        row.pop("memory", None)
    assert memory.draw(summarise(made)) == {}
