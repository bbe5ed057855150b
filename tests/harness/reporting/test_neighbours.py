"""Sentences about neighbours of the ranking."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from harness.comparison.group import group
from harness.reporting import neighbours
from tests.harness.comparison.entries import apart, counted
from tests.harness.reporting import records


def sentences(runs: list[dict]) -> list[str]:
    return [pair.sentence() for pair in neighbours.compare(group(runs)[0])]


def test_a_clear_difference_has_interval_probability_and_cost() -> None:
    (said,) = sentences(
        [records.record(model, seed) for model in ("posemamba-s", "motionagformer-xs") for seed in range(3)]
    )
    assert said.startswith("posemamba-s is 10.9\u00a0mm better than motionagformer-xs [")
    assert "], p\u00a0=\u00a00.0001" in said or "], p\u00a0<\u00a00.0001" in said
    assert said.endswith(", at 0.75 times the multiply-accumulates.")


def test_exact_operations_are_compared_where_both_have_them() -> None:
    own, other = records.record("posemamba-s"), records.record("motionagformer-xs")
    (said,) = sentences([counted(own, 0.6e6), counted(other, 1e6)])
    assert ", at 0.6 times the operations" in said
    (said,) = sentences([counted(own, 0.6e6), other])
    assert ", at 0.75 times the multiply-accumulates" in said


def test_the_interval_holds_the_difference_and_is_written_low_to_high() -> None:
    (pair,) = neighbours.compare(group([records.record("posemamba-s"), records.record("posemamba-xs")])[0])
    assert pair.comparison is not None
    gap = pair.comparison.difference
    assert -gap.high_mm < -gap.mean_mm < -gap.low_mm
    assert f"[{-gap.high_mm:.1f},\u00a0{-gap.low_mm:.1f}]" in pair.sentence()
    assert "(only 1 seed of posemamba-s and 1 seed of posemamba-xs)" in pair.sentence()


def test_equal_models_cannot_be_told_apart() -> None:
    one = records.record("posemamba-s")
    other = copy.deepcopy(one)
    other["id"], other["config"]["model"] = "twin", "twin"
    (said,) = sentences([one, other])
    assert said.startswith("posemamba-s and twin cannot be told apart (0.00\u00a0mm")
    assert "p\u00a0=\u00a01" in said


def test_seeds_that_overlap_are_said_where_the_takes_are_sure() -> None:
    runs = [*apart("posemamba-s", (-3.0, 0.0, 3.0)), *apart("posemamba-xs", (-3.0, 0.0, 3.0))]
    (said,) = sentences(runs)
    assert said.startswith("posemamba-s is 4.1\u00a0mm better than posemamba-xs [")
    assert said.endswith(", but the seeds overlap: another training may reverse it (standard error over seeds 2.4 mm).")
    runs = [*apart("posemamba-s", (-0.3, 0.0, 0.3)), *apart("posemamba-xs", (-0.3, 0.0, 0.3))]
    assert "overlap" not in sentences(runs)[0]


def test_a_certain_but_tiny_difference_is_called_tiny() -> None:
    one = records.record("posemamba-s")
    other = copy.deepcopy(one)
    other["id"], other["config"]["model"] = "twin", "twin"
    rng = np.random.default_rng(0)
    for sequence in other["accuracy"]["per_sequence"]:
        sequence["p1_mm"] += 0.2 + 0.01 * rng.standard_normal()
    other["accuracy"]["p1_mm"] += 0.2
    (said,) = sentences([one, other])
    assert said.startswith("posemamba-s is 0.20\u00a0mm better than twin [0.20,\u00a00.20], p")
    assert "less than the 0.5 mm worth having" in said


def test_errors_are_averaged_over_seeds_first() -> None:
    one, other = records.record("posemamba-s", 0), records.record("posemamba-s", 1)
    rival = copy.deepcopy(one)
    rival["id"], rival["config"]["model"] = "rival", "rival"
    for sequence, *same in zip(
        rival["accuracy"]["per_sequence"], *(run["accuracy"]["per_sequence"] for run in (one, other)), strict=True
    ):
        sequence["p1_mm"] = sum(view["p1_mm"] for view in same) / 2
    rival["accuracy"]["p1_mm"] = sum(run["accuracy"]["p1_mm"] for run in (one, other)) / 2
    (pair,) = neighbours.compare(group([one, other, rival])[0])
    assert pair.comparison is not None
    assert pair.comparison.difference.mean_mm == pytest.approx(0, abs=1e-9)


def test_probabilities_are_corrected_for_the_number_of_pairs() -> None:
    pairs = neighbours.compare(group(records.typical())[0])
    assert len(pairs) == 4
    assert all(pair.p_value >= pair.comparison.p_value for pair in pairs)
    assert any(pair.p_value > pair.comparison.p_value for pair in pairs)
    assert "corrected by Holm for 4 pairs" in neighbours.conditions(pairs)
    assert "conditional on the test subjects" in neighbours.conditions(pairs)


def test_what_cannot_be_tested_says_why() -> None:
    one, other = records.record("posemamba-s"), records.record("posemamba-xs")
    other["accuracy"]["per_sequence"].pop()
    assert sentences([one, other])[0].endswith("they cannot be tested: they were not scored on the same sequences.")
    del other["accuracy"]["per_sequence"]
    assert "errors of single sequences are not stored" in sentences([one, other])[0]
    for run in (one, other):
        run["accuracy"]["per_sequence"] = records.record()["accuracy"]["per_sequence"][:8]
    assert "2 takes are too few" in sentences([one, other])[0]
    assert neighbours.conditions([]) == ""
