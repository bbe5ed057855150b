"""The headline names the best model, its cost, the floors, and whether its lead is certain."""

from __future__ import annotations

import copy
from typing import Any

from harness.comparison.group import group
from harness.reporting.headline import headline
from harness.reporting.neighbours import compare
from tests.harness.comparison.entries import apart
from tests.harness.reporting import records


def of(runs: list[dict[str, Any]]) -> str:
    (members,) = group(runs)
    return headline(members, compare(members)).replace("\xa0", " ")


def test_a_lead_that_is_certain() -> None:
    said = of([records.record(model, seed) for model in ("posemamba-s", "posemamba-xs") for seed in range(3)])
    assert said.startswith(
        "posemamba-s has the lowest error: P1 61.4 ± 0.4 mm at 30.4 M multiply-accumulates a frame, 53.9 mm"
    )
    assert said.endswith("Its lead over posemamba-xs, 4.8 mm, is significant (p < 0.0001; 0.5 mm is worth having).")
    assert "seed" not in said


def test_a_lead_that_other_seeds_may_reverse() -> None:
    said = of([*apart("posemamba-s", (-3.0, 0.0, 3.0)), *apart("posemamba-xs", (-3.0, 0.0, 3.0))])
    assert "Its lead over posemamba-xs, 4.1 mm, is significant over the takes (p < 0.0001; 0.5 mm is worth" in said
    assert "worth having), but the seeds overlap" in said
    assert said.endswith("another training may reverse it (standard error over seeds 2.4 mm).")


def test_few_seeds_are_said_beside_the_figure_and_beside_the_test() -> None:
    said = of([records.record(model) for model in ("posemamba-s", "posemamba-xs")])
    assert " mm (one seed) at 30.4 M" in said
    assert "is significant over the takes; one seed of each (p < 0.0001; 0.5 mm is worth having)." in said
    said = of([records.record("posemamba-s", seed) for seed in range(3)] + [records.record("posemamba-xs")])
    assert "over the takes; 3 seeds of its own, one seed of the other (p" in said
    assert "(one seed)" not in said


def test_a_small_lead_has_two_decimals_and_is_called_small() -> None:
    best = records.record("posemamba-s")
    second = copy.deepcopy(best)
    second["id"], second["config"]["model"] = "twin", "twin"
    for row in (second["accuracy"], *second["accuracy"]["per_sequence"]):
        row["p1_mm"] += 0.234
    assert "lead over twin, 0.23 mm, is significant" in of([best, second])
    assert "less than the 0.5 mm worth having)." in of([best, second])


def test_what_cannot_be_tested_says_why() -> None:
    runs = [records.record(model) for model in ("posemamba-s", "posemamba-xs")]
    runs[1]["accuracy"]["per_sequence"].pop()
    assert of(runs).endswith(
        "Whether it is better than posemamba-xs cannot be tested: they were not scored on the same sequences."
    )


def test_a_lead_that_is_not_says_what_the_second_costs() -> None:
    best, second = records.record("posemamba-s"), records.record("posemamba-xs")
    for mine, other in zip(best["accuracy"]["per_sequence"], second["accuracy"]["per_sequence"], strict=True):
        other["p1_mm"] = mine["p1_mm"]
    second["accuracy"]["p1_mm"] = best["accuracy"]["p1_mm"] + 0.001
    said = of([best, second])
    assert (
        "It cannot be told apart from posemamba-xs (0.00 mm, p = 1; 0.5 mm is worth having), which takes 0.15" in said
    )


def test_a_model_above_the_floors_is_not_praised() -> None:
    said = of([records.untrained()])
    assert said.endswith("The best floor, 115.3 mm, is no higher: nothing here has learned to lift.")


def test_without_floors_or_costs_nothing_is_said_of_them() -> None:
    run = records.record()
    run["floors"], run["cost"] = {}, {}
    assert of([run]).endswith(" mm (one seed).")
    assert "network" not in of([run])
    assert " at " not in of([run])


def test_nothing_finished() -> None:
    assert of([records.failed()]) == "No run of this group finished."
