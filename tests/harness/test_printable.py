from __future__ import annotations

import pytest

from harness.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nof two lines", "plain\ttext\nof two lines"),
        ("Sjö, 漢, 🙂, − ± ³", "Sjö, 漢, 🙂, − ± ³"),
        ("\x1b[2J\x07\r\x00", "\\x1b[2J\\x07\\x0d\\x00"),
        ("\x7f\x85\x9b31m", "\\x7f\\x85\\x9b31m"),
        ("evil\u202egnp.exe\u2066", "evil\\u202egnp.exe\\u2066"),
    ],
)
def test_only_what_a_terminal_obeys_is_spelled(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
