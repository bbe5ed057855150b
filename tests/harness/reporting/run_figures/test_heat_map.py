"""Tables of coloured cells: what stands in them, in which order, and that it can be read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from harness.reporting.run_figures import heat_map, per_action, per_joint
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases


def names(figure: Figure) -> tuple[list[str], list[str]]:
    """Of rows and of columns."""
    (axes,) = figure.axes
    return [label.get_text() for label in axes.get_yticklabels()], [
        label.get_text() for label in axes.get_xticklabels()
    ]


def cells(figure: Figure) -> dict[tuple[int, int], str]:
    """(row, column) -> figure."""
    (axes,) = figure.axes
    return {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}


def test_joints_hold_the_means_over_seeds_and_leave_out_the_root() -> None:
    group, evidence = cases.of(records.typical())
    figure = per_joint.draw(group, evidence)
    assert figure is not None
    rows, columns = names(figure)
    assert rows == [entry.title for entry in group.scored]
    assert len(columns) == 16
    assert "pelvis" not in columns
    for row, entry in enumerate(group.scored):
        wrist = entry.mean("accuracy.per_joint.right wrist.p1_mm")
        assert cells(figure)[row, columns.index("right wrist")] == f"{wrist:.0f}"


def test_actions_stand_the_hardest_first() -> None:
    figure = per_action.draw(*cases.of(records.typical()))
    assert figure is not None
    shown = cells(figure)
    count = len(records.ACTIONS)
    sums = [sum(float(value) for (_, column), value in shown.items() if column == at) for at in range(count)]
    assert sums == sorted(sums, reverse=True)


def test_the_lowest_of_each_column_is_bold_unless_it_is_alone() -> None:
    values = pd.DataFrame([[50.0, 70.0], [60.0, 65.0]], index=["a", "b"], columns=["x", "y"])
    figure = heat_map.draw(values)
    assert figure is not None
    assert {text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"} == {"50", "65"}
    figure = heat_map.draw(values[:1])
    assert figure is not None
    assert not [text for text in figure.axes[0].texts if text.get_fontweight() == "bold"]


def test_figures_stand_out_from_their_cells() -> None:
    values = pd.DataFrame([np.linspace(20, 200, 18)], index=["a"], columns=[str(place) for place in range(18)])
    figure = heat_map.draw(values)
    assert figure is not None
    (axes,) = figure.axes
    (shades,) = axes.collections
    for text, colour in zip(axes.texts, shades.get_facecolor(), strict=True):
        luminances = sorted(sns.utils.relative_luminance(each) for each in (text.get_color(), colour))
        assert (luminances[1] + 0.05) / (luminances[0] + 0.05) > 4.5
    tones = [sns.utils.relative_luminance(colour) for colour in shades.get_facecolor()]
    assert tones == sorted(tones, reverse=True)


def test_many_actions_are_rows() -> None:
    run, other = records.record("posemamba-s"), records.record("posemamba-xs")
    for one in (run, other):
        one["accuracy"]["per_action"] = {f"action {place}": {"p1_mm": 50.0 + place} for place in range(40)}
    figure = per_action.draw(*cases.of([run, other]))
    assert figure is not None
    layout.check(figure)
    rows, columns = names(figure)
    assert rows[0] == "action 39"
    assert len(rows) == 40
    assert columns == ["posemamba-s", "posemamba-xs"]
    assert cells(figure)[39, 1] == "50"


def test_a_missing_figure_is_an_open_cell() -> None:
    values = pd.DataFrame([[50.0, float("nan")], [60.0, 65.0]], index=["a", "b"], columns=["x", "y"])
    figure = heat_map.draw(values)
    assert figure is not None
    assert set(cells(figure)) == {(0, 0), (1, 0), (1, 1)}
    assert len(figure.axes[0].collections[0].get_offsets()) == 3
    assert heat_map.draw(pd.DataFrame([[float("nan")]])) is None
    assert heat_map.draw(pd.DataFrame()) is None
