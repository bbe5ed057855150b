"""When a difference is called one, the marks that say so in a table, and which tests can come out at all."""

from __future__ import annotations

from collections.abc import Sequence

#: A difference with a larger p-value is not called one.
SIGNIFICANCE = 0.05
#: Marks of a p-value below each bound, the smallest bound first.
_MARKS = ((0.001, "***"), (0.01, "**"), (SIGNIFICANCE, "*"))
MARKS_IN_WORDS = "* p < 0.05, ** p < 0.01, *** p < 0.001"
#: In place of the marks where other training seeds may reverse what the takes are sure of.
REVERSIBLE = "~"


def marks(p_value: float) -> str:
    """``"***"`` for a p-value below 0.001, ``""`` for one of 0.05 or more."""
    return next((mark for bound, mark in _MARKS if p_value < bound), "")


def fewest_takes(takes: Sequence[int]) -> int | None:
    """How many takes a test needs at the least for a difference to show, where those with as many are made together.

    ``takes`` has the number of each test that might be made. Flipping the signs of n takes gives no two-sided p-value
    below 2 / 2^n, which Holm's correction multiplies by the number of tests made. None where no test can come out.
    """
    for fewest in sorted(set(takes)):
        if 2.0 ** (1 - fewest) * sum(number >= fewest for number in takes) < SIGNIFICANCE:
            return fewest
    return None
