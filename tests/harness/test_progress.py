"""The progress line on a terminal and in a log, with a clock of the test's own."""

from __future__ import annotations

import io

import pytest

from harness.progress import ProgressLine, clock_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_so_often_with_the_time_left() -> None:
    stream, now = io.StringIO(), iter([0.0, 10.0, 20.0, 35.0, 40.0])
    line = ProgressLine("training", stream, log_every_s=30.0, clock=lambda: next(now))
    for share in (0.0, 0.25, 0.5, 0.875, 1.0):
        line.update(share, f"step {share * 8:.0f}")
    line.close()
    assert stream.getvalue().splitlines() == [
        "training    0%  step 0",
        "training   88%  0:05 left  step 7",
        "training  100%  step 8",
    ]


def test_a_terminal_s_line_is_rewritten() -> None:
    stream = Terminal()
    line = ProgressLine("x", stream, clock=lambda: 0.0)
    line.update(0.0, "long detail")
    line.update(1.0)
    line.close()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().count("\r") == 2


def test_time_left_counts_from_where_a_resumed_run_began() -> None:
    stream, now = io.StringIO(), iter([0.0, 60.0])
    line = ProgressLine("training", stream, log_every_s=1.0, clock=lambda: next(now))
    line.update(0.5)
    line.update(0.75)
    assert "1:00 left" in stream.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (75, "1:15"), (3725, "1:02:05")])
def test_clock_text(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text
