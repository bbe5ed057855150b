"""The figures show what the records say, and the same records give the same bytes."""

from __future__ import annotations

import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from harness.reporting import bubbles, plots
from harness.reporting.figure import to_png, to_svg
from harness.reporting.group import Group, group
from tests.harness.reporting import records


@pytest.fixture(scope="module")
def typical() -> Group:
    return group(records.typical())[0]


def texts(figure: Figure | None) -> list[str]:
    assert figure is not None
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
def test_the_same_runs_give_the_same_bytes(plot: plots.Plot) -> None:
    first, second = (plot.draw(group([records.record()])[0]) for _ in range(2))
    assert first is not None
    assert second is not None
    assert to_svg(first) == to_svg(second)
    png = to_png(first)
    assert png == to_png(second)
    assert not any(word in png for word in (b"Software", b"tIME"))
    assert b"<metadata" not in to_svg(first)


@pytest.mark.parametrize("plot", plots.PLOTS, ids=lambda plot: plot.name)
def test_runs_that_only_failed_give_no_figure(plot: plots.Plot) -> None:
    assert plot.draw(group([records.failed()])[0]) is None


def test_bars_are_as_long_as_the_error_and_gaps_stay(typical: Group) -> None:
    figure = plots.accuracy(typical)
    assert figure is not None
    (axes,) = figure.axes
    lengths = [bar.get_width() for bar in axes.patches]
    assert lengths == [entry.p1_mm for entry in typical.scored] + [115.3, 157.4, 231.2]
    assert "no result: ran out of memory" in texts(figure)
    assert "61.4 ± 0.4" in texts(figure)


def test_bubbles_stand_at_cost_and_error_and_their_area_is_the_parameters(typical: Group) -> None:
    figure = plots.accuracy_cost(typical)
    assert figure is not None
    dots = [found for found in figure.axes[0].collections if isinstance(found, PathCollection)]
    drawn = {(*found.get_offsets()[0], size) for found in dots for size in found.get_sizes()}
    largest = max(entry.mean("cost.params_total") or 0 for entry in typical.scored)
    for entry in typical.scored:
        macs, params = entry.mean("cost.macs_fvcore_per_frame"), entry.mean("cost.params_total") or 0
        assert (macs, entry.p1_mm, 1400 * params / largest) in drawn
    assert "posemamba-s\n1.47 M parameters" in texts(figure)


def test_labels_do_not_cover_each_other() -> None:
    figure = plots.accuracy_cost(group(records.two_protocols())[0])
    assert figure is not None
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index])


def test_nothing_on_the_front_is_beaten_in_both() -> None:
    front = bubbles.front(plots._bubbles(group(records.typical())[0]))
    assert [bubble.title for bubble in front] == ["dilated-convolution", "posemamba-s"]


def test_heat_maps_hold_the_means_and_leave_out_the_root(typical: Group) -> None:
    figure = plots.per_joint(typical)
    assert figure is not None
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(names) == 16
    assert "pelvis" not in names
    wrist = typical.entries[0].mean("accuracy.per_joint.right wrist.p1_mm")
    assert texts(figure)[names.index("right wrist")] == f"{wrist:.0f}"


def test_actions_stand_the_hardest_first(typical: Group) -> None:
    figure = plots.per_action(typical)
    shown = [float(text) for text in texts(figure)]
    columns = len(records.ACTIONS)
    means = [sum(shown[column::columns]) for column in range(columns)]
    assert means == sorted(means, reverse=True)


def test_figures_in_a_heat_map_stand_out_from_their_cell(typical: Group) -> None:
    import seaborn as sns

    figure = plots.per_joint(typical)
    assert figure is not None
    axes = figure.axes[0]
    for text, colour in zip(axes.texts, axes.collections[0].get_facecolor(), strict=True):
        luminances = sorted(sns.utils.relative_luminance(each) for each in (text.get_color(), colour))
        assert (luminances[1] + 0.05) / (luminances[0] + 0.05) > 4.5


def test_every_seed_has_its_curve(typical: Group) -> None:
    figure = plots.learning_curves(typical)
    assert figure is not None
    assert len(figure.axes[0].lines) == sum(len(entry.runs) for entry in typical.scored)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [entry.title for entry in typical.scored]


def test_a_dollar_sign_in_a_name_is_no_formula() -> None:
    run = records.record()
    run["config"]["model"] = "costs $5^{ or $6"
    for plot in plots.PLOTS:
        figure = plot.draw(group([run])[0])
        assert figure is not None
        assert to_svg(figure)
