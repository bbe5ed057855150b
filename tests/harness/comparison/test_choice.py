"""Which entries a name means."""

from __future__ import annotations

import copy

import pytest

from harness.comparison.choice import chosen_pair
from harness.errors import BadInput
from tests.harness.reporting import records


def titles(runs: list[dict], a: str, b: str) -> tuple[str, str]:
    return tuple(entry.title for entry in chosen_pair(runs, a, b, "store"))  # type: ignore[return-value]


def test_a_run_by_its_id_is_that_run_alone() -> None:
    runs = records.typical()
    a, b = chosen_pair(runs, runs[0]["id"], "posemamba-xs", "store")
    assert (len(a.runs), len(b.runs)) == (1, 3)
    assert a.title == runs[0]["id"]


def test_a_name_that_two_protocols_have_is_taken_from_where_both_are() -> None:
    runs = records.two_protocols()
    a, b = chosen_pair(runs, "posemamba-s, T=27", "motionagformer-s, T=27", "store")
    assert a.any_run["config"]["detector"] == b.any_run["config"]["detector"] == "sh"
    only = [records.record("posemamba-s"), records.record("posemamba-s", detector="gt")]
    other = records.record("posemamba-xs", detector="gt")
    a, b = chosen_pair([*only, other], "posemamba-s", "posemamba-xs", "store")
    assert a.any_run["config"]["detector"] == "gt"


def test_a_configuration_by_its_title() -> None:
    runs = [records.record(), copy.deepcopy(records.record(seed=1)), records.record("posemamba-s")]
    runs[1]["config"]["batch_size"] = 32
    assert titles(runs, "posemamba-xs (batch_size=32)", "posemamba-s") == (
        "posemamba-xs (batch_size=32)",
        "posemamba-s",
    )
    with pytest.raises(
        BadInput, match=r"'posemamba-xs' may be any of: .*batch_size=8.*batch_size=32.*Give a whole name"
    ):
        chosen_pair(runs, "posemamba-xs", "posemamba-s", "store")


def test_a_name_that_nothing_has_is_named_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"store has no run or configuration 'posemaba-xs'\. Did you mean: posemamba-xs"):
        chosen_pair(records.typical(), "posemaba-xs", "posemamba-s", "store")


def test_a_pair_that_nothing_ranks_goes_on_to_say_what_differs() -> None:
    runs = [records.record("posemamba-s"), records.record("posemamba-xs", detector="gt")]
    assert titles(runs, "posemamba-s", "posemamba-xs") == ("posemamba-s", "posemamba-xs")


def test_a_failed_run_is_found() -> None:
    runs = [records.record("posemamba-s"), records.failed("posemamba-xs")]
    _, failed = chosen_pair(runs, "posemamba-s", runs[1]["id"], "store")
    assert (failed.runs, len(failed.gaps)) == ((), 1)


def test_a_configuration_on_two_test_sets_is_named_with_its_group() -> None:
    runs = [records.record(model) for model in ("posemamba-s", "posemamba-xs")]
    for run in copy.deepcopy(runs):
        run["id"], run["data"]["digest_test"] = f"{run['id']}-other", "d4" * 32
        runs.append(run)
    with pytest.raises(
        BadInput, match=r"'posemamba-s' may be any of: posemamba-s \(group motion-sh, .*--group \(one of: "
    ):
        chosen_pair(runs, "posemamba-s", "posemamba-xs", "store")
    for name, digest in (("motion-sh", "b2" * 32), ("motion-sh--2", "d4" * 32)):
        a, b = chosen_pair(runs, "posemamba-s", "posemamba-xs", "store", name)
        assert {entry.any_run["data"]["digest_test"] for entry in (a, b)} == {digest}
    with pytest.raises(BadInput, match=r"no group 'motion-s'\. Did you mean: motion-sh"):
        chosen_pair(runs, "posemamba-s", "posemamba-xs", "store", "motion-s")
