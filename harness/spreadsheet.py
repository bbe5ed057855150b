"""Cells of a CSV as a spreadsheet may open them: a text that it would take for a formula stays a text."""

from __future__ import annotations

from typing import TypeVar

from harness.printable import encodable

_Value = TypeVar("_Value")

#: What spreadsheets take for the beginning of a formula, in the letters of East Asian keyboards too.
_FORMULA = tuple("=+-@\t\r＝＋－＠")


def inert(value: _Value) -> _Value | str:
    """``value``; a text can be written as UTF-8 then, and one that begins as a formula does and is no number has an
    apostrophe before it.
    """
    text = encodable(value)
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
