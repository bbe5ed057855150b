"""What the person at the terminal is told while a long piece of work goes on: how far it is, and what to know."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TextIO

#: Receives one-line messages for the person at the terminal.
Say = Callable[[str], None]


class ProgressLine:
    """Rewrites one line on a terminal; elsewhere (a log file) writes a new line every ``log_every_s`` seconds."""

    def __init__(
        self,
        title: str,
        stream: TextIO | None = None,
        log_every_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._stream, self._clock = title, stream or sys.stderr, clock
        self._terminal = self._stream.isatty()
        self._every_s = 0.2 if self._terminal else log_every_s
        self._started: float | None = None
        self._first_share = 0.0
        self._shown = float("-inf")
        self._width = 0

    def update(self, share: float, detail: str = "") -> None:
        """``share`` of the work is done (0 to 1); ``detail`` follows on the line."""
        now = self._clock()
        if self._started is None:
            self._started, self._first_share = now, share
        if now - self._shown < self._every_s and share < 1:
            return
        self._shown = now
        self._write(f"{self._title}  {min(share, 1.0):4.0%}  {self._remaining(now, share)}{detail}")

    def _remaining(self, now: float, share: float) -> str:
        done, passed = share - self._first_share, now - (now if self._started is None else self._started)
        if done <= 0 or passed < 1 or share >= 1:
            return ""
        return f"{clock_text(passed / done * (1 - share))} left  "

    def _write(self, line: str) -> None:
        if self._terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        """End the line on a terminal."""
        if self._terminal and self._width:
            self._stream.write("\n")
            self._stream.flush()


def clock_text(seconds: float) -> str:
    """``75`` to ``1:15``; hours only where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextlib.contextmanager
def warnings_said(say: Say) -> Iterator[list[str]]:
    """What libraries and loaders warn of inside, said once each at the end and left in the list for the record."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield said
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        said.append(text)
        say(f"note: {text}")
