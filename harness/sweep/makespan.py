"""How long a list of points takes on slots that work at once, and what no order of them can beat.

List scheduling: the next point of the list starts wherever a slot is free first. Whatever the order, it ends within
2 - 1/m of the best possible on m slots; with the longest points first within 4/3 - 1/(3m) (R. L. Graham, Bounds on
multiprocessing timing anomalies, SIAM Journal on Applied Mathematics 17, 1969).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import BadInput


@dataclass(frozen=True)
class Schedule:
    """Of points on ``slots`` slots, all in seconds.

    makespan_s   from the start of the first point to the end of the last one
    work_s       of all points, times the slots that each takes
    longest_s    the longest one
    """

    slots: int
    makespan_s: float
    work_s: float
    longest_s: float

    @property
    def bound_s(self) -> float:
        """No schedule is shorter: all slots busy to the end, or the longest point by itself."""
        return max(self.work_s / self.slots, self.longest_s)

    @property
    def utilisation(self) -> float:
        """Share of the slots' time until the end in which they work; 0 where there is nothing to do."""
        return self.work_s / (self.slots * self.makespan_s) if self.makespan_s else 0.0

    @property
    def useful_slots(self) -> int:
        """With more slots than these the longest point alone is the bound."""
        return max(1, math.ceil(self.work_s / self.longest_s)) if self.longest_s else 1


def in_order(
    durations_s: Sequence[float], slots: int, *, widths: Sequence[int] | None = None, overhead_s: float = 0.0
) -> Schedule:
    """Points as they are listed: each starts as soon as there are slots for it, and none overtakes another.

    ``widths`` are the slots that each takes at once (None: one). ``overhead_s`` is what its slots wait for each point
    beside its duration. Raises BadInput for fewer than one slot, for a point wider than all of them, and for a duration
    that is negative or not finite.
    """
    widths = [1] * len(durations_s) if widths is None else widths
    if slots < 1:
        raise BadInput(f"{slots} slots: there must be at least one")
    free_s = [0.0] * min(slots, max(sum(widths), 1))
    for duration_s, width in zip(durations_s, widths, strict=True):
        _require_fitting(duration_s, width, slots)
        taken_s = [heapq.heappop(free_s) for _ in range(width)]
        for _ in taken_s:
            heapq.heappush(free_s, taken_s[-1] + overhead_s + duration_s)
    work_s = math.fsum(width * duration_s for duration_s, width in zip(durations_s, widths, strict=True))
    return Schedule(slots, max(free_s), work_s, max(durations_s, default=0.0))


def _require_fitting(duration_s: float, width: int, slots: int) -> None:
    if not 0 <= duration_s < math.inf:
        raise BadInput(f"a point of {duration_s} seconds cannot be scheduled; it must be finite and not negative")
    if not 1 <= width <= slots:
        raise BadInput(f"a point takes {width} slots at once, and there are {slots}")


def longest_first(
    durations_s: Sequence[float], slots: int, *, widths: Sequence[int] | None = None, overhead_s: float = 0.0
) -> Schedule:
    """The same with the points sorted, the longest first."""
    order = sorted(range(len(durations_s)), key=lambda number: -durations_s[number])
    sorted_widths = None if widths is None else [widths[number] for number in order]
    return in_order([durations_s[number] for number in order], slots, widths=sorted_widths, overhead_s=overhead_s)
