"""Names at the left: wrapped, shortened and measured."""

from __future__ import annotations

import pytest

from harness.reporting import row_labels


def test_both_ends_of_a_long_name_are_kept() -> None:
    assert row_labels.shortened("short", 10) == "short"
    assert row_labels.shortened("abcdefghijklmno", 7) == "abc…mno"
    assert len(row_labels.shortened("x" * 99, 20)) == 20


def test_the_widest_line_counts() -> None:
    assert row_labels.width(["a\nbbbb", "cc"]) == pytest.approx(row_labels.width(["bbbb"]))
    assert row_labels.width([]) == 0
    assert row_labels.lines(row_labels.wrapped("one two three four", 9)) == 3
    assert row_labels.wrapped("") == ""
