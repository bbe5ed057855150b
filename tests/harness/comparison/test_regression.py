"""What counts as worse, what is only said, and what cannot be judged."""

from __future__ import annotations

import copy

import pytest

from harness.comparison import regression
from harness.comparison.regression import (
    BETTER,
    NOT_JUDGED,
    NOT_WORSE,
    SAID,
    UNCHANGED,
    WORSE,
    Check,
    Limits,
    Regression,
)
from tests.harness.comparison.entries import Run, apart, counted, entry, shifted, timed
from tests.harness.reporting import records

DEFAULT = Limits()


def base() -> Run:
    return counted(timed(records.record(), 27.0), 1e6)


def against_base(new: Run, limits: Limits = DEFAULT) -> Regression:
    return regression.of_entries(entry(base()), entry(new), limits)


def ending(found: Regression, what: str) -> str:
    (check,) = [check for check in found.checks if check.what == what]
    return check.ending


def test_the_same_run_again_is_not_worse() -> None:
    found = against_base(base())
    assert {check.what: check.ending for check in found.checks} == {"accuracy": UNCHANGED, "speed": NOT_WORSE}
    assert found.exit_code == 0


@pytest.mark.parametrize(("by_mm", "ends", "code"), [(0.3, WORSE, 1), (-0.3, BETTER, 0)])
def test_accuracy_beyond_its_interval(by_mm: float, ends: str, code: int) -> None:
    found = against_base(shifted(base(), by_mm))
    assert (ending(found, "accuracy"), found.exit_code) == (ends, code)


def test_a_difference_within_its_interval_is_not_worse() -> None:
    new = base()
    for index, row in enumerate(new["accuracy"]["per_sequence"]):
        # The cameras of a take move together, takes in turn by more and by less; up by 0.5 mm on the whole.
        row["p1_mm"] += 0.5 + (10 if index // records.CAMERAS % 2 else -10)
    rows = new["accuracy"]["per_sequence"]
    new["accuracy"]["p1_mm"] = sum(row["frames"] * row["p1_mm"] for row in rows) / new["accuracy"]["frames"]
    found = against_base(new)
    assert ending(found, "accuracy") == NOT_WORSE


def test_a_certain_loss_below_what_is_worth_having_is_said_and_passes() -> None:
    found = against_base(shifted(base(), 0.3), Limits(worth_having_mm=0.5))
    assert (ending(found, "accuracy"), found.exit_code) == (NOT_WORSE, 0)
    assert "less than the 0.5 mm worth having" in found.checks[0].finding
    assert against_base(shifted(base(), 0.3), Limits(worth_having_mm=0.3 - 1e-9)).exit_code == 1


def test_accuracies_that_cannot_be_compared_end_with_2() -> None:
    new = base()
    del new["accuracy"]["per_sequence"]
    found = against_base(new)
    assert (ending(found, "accuracy"), found.exit_code) == (NOT_JUDGED, 2)
    new = base()
    new["data"]["digest_test"] = "d4" * 32
    found = against_base(new)
    assert found.exit_code == 2
    assert "different test sets" in found.checks[0].finding


@pytest.mark.parametrize(
    ("call_ms", "tolerated", "ends", "code"),
    [
        (27.15, 0.0, NOT_WORSE, 0),  # the intervals overlap
        (27.5, 0.0, WORSE, 1),
        (27.5, 5.0, NOT_WORSE, 0),  # beyond both intervals, and 1.9 % slower
        (30.0, 5.0, WORSE, 1),
        (25.0, 5.0, BETTER, 0),
    ],
)
def test_speed_beyond_both_intervals_and_the_tolerated_slowdown(
    call_ms: float, tolerated: float, ends: str, code: int
) -> None:
    found = against_base(timed(base(), call_ms), Limits(tolerated_slowdown_percent=tolerated))
    assert (ending(found, "speed"), found.exit_code) == (ends, code)


def test_speed_is_not_judged_across_machines_or_of_doubtful_timings() -> None:
    elsewhere = timed(base(), 99.0)
    elsewhere["environment"]["processor"] = "another"
    found = against_base(elsewhere)
    assert (ending(found, "speed"), found.exit_code) == (NOT_JUDGED, 0)
    assert "not timed alike" in found.checks[1].finding
    for verdict in ("NOISY", "INVALID"):
        found = against_base(timed(base(), 99.0, verdict=verdict))
        assert (ending(found, "speed"), found.exit_code) == (NOT_JUDGED, 0)
        assert verdict in found.checks[1].finding
    early = timed(base(), 99.0)
    early["cost"]["inference"]["low_ms"] = early["cost"]["inference"]["high_ms"] = None
    assert "an early record has no interval" in against_base(early).checks[1].finding
    untimed = base()
    del untimed["cost"]["inference"]
    assert "not timed in the new runs" in against_base(untimed).checks[1].finding


def test_growth_is_said_and_is_no_failure() -> None:
    new = counted(base(), 1.5e6)
    new["cost"]["params_total"] += 1
    found = against_base(new)
    assert [(check.what, check.ending) for check in found.checks[2:]] == [("operations", SAID), ("parameters", SAID)]
    assert "1.00 M -> 1.50 M a frame, +50 %" in found.checks[2].finding
    assert found.exit_code == 0
    assert len(against_base(counted(base(), 0.5e6)).checks) == 2


def test_counts_that_differ_by_rounding_have_not_grown_and_small_growth_is_no_zero() -> None:
    assert len(against_base(counted(base(), 1e6 * (1 + 1e-15))).checks) == 2
    assert against_base(counted(base(), 1e6 + 1)).checks[2].finding.endswith(", +0.0001 %")


def of(runs: list[Run], *chosen: int) -> list[Run]:
    return [run for run in runs if run["seed"] in chosen]


def test_few_other_seeds_tell_nothing() -> None:
    new = base()
    new["seed"] = new["config"]["seed"] = 1
    found = against_base(new)
    assert (ending(found, "accuracy"), found.exit_code) == (NOT_JUDGED, 2)
    assert "cannot be told: other seeds (seed 0 -> seed 1)" in found.checks[0].finding


def test_three_other_seeds_of_each_are_compared() -> None:
    runs = apart("posemamba-xs", (0.0, 0.1, 0.2, 3.0, 3.1, 3.2))
    found = regression.of_entries(entry(*of(runs, 0, 1, 2)), entry(*of(runs, 3, 4, 5)), DEFAULT)
    assert ending(found, "accuracy") == WORSE
    assert "seeds 0–2 -> seeds 3–5" in found.checks[0].finding


def test_only_seeds_that_both_have_are_compared() -> None:
    runs = apart("posemamba-xs", (0.0, 0.0, 50.0))
    found = regression.of_entries(entry(*runs), entry(*of(runs, 0, 1)), DEFAULT)
    assert ending(found, "accuracy") == UNCHANGED
    assert "seeds 0, 1" in found.checks[0].finding


def test_what_other_seeds_may_reverse_is_no_regression() -> None:
    before = apart("posemamba-xs", (-3.0, 0.0, 3.0))
    found = regression.of_entries(entry(*before), entry(*(shifted(run, 2.0) for run in before)), DEFAULT)
    assert ending(found, "accuracy") == NOT_WORSE
    assert "but the seeds overlap" in found.checks[0].finding
    found = regression.of_entries(entry(*before), entry(*(shifted(run, 8.0) for run in before)), DEFAULT)
    assert ending(found, "accuracy") == WORSE
    assert "noise of training" not in found.checks[0].finding


def test_with_few_seeds_the_noise_of_training_is_said_to_be_left_out() -> None:
    finding = against_base(shifted(base(), 0.3)).checks[0].finding
    assert "fewer than 3 seeds: the noise of training is no part of the interval" in finding


def cut(run: Run, takes: int) -> Run:
    """The run on the first takes alone."""
    rows = run["accuracy"]["per_sequence"] = run["accuracy"]["per_sequence"][: takes * records.CAMERAS]
    run["accuracy"]["frames"] = sum(row["frames"] for row in rows)
    run["accuracy"]["p1_mm"] = sum(row["frames"] * row["p1_mm"] for row in rows) / run["accuracy"]["frames"]
    return run


@pytest.mark.parametrize(("takes", "ends", "code"), [(5, NOT_JUDGED, 2), (6, WORSE, 1)])
def test_too_few_takes_for_any_p_value_tell_nothing(takes: int, ends: str, code: int) -> None:
    before = cut(base(), takes)
    found = regression.of_entries(entry(before), entry(shifted(before, 3.0)), DEFAULT)
    assert (ending(found, "accuracy"), found.exit_code) == (ends, code)
    assert ("too few takes to tell" in found.checks[0].finding) == (code == 2)
    assert regression.of_entries(entry(before), entry(copy.deepcopy(before)), DEFAULT).exit_code == 0


def test_p_values_are_corrected_over_all_configurations() -> None:
    """One of many that would be worse by itself is not among all of them."""
    before = cut(base(), 9)
    after = copy.deepcopy(before)
    shifts = [6.0, 5.0, 7.0, 6.0, 5.0, 6.0, 8.0, -1.0, 1.0]
    for index, row in enumerate(after["accuracy"]["per_sequence"]):
        row["p1_mm"] += shifts[index // records.CAMERAS]
    cut(after, 9)
    alone = regression.of_stores([before], [after], DEFAULT)
    assert alone.exit_code == 1
    crowd = [
        cut(counted(timed(records.record(model), 27.0), 1e6), 9) for model in records.MODELS if model != "posemamba-xs"
    ]
    crowd += [{**copy.deepcopy(run), "id": f"{run['id']}-wide"} for run in crowd]
    for run in crowd[len(crowd) // 2 :]:
        run["config"]["options"] = {"dim": 96}
    among = regression.of_stores([before, *crowd], [after, *copy.deepcopy(crowd)], DEFAULT)
    assert among.exit_code == 0
    (check,) = [check for check in among.checks if check.what == "accuracy" and check.configuration == "posemamba-xs"]
    assert "p by Holm over 11 configurations" in check.finding


def test_a_run_that_no_longer_finishes_is_worse() -> None:
    found = against_base(records.failed("posemamba-xs"))
    assert (ending(found, "finishing"), found.exit_code) == (WORSE, 1)
    assert "the loss is not finite" in found.checks[0].finding


def finishing(found: Regression) -> list[tuple[str, str]]:
    return [(check.finding.split(":")[0], check.ending) for check in found.checks if check.what == "finishing"]


def test_a_seed_that_no_longer_finishes_is_worse_beside_others_that_do() -> None:
    before = apart("posemamba-xs", (0.0, 0.1, 0.2))
    after = [before[0], *(records.failed("posemamba-xs", seed) for seed in (1, 2))]
    found = regression.of_stores(before, after, DEFAULT)
    assert finishing(found) == [("seeds 1, 2 finished before and not now", WORSE)]
    assert (ending(found, "accuracy"), found.exit_code) == (UNCHANGED, 1)
    assert regression.of_stores(before, before[:1], DEFAULT).exit_code == 0


def test_a_configuration_that_is_left_without_any_score_is_worse_even_in_a_store_without_any() -> None:
    found = regression.of_stores([base()], [records.failed("posemamba-xs")], DEFAULT)
    assert (finishing(found), found.exit_code) == ([("seed 0 finished before and not now", WORSE)], 1)


def test_what_finished_in_neither_is_unchanged_and_what_does_now_is_better() -> None:
    failed = records.failed("posemamba-xs")
    found = regression.of_stores(
        [failed, records.record("posemamba-s")], [failed, records.record("posemamba-s")], DEFAULT
    )
    assert (finishing(found), found.exit_code) == ([("seed 0 finished neither before nor now", UNCHANGED)], 0)
    found = regression.of_stores([failed], [base()], DEFAULT)
    assert (finishing(found), found.exit_code) == ([("seed 0 finished now and not before", BETTER)], 0)


def test_a_speed_that_cannot_be_judged_fails_where_it_is_required() -> None:
    noisy = timed(base(), 99.0, verdict="NOISY")
    assert against_base(noisy).exit_code == 0
    found = against_base(noisy, Limits(require_speed=True))
    assert found.exit_code == 2
    assert [check.why for check in found.untimed] == ["NOISY timings"]
    assert against_base(base(), Limits(require_speed=True)).exit_code == 0


def test_stores_are_compared_configuration_by_configuration() -> None:
    before = [run for model in ("posemamba-s", "posemamba-xs") for run in apart(model, (0.0, 0.1))]
    after = [shifted(run, 1.0) if run["config"]["model"] == "posemamba-xs" else copy.deepcopy(run) for run in before]
    before.append(records.record("motionagformer-s"))
    after.append(records.record("dilated-convolution"))
    found = regression.of_stores(before, after, DEFAULT)
    accuracies = {check.configuration: check.ending for check in found.checks if check.what == "accuracy"}
    assert accuracies == {"posemamba-s": UNCHANGED, "posemamba-xs": WORSE}
    assert (found.only_base, found.only_new) == (("motionagformer-s",), ("dilated-convolution",))
    assert found.exit_code == 1


def test_stores_with_nothing_in_common_end_with_2() -> None:
    found = regression.of_stores([records.record("posemamba-s")], [records.record("posemamba-xs")], DEFAULT)
    assert (found.checks, found.exit_code) == ((), 2)


def test_a_configuration_on_two_test_sets_is_paired_with_its_own() -> None:
    other = records.record()
    other["id"], other["data"]["digest_test"] = "other", "d4" * 32
    found = regression.of_stores([records.record(), other], [copy.deepcopy(other)], DEFAULT)
    assert ending(found, "accuracy") == UNCHANGED
    assert found.only_base == ("posemamba-xs [test set b2b2b2b2b2b2]",)


def accuracies(found: Regression) -> list[Check]:
    return [check for check in found.checks if check.what == "accuracy"]


def test_a_configuration_is_checked_on_every_test_set_and_under_every_protocol() -> None:
    """The second got worse, wherever it stands."""
    first, second, third = records.record(), records.record(), records.record()
    second["id"], second["data"]["digest_test"] = "second", "d4" * 32
    third["id"] = "third"
    third["signature"]["long"] = third["signature"]["long"].replace("flip:yes", "flip:no")
    runs = [first, second, third]
    for worse in range(3):
        after = [shifted(run, 3.0 * (index == worse)) for index, run in enumerate(runs)]
        found = regression.of_stores(runs, after, DEFAULT)
        assert sorted(check.ending for check in accuracies(found)) == [UNCHANGED, UNCHANGED, WORSE]
        assert len({check.configuration for check in found.checks}) == 3
        assert (found.only_base, found.only_new) == ((), ())


def test_a_configuration_that_was_only_scored_on_another_test_set_cannot_be_compared() -> None:
    other = records.record()
    other["data"]["digest_test"] = "d4" * 32
    found = regression.of_stores([records.record()], [other], DEFAULT)
    assert [(check.ending, "different test sets" in check.finding) for check in accuracies(found)] == [
        (NOT_JUDGED, True)
    ]
    assert found.exit_code == 2


def test_data_under_another_path_are_the_same_data() -> None:
    moved = shifted(base(), 3.0)
    moved["config"]["data"] = moved["data"]["spec"] = "motion:/home/ci/motion"
    found = regression.of_stores([base()], [moved], DEFAULT)
    assert (ending(found, "accuracy"), found.only_base, found.only_new) == (WORSE, (), ())
