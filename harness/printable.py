"""Text from files as a terminal may show it: what would move its cursor, recolour it or turn letters round is spelled.

A name in a data set, or an error that quotes one, can hold any character; an escape sequence would be obeyed.
"""

from __future__ import annotations

import re

#: Control characters but tab and line feed, and what turns the direction of writing, so that a text reads as another.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """``text`` with every such character spelled out, ``\\x1b`` for escape."""
    return _OBEYED.sub(lambda found: _spelled(ord(found[0])), text)


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
