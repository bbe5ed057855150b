"""Text from files as a terminal may show it: what would move its cursor, recolour it or turn letters round is spelled.

A name in a data set, or an error that quotes one, can hold any character; an escape sequence would be obeyed. And a
file's name in another encoding holds what is no character at all: Python keeps such bytes as lone surrogates, which no
text in UTF-8 can.
"""

from __future__ import annotations

import re
from typing import TypeVar

_Value = TypeVar("_Value")

#: Control characters but tab and line feed, what turns the direction of writing, so that a text reads as another, and
#: lone surrogates.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """``text`` with every such character spelled out, ``\\x1b`` for escape."""
    return _OBEYED.sub(lambda found: _spelled(ord(found[0])), text)


def encodable(value: _Value) -> _Value | str:
    """``value``, of a text with lone surrogates spelled as above and nothing else: for files that a program reads."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
