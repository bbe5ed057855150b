"""The search against machines of the test's own."""

from __future__ import annotations

import pytest

from harness.measurement import largest_batch
from harness.measurement.largest_batch import Largest, Trial


def machine(fits: int, seconds_a_clip: float = 0.001, otherwise: str = "oom") -> largest_batch.Try:
    return lambda batch: (
        Trial("ok", batch * seconds_a_clip) if batch <= fits else Trial(otherwise, error="too much")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("attempt", "batch", "bound"),
    [
        (machine(fits=40), 32, "memory"),
        (machine(fits=10_000), 256, "limit"),
        (machine(fits=10_000, seconds_a_clip=0.11), 16, "time"),
        (machine(fits=40, otherwise="timeout"), 32, "time"),
        (machine(fits=40, otherwise="failed"), 32, "failure"),
        (machine(fits=0), 0, "memory"),
        (machine(fits=9, seconds_a_clip=7.0), 1, "time"),
    ],
)
def test_what_bounds_it(attempt: largest_batch.Try, batch: int, bound: str) -> None:
    found = largest_batch.search(attempt, limit=256, seconds=2.0)
    assert (found.batch, found.bound) == (batch, bound)


def test_a_limit_that_is_no_power_of_two_is_kept() -> None:
    assert largest_batch.search(machine(fits=10_000), limit=100, seconds=2.0).batch == 64


def test_the_last_trial_tells_why() -> None:
    assert largest_batch.search(machine(fits=0), 256, 2.0) == Largest(0, "memory", Trial("oom", error="too much"))


@pytest.mark.parametrize(("fits", "batch", "found"), [(40, 100, 25), (0, 100, 0), (99, 100, 50), (0, 1, 0)])
def test_halving(fits: int, batch: int, found: int) -> None:
    assert largest_batch.below(machine(fits), batch) == found
