from __future__ import annotations

from typing import Any

import pytest

from harness.spreadsheet import inert


@pytest.mark.parametrize("text", ["=1+1", "+SUM(A1)", "-2+3", "@A1", "\t=1", "\r=1", "＝1", "-", "=", "- none"])
def test_a_formula_is_a_text(text: str) -> None:
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize(
    "value", ["", "posemamba-xs", "a=1", "-1", "+1.5e3", "-inf", "−2", "'=1", -1, -0.5, None, True]
)
def test_anything_else_is_what_it_was(value: Any) -> None:
    assert inert(value) == value


def test_no_spreadsheet_reads_what_is_no_character() -> None:
    assert inert("=gr\udcf6") == "'=gr\\udcf6"
