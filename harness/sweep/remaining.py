"""How far a sweep is, by time: from the durations of its points that have ended, of the like of each where known."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.sweep.point import Point

#: While anything is left.
_ALMOST = 0.99
#: What points have in common, from much to little.
_Likeness = tuple[str, ...]


@dataclass(frozen=True)
class _Kind:
    """What is expected of all points of one kind is the same: a sweep has many points, and few kinds."""

    likeness: _Likeness
    alone: bool
    budget_s: float | None


class Remaining:
    """Of ``points``, none of which has ended. ``at_once`` of them are worked on at a time; None: as it turns out."""

    def __init__(
        self, points: Iterable[Point], at_once: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kinds = {point.id: _kind(point) for point in points}
        self._open = Counter(self._kinds.values())
        self._at_once, self._clock = at_once, clock
        self._started = self._counted_at = clock()
        self._seconds: dict[_Likeness, float] = defaultdict(float)
        self._ended: Counter[_Likeness] = Counter()
        self._left_s: float | None = None
        self._count()

    def ended(self, point_id: str, seconds: float | None) -> None:
        """A point has; ``seconds`` that it took, None where that says nothing of others."""
        kind = self._kinds.pop(point_id)
        self._open -= Counter([kind])
        if seconds is not None:
            for likeness in _likenesses(kind):
                self._seconds[likeness] += seconds
                self._ended[likeness] += 1
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
        count = len(self._kinds)
        return f"{count} running or waiting" if self._at_once is None else f"{min(count, self._at_once)} running"

    def _count(self) -> None:
        """Anew after each end; from then on the time that is left goes down by itself."""
        self._counted_at = self._clock()
        expected = {kind: self._expected_s(kind) for kind in self._open}
        known = {kind: seconds for kind, seconds in expected.items() if seconds is not None}
        if not known:
            self._left_s = None
            return
        known_s = sum(seconds * self._open[kind] for kind, seconds in known.items())
        usual_s = known_s / sum(self._open[kind] for kind in known)
        alone_s, others_s = (
            sum(known.get(kind, usual_s) * count for kind, count in self._open.items() if kind.alone is alone)
            for alone in (True, False)
        )
        self._left_s = (alone_s if self._at_once else alone_s / self._parallel()) + others_s / self._parallel()

    def _parallel(self) -> float:
        if self._at_once is not None:
            return max(1, min(self._at_once, len(self._kinds)))
        passed = self._clock() - self._started
        return max(1.0, self._seconds[()] / passed) if passed > 0 else 1.0

    def _expected_s(self, kind: _Kind) -> float | None:
        for likeness in _likenesses(kind):
            if self._ended[likeness]:
                return self._seconds[likeness] / self._ended[likeness]
        return kind.budget_s


def _kind(point: Point) -> _Kind:
    frames = point.words[point.words.index("--frames") + 1] if "--frames" in point.words else ""
    budget_s = None if point.config is None else point.config.budget.seconds
    return _Kind((point.words[0], point.model, frames), point.exclusive, budget_s)


def _likenesses(kind: _Kind) -> list[_Likeness]:
    return [kind.likeness[:length] for length in (3, 2, 1, 0)]
