"""The largest batch that runs, by powers of two, each tried in a fresh process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Tries one forward of so many clips.
Try = Callable[[int], "Trial"]


@dataclass(frozen=True)
class Trial:
    """How one forward ended: a status of the store's, its duration where it is ``ok``, else what went wrong."""

    status: str
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Largest:
    """``batch`` ran, 0 where not even one clip did; ``bound`` is what stopped the search.

    bound: ``memory``, ``time``, ``limit`` (the search's own), or ``failure`` of another kind; ``last`` is that trial.
    """

    batch: int
    bound: str
    last: Trial


def search(attempt: Try, limit: int, seconds: float) -> Largest:
    """Double from 1 until memory fails, a forward takes longer than ``seconds``, or ``limit`` is reached.

    One clip may take as long as it does.
    """
    ran, batch = 0, 1
    while True:
        trial = attempt(batch)
        if trial.status != "ok":
            return Largest(ran, {"oom": "memory", "timeout": "time"}.get(trial.status, "failure"), trial)
        if trial.seconds is not None and trial.seconds > seconds:
            return Largest(ran or 1, "time", trial)
        ran = batch
        if 2 * batch > limit:
            return Largest(ran, "limit", trial)
        batch *= 2


def below(attempt: Try, batch: int) -> int:
    """The first half, quarter … of ``batch`` that runs, where ``batch`` itself does not; 0 where not even one does."""
    while batch > 1:
        batch //= 2
        if attempt(batch).status == "ok":
            return batch
    return 0
