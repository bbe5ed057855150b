"""The line of facts is true of all runs of a group, and doubts are marked."""

from __future__ import annotations

from typing import Any

import pytest

from harness.comparison.group import group
from harness.reporting.facts import Fact, facts
from tests.harness.reporting import records


def of(runs: list[dict[str, Any]]) -> dict[str, Fact]:
    (members,) = group(runs)
    return {fact.name: fact for fact in facts(members)}


def test_a_whole_comparison() -> None:
    runs = [records.record(model, seed) for model in ("posemamba-s", "posemamba-xs") for seed in range(3)]
    found = of(runs)
    assert {name: fact.value for name, fact in found.items()} == {
        "runs finished": "6 of 6",
        "seeds per model": "3",
        "test set": "motion b2b2b2b2b2",
        "protocol": "MPJPE|d:motion|2d:sh|v:1",
        "machine": "AMD EPYC 9R14, 2 threads",
        "commit": "0f3a9c1d5b",
        "precision": "fp32",
    }
    assert not any(fact.doubt for fact in found.values())
    assert found["test set"].whole.startswith("192 sequences, 1")
    assert found["protocol"].whole == group(runs)[0].protocol


def test_what_is_doubtful_is_marked() -> None:
    found = of(records.typical())
    assert (found["runs finished"].value, found["runs finished"].doubt) == ("13 of 15", True)
    assert (found["seeds per model"].value, found["seeds per model"].doubt) == ("1 to 3", True)


def test_every_machine_and_commit_is_named() -> None:
    runs = [records.record(seed=seed) for seed in range(3)]
    runs[1]["environment"]["commit"] = {"id": "ff" * 20, "dirty": True}
    runs[2]["environment"]["commit"] = None
    runs[2]["environment"]["processor"] = "another"
    runs[2]["config"]["threads"] = 1
    found = of(runs[:2])
    assert (found["commit"].value, found["commit"].doubt) == ("0f3a9c1d5b / ffffffffff + changes", True)
    (_, other) = group(runs)[0].entries
    found = {fact.name: fact for fact in facts(group([runs[2]])[0])}
    assert other.runs == (runs[2],)
    assert (found["commit"].value, found["commit"].doubt) == ("not known", True)
    assert found["machine"].value == "another, 1 thread"


def test_too_many_for_a_line_are_counted() -> None:
    runs = [records.record(seed=seed) for seed in range(5)]
    for number, run in enumerate(runs):
        run["environment"]["commit"]["id"] = f"{number}" * 40
    fact = of(runs)["commit"]
    assert fact.value == "0000000000 and 4 others"
    assert "4444444444" in fact.whole


def test_a_gpu_is_the_machine() -> None:
    run = records.record()
    run["config"]["device"] = "cuda:0"
    run["environment"]["gpu"] = "NVIDIA H100"
    assert of([run])["machine"].value == "NVIDIA H100"


@pytest.mark.parametrize("missing", ["environment", "data", "signature"])
def test_nothing_of_a_run_that_failed_early_is_needed(missing: str) -> None:
    run = records.failed()
    run.pop(missing, None)
    found = of([run])
    assert found["runs finished"].value == "0 of 1"
    assert found["seeds per model"].value == found["protocol"].value == "–"


def test_two_lengths_share_what_is_the_same_in_both() -> None:
    found = of([records.record("posemamba-s"), records.record("posemamba-s", frames=81)])
    assert found["protocol"].value == "MPJPE|d:motion|2d:sh|v:1"
