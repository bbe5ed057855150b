"""A table of strings."""

from __future__ import annotations

import pytest

from harness.reporting.grid import WIDTH, Grid, Heading

HEADINGS = (Heading("model", number=False), Heading("latency", "ms"), Heading("verdict", number=False))
GRID = Grid("Points", HEADINGS, (("a", "1.5", "STABLE"), ("bcd", "12.5", "oom")), ("the first note",))


def test_text() -> None:
    assert GRID.to_text().splitlines() == [
        "Points",
        "",
        "model         latency  verdict",
        "                   ms",
        "------------  -------  -------",
        "a                 1.5  STABLE",
        "bcd              12.5  oom",
        "",
        "* the first note",
    ]


def test_markdown() -> None:
    assert GRID.to_markdown().splitlines() == [
        "**Points**",
        "",
        "| model | latency ms | verdict |",
        "| :--- | ---: | :--- |",
        "| a | 1.5 | STABLE |",
        "| bcd | 12.5 | oom |",
        "",
        "* the first note",
    ]


def test_a_line_of_units_is_there_only_with_units() -> None:
    grid = Grid("Points", (Heading("model", number=False), Heading("T")), (("a", "9"),))
    assert grid.to_text().splitlines()[2:] == ["model         T", "------------  -", "a             9"]


def test_a_long_first_column_wraps_and_so_do_notes() -> None:
    grid = Grid("Points", HEADINGS, (("word " * 60, "1.5", "STABLE"),), ("note " * 60,))
    lines = grid.to_text().splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(lines).count("word") == 60
    assert " ".join(lines).count("note") == 60


def test_markdown_escapes_what_would_break_it() -> None:
    grid = Grid("a<b", HEADINGS, (("a|b<script>\nc", "1", "\\"),))
    assert grid.to_markdown().splitlines()[-1] == r"| a\|b&lt;script> c | 1 | \\ |"
    assert grid.to_markdown().startswith("**a&lt;b**")


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("+2.0 ***", r"+2.0 \*\*\*"), ("`x`", r"\`x\`"), ("$x$", r"\$x\$"), ("[a](b)", r"[a\](b)"),
        ("[1, 2]", "[1, 2]"), ("a_b", "a_b"), ("_a_ __b__", r"\_a\_ \_\_b\_\_"), ("~~a~~", r"\~~a\~~"),
        ("a & b", "a & b"), ("&lt;", "&amp;lt;"),
    ],
)  # fmt: skip
def test_markup_prints_as_it_reads(plain: str, escaped: str) -> None:
    grid = Grid("", (Heading("model"),), ((plain,),), (plain,))
    assert grid.to_markdown().splitlines()[2:] == [f"| {escaped} |", "", f"* {escaped}"]


def test_the_best_figure_is_bold_in_markdown_and_plain_in_text() -> None:
    grid = Grid("", HEADINGS, (("a*", "1.5", ""), ("b", "2.5", "")), strong=frozenset({(0, 0), (0, 1), (0, 2)}))
    assert grid.to_markdown().splitlines()[2:] == [r"| **a\*** | **1.5** |  |", "| b | 2.5 |  |"]
    assert "**" not in grid.to_text()
