"""Peaks against a clock of the test's own."""

from __future__ import annotations

import math

import pytest

from harness.measurement import machine
from harness.measurement.timing import Protocol

ONCE = Protocol(1, 1, 0.0, 1.0, 1, 0.0, 0.0)


class Ticking:
    """Every reading is a second after the one before."""

    def __init__(self, step_s: float = 1.0) -> None:
        self.now_s, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CPU_EDGES", (8, 16))
    monkeypatch.setattr(machine, "_COPIED_BYTES", 4000)
    monkeypatch.setattr(machine, "_SCAN", (1, 4, 2, 8))


def test_rates_are_work_over_time() -> None:
    """A block lasts one tick: products of 2 n^3 operations, copies that read and write, 2^16 exponentials a thread."""
    found = machine.measure("cpu", 2, clock=Ticking(0.5), protocol=ONCE)
    assert found == {
        "threads": 2,
        "device": "cpu",
        "gemm_flops_per_s": 2 * 16**3 / 0.5,
        "copy_bytes_per_s": 2 * 4000 / 0.5,
        "exp_per_s": 2 * 65536 / 0.5,
    }


def test_the_roof_of_exponentials_is_not_below_what_the_scan_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_SCAN", (2, 64, 16, 128))
    found = machine.measure("cpu", 1, clock=Ticking(0.5), protocol=ONCE)
    assert found["exp_per_s"] == 2 * 64 * 16 * 128 / 0.5


def test_a_stopped_clock_gives_no_rates() -> None:
    found = machine.measure("cpu", 1, clock=Ticking(0.0), protocol=ONCE)
    assert [found[name] for name in ("gemm_flops_per_s", "copy_bytes_per_s", "exp_per_s")] == [None] * 3


def test_the_rate_for_an_estimate_is_a_number() -> None:
    rate = machine.product_rate("cpu")
    assert rate > 0
    assert math.isfinite(rate)
