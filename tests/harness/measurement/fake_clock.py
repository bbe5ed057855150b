"""A clock in which time passes only in calls."""

from __future__ import annotations

from collections.abc import Iterator


class FakeClock:
    """Each call of ``call`` lasts the next of ``durations_s``; reading the clock takes no time."""

    def __init__(self, durations_s: Iterator[float]) -> None:
        self.now_s = 100.0
        self.durations_s = durations_s
        self.calls = 0

    def __call__(self) -> float:
        return self.now_s

    def call(self) -> int:
        self.calls += 1
        self.now_s += next(self.durations_s)
        return self.calls
