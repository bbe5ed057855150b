"""Latency of a frame: of what was timed well, with an envelope over runs, and comparable on one machine alone."""

from __future__ import annotations

import pytest

from harness.comparison import latency
from harness.comparison.latency import Latency
from tests.harness.comparison.entries import Run, entry, timed
from tests.harness.reporting import records


def measured(*runs: Run) -> Latency:
    found = latency.of(entry(*runs))
    assert found is not None
    return found


def test_it_is_for_a_frame_that_comes_out_with_the_envelope_of_the_runs_intervals() -> None:
    runs = [timed(records.record(seed=seed), call_ms) for seed, call_ms in enumerate((27.0, 29.7, 54.0))]
    found = measured(*runs)
    assert (found.ms, found.low_ms, found.high_ms) == pytest.approx((1.1, 26.9 / 27, 54.1 / 27))
    assert (found.verdict, found.runs) == ("STABLE", 3)


def test_noisy_timings_count_only_where_there_is_none_better() -> None:
    stable, noisy = timed(records.record(seed=0), 27.0), timed(records.record(seed=1), 270.0, verdict="NOISY")
    assert measured(stable, noisy).ms == 1.0
    found = measured(noisy)
    assert (found.ms, found.verdict) == (10.0, "NOISY")


def test_an_invalid_timing_has_no_figure() -> None:
    found = measured(timed(records.record(), 27.0, verdict="INVALID"))
    assert (found.ms, found.low_ms, found.verdict) == (None, None, "INVALID")


def test_an_early_record_has_a_median_without_interval() -> None:
    found = measured(records.record())
    assert found.ms == pytest.approx(1000 / 2710)
    assert (found.low_ms, found.high_ms) == (None, None)


def test_what_was_not_timed_is_none() -> None:
    run = records.record()
    del run["cost"]["inference"]
    assert latency.of(entry(run)) is None


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("environment", "processor", "another"), ("cost", "threads", 8), ("config", "precision", "bf16"),
        ("config", "device", "cuda"), ("environment", "gpu", "H100"),
    ],
)  # fmt: skip
def test_only_timings_under_one_condition_are_alike(part: str, name: str, value: object) -> None:
    here, there = records.record("posemamba-s"), records.record("posemamba-xs")
    assert measured(here).was_timed_like(measured(there))
    there[part][name] = value
    assert not measured(here).was_timed_like(measured(there))


def test_seeds_of_two_machines_are_like_nothing() -> None:
    here, there = records.record(seed=0), records.record(seed=1)
    there["environment"]["processor"] = "another"
    both = measured(here, there)
    assert not both.was_timed_like(both)
    assert "another" in both.machine
