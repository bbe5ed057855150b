"""Warnings of many runs in few sentences."""

from __future__ import annotations

from harness.comparison.group import Entry
from harness.reporting.cautions import cautions


def entry(title: str, *warnings: list[str]) -> Entry:
    runs = tuple({"seed": seed, "warnings": said, "config": {}} for seed, said in enumerate(warnings))
    return Entry(title, title, runs, ())


def test_numbers_become_ranges_and_runs_are_named_by_entry() -> None:
    noisy = "speed is NOISY: spread is {} % of the median"
    one = entry("a", [noisy.format("10.5")], [], [noisy.format("9.25")])
    two = entry("b", [noisy.format("1,200.0")], [])
    said = "a, seeds 0, 2; b, seed 0: speed is NOISY: spread is 9.25 to 1,200.0 % of the median"
    assert cautions([one, two]) == [said]


def test_what_every_run_says_is_said_once() -> None:
    assert cautions([entry("a", ["1 % lost"], ["1 % lost"]), entry("b", ["1 % lost"])]) == ["every run: 1 % lost"]
    assert cautions([entry("a", ["1 % lost"])]) == ["a, seed 0: 1 % lost"]


def test_numbers_in_names_are_no_numbers() -> None:
    one, two = (entry(name, [f"CMU{take}/Walk/1 is short", f"v1.2.{take}"]) for name, take in (("a", 2), ("b", 16)))
    assert cautions([one, two]) == [
        "a, seed 0: CMU2/Walk/1 is short",
        "a, seed 0: v1.2.2",
        "b, seed 0: CMU16/Walk/1 is short",
        "b, seed 0: v1.2.16",
    ]


def test_follow_up_seeds_are_a_range_and_a_run_without_seed_is_named() -> None:
    assert cautions([entry("a", ["x"], ["x"], ["x"]), entry("b", [])]) == ["a, seeds 0–2: x"]
    unseeded = Entry("c", "c", ({"warnings": ["x"], "config": {}},), ())
    assert cautions([unseeded, entry("b", [])]) == ["c: x"]


def test_a_warning_said_twice_by_one_run_counts_once() -> None:
    assert cautions([entry("a", ["x", "x"], [])]) == ["a, seed 0: x"]


def test_a_text_may_have_any_sign() -> None:
    assert cautions([entry("a", ["# 1 of 2", "# 3 of 2"], [])]) == ["a, seed 0: # 1 to 3 of 2"]


def test_two_warnings_of_one_run_are_not_every_run() -> None:
    assert cautions([entry("a", ["1 lost", "2 lost"], [])]) == ["a, seed 0: 1 to 2 lost"]


def test_a_training_that_was_kept_waiting_is_told() -> None:
    waited = {"seed": 0, "config": {"device": "cpu"}, "training": {"seconds": 1000.0, "core_seconds": 600.0}}
    alone = {"seed": 1, "config": {"device": "cpu"}, "training": {"seconds": 1000.0, "core_seconds": 990.0}}
    older = {"seed": 2, "config": {}, "training": {"seconds": 1000.0}}
    (said,) = cautions([Entry("a", "a", (waited, alone, older), ())])
    assert said == "a, seed 0: training computed 60 % of its time, other work took the rest: train f/s is too low"
