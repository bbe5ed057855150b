"""Sampling against a clock of the test's own, so that every figure is exact."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat

import pytest

from harness.errors import BadInput
from harness.measurement import timing
from harness.measurement.timing import Protocol
from tests.harness.measurement.fake_clock import FakeClock

USUAL = Protocol()


def test_a_call_of_known_cost_gives_that_cost() -> None:
    clock = FakeClock(repeat(0.0625))  # binary, so that sums are exact
    series = timing.sample(clock.call, USUAL, clock=clock)
    assert set(series.samples_ms) == {62.5}
    assert len(series.samples_ms) == 16  # 1 s, more than 10 samples
    assert series.seconds == 1.0
    assert series.trouble is None


def test_short_calls_are_timed_in_blocks() -> None:
    clock = FakeClock(repeat(0.003))
    series = timing.sample(clock.call, dataclasses.replace(USUAL, min_seconds=0.0), clock=clock)
    assert series.calls_per_sample == 4
    assert len(series.samples_ms) == 10
    assert series.samples_ms == pytest.approx([3.0] * 10)


def test_the_first_and_the_last_output_are_kept() -> None:
    clock = FakeClock(repeat(0.003))
    series = timing.sample(clock.call, USUAL, clock=clock)
    assert series.first == 1
    assert series.last == clock.calls


def test_warm_up_calls_do_not_count() -> None:
    clock = FakeClock(chain(repeat(0.05, 10), repeat(0.0625)))
    assert set(timing.sample(clock.call, USUAL, clock=clock).samples_ms) == {62.5}


def test_warm_up_goes_on_while_calls_get_faster() -> None:
    falling = [0.010 * 0.9**i for i in range(30)]
    clock = FakeClock(chain(falling, repeat(falling[-1])))
    series = timing.sample(clock.call, USUAL, clock=clock)
    assert 30 < series.warm_up_calls <= 40
    assert series.samples_ms == pytest.approx([1000 * falling[-1]] * len(series.samples_ms))


def test_warm_up_ends_in_time_but_has_one_call() -> None:
    clock = FakeClock(repeat(0.4))
    assert timing.sample(clock.call, USUAL, clock=clock).warm_up_calls == 3
    clock = FakeClock(repeat(4.0))
    assert timing.sample(clock.call, USUAL, clock=clock).warm_up_calls == 1


def test_a_slow_call_ends_in_time_with_what_there_is() -> None:
    clock = FakeClock(repeat(8.0))
    series = timing.sample(clock.call, USUAL, clock=clock)
    assert series.samples_ms == (8000.0,) * 3
    assert clock.calls == 4, "the block that calibrates is a sample"


def test_a_call_longer_than_all_the_time_gives_one_sample() -> None:
    clock = FakeClock(repeat(50.0))
    series = timing.sample(clock.call, USUAL, clock=clock)
    assert series.samples_ms == (50_000.0,)
    assert clock.calls == 2


@pytest.mark.parametrize(
    "durations",
    [lambda: repeat(0.0), lambda: repeat(-0.01), lambda: chain(repeat(0.02, 20), [-3.0], repeat(0.02))],
    ids=["stopped", "backwards", "one jump back"],
)
def test_clock_trouble_leaves_no_samples_and_ends(durations: Callable[[], Iterator[float]]) -> None:
    for protocol in (USUAL, dataclasses.replace(USUAL, min_seconds=0.0, block_seconds=0.0)):
        clock = FakeClock(durations())
        series = timing.sample(clock.call, dataclasses.replace(protocol, min_samples=30), clock=clock)
        assert series.samples_ms == ()
        assert "clock" in (series.trouble or "")


def test_both_sides_of_a_block_are_synchronised() -> None:
    """A device that works on after the call has returned: only waiting for it makes the time pass."""
    clock = FakeClock(repeat(0.0))
    queued: list[float] = []

    def wait() -> None:
        clock.now_s += sum(queued)
        queued.clear()

    series = timing.sample(lambda: queued.append(0.125), USUAL, clock=clock, synchronise=wait)
    assert set(series.samples_ms) == {125.0}


def test_energy_is_that_of_the_timed_calls() -> None:
    clock = FakeClock(repeat(0.0625))
    series = timing.sample(clock.call, USUAL, clock=clock, joules=lambda: 40 * clock.now_s)
    assert series.joules_per_call == pytest.approx(2.5)
    assert timing.sample(clock.call, USUAL, clock=clock).joules_per_call is None


def test_an_outlier_stays_one_sample() -> None:
    clock = FakeClock(chain(repeat(0.02, 20), [5.0], repeat(0.02)))
    series = timing.sample(clock.call, dataclasses.replace(USUAL, min_seconds=6.0), clock=clock)
    assert sum(sample > 100 for sample in series.samples_ms) == 1


def test_jitter_is_kept() -> None:
    clock = FakeClock(cycle([0.02, 0.03, 0.04]))
    assert sorted({round(sample, 6) for sample in timing.sample(clock.call, USUAL, clock=clock).samples_ms}) == [
        20,
        30,
        40,
    ]


def test_protocols() -> None:
    quick = Protocol.quick()
    assert USUAL.covers(quick)
    assert not quick.covers(USUAL)
    assert dataclasses.replace(USUAL, rounds=1).covers(USUAL), "rounds are rows of their own"
    assert USUAL.on("cuda:0").block_seconds == 0.001
    assert USUAL.on("cpu") == USUAL
    assert Protocol(**USUAL.as_dict()) == USUAL
    assert USUAL.changed(rounds=2, min_samples=None) == dataclasses.replace(USUAL, rounds=2)


@pytest.mark.parametrize(
    "change", [{"rounds": 0}, {"min_samples": 0}, {"max_seconds": 0}, {"min_seconds": -1}, {"block_seconds": -1}]
)
def test_a_protocol_out_of_range_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=next(iter(change))):
        dataclasses.replace(USUAL, **change)


@pytest.mark.parametrize("name", ["min_seconds", "max_seconds", "warm_up_seconds", "block_seconds"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_seconds_are_finite(name: str, value: float) -> None:
    with pytest.raises(BadInput, match=f"{name} {value} is out of range; it must be finite and at least"):
        Protocol().changed(**{name: value})
