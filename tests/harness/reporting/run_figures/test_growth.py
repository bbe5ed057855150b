"""Growth with T: from measurements where there are any, else from the runs' own counts."""

from __future__ import annotations

import pytest

from harness.reporting.run_figures import growth
from tests.harness.complexity import rows
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases


def grown(
    model: str = "posemamba-s", power: float = 1.0, frames: tuple[int, ...] = (27, 81, 243)
) -> list[dict[str, object]]:
    """Runs whose operations and latency grow as T to a power."""
    runs = []
    for length in frames:
        run = cases.whole(model, frames=length)
        run["cost"]["flops_exact"] = round(1e6 * length**power)
        run["cost"]["inference"]["call_ms"] = 0.1 * length**power
        runs.append(run)
    return runs


def test_the_runs_own_counts_with_their_exponents() -> None:
    runs = [*grown(), *grown("motionagformer-xs", 2.0)]
    group, evidence = cases.of(runs)
    figure = growth.draw(group, evidence)
    assert figure is not None
    layout.check(figure)
    operations, latency = figure.axes
    assert operations.get_title(loc="left") == "Operations of a clip"
    assert latency.get_title(loc="left") == "Latency of a clip"
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} == {"posemamba-s  1.00", "motionagformer-xs  2.00"}
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    lines = [line for line in operations.lines if len(line.get_xdata()) == 3]
    assert {tuple(line.get_xdata()) for line in lines} == {(27, 81, 243)}
    assert pytest.approx([27e6, 81e6, 243e6]) in [list(line.get_ydata()) for line in lines]
    said = " ".join(growth.notes(group, evidence))
    assert "timed by each run itself" in said
    assert "over T = 27, 81, 243" in said


def test_invalid_timings_are_no_points() -> None:
    runs = grown()
    for run in runs[1:]:
        run["cost"]["inference"]["verdict"] = "INVALID"  # type: ignore[index]
    figure = growth.draw(*cases.of(runs))
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Operations of a clip"]


def test_measurements_of_the_groups_lifters_come_first() -> None:
    measured = rows.survey(frames=(9, 27, 81, 243), in_channels=3)
    group, evidence = cases.of([records.record("posemamba-s")], measurements=measured)
    figure = growth.draw(group, evidence)
    assert figure is not None
    layout.check(figure)
    operations = figure.axes[0]
    assert [text.get_text().split("  ")[0] for text in operations.texts] == ["posemamba-s"]
    (line,) = [line for line in operations.lines if len(line.get_xdata()) == 4]
    assert list(line.get_xdata()) == [9, 27, 81, 243]
    said = " ".join(growth.notes(group, evidence))
    assert "each in a fresh process" in said
    assert "timed by each run itself" not in said


def test_measurements_of_other_lifters_and_other_options_are_not_the_groups() -> None:
    other = cases.of([records.record("dilated-convolution")], measurements=rows.survey(in_channels=3))
    assert growth.draw(*other) is None
    law = {"posemamba-s": rows.LAWS["posemamba-s"]}
    deeper = rows.survey(law, in_channels=3, options={"depth": 3})
    assert growth.draw(*cases.of([records.record("posemamba-s")], measurements=deeper)) is None


def test_none_for_one_length() -> None:
    assert growth.draw(*cases.of(grown(frames=(27,)))) is None
    assert growth.notes(*cases.of(grown(frames=(27,)))) == ()


def test_two_lengths_of_two_lifters_are_no_growth() -> None:
    runs = [*grown("posemamba-s", frames=(27,)), *grown("posemamba-xs", frames=(81,))]
    assert growth.draw(*cases.of(runs)) is None
