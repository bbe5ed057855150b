"""Printed figures beside counted ones."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from harness import published
from harness.reporting.run_figures import published as figure_of
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases

MODEL, FRAMES = "motionagformer-xs", 27


def marks(figure: Figure, panel: int) -> dict[str, list[float]]:
    """Marker -> where it stands."""
    found: dict[str, list[float]] = {}
    for line in figure.axes[panel].lines:
        if line.get_marker() not in ("None", None):
            found.setdefault(str(line.get_marker()), []).append(float(line.get_xdata()[0]))
    return found


def printed(metric: str) -> list[float]:
    unit = {"parameters": 1e6, "compute": 1e9}[metric]
    rows = [row.figure(metric) for row in published.of(MODEL) if row.frames == FRAMES and not row.options]
    return sorted({unit * row.value for row in rows if row is not None})


def test_what_is_printed_and_what_is_counted() -> None:
    run = cases.whole(MODEL, frames=FRAMES)
    figure = figure_of.draw(*cases.of([run]))
    assert figure is not None
    layout.check(figure)
    cost = run["cost"]
    sizes, work = marks(figure, 0), marks(figure, 1)
    assert sizes["o"] == pytest.approx(printed("parameters"))
    assert sizes["|"] == [cost["params_thop"]]
    assert sizes["s"] == [cost["params_total"]]
    assert work["o"] == pytest.approx(printed("compute"))
    assert work["|"] == [cost["macs_thop"]]
    assert work["^"] == [cost["macs_fvcore"]]
    assert work["s"] == [cost["flops_exact"] / 2]
    assert figure.axes[0].get_xscale() == "log"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [f"{MODEL}, T={FRAMES}"]


def test_additions_that_were_counted_apart_are_halved() -> None:
    source = published.of(MODEL)[0].source
    figure = published.Figure("compute", 2.0, "G", label="FLOPs", convention="2 x thop MACs")
    row = published.Row("Lifter", MODEL, FRAMES, "every", None, None, "paper", source, "Table 1", (figure,))
    assert figure_of._printed([row], "compute") == (1e9,)


def test_another_length_or_other_options_are_not_what_was_printed() -> None:
    assert figure_of.draw(*cases.of([cases.whole(MODEL, frames=81)])) is None
    run = cases.whole(MODEL, frames=FRAMES)
    run["config"]["options"] = {"layers": 3}
    assert figure_of.draw(*cases.of([run])) is None
    run["config"]["options"] = {"drop_path": 0.1}
    assert figure_of.draw(*cases.of([run])) is not None


def test_recipes_are_no_rows_and_lifters_without_figures_none() -> None:
    runs = [cases.whole(MODEL, frames=FRAMES) for _ in range(2)]
    runs[1]["config"]["learning_rate"] = 1e-3
    runs[1]["id"] += "-slow"
    figure = figure_of.draw(*cases.of([*runs, cases.whole("posemamba-xs")]))
    assert figure is not None
    assert len(figure.axes[0].get_yticklabels()) == 1
    assert figure_of.draw(*cases.of([records.record("posemamba-xs")])) is None
