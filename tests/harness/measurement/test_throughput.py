"""Throughput against a clock of the test's own, so that every figure is exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat

import pytest
import torch
from torch import Tensor, nn

from harness.measurement import throughput


class FakeClock:
    """Time passes only in calls: each lasts the next of ``durations_s``."""

    def __init__(self, durations_s: Iterator[float]) -> None:
        self.now_s = 100.0
        self.durations_s = durations_s
        self.calls = 0

    def __call__(self) -> float:
        return self.now_s

    def call(self) -> None:
        self.calls += 1
        self.now_s += next(self.durations_s)


def test_known_duration_gives_known_throughput() -> None:
    clock = FakeClock(repeat(0.05))
    measured = throughput.measure(clock.call, 27, clock=clock)
    assert measured.frames_per_s == pytest.approx(27 / 0.05)
    assert measured.call_ms == pytest.approx(50)
    assert measured.verdict == "STABLE"
    assert measured.samples in (60, 61)  # 60 times 0.05 s is a rounding error away from 3 s


def test_short_calls_are_timed_in_blocks() -> None:
    clock = FakeClock(repeat(0.003))
    measured = throughput.measure(clock.call, 1, clock=clock, min_seconds=0.0)
    assert measured.calls_per_sample == 4
    assert measured.samples == 30
    assert measured.frames_per_s == pytest.approx(1 / 0.003)


def test_slow_warm_up_does_not_count() -> None:
    clock = FakeClock(chain(repeat(0.5, throughput.WARM_UP_CALLS), repeat(0.02)))
    assert throughput.measure(clock.call, 1, clock=clock).frames_per_s == pytest.approx(50)


def test_jitter_is_noisy_with_quartiles_and_advice() -> None:
    clock = FakeClock(cycle([0.02, 0.03, 0.04]))
    measured = throughput.measure(clock.call, 1, clock=clock)
    assert measured.verdict == "NOISY"
    assert "of the median" in measured.reason
    assert "close other programs" in measured.reason
    assert measured.quartiles_frames_per_s == pytest.approx((1 / 0.04, 1 / 0.02))


def test_an_outlier_moves_nothing() -> None:
    durations = chain(repeat(0.02, 20), [5.0], repeat(0.02))
    clock = FakeClock(durations)
    measured = throughput.measure(clock.call, 1, clock=clock)
    assert measured.verdict == "STABLE"
    assert measured.frames_per_s == pytest.approx(50)


@pytest.mark.parametrize(
    "durations",
    [lambda: repeat(0.0), lambda: repeat(-0.01), lambda: chain(repeat(0.02, 20), [-3.0], repeat(0.02))],
    ids=["stopped", "backwards", "one jump back"],
)
def test_clock_trouble_is_invalid_and_ends(durations: Callable[[], Iterator[float]]) -> None:
    clock = FakeClock(durations())
    measured = throughput.measure(clock.call, 1, clock=clock)
    assert measured.verdict == "INVALID"
    assert "clock" in measured.reason
    assert measured.frames_per_s is None


def test_too_slow_a_call_is_invalid_within_the_time_allowed() -> None:
    clock = FakeClock(repeat(8.0))
    measured = throughput.measure(clock.call, 1, clock=clock, max_seconds=30)
    assert measured.verdict == "INVALID"
    assert "of 30 samples" in measured.reason
    assert clock.calls <= 5
    assert math.isfinite(measured.seconds)


class Constant(nn.Module):
    def __init__(self, clock: FakeClock, value: float, frames_out: int) -> None:
        super().__init__()
        self.clock, self.value, self.frames_out = clock, value, frames_out

    def forward(self, clips: Tensor) -> Tensor:
        assert not self.training
        self.clock.call()
        return torch.full((len(clips), self.frames_out, 17, 3), self.value)


@pytest.mark.parametrize(("frames_out", "frames_per_s"), [(27, 2 * 27 / 0.05), (1, 2 * 1 / 0.05)])
def test_frames_that_come_out_are_counted(frames_out: int, frames_per_s: float) -> None:
    clock = FakeClock(repeat(0.05))
    model = Constant(clock, 0.0, frames_out).train()
    measured = throughput.frames_per_second(model, 27, 2, batch_size=2, clock=clock)
    assert measured.frames_per_s == pytest.approx(frames_per_s)
    assert model.training


def test_output_that_is_not_finite_is_invalid() -> None:
    clock = FakeClock(repeat(0.05))
    measured = throughput.frames_per_second(Constant(clock, math.nan, 27), 27, 2, clock=clock)
    assert measured.verdict == "INVALID"
    assert "not finite" in measured.reason


def test_as_dict_is_plain_json() -> None:
    clock = FakeClock(repeat(0.05))
    stored = throughput.measure(clock.call, 27, clock=clock).as_dict()
    assert stored["quartiles_frames_per_s"] == pytest.approx([540.0, 540.0])
    assert throughput._invalid("why").as_dict()["quartiles_frames_per_s"] is None
