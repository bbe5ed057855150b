"""The simulation of coverage: it counts what it says, and knows the truth of its worlds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import coverage
from harness.store.store import Store
from tests.harness.reporting import records


def test_an_interval_holds_the_truth_and_not_a_value_far_from_it() -> None:
    worlds = [coverage.equal(np.random.default_rng(seed), 30) for seed in range(40)]
    near, count = coverage.coverage(iter(worlds), 60.0)
    far, _ = coverage.coverage(iter(worlds), 90.0)
    assert count == 40
    assert 0.7 < near[0] <= near[1] <= 1
    assert far == [0.0, 0.0]


def test_the_truth_of_a_world_is_the_mean_over_its_frames() -> None:
    assert coverage.truth_mm(coverage.unequal) == pytest.approx(60, abs=0.05)
    # Of log-normal lengths with sigma 1, weighed by themselves, the mean logarithm is one more.
    assert coverage.truth_mm(coverage.growing) == pytest.approx(80, abs=0.2)


def test_recorded_pairs_have_the_difference_of_their_entries(tmp_path: Path) -> None:
    runs = [records.record(model) for model in ("posemamba-s", "posemamba-xs")]
    for run in runs:
        Store(tmp_path).append({name: value for name, value in run.items() if name != "schema"})
    ((errors, frames),) = coverage.recorded(tmp_path / "records.jsonl")
    better, worse = sorted(run["accuracy"]["p1_mm"] for run in runs)
    assert np.average(errors, weights=frames) == pytest.approx(better - worse, abs=0.01)
