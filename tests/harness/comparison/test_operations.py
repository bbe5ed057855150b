"""Ratios of operations, by a convention that both were counted by."""

from __future__ import annotations

import pytest

from harness.comparison import operations
from tests.harness.comparison.entries import counted, entry
from tests.harness.reporting import records


@pytest.mark.parametrize(
    ("flops", "said"),
    [(0.6e6, "0.6 times the operations"), (1.02e6, "about as many operations"), (12.3e6, "12 times the operations")],
)
def test_exact_operations_where_both_have_them(flops: float, said: str) -> None:
    own, other = (counted(records.record(model), 1e6) for model in ("posemamba-s", "posemamba-xs"))
    found = operations.of(entry(counted(own, flops)), entry(other))
    assert found is not None
    assert found.times == said


def test_early_records_are_compared_by_multiply_accumulates_and_it_is_said() -> None:
    own, other = records.record("posemamba-s"), records.record("posemamba-xs")
    found = operations.of(entry(counted(own, 1e6)), entry(other))
    assert found is not None
    assert found.ratio == pytest.approx(30.4 / 4.6)
    assert found.times == "6.6 times the multiply-accumulates"


def test_nothing_counted_is_no_ratio() -> None:
    own, other = records.record("posemamba-s"), records.record("posemamba-xs")
    del other["cost"]["macs_fvcore_per_frame"]
    assert operations.of(entry(own), entry(other)) is None
