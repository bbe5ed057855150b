"""Bubbles: their areas and the front that nothing beats."""

from __future__ import annotations

from harness.reporting import bubbles
from harness.reporting.bubbles import Bubble


def bubble(title: str, cost: float, p1_mm: float) -> Bubble:
    return Bubble(title, cost, p1_mm, None, 1e6, bubbles.area(1e6, 2e6), "#0072b2", "o")


def test_the_area_is_the_number_of_parameters() -> None:
    assert bubbles.area(1e6, 4e6) * 4 == bubbles.area(4e6, 4e6)


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    shown = [bubble("cheap", 1, 70), bubble("beaten", 2, 71), bubble("better", 3, 60), bubble("dearer, as good", 4, 60)]
    assert [one.title for one in bubbles.front(shown)] == ["cheap", "better"]


def test_what_is_not_below_the_best_floor_is_never_on_the_front() -> None:
    shown = [bubble("untrained", 1, 140), bubble("as good as the floor", 2, 115), bubble("trained", 3, 90)]
    assert [one.title for one in bubbles.front(shown, 115)] == ["trained"]
    assert [one.title for one in bubbles.front(shown)] == ["untrained", "as good as the floor", "trained"]
