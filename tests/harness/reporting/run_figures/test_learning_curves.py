"""Learning curves: a line a seed, their mean where there are three, and names at the ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import same_color, to_hex

from harness.reporting.look import looks_of
from harness.reporting.run_figures import learning_curves
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases


def curved(run: dict[str, object], points: list[tuple[int, float, float]]) -> dict[str, object]:
    run["training"]["curve"] = [  # type: ignore[index]
        {"step": step, "seconds": seconds, "loss": loss, "learning_rate": 1e-3} for step, seconds, loss in points
    ]
    return run


def test_every_seed_has_its_line_and_three_have_a_mean() -> None:
    group, evidence = cases.of(records.typical())
    figure = learning_curves.draw(group, evidence)
    assert figure is not None
    losses, rates = figure.axes[:2]
    runs = sum(len(entry.runs) for entry in group.scored)
    several = [entry for entry in group.scored if len(entry.runs) >= 3]
    assert len(losses.lines) == runs + len(several) == 13 + 4
    thick = [line for line in losses.lines if line.get_linewidth() > 1.5]
    assert [line.get_label() for line in thick] == [entry.title for entry in several]
    looks = looks_of(group.scored)
    assert all(same_color(line.get_color(), looks[line.get_label()].colour) for line in thick)
    assert len(rates.lines) == len(group.scored)
    assert [text.get_text() for text in figure.axes[2].texts] == [entry.title for entry in group.scored]


def test_the_mean_is_the_geometric_mean_of_the_seeds_as_far_as_all_go() -> None:
    losses = (0.1, 0.2, 0.4)
    runs = [
        curved(records.record("posemamba-s", seed), [(step, float(step), loss) for step in range(1, 100 - 20 * seed)])
        for seed, loss in enumerate(losses)
    ]
    figure = learning_curves.draw(*cases.of(runs))
    assert figure is not None
    (mean,) = [line for line in figure.axes[2].lines if line.get_linewidth() > 1.5]
    assert mean.get_ydata() == pytest.approx(np.full(len(mean.get_ydata()), 0.2))
    assert max(mean.get_xdata()) <= 59
    assert {round(line.get_ydata()[0], 6) for line in figure.axes[2].lines} == {0.1, 0.2, 0.4}


def test_processor_time_is_shown_where_every_run_has_it() -> None:
    runs = [
        curved(records.record("posemamba-s", seed), [(10 * point, 90.0 * point, 1.0 / point) for point in range(1, 13)])
        for seed in range(2)
    ]
    for run in runs:
        run["training"]["core_seconds"] = 600.0  # type: ignore[index]
    figure = learning_curves.draw(*cases.of(runs))
    assert figure is not None
    assert figure.axes[1].get_xlabel() == "processor time of training (minutes)"
    assert figure.axes[0].lines[0].get_xdata()[[0, -1]] == pytest.approx([10 / 12, 10.0])
    del runs[1]["training"]["core_seconds"]  # type: ignore[attr-defined]
    mixed = learning_curves.draw(*cases.of(runs))
    assert mixed is not None
    assert mixed.axes[1].get_xlabel() == "training time (minutes)"
    assert mixed.axes[0].lines[0].get_xdata()[-1] == pytest.approx(18.0)


def test_time_is_in_minutes_and_steps_are_as_counted() -> None:
    run = curved(records.record("posemamba-s"), [(10 * point, 30.0 * point, 1.0 / point) for point in range(1, 13)])
    figure = learning_curves.draw(*cases.of([run]))
    assert figure is not None
    over_time, _, over_steps, _ = figure.axes
    assert over_time.lines[0].get_xdata()[[0, -1]] == pytest.approx([0.5, 6.0])
    assert over_steps.lines[0].get_xdata()[[0, -1]] == pytest.approx([10, 120])
    assert over_steps.get_xscale() == "log"


def test_smoothing_keeps_a_constant_and_the_length() -> None:
    assert learning_curves._smoothed(np.full(7, 0.3)) == pytest.approx(np.full(7, 0.3))
    noisy = np.exp(np.tile([1.0, -1.0], 50))
    assert learning_curves._smoothed(noisy).std() < 0.2 * noisy.std()
    assert learning_curves._smoothed(np.array([0.5])) == pytest.approx([0.5])


def test_a_single_point_is_enough_and_none_gives_no_figure() -> None:
    run = curved(records.record("posemamba-s"), [(1, 1.0, 0.5)])
    figure = learning_curves.draw(*cases.of([run]))
    assert figure is not None
    assert figure.axes[2].lines[0].get_ydata() == pytest.approx([0.5])
    run = curved(run, [])
    assert learning_curves.draw(*cases.of([run])) is None


def many(count: int) -> list[dict[str, Any]]:
    """So many lifters of one run each, the best first."""
    runs = [cases.renamed(records.record("posemamba-s"), f"lifter-{place:02}") for place in range(count)]
    for place, run in enumerate(runs):
        run["accuracy"]["p1_mm"] = 60.0 + place
    return runs


def test_of_many_the_best_ten_are_drawn_and_the_notes_say_so() -> None:
    group, evidence = cases.of(many(40)[::-1])
    figure = learning_curves.draw(group, evidence)
    assert figure is not None
    assert len(figure.axes[0].lines) == len(figure.axes[1].lines) == 10
    named = [text for text in layout.texts(figure) if text.startswith("lifter")]
    assert sorted(named) == [f"lifter-{place:02}" for place in range(10)]
    assert learning_curves.notes(group, evidence) == ("The best 10 by P1 of 40 that kept their curves.",)
    assert learning_curves.notes(*cases.of(many(10))) == ()


def test_no_two_that_are_drawn_look_alike() -> None:
    figure = learning_curves.draw(*cases.of(many(40)))
    assert figure is not None
    drawn = {(to_hex(line.get_color()), str(line._unscaled_dash_pattern)) for line in figure.axes[0].lines}
    assert len(drawn) == 10
