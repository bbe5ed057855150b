"""A sheet as CSV (RFC 4180, with line feeds): UTF-8, one heading, nothing for null and ``""`` for an empty text.

Numbers are written so that reading them gives the same 64-bit number; truth values are ``true`` and ``false``. A text
that a spreadsheet would take for a formula begins with an apostrophe here; JSON lines and Parquet have it as it is.
"""

from __future__ import annotations

from typing import Any

from harness.exporting.sheet import Sheet
from harness.spreadsheet import inert
from harness.store.schema import NUMBER, TEXT, YES_NO

_QUOTED = (",", '"', "\n", "\r")


def csv_text(sheet: Sheet) -> str:
    """Heading and rows, each with a line feed at its end."""
    kinds = [column.kind for column in sheet.columns]
    lines = [",".join(_text(column.name) for column in sheet.columns)]
    lines += (",".join(_cell(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in sheet.rows)
    return "".join(f"{line}\n" for line in lines)


def _cell(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind == TEXT:
        return _text(value)
    if kind == YES_NO:
        return "true" if value else "false"
    return repr(value) if kind == NUMBER else str(value)


def _text(text: str) -> str:
    text = inert(text)
    is_plain = text and not any(mark in text for mark in _QUOTED) and text == text.strip()
    return text if is_plain else '"' + text.replace('"', '""') + '"'
