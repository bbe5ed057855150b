"""Peers of known durations on one clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from benchmarks import turns
from benchmarks.turns import Effort, Peer, Row
from tests.harness.measurement.fake_clock import FakeClock


def quietly(share: float, detail: str) -> None:
    """No progress line."""


def finds_nothing(result: Any) -> Row:
    return {}


class Durations:
    """Peers of known durations on one clock; ``order`` has the name of every call."""

    def __init__(self) -> None:
        self.clock = FakeClock(repeat(0.0))
        self.order: list[str] = []

    def peer(self, name: str, durations_s: Iterator[float], inspect: Callable[[Any], Row] = finds_nothing) -> Peer:
        def call() -> str:
            self.order.append(name)
            self.clock.now_s += next(durations_s)
            return name

        return Peer({"peer": name}, call, inspect, threads=1)

    def take_turns(self, *peers: Peer, effort: Effort | None = None) -> None:
        turns.take_turns(peers, effort or Effort(samples=8, seconds=10.0), quietly, clock=self.clock)
