"""How far a sweep is, by time: from the durations of its points that have ended, of the like of each where known."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from harness.sweep.point import Point

#: While anything is left.
_ALMOST = 0.99
#: What points have in common, from much to little.
_Likeness = tuple[str, ...]


class Remaining:
    """Of ``points``, none of which has ended. ``at_once`` of them are worked on at a time; None: as it turns out."""

    def __init__(
        self, points: Iterable[Point], at_once: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open = {point.id: point for point in points}
        self._at_once, self._clock = at_once, clock
        self._started = self._counted_at = clock()
        self._seconds: dict[_Likeness, list[float]] = defaultdict(list)
        self._usual_s: dict[_Likeness, float] = {}
        self._left_s: float | None = None
        self._count()

    def ended(self, point_id: str, seconds: float | None) -> None:
        """A point has; ``seconds`` that it took, None where that says nothing of others."""
        point = self._open.pop(point_id)
        if seconds is not None:
            for likeness in _likenesses(point):
                self._seconds[likeness].append(seconds)
                self._usual_s[likeness] = statistics.fmean(self._seconds[likeness])
        self._count()

    def share(self) -> float:
        """Of the time from the start to the end, what has passed, 0 to 1; 0 where nothing is known of the end."""
        if not self._open:
            return 1.0
        if self._left_s is None:
            return 0.0
        now = self._clock()
        passed = now - self._started
        left = max(self._left_s - (now - self._counted_at), 0.0)
        return min(passed / (passed + left), _ALMOST) if passed + left > 0 else 0.0

    def running(self) -> str:
        """How many of those that have not ended are worked on, as far as that is known."""
        count = len(self._open)
        return f"{count} running or waiting" if self._at_once is None else f"{min(count, self._at_once)} running"

    def _count(self) -> None:
        """Anew after each end; from then on the time that is left goes down by itself."""
        self._counted_at = self._clock()
        alone, others = (
            [self._expected_s(point) for point in self._open.values() if point.exclusive is exclusive]
            for exclusive in (True, False)
        )
        known = [seconds for seconds in [*alone, *others] if seconds is not None]
        if not known:
            self._left_s = None
            return
        usual = statistics.fmean(known)
        in_turn = _total(alone, usual) if self._at_once else _total(alone, usual) / self._parallel()
        self._left_s = in_turn + _total(others, usual) / self._parallel()

    def _parallel(self) -> float:
        if self._at_once is not None:
            return max(1, min(self._at_once, len(self._open)))
        passed = self._clock() - self._started
        return max(1.0, sum(self._seconds[()]) / passed) if passed > 0 else 1.0

    def _expected_s(self, point: Point) -> float | None:
        for likeness in _likenesses(point):
            if likeness in self._usual_s:
                return self._usual_s[likeness]
        return None if point.config is None else point.config.budget.seconds


def _likenesses(point: Point) -> list[_Likeness]:
    frames = point.words[point.words.index("--frames") + 1] if "--frames" in point.words else ""
    whole = (point.words[0], point.model, frames)
    return [whole[:length] for length in (3, 2, 1, 0)]


def _total(durations_s: Sequence[float | None], usual_s: float) -> float:
    return sum(usual_s if duration_s is None else duration_s for duration_s in durations_s)
