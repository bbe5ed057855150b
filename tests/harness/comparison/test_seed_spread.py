"""What training seeds alone make of a difference."""

from __future__ import annotations

import math

import pytest

from harness.comparison.seed_spread import SeedSpread


def test_the_margin_is_welchs() -> None:
    """Variances 1 and 4 over three seeds: 100/34 = 2.94 degrees of freedom, so 2, and t = 4.303."""
    spread = SeedSpread((9.0, 10.0, 11.0), (18.0, 20.0, 22.0))
    assert spread.standard_error_mm == pytest.approx(math.sqrt(1 / 3 + 4 / 3))
    assert spread.margin_mm == pytest.approx(4.302653 * math.sqrt(5 / 3), rel=1e-6)
    assert spread.difference_mm == -10


def test_equal_spreads_have_all_degrees_of_freedom() -> None:
    spread = SeedSpread((9.0, 10.0, 11.0), (10.0, 11.0, 12.0))
    assert spread.margin_mm == pytest.approx(2.776445 * math.sqrt(2 / 3), rel=1e-6)


@pytest.mark.parametrize(("apart_mm", "may_reverse"), [(2.2, True), (2.3, False), (-2.2, True), (-2.3, False)])
def test_a_difference_within_the_margin_may_be_reversed(apart_mm: float, may_reverse: bool) -> None:
    spread = SeedSpread((9.0, 10.0, 11.0), tuple(value + apart_mm for value in (9.0, 10.0, 11.0)))
    assert spread.may_reverse is may_reverse
    assert "the seeds overlap: another training may reverse it (standard error over seeds 0.8 mm)" in spread.warning()


def test_few_seeds_tell_nothing_and_equal_ones_everything() -> None:
    few = SeedSpread((9.0, 10.0), (9.0, 10.0, 11.0))
    assert (few.standard_error_mm, few.margin_mm, few.may_reverse) == (None, None, False)
    same = SeedSpread((9.0,) * 3, (10.0,) * 3)
    assert (same.margin_mm, same.may_reverse) == (0, False)
