"""Quantities are printed with the digits that are worth reading."""

from __future__ import annotations

import pytest

from harness import quantity


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (None, "–"), (0, "0"), (12, "12"), (999, "999"), (1_470_211, "1.47 M"), (167_235, "167 k"), (30.4e6, "30.4 M"),
        (7_378_957_440, "7.38 G"), (999_999, "1.00 M"), (9_996, "10.0 k"), (99_960, "100 k"), (2.5e12, "2.50 T"),
    ],
)  # fmt: skip
def test_prefixed(value: float | None, printed: str) -> None:
    assert quantity.prefixed(value) == printed


@pytest.mark.parametrize(
    ("value", "printed"), [(None, "–"), (21400.3, "21,400"), (99.6, "100"), (61.04, "61.0"), (0.72, "0.7")]
)
def test_speed(value: float | None, printed: str) -> None:
    assert quantity.speed(value) == printed


@pytest.mark.parametrize(
    ("value", "printed"), [(2e6, "2 M"), (1.05e6, "1.05 M"), (0.5, "0.5"), (0.001, "0.001"), (10, "10"), (5e10, "50 G")]
)
def test_tick(value: float, printed: str) -> None:
    assert quantity.tick(value) == printed


def test_spread_is_shown_only_where_there_is_one() -> None:
    assert quantity.with_spread(61.84, 0.449) == "61.8 ± 0.4"
    assert quantity.with_spread(61.84, None) == "61.8"
    assert quantity.with_spread(None, None) == "–"


def test_small_probabilities_are_bounded_not_zero() -> None:
    assert quantity.probability(0.0004) == "=\u00a00.0004"
    assert quantity.probability(0.00001) == "<\u00a00.0001"


def test_a_rise_has_a_plus() -> None:
    assert [quantity.change(value) for value in (0.51, 0.04, 0.0, -0.01, -0.51)] == [
        "+0.5",
        "0.0",
        "0.0",
        "0.0",
        "−0.5",
    ]


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (None, "–"),
        (0.36631, "0.366"),
        (0.0467, "0.0467"),
        (1.2, "1.20"),
        (12.34, "12.3"),
        (123.4, "123"),
        (999.6, "1,000"),
    ],
)
def test_three_digits(value: float | None, printed: str) -> None:
    assert quantity.three_digits(value) == printed


def test_zero_has_no_sign() -> None:
    assert [quantity.signed(value) for value in (-0.51, -0.01, -0.0, 0.04, 1.26)] == [
        "−0.5",
        "0.0",
        "0.0",
        "0.0",
        "1.3",
    ]
