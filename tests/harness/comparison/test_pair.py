"""Two entries against each other: what may be compared, the difference, action by action, and the seeds."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from harness.comparison import pair
from harness.comparison.group import Entry
from harness.errors import BadInput
from harness.evaluation.statistics import holm
from tests.harness.comparison.entries import Run, entry, shifted, twin
from tests.harness.reporting import records


def two() -> tuple[Entry, Entry]:
    return tuple(  # type: ignore[return-value]
        entry(*(records.record(model, seed) for seed in range(3))) for model in ("posemamba-s", "posemamba-xs")
    )


def test_the_difference_is_that_of_the_two_p1_and_lies_in_its_interval() -> None:
    a, b = two()
    found = pair.compare(a, b)
    assert found.comparison is not None
    gap = found.comparison.difference
    assert a.p1_mm is not None
    assert b.p1_mm is not None
    assert gap.mean_mm == pytest.approx(a.p1_mm - b.p1_mm)
    assert gap.low_mm < gap.mean_mm < gap.high_mm < 0
    for own, interval in ((a, found.interval_a), (b, found.interval_b)):
        assert interval is not None
        assert interval.mean_mm == pytest.approx(own.p1_mm)
        assert interval.takes == len(records.ACTIONS) * records.TAKES_PER_ACTION


def test_swapped_entries_mirror_everything_to_the_last_bit() -> None:
    a, b = two()
    forth, back = pair.compare(a, b), pair.compare(b, a)
    assert forth.comparison is not None
    assert back.comparison == forth.comparison.swapped()
    for one, other in zip(forth.actions, back.actions, strict=True):
        assert one.comparison is not None
        assert other.comparison == one.comparison.swapped()
        assert (one.p_value, one.difference_mm) == (other.p_value, -other.difference_mm)


def test_an_entry_against_itself_differs_by_nothing_and_is_certain_of_nothing() -> None:
    a, _ = two()
    found = pair.compare(a, a)
    assert found.comparison is not None
    gap = found.comparison.difference
    assert (gap.mean_mm, gap.low_mm, gap.high_mm, found.comparison.p_value) == (0, 0, 0, 1)
    assert all(one.comparison is not None and one.comparison.p_value == 1 for one in found.actions)


def merged(run: Run) -> Run:
    """The run with four actions of twelve takes, made of pairs of its eight."""
    for row in run["accuracy"]["per_sequence"]:
        row["action"] = records.ACTIONS[records.ACTIONS.index(row["action"]) // 2 * 2]
    return run


def test_actions_have_their_own_difference_and_p_values_are_corrected_over_them() -> None:
    a, b = (
        entry(*(merged(records.record(model, seed)) for seed in range(3))) for model in ("posemamba-s", "posemamba-xs")
    )
    found = pair.compare(a, b)
    assert [one.action for one in found.actions] == sorted(records.ACTIONS[::2])
    for one in found.actions:
        assert one.comparison is not None
        assert one.comparison.difference.mean_mm == pytest.approx(one.difference_mm)
    raw = [one.comparison.p_value for one in found.actions if one.comparison]
    assert [one.p_value for one in found.actions] == pytest.approx(list(holm(raw)))


def test_an_action_has_the_p1_that_is_stored_for_it() -> None:
    a, b = two()
    for one in pair.compare(a, b).actions:
        own = np.mean([run["accuracy"]["per_action"][one.action]["p1_mm"] for run in a.runs])
        assert one.p1_a_mm == pytest.approx(own)


def test_actions_that_could_not_come_out_of_a_test_have_an_interval_alone() -> None:
    """Eight actions of six takes: no sign flips give a p-value below 0.05 after Holm's correction for eight."""
    actions = pair.compare(*two()).actions
    assert [one.takes for one in actions] == [6] * 8
    assert all(one.comparison is not None and one.p_value is None for one in actions)
    runs = [records.record("posemamba-s"), records.record("posemamba-xs")]
    for run in runs:
        for row in run["accuracy"]["per_sequence"]:
            if row["action"] in records.ACTIONS[:3]:
                row["action"] = "basketball"
    tested = [one.action for one in pair.compare(*map(entry, runs)).actions if one.p_value is not None]
    assert tested == ["basketball"]


def test_a_test_is_refused_where_the_interval_is() -> None:
    """Errors that are the mean over actions, under a signature whose fields were left out."""
    a, b = records.record("posemamba-s"), records.record("posemamba-xs")
    for run in (a, b):
        run["signature"]["long"] = run["signature"]["long"].replace("avg:frame", "avg:action")
        del run["signature"]["fields"]
    found = pair.compare(entry(a), entry(b))
    assert (found.interval_a, found.comparison, found.actions) == (None, None, ())
    assert "which is not its P1" in found.obstacle
    for run in (a, b):
        run["accuracy"]["p1_mm"] = run["accuracy"]["p1_by_action_mean_mm"]
    found = pair.compare(entry(a), entry(b))
    assert found.comparison is not None
    assert found.comparison.difference.mean_mm == pytest.approx(a["accuracy"]["p1_mm"] - b["accuracy"]["p1_mm"])


def test_an_action_with_too_few_takes_has_a_difference_and_no_interval() -> None:
    runs = [records.record("posemamba-s"), records.record("posemamba-xs")]
    for run in runs:
        for row in run["accuracy"]["per_sequence"]:
            if row["take"].startswith(("s7/jump", "s8/jump")) and row["take"][-1] in "56":
                row["action"] = "walk"
    actions = {one.action: one for one in pair.compare(*map(entry, runs)).actions}
    assert (actions["jump"].takes, actions["jump"].comparison, actions["jump"].p_value) == (4, None, None)
    assert actions["jump"].difference_mm < 0
    assert actions["walk"].takes == 8
    assert actions["walk"].comparison is not None


def test_the_spread_over_seeds_is_apart() -> None:
    a, b = two()
    expected = math.sqrt(sum(statistics.variance(one.values("accuracy.p1_mm")) / 3 for one in (a, b)))
    assert pair.compare(a, b).seeds.standard_error_mm == pytest.approx(expected)
    single = entry(records.record("posemamba-s"))
    assert pair.compare(single, b).seeds.standard_error_mm is None


def test_other_protocols_are_refused_and_the_fields_named() -> None:
    a, b = records.record("posemamba-s"), records.record("posemamba-xs", detector="gt")
    b["signature"]["long"] = b["signature"]["long"].replace("flip:yes", "flip:no")
    with pytest.raises(BadInput, match=r"different protocols.*: 2d sh against gt; flip yes against no"):
        pair.compare(entry(a), entry(b))


def test_a_field_that_only_one_protocol_says_is_named_too() -> None:
    a, b = records.record("posemamba-s"), records.record("posemamba-xs")
    b["signature"]["long"] = b["signature"]["long"].replace("|v:1", "|xy:input|v:1")
    with pytest.raises(BadInput, match=r"xy \(as usual\) against input"):
        pair.compare(entry(a), entry(b))


def test_another_test_set_is_refused() -> None:
    a, b = records.record("posemamba-s"), records.record("posemamba-xs")
    b["data"]["digest_test"] = "d4" * 32
    with pytest.raises(BadInput, match=r"different test sets.*b2b2b2b2b2b2 and d4d4d4d4d4d4"):
        pair.compare(entry(a), entry(b))


def test_no_sequence_in_common_is_refused() -> None:
    a, b = records.record("posemamba-s"), records.record("posemamba-xs")
    for row in b["accuracy"]["per_sequence"]:
        row["sequence"] += "-other"
    with pytest.raises(BadInput, match="no sequence in common"):
        pair.compare(entry(a), entry(b))


def test_what_was_not_scored_is_refused_with_its_reason() -> None:
    with pytest.raises(BadInput, match="posemamba-xs has no accuracy to compare: failed: the loss is not finite"):
        pair.compare(entry(records.record("posemamba-s")), entry(records.failed("posemamba-xs")))


def test_without_errors_of_sequences_there_is_a_pair_without_test() -> None:
    a, b = records.record("posemamba-s"), records.record("posemamba-xs")
    del b["accuracy"]["per_sequence"]
    found = pair.compare(entry(a), entry(b))
    assert (found.comparison, found.interval_b, found.actions) == (None, None, ())
    assert found.obstacle == "errors of single sequences are not stored"
    assert found.interval_a is not None


def test_an_interval_of_another_figure_than_p1_is_not_given() -> None:
    run = records.record("posemamba-s")
    run["accuracy"]["p1_mm"] += 1.0
    interval, why = pair.interval(entry(run))
    assert interval is None
    assert "which is not its P1" in why
    assert pair.interval(entry(shifted(records.record("posemamba-s"), 1.0)))[0] is not None


def test_errors_are_averaged_over_seeds_before_anything_else() -> None:
    runs = [records.record("posemamba-s", seed) for seed in (0, 1)]
    mean = twin(runs[0], "rival")
    for row, *same in zip(*(run["accuracy"]["per_sequence"] for run in (mean, *runs)), strict=True):
        row["p1_mm"] = float(np.mean([each["p1_mm"] for each in same]))
    mean["accuracy"]["p1_mm"] = float(np.mean([run["accuracy"]["p1_mm"] for run in runs]))
    found = pair.compare(entry(*runs), entry(mean))
    assert found.comparison is not None
    assert found.comparison.difference.high_mm == pytest.approx(0, abs=1e-9)
