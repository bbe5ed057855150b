"""Errors by sequence: mean over seeds, weighted so that their mean is P1."""

from __future__ import annotations

import numpy as np
import pytest

from harness.comparison import sequence_errors
from harness.errors import BadInput
from tests.harness.comparison.entries import entry, shifted
from tests.harness.reporting import records


def test_the_weighted_mean_is_p1() -> None:
    runs = [records.record("posemamba-s", seed) for seed in range(3)]
    found = sequence_errors.of(entry(*runs))
    assert found.mean_mm() == pytest.approx(np.mean([run["accuracy"]["p1_mm"] for run in runs]))
    assert list(found.names) == sorted(found.names)
    assert found.weights.sum() == pytest.approx(1)


def test_where_the_protocol_averages_over_actions_an_action_has_one_vote() -> None:
    run = records.record("posemamba-s")
    # The long form alone says it: its fields are left out of some records.
    run["signature"]["long"] = run["signature"]["long"].replace("avg:frame", "avg:action")
    del run["signature"]["fields"]
    found = sequence_errors.of(entry(run))
    assert found.mean_mm() == pytest.approx(run["accuracy"]["p1_by_action_mean_mm"])
    assert abs(found.mean_mm() - run["accuracy"]["p1_mm"]) > 0.05


def test_one_action_alone() -> None:
    run = records.record("posemamba-s")
    found = sequence_errors.of(entry(run)).of_action("jump")
    assert set(found.actions) == {"jump"}
    assert len(found.names) == len(found.takes) == len(found.p1_mm) == records.TAKES_PER_ACTION * records.CAMERAS
    assert found.mean_mm() == pytest.approx(run["accuracy"]["per_action"]["jump"]["p1_mm"])


def test_seeds_with_other_sequences_are_refused() -> None:
    one, other = records.record("posemamba-s", 0), records.record("posemamba-s", 1)
    other["accuracy"]["per_sequence"].pop()
    with pytest.raises(BadInput, match="its seeds were not scored on the same sequences"):
        sequence_errors.of(entry(one, other))


def test_a_record_without_sequences_is_refused_even_beside_one_that_has_them() -> None:
    one, other = records.record("posemamba-s", 0), shifted(records.record("posemamba-s", 1), 1.0)
    del other["accuracy"]["per_sequence"]
    with pytest.raises(BadInput, match="errors of single sequences are not stored"):
        sequence_errors.of(entry(one, other))
