"""List scheduling against schedules by hand, and against the best of all assignments within its proven bounds."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.sweep import makespan

DURATIONS = st.lists(st.integers(0, 50), min_size=1, max_size=6)


def test_the_next_point_starts_where_a_slot_is_free_first() -> None:
    # Slot 1: 4, then 3; slot 2: 1, 2, 5.
    found = makespan.in_order([4, 1, 2, 5, 3], slots=2)
    assert (found.makespan_s, found.work_s, found.longest_s) == (8, 15, 5)
    assert found.bound_s == 7.5
    assert found.utilisation == 15 / 16


def test_the_longest_first_is_the_same_list_sorted() -> None:
    assert makespan.in_order([1, 1, 1, 1, 4], slots=2).makespan_s == 6
    assert makespan.longest_first([1, 1, 1, 1, 4], slots=2).makespan_s == 4


def test_grahams_worst_case_for_the_longest_first() -> None:
    """3, 3, 2, 2, 2 on two slots take 4/3 - 1/(3m) = 7/6 of the best possible."""
    assert makespan.longest_first([3, 3, 2, 2, 2], slots=2).makespan_s == 7
    assert best([3, 3, 2, 2, 2], 2) == 6


def test_more_slots_than_points_end_with_the_longest() -> None:
    found = makespan.in_order([2, 7, 3], slots=1000)
    assert (found.makespan_s, found.bound_s, found.useful_slots) == (7, 7, 2)


def test_the_overhead_of_each_point_is_waited_for_and_is_no_work() -> None:
    found = makespan.in_order([10, 10, 10, 10], slots=2, overhead_s=5)
    assert (found.makespan_s, found.work_s) == (30, 40)
    assert found.utilisation == 40 / 60


def test_a_wide_point_waits_until_there_are_slots_for_it_and_is_not_overtaken() -> None:
    # Two slots: 3 beside 1, then a pair of 2 from 3 to 5, then 1 beside nothing.
    found = makespan.in_order([3, 1, 2, 1], slots=2, widths=[1, 1, 2, 1])
    assert (found.makespan_s, found.work_s, found.bound_s) == (6, 9, 4.5)


def test_the_longest_first_takes_its_width_along() -> None:
    found = makespan.longest_first([1, 5, 2], slots=2, widths=[1, 2, 1])
    assert (found.makespan_s, found.work_s) == (7, 13)


def test_a_point_wider_than_all_slots_is_refused() -> None:
    with pytest.raises(BadInput, match="takes 3 slots at once, and there are 2"):
        makespan.in_order([1.0], slots=2, widths=[3])


def test_nothing_to_do_takes_no_time() -> None:
    found = makespan.in_order([], slots=8)
    assert (found.makespan_s, found.bound_s, found.utilisation, found.useful_slots) == (0, 0, 0, 1)


@pytest.mark.parametrize("duration_s", [-1.0, math.inf, math.nan])
def test_what_cannot_be_scheduled_is_refused(duration_s: float) -> None:
    with pytest.raises(BadInput, match="cannot be scheduled"):
        makespan.in_order([duration_s], slots=1)


def test_no_slot_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one"):
        makespan.longest_first([1.0], slots=0)


@given(DURATIONS, st.integers(1, 3))
def test_the_bounds_hold_for_any_list(durations: list[int], slots: int) -> None:
    listed, sorted_ = makespan.in_order(durations, slots), makespan.longest_first(durations, slots)
    optimum = best(durations, slots)
    assert listed.bound_s <= optimum
    assert optimum <= sorted_.makespan_s <= optimum * (4 / 3 - 1 / (3 * slots)) + 1e-9
    assert optimum <= listed.makespan_s <= optimum * (2 - 1 / slots) + 1e-9
    assert 0 <= listed.utilisation <= 1


def best(durations: list[int], slots: int) -> int:
    """The shortest makespan of all, by every assignment of points to slots."""
    return min(
        int(makespan_of(assignment, durations, slots))
        for assignment in itertools.product(range(slots), repeat=len(durations))
    )


def makespan_of(assignment: tuple[int, ...], durations: list[int], slots: int) -> int:
    return max(
        sum(duration for slot, duration in zip(assignment, durations, strict=True) if slot == s) for s in range(slots)
    )
