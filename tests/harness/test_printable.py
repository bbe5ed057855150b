from __future__ import annotations

import pytest

from harness.printable import encodable, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nof two lines", "plain\ttext\nof two lines"),
        ("Sjö, 漢, 🙂, − ± ³", "Sjö, 漢, 🙂, − ± ³"),
        ("\x1b[2J\x07\r\x00", "\\x1b[2J\\x07\\x0d\\x00"),
        ("\x7f\x85\x9b31m", "\\x7f\\x85\\x9b31m"),
        ("evil\u202egnp.exe\u2066", "evil\\u202egnp.exe\\u2066"),
        ("gr\udcf6\ud83d.pt", "gr\\udcf6\\ud83d.pt"),
    ],
)
def test_only_what_a_terminal_obeys_is_spelled(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_what_utf8_cannot_hold_is_spelled_in_files_too() -> None:
    assert encodable("gr\udcf6\x1b🙂") == "gr\\udcf6\x1b🙂"
