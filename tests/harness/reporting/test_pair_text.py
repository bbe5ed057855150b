"""A pair in words and as JSON."""

from __future__ import annotations

import json

import pytest

from harness.comparison import pair
from harness.reporting import grid, pair_text
from tests.harness.comparison.entries import Run, counted, entry, shifted, timed, twin
from tests.harness.reporting import records


def text(a: Run | list[Run], b: Run | list[Run], worth_having_mm: float = 0.5) -> str:
    sides = (entry(*(side if isinstance(side, list) else [side])) for side in (a, b))
    return pair_text.text(pair.compare(*sides), worth_having_mm)


def flat(shown: str) -> str:
    return " ".join(shown.split())


def three(model: str) -> list[Run]:
    return [counted(timed(records.record(model, seed), 27.0 + seed), 1e6) for seed in range(3)]


def test_everything_that_a_reader_needs_is_there_and_fits_a_terminal() -> None:
    shown = text(three("posemamba-s"), three("posemamba-xs"))
    assert max(map(len, shown.splitlines())) <= grid.WIDTH
    for said in (
        "MPJPE|protocol:all|data:motion|2d:sh|",
        "A: posemamba-s 0 1 2 61.4 ± 0.4 [",
        "posemamba-s is 4.8 mm better than posemamba-xs [",
        "at about as many operations",
        "interval over 48 takes, conditional on the test subjects",
        "Smallest difference worth having: 0.5 mm; the interval lies beyond it.",
        "Latency: A takes about as long for a frame as B (AMD EPYC 9R14, 2 of 2 cores, fp32).",
        "Seeds: apart from the interval above, other training seeds move the difference of −4.8 mm (A − B)",
        "too few takes for a test, which could not come out below 0.05 after the correction for all that have as many: "
        "basketball, dance,",
    ):
        assert said in flat(shown)


@pytest.mark.parametrize(
    ("by_mm", "where"),
    [(1.0, "lies beyond it"), (0.1, "lies within it: whichever is better, it is by less")],
)
def test_the_interval_beside_what_is_worth_having(by_mm: float, where: str) -> None:
    run = records.record("posemamba-s")
    assert f"the interval {where}." in flat(text(run, twin(run, "rival", by_mm)))


def test_an_interval_on_both_sides_of_what_is_worth_having() -> None:
    shown = flat(text(records.record("posemamba-s"), records.record("posemamba-xs"), worth_having_mm=4.5))
    assert "the interval reaches to both sides of it." in shown


def test_the_better_one_is_named_whichever_comes_first() -> None:
    a, b = records.record("posemamba-s"), records.record("posemamba-xs")
    assert "posemamba-s is 4.1 mm better than posemamba-xs" in flat(text(a, b))
    assert "posemamba-s is 4.1 mm better than posemamba-xs" in flat(text(b, a))


def test_a_model_against_itself() -> None:
    run = records.record("posemamba-s")
    assert "posemamba-s and posemamba-s cannot be told apart (0.00 mm [0.00, 0.00], p = 1)" in flat(text(run, run))


def test_few_seeds_are_said() -> None:
    shown = flat(text(records.record("posemamba-s"), three("posemamba-xs")))
    assert "Seeds: fewer than 3 of one" in shown
    assert "(only 1 seed of posemamba-s)" in shown


def test_actions_with_too_few_takes_are_named_plainly() -> None:
    runs = [records.record("posemamba-s"), records.record("posemamba-xs")]
    for run in runs:
        for row in run["accuracy"]["per_sequence"]:
            if row["take"].endswith(("jump-5", "jump-6")):
                row["action"] = "walk"
    shown = text(*runs)
    (line,) = [line for line in shown.splitlines() if line.startswith("jump")]
    assert line.split()[1:2] + line.split()[-3:] == ["4", "too", "few", "takes"]
    assert "fewer than 5 takes are too few for an interval or a test: jump" in shown


def test_tests_of_actions_that_can_come_out_are_counted() -> None:
    runs = [records.record("posemamba-s"), records.record("posemamba-xs")]
    for run in runs:
        for row in run["accuracy"]["per_sequence"]:
            row["action"] = "walk" if row["action"] in ("jump", "run") else row["action"]
    shown = text(*runs)
    assert "p is corrected by Holm for 1 action;" in flat(shown)
    (walk,) = [line for line in shown.splitlines() if line.startswith("walk")]
    (sit,) = [line for line in shown.splitlines() if line.startswith("sit")]
    assert walk.split()[-1] == "***"
    assert sit.split()[-1] == "–"
    sides = json.loads(pair_text.as_json(pair.compare(*map(entry, runs)), 0.5))["actions"]
    by_name = {one["action"]: one for one in sides}
    assert (by_name["sit"]["p_value"], by_name["sit"]["p_value_holm"], by_name["sit"]["interval"]["takes"]) == (
        None, None, 6,
    )  # fmt: skip
    assert by_name["walk"]["p_value"] == by_name["walk"]["p_value_holm"] < 0.001


def test_latencies_are_not_compared_across_machines_and_noisy_ones_not_relied_on() -> None:
    a, b = timed(records.record("posemamba-s"), 54.0), timed(records.record("posemamba-xs"), 27.0)
    assert "Latency: A takes 2 times as long for a frame as B" in flat(text(a, b))
    noisy = timed(a, 54.0, verdict="NOISY")
    assert "of NOISY timings: not to be relied on" in flat(text(noisy, b))
    b["environment"]["processor"] = "another"
    assert "Latency: cannot be compared; A was timed on AMD EPYC 9R14" in flat(text(a, b))
    del b["cost"]["inference"]
    assert "Latency: not timed for both." in text(a, b)


def test_what_cannot_be_tested_is_said_without_figures_of_it() -> None:
    a, b = records.record("posemamba-s"), shifted(records.record("posemamba-xs"), 1.0)
    del b["accuracy"]["per_sequence"]
    shown = text(a, b)
    assert "The difference cannot be tested: errors of single sequences are not stored." in shown
    assert "By action" not in shown


def test_json_has_the_same_figures() -> None:
    found = pair.compare(entry(*three("posemamba-s")), entry(*three("posemamba-xs")))
    content = json.loads(pair_text.as_json(found, 0.5))
    assert found.comparison is not None
    assert content["difference"]["mean_mm"] == found.comparison.difference.mean_mm
    assert content["difference"]["p_value"] == found.comparison.p_value
    assert content["a"]["p1_mm"] - content["b"]["p1_mm"] == pytest.approx(content["difference"]["mean_mm"])
    assert (content["operations_ratio"], content["operations_counted"]) == (1.0, "operations")
    assert content["latency_ratio"] == 1.0
    assert content["a"]["seeds"] == [0, 1, 2]
    assert len(content["actions"]) == 8
    assert content["seeds_standard_error_mm"] == found.seeds.standard_error_mm
