"""Student's t against scipy's."""

from __future__ import annotations

import pytest
from scipy import stats

from harness.complexity import student


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 6, 9, 10, 27, 200])
def test_quantile_is_that_of_scipy(freedom: int, confidence: float) -> None:
    expected = stats.t.ppf((1 + confidence) / 2, freedom)
    assert student.quantile(confidence, freedom) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("freedom", [1, 2, 5, 8])
def test_probability_is_that_of_scipy(freedom: int) -> None:
    assert student.within(1.7, freedom) == pytest.approx(2 * stats.t.cdf(1.7, freedom) - 1, rel=1e-12)


@pytest.mark.parametrize(("confidence", "freedom"), [(0.95, 0), (1.0, 3), (0.0, 3)])
def test_what_has_no_quantile_is_refused(confidence: float, freedom: int) -> None:
    with pytest.raises(ValueError, match="no such interval"):
        student.quantile(confidence, freedom)
