"""Options of a model against a config dataclass made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from harness import options
from harness.errors import BadInput


@dataclass(frozen=True)
class Config:
    depth: int = 10
    rate: float = 0.5
    gated: bool = True
    scan: Literal["one", "two"] = "one"
    name: str = "x"
    limit: int | None = None
    strides: tuple[int, ...] | None = None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"depth": "8"}, {"depth": 8}),
        ({"depth": 8}, {"depth": 8}),
        ({"rate": "0.25"}, {"rate": 0.25}),
        ({"rate": 1}, {"rate": 1.0}),
        ({"gated": "no"}, {"gated": False}),
        ({"gated": True}, {"gated": True}),
        ({"scan": "two"}, {"scan": "two"}),
        ({"name": "8"}, {"name": "8"}),
        ({"limit": "none"}, {"limit": None}),
        ({"limit": "3"}, {"limit": 3}),
        ({"strides": "3,3,9"}, {"strides": (3, 3, 9)}),
        ({"strides": "[3, 9]"}, {"strides": (3, 9)}),
        ({"strides": [3, 9]}, {"strides": (3, 9)}),
        ({"strides": None}, {"strides": None}),
    ],
)
def test_text_becomes_the_field_s_type(given: dict[str, object], expected: dict[str, object]) -> None:
    assert options.parse(Config(), given, "model") == expected


def test_unknown_option_names_the_nearest_and_its_value() -> None:
    with pytest.raises(
        BadInput, match=r"no such option 'dephth' for model\. Did you mean: depth\?.*depth \(int, now 10\)"
    ):
        options.parse(Config(), {"dephth": "8"}, "model")


@pytest.mark.parametrize("text", ["eight", "8.5", "", "nan"])
def test_a_depth_that_is_no_whole_number(text: str) -> None:
    with pytest.raises(BadInput, match="option depth wants an int"):
        options.parse(Config(), {"depth": text}, "model")


@pytest.mark.parametrize("given", ["3,x", "", [], 3, ["a"]])
def test_strides_that_are_no_whole_numbers(given: object) -> None:
    with pytest.raises(BadInput, match=r"option strides wants an int,…, got"):
        options.parse(Config(), {"strides": given}, "model")


def test_pairs() -> None:
    assert options.split(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(BadInput, match="expected name=value"):
        options.split(["depth"])
    with pytest.raises(BadInput, match="given twice"):
        options.split(["a=1", "a=2"])


def test_third_party_values_are_guessed() -> None:
    assert options.guess({"a": "3", "b": "0.5", "c": "true", "d": "word", "e": 7}) == {
        "a": 3, "b": 0.5, "c": True, "d": "word", "e": 7,
    }  # fmt: skip
