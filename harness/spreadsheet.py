"""Cells of a CSV as a spreadsheet may open them: a text that it would take for a formula stays a text."""

from __future__ import annotations

from typing import TypeVar

_Value = TypeVar("_Value")

#: What spreadsheets take for the beginning of a formula, in the letters of East Asian keyboards too.
_FORMULA = tuple("=+-@\t\r＝＋－＠")


def inert(value: _Value) -> _Value | str:
    """``value``, with an apostrophe before a text that begins as a formula does and is no number."""
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
