"""The figure of the roofline: points where the shares say, roofs where the machine's peaks are."""

from __future__ import annotations

import pytest

from harness.complexity.roofline import WHOLE, shares
from harness.complexity.summary import summarise
from harness.errors import BadInput
from harness.reporting.cost_figures import roofline
from tests.harness.complexity import rows
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.cost_figures.test_complexity import every_model


def test_whole_forwards_and_kinds_at_the_largest_length_in_common() -> None:
    made = rows.survey(frames=(81, 243))
    (figure,) = roofline.draw(summarise(made), made).values()
    layout.check(figure)
    whole = layout.panel(figure, "Whole forwards, T = 243")
    found = {
        (share.intensity, share.rate)
        for share in shares(summarise(made), made)
        if share.kind == WHOLE and share.summary.point.frames == 243
    }
    points = {(line.get_xdata()[0], line.get_ydata()[0]) for line in whole.lines if len(line.get_xdata()) == 1}
    assert len(found) == 4
    assert found <= points
    roof = next(line for line in whole.lines if len(line.get_xdata()) == 3)
    assert list(roof.get_ydata())[1:] == pytest.approx([rows.MACHINE["gemm_flops_per_s"]] * 2)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[1:] == ["Projection", "Attention", "Scan", "Convolution", "Normalisation", "Elementwise"]
    assert any("posemamba-s  " in text and text.endswith(" %") for text in layout.texts(figure))


def test_another_length_and_one_that_is_not_there() -> None:
    made = rows.survey(frames=(81, 243))
    (figure,) = roofline.draw(summarise(made), made, frames=81).values()
    assert layout.panel(figure, "Whole forwards, T = 81")
    with pytest.raises(BadInput, match="T = 100; there are 81, 243"):
        roofline.draw(summarise(made), made, frames=100)


def test_without_a_length_in_common_each_has_its_own() -> None:
    made = [*rows.survey(frames=(81,)), *rows.survey({"martinez": rows.LAWS["videopose3d"]}, (1,))]
    (figure,) = roofline.draw(summarise(made), made).values()
    assert layout.panel(figure, "Whole forwards, each at the largest T it was measured at")


def test_many_have_their_labels_in_a_column() -> None:
    made = every_model()
    (figure,) = roofline.draw(summarise(made), made).values()
    layout.check(figure)


@pytest.mark.parametrize("spread", [10, 18, 40, 300])
def test_each_axis_has_several_numbers(spread: float) -> None:
    made = rows.survey(frames=(81,))
    of_scan = next(row for row in made if row["pass"] == "cost" and row["point"]["model"] == "posemamba-s")
    for work in of_scan["kinds"].values():
        work["bytes"] *= spread
    (figure,) = roofline.draw(summarise(made), made).values()
    whole = layout.panel(figure, "Whole forwards, T = 81")
    for axis, (low, high) in ((whole.xaxis, whole.get_xlim()), (whole.yaxis, whole.get_ylim())):
        assert sum(low <= place <= high for place in axis.get_majorticklocs()) >= 3


def test_the_roof_is_named_at_its_left_end_away_from_lines_to_labels() -> None:
    made = every_model()
    (figure,) = roofline.draw(summarise(made), made).values()
    (note,) = [text for text in figure.axes[0].texts if text.get_text().startswith("matrix product")]
    ridge = rows.MACHINE["gemm_flops_per_s"] / rows.MACHINE["copy_bytes_per_s"]
    assert (note.xy[0], note.get_ha()) == (pytest.approx(ridge), "left")


def test_nothing_without_the_peaks_of_the_machine() -> None:
    made = [row for row in rows.survey(frames=(81,)) if row["pass"] != "machine"]
    assert roofline.draw(summarise(made), made) == {}
