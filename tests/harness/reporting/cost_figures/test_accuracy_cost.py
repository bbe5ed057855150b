"""The figure of accuracy against cost: where its figures come from, and that groups stay apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.comparison.group import group
from harness.complexity.summary import summarise
from harness.reporting.cost_figures import accuracy_cost
from harness.store.store import Store
from tests.harness.complexity import rows
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout

COMMITTED = Path(__file__).resolve().parents[4] / "results" / "motion-cpu-2026-11-23"


def places(figure: Any, number: int) -> set[tuple[float, float]]:
    dots = [found.get_offsets()[0] for found in figure.axes[number].collections if len(found.get_offsets()) == 1]
    return {(float(x), float(y)) for x, y in dots}


def test_runs_alone_are_enough() -> None:
    (figure,) = accuracy_cost.draw(group(Store(COMMITTED).latest()), []).values()
    layout.check(figure)
    operations, latency = figure.axes
    assert operations.get_xlabel() == accuracy_cost.FVCORE
    assert latency.get_xlabel() == accuracy_cost.LATENCY
    assert "data:motion" in layout.words(figure)
    assert "timed by each run itself beside other work" in layout.words(figure)
    assert any(x == 1837632.0 for x, _ in places(figure, 0))


def test_operations_are_exact_and_latency_is_there_where_they_were_measured() -> None:
    runs = [records.record(model) for model in ("posemamba-s", "motionagformer-xs")]
    measured = summarise(rows.survey(frames=(27,), in_channels=3))
    (figure,) = accuracy_cost.draw(group(runs), measured).values()
    layout.check(figure)
    operations, latency = figure.axes
    assert operations.get_xlabel() == accuracy_cost.EXACT
    expected = {one.label: one for one in measured}
    for run in runs:
        one = expected[run["config"]["model"]]
        assert (one.flops_per_frame, run["accuracy"]["p1_mm"]) in places(figure, 0)
        assert (one.per_frame_ms, run["accuracy"]["p1_mm"]) in places(figure, 1)
    assert operations.get_ylim() == latency.get_ylim()
    assert "Latency: Median of 90 samples" in layout.words(figure)


def test_other_options_and_batches_are_no_match() -> None:
    run = records.record("posemamba-s")
    law = {"posemamba-s": rows.LAWS["posemamba-s"]}
    others = summarise(rows.survey(law, (27,), in_channels=3, options={"depth": 3}))
    del run["cost"]["inference"]
    (figure,) = accuracy_cost.draw(group([run]), others).values()
    assert [axes.get_xlabel() for axes in figure.axes] == [accuracy_cost.FVCORE]
    auto = summarise(rows.survey(law, (27,), in_channels=3, batch=8, batch_asked="auto"))
    (figure,) = accuracy_cost.draw(group([run]), auto).values()
    assert [axes.get_xlabel() for axes in figure.axes] == [accuracy_cost.EXACT]


def test_other_channels_will_do_where_there_is_no_better_and_the_caption_says_so() -> None:
    run = records.record("posemamba-s")
    law = {"posemamba-s": rows.LAWS["posemamba-s"]}
    two, three = (rows.survey(law, (27,), in_channels=channels, seed=channels) for channels in (2, 3))
    (figure,) = accuracy_cost.draw(group([run]), summarise(two)).values()
    layout.check(figure)
    (measured,) = summarise(two)
    assert (measured.per_frame_ms, run["accuracy"]["p1_mm"]) in places(figure, 1)
    said = layout.words(figure)
    assert "Operations counted with 2 channels, accuracy with 3: posemamba-s." in said
    assert "Latency measured with 2 channels, accuracy with 3: posemamba-s." in said
    for made in ([*two, *three], [*three, *two]):
        (figure,) = accuracy_cost.draw(group([run]), summarise(made)).values()
        exact = next(one for one in summarise(made) if one.point.in_channels == 3)
        assert (exact.per_frame_ms, run["accuracy"]["p1_mm"]) in places(figure, 1)
        assert "accuracy with" not in layout.words(figure)
    run["cost"]["per_frame"] = {"flops_exact": 1e6}
    (figure,) = accuracy_cost.draw(group([run]), summarise(two)).values()
    said = layout.words(figure)
    assert "Operations counted with" not in said
    assert "Latency measured with" in said


def test_latency_in_float32_is_no_match_for_accuracy_in_sixteen_bits() -> None:
    measured = summarise(rows.survey(frames=(27,), in_channels=3))
    reduced = records.reduced("posemamba-s")
    reduced["cost"]["per_frame"] = {"flops_exact": 1e6}
    (figure,) = accuracy_cost.draw(group([reduced, records.record("motionagformer-xs")]), measured).values()
    assert "Without a figure for latency per output frame: posemamba-s (precision=bf16)." in layout.words(figure)
    assert (1e6, reduced["accuracy"]["p1_mm"]) in places(figure, 0)


def test_regularisation_changes_no_cost() -> None:
    run = records.record("posemamba-s")
    run["config"]["options"] = {"drop_path": 0.0}
    law = {"posemamba-s": rows.LAWS["posemamba-s"]}
    (figure,) = accuracy_cost.draw(group([run]), summarise(rows.survey(law, (27,), in_channels=3))).values()
    assert len(figure.axes) == 2


def test_groups_stay_apart_and_who_is_not_drawn_is_named() -> None:
    runs = records.two_protocols()
    for run in runs:
        if run["config"]["model"] not in rows.LAWS and run["status"] == "ok":
            del run["cost"]["inference"]
    found = accuracy_cost.draw(group(runs), summarise(rows.survey(frames=(27,), in_channels=3)))
    assert list(found) == ["accuracy-cost--motion-sh", "accuracy-cost--motion-gt"]
    for figure in found.values():
        layout.check(figure)
    said = layout.words(found["accuracy-cost--motion-sh"])
    assert "Without a figure for latency per output frame: posemamba-s, T=81" in said
    assert "Not scored: dstformer-lite" in said


def test_nothing_without_a_score() -> None:
    assert accuracy_cost.draw(group([records.failed()]), []) == {}
