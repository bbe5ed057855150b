"""The time that is left, by a clock of the test's."""

from __future__ import annotations

from typing import Any

import pytest

from harness.config import RunConfig
from harness.measurement.request import Request
from harness.sweep.point import Point
from harness.sweep.remaining import Remaining
from harness.training.budget import Budget


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def run(name: str, model: str = "a", frames: int = 9) -> Point:
    return Point(name, ("run", "--model", model, "--frames", str(frames)))


def left_s(remaining: Remaining, passed_s: float) -> float:
    share = remaining.share()
    return passed_s / share - passed_s


def test_nothing_is_known_before_the_first_end() -> None:
    clock = Clock()
    remaining = Remaining([run("1"), run("2")], 1, clock)
    clock.now_s += 50
    assert remaining.share() == 0
    assert remaining.running() == "1 running"


def test_the_like_count_first_and_several_work_at_once() -> None:
    clock = Clock()
    points = [run("1"), run("2"), run("3", frames=27), run("4", "b"), run("5"), run("6", "b", 81), run("7", "b", 81)]
    remaining = Remaining(points, 2, clock)
    clock.now_s += 40
    for name, seconds in (("1", 10.0), ("3", 30.0), ("4", 100.0)):
        remaining.ended(name, seconds)
    # Of the same model and T: 10 each. Of model b at another T: 100 each.
    assert left_s(remaining, 40.0) == pytest.approx((10 + 10 + 100 + 100) / 2)
    clock.now_s += 5
    assert left_s(remaining, 45.0) == pytest.approx(105.0), "it goes down by itself"
    clock.now_s += 500
    assert remaining.share() == 0.99, "one that takes longer than thought has not ended"


def test_measurements_are_done_one_by_one() -> None:
    clock = Clock()
    request = Request(["a"])
    measurements = [Point(f"m{index}", ("measure", "--model", "a"), request=request) for index in range(3)]
    points = [run("1"), run("2"), *measurements]
    remaining = Remaining(points, 4, clock)
    clock.now_s += 10
    remaining.ended("m0", 6.0)
    remaining.ended("1", 8.0)
    assert left_s(remaining, 10.0) == pytest.approx(2 * 6 + 8 / 3)


def test_how_many_work_at_once_is_seen() -> None:
    clock = Clock()
    remaining = Remaining([run(str(index)) for index in range(8)], None, clock)
    assert remaining.running() == "8 running or waiting"
    clock.now_s += 10
    for index in range(4):
        remaining.ended(str(index), 10.0)
    assert left_s(remaining, 10.0) == pytest.approx(4 * 10 / 4)


def test_a_budget_in_minutes_is_known_before() -> None:
    clock = Clock()
    config = RunConfig("a", budget=Budget(seconds=60.0))
    remaining = Remaining([Point(name, ("run", "--model", "a"), config) for name in "12"], 1, clock)
    clock.now_s += 20
    assert left_s(remaining, 20.0) == pytest.approx(100.0)


def test_many_points_are_no_more_work_than_their_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    expected_s = Remaining._expected_s

    def counted(remaining: Remaining, kind: Any) -> float | None:
        nonlocal looked
        looked += 1
        return expected_s(remaining, kind)

    monkeypatch.setattr(Remaining, "_expected_s", counted)
    remaining = Remaining([run(str(index), frames=index % 2) for index in range(100)], 1, Clock())
    for index in range(100):
        remaining.ended(str(index), 1.0)
    assert looked <= 2 * 101


def test_the_end() -> None:
    remaining = Remaining([run("1")], 1, Clock())
    remaining.ended("1", None)
    assert remaining.share() == 1
