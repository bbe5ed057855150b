"""Error over time: which sequences, whose lines, and what is said about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.reporting.run_figures import over_time
from harness.reporting.run_figures.over_time import thinned
from harness.traces import ErrorCurve, Traces
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases


def kept(means: dict[str, tuple[str, str, float]]) -> Traces:
    """Sequence -> (take, action, constant error)."""
    return Traces(
        tuple(
            ErrorCurve(name, take, action, 0.1, np.full(30, mean, dtype=np.float32))
            for name, (take, action, mean) in means.items()
        ),
        (),
    )


def test_the_hardest_of_each_action_for_all_entries() -> None:
    runs = [records.record("posemamba-s"), records.record("posemamba-xs")]
    sequences = {
        "sit-1@a": ("sit-1", "sit", 90.0), "sit-1@b": ("sit-1", "sit", 95.0), "sit-2@a": ("sit-2", "sit", 93.0),
        "run-1@a": ("run-1", "run", 70.0), "walk-1@a": ("walk-1", "walk", 40.0),
    }  # fmt: skip
    worse = {
        name: (take, action, 2 * mean if name == "walk-1@a" else mean)
        for name, (take, action, mean) in sequences.items()
    }
    group, evidence = cases.of(runs, kept={runs[0]["id"]: kept(sequences), runs[1]["id"]: kept(worse)})
    figure = over_time.draw(group, evidence)
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    # The second take of sitting comes after all actions were chosen, but before easier ones.
    assert titles == ["sit: sit-1@b", "sit: sit-2@a", "run: run-1@a", "walk: walk-1@a"]
    assert {axes.get_ylim() for axes in figure.axes} == {figure.axes[0].get_ylim()}
    assert all(len(axes.lines) == 2 for axes in figure.axes)


def test_a_line_is_p1_over_seconds_with_gaps_where_there_is_no_truth() -> None:
    run = records.record("posemamba-s")
    group, evidence = cases.of([run], kept={run["id"]: cases.traces(run)})
    figure = over_time.draw(group, evidence)
    assert figure is not None
    (line,) = figure.axes[0].lines
    name = figure.axes[0].get_title(loc="left").split(": ")[1]
    (curve,) = [one for one in cases.traces(run).curves if one.sequence == name]
    assert line.get_ydata() == pytest.approx(curve.p1_mm, nan_ok=True)
    assert line.get_xdata()[0] == pytest.approx(0.05)
    assert np.isnan(line.get_ydata()).sum() == 4


def test_at_most_six_entries_by_one_seed_each_and_the_notes_say_so() -> None:
    runs = [
        cases.renamed(records.record("posemamba-s", seed), f"lifter-{place}") for place in range(8) for seed in (0, 1)
    ]
    group, evidence = cases.of(runs, kept={run["id"]: cases.traces(run) for run in runs})
    figure = over_time.draw(group, evidence)
    assert figure is not None
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [entry.title for entry in group.scored[:6]]
    assert all(len(axes.lines) == 6 for axes in figure.axes)
    assert over_time.notes(group, evidence) == ("One seed of each, 0; the best 6 of 8 that kept their curves.",)


def test_seeds_that_differ_are_named() -> None:
    runs = [records.record("posemamba-s", seed) for seed in range(2)] + [records.record("posemamba-xs")]
    group, evidence = cases.of(runs, kept={runs[1]["id"]: cases.traces(runs[1]), runs[2]["id"]: cases.traces(runs[2])})
    assert over_time.notes(group, evidence) == ("One seed of each: posemamba-s 1, posemamba-xs 0.",)


def test_none_where_nothing_was_kept_or_nothing_is_common() -> None:
    runs = [records.record("posemamba-s"), records.record("posemamba-xs")]
    assert over_time.draw(*cases.of(runs)) is None
    assert over_time.notes(*cases.of(runs)) == ()
    first, second = kept({"a": ("a", "sit", 90.0)}), kept({"b": ("b", "sit", 90.0)})
    assert over_time.draw(*cases.of(runs, kept={runs[0]["id"]: first, runs[1]["id"]: second})) is None
    blind = kept({"a": ("a", "sit", float("nan"))})
    assert over_time.draw(*cases.of(runs[:1], kept={runs[0]["id"]: blind})) is None


def test_thinning_takes_means_and_passes_over_what_is_missing() -> None:
    values, per = thinned(np.array([1.0, 3.0, np.nan, 5.0, np.nan, np.nan, 7.0]), 4)
    assert per == 2
    assert values.tolist()[:2] == [2.0, 5.0]
    assert np.isnan(values[2])
    assert values[3] == 7.0
    values, per = thinned(np.arange(10.0), 10)
    assert per == 1
    assert len(thinned(np.arange(100_001.0), 240)[0]) <= 240


def test_long_curves_are_thinned_without_changing_how_long_they_are() -> None:
    run = records.record("posemamba-s")
    curve = ErrorCurve("long", "long", "sit", 0.1, np.full(5000, 80, dtype=np.float32))
    figure = over_time.draw(*cases.of([run], kept={run["id"]: Traces((curve,), ())}))
    assert figure is not None
    (axes,) = figure.axes
    assert axes.get_xlim() == (0, 500)
    assert len(axes.lines[0].get_xdata()) <= 240
    assert "sit: long" in layout.words(figure)


SEQUENCES = {
    "sit-1": ("sit-1", "sit", 90.0), "run-1": ("run-1", "run", 70.0), "walk-1": ("walk-1", "walk", 60.0),
    "dance-1": ("dance-1", "dance", 50.0), "jump-1": ("jump-1", "jump", 40.0),
}  # fmt: skip


def with_a_bad_one() -> list[dict[str, Any]]:
    """Two lifters, and one that beats no floor."""
    return [records.record("posemamba-s"), records.record("posemamba-xs"), records.untrained("motionagformer-xs")]


def traces_of(runs: list[dict[str, Any]], bad_mm: dict[str, float]) -> dict[str, Traces]:
    bad = {name: (take, action, bad_mm.get(name, 80.0)) for name, (take, action, _) in SEQUENCES.items()}
    return {run["id"]: kept(bad if run["beats_floors"] is False else SEQUENCES) for run in runs}


def test_a_model_that_beats_no_floor_chooses_no_sequence() -> None:
    runs = with_a_bad_one()
    figure = over_time.draw(*cases.of(runs, kept=traces_of(runs, {"jump-1": 1400.0})))
    assert figure is not None
    titles = [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes]
    assert titles == ["sit", "run", "walk", "dance"]
    assert all(len(axes.lines) == 3 for axes in figure.axes)


def test_nor_does_it_flatten_the_others_and_the_notes_say_who_is_cut() -> None:
    runs = with_a_bad_one()
    group, evidence = cases.of(runs, kept=traces_of(runs, {"sit-1": 1400.0}))
    figure = over_time.draw(group, evidence)
    assert figure is not None
    assert {axes.get_ylim() for axes in figure.axes} == {(0, 100)}
    assert over_time.notes(group, evidence)[1:] == ("Cut off above 100 mm: motionagformer-xs (up to 1,400 mm).",)
    assert len(over_time.notes(*cases.of(runs, kept=traces_of(runs, {})))) == 1


def test_a_spike_is_cut_and_a_peak_is_not() -> None:
    run = records.record("posemamba-s")
    for spike_mm, highest_mm in ((900.0, 130.0), (100.0, 110.0)):
        errors = np.full(200, 80, dtype=np.float32)
        errors[50] = spike_mm
        traces = Traces((ErrorCurve("sit-1", "sit-1", "sit", 0.1, errors),), ())
        figure = over_time.draw(*cases.of([run], kept={run["id"]: traces}))
        assert figure is not None
        assert figure.axes[0].get_ylim() == (0, highest_mm)


def test_where_none_beats_the_floors_all_choose() -> None:
    runs = [records.untrained("posemamba-s"), records.untrained("posemamba-xs")]
    figure = over_time.draw(*cases.of(runs, kept=traces_of(runs, {"jump-1": 400.0})))
    assert figure is not None
    assert figure.axes[0].get_title(loc="left").startswith("jump")
    assert figure.axes[0].get_ylim()[1] > 400


def test_a_long_name_stays_on_the_page() -> None:
    run = records.record("posemamba-s")
    name = "HDM_tr/WWWWWWWWWWWWWWWWWWWWWWWW/WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW_021/60457274"
    for action in ("WWWWWWWW", "W" * 300):
        curve = ErrorCurve(name, name, action, 0.1, np.full(30, 80, dtype=np.float32))
        other = ErrorCurve("b", "b", "b", 0.1, np.full(30, 90, dtype=np.float32))
        figure = over_time.draw(*cases.of([run], kept={run["id"]: Traces((curve, other), ())}))
        assert figure is not None
        layout.check(figure)
        assert "b: b" in layout.texts(figure)
