"""The Markdown tables as a code host reads them: CommonMark with tables and strikethrough, by another's parser."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.comparison.group import group
from harness.reporting import grid, table
from harness.store.store import Store
from tests.harness.reporting import records

RESULTS = Path(__file__).parents[3] / "results"
COMMITTED = sorted(path.parent for path in RESULTS.glob("*/records.jsonl"))
#: What a run may be called, or say of itself, that is markup elsewhere.
HOSTILE = (
    "a|b", "a\\|b", "**bold**", "*slanted*", "__init__", "_slanted_", "`code`", "``code``", "~~gone~~", "&amp; &lt;",
    "<script>alert(1)</script>", "<!-- gone -->", "<b>", "[text](http://x.test)", "![image](http://x.test/y.png)",
    "[text][ref]", "# heading", "---", "> quote", "1. first", "back\\slash", "trailing\\", "$x_1$ and $x_2$", "$$y$$",
)  # fmt: skip
#: Of inline text: what markup would make of it.
_PLAIN = {"text", "softbreak", "text_special"}


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def shown(inline: Token) -> str:
    """What a reader sees of a line."""
    return "".join(" " if child.type == "softbreak" else child.content for child in inline.children or [])


def tables(tokens: list[Token]) -> list[list[list[Token]]]:
    """Table, row, cell."""
    found: list[list[list[Token]]] = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            assert after is not None
            found[-1][-1].append(after)
    return found


def require_rendered(stored: list[dict[str, Any]]) -> list[list[list[Token]]]:
    """Every table, and nothing of one elsewhere; every cell says what was put in. Returns the rendered tables."""
    tokens = parsed(table.markdown(group(stored)))
    rendered = tables(tokens)
    built = table.build(group(stored))
    assert len(rendered) == len(built)
    for rows, made in zip(rendered, built, strict=True):
        names = [f"{column.heading} {column.unit}".strip() for column in made.columns]
        assert [shown(cell) for cell in rows[0]] == names
        cells = [[" ".join(cell.split()) for cell in row] for row in made.cells()]
        assert [[shown(cell) for cell in row] for row in rows[1:]] == cells
    assert not [token for token in tokens if token.type in ("html_block", "heading_open", "hr", "blockquote_open")]
    return rendered


def list_items(text: str) -> list[Token]:
    tokens = parsed(text)
    return [tokens[place + 2] for place, token in enumerate(tokens) if token.type == "list_item_open"]


def code(text: str) -> list[str]:
    children = [child for token in parsed(text) for child in token.children or []]
    return [child.content for child in children if child.type == "code_inline"]


@pytest.mark.parametrize("folder", COMMITTED, ids=[folder.name for folder in COMMITTED])
def test_committed_runs(folder: Path) -> None:
    require_rendered(Store(folder).latest())


def test_groups_failures_and_floors() -> None:
    stored = [records.record(model, seed) for model in ("posemamba-xs", "posemamba-s") for seed in (0, 1, 2)]
    stored.append(records.record("motionagformer-s", detector="gt"))
    failed = {**records.record("dstformer-lite"), "status": "oom", "error": "out of memory", "accuracy": None}
    rendered = require_rendered([*stored, failed])
    assert len(rendered) >= 2
    assert {len(row) for row in rendered[0]} == {len(rendered[0][0])}


def test_numbers_stand_to_the_right() -> None:
    text = table.markdown(group([records.record("posemamba-xs"), records.record("posemamba-s")]))
    (built,) = table.build(group([records.record("posemamba-xs"), records.record("posemamba-s")]))
    sides = [token.attrGet("style") for token in parsed(text) if token.type == "th_open"]
    assert sides == [f"text-align:{'right' if column.number else 'left'}" for column in built.columns]


def test_bold_is_the_best_figure_alone() -> None:
    rendered = require_rendered([records.record("posemamba-xs"), records.record("posemamba-s")])
    bold = [
        (row, place)
        for row, cells in enumerate(rendered[0])
        for place, cell in enumerate(cells)
        if any(child.type == "strong_open" for child in cell.children or [])
    ]
    headings = [shown(cell) for cell in rendered[0][0]]
    assert (1, headings.index("P1 mm")) in bold
    assert {row for row, _ in bold} == {1}


def test_every_note_and_meaning_is_an_item_of_a_list() -> None:
    stored = [records.record("posemamba-xs"), records.record("posemamba-s")]
    (built,) = table.build(group(stored))
    meanings = [f"{column.heading}: {column.meaning}" for column in built.columns if column.meaning]
    items = [shown(item) for item in list_items(table.markdown(group(stored)))]
    assert items == [" ".join(line.split()) for line in (*built.legend, *built.notes, *meanings)]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_model_is_called_what_it_is_called(name: str) -> None:
    stored = [copy.deepcopy(records.record(model)) for model in ("posemamba-xs", "posemamba-s")]
    stored[0]["config"]["model"] = name
    rendered = require_rendered(stored)
    (cell,) = [row[0] for row in rendered[0] if shown(row[0]).startswith(" ".join(name.split()))]
    assert {child.type for child in cell.children or []} <= _PLAIN


@pytest.mark.parametrize("text", HOSTILE)
def test_an_error_or_warning_is_said_as_it_was_said(text: str) -> None:
    failed = {**records.record("dstformer-lite"), "status": "failed", "error": f"it said {text}", "accuracy": None}
    warned = {**records.record("posemamba-xs"), "warnings": [f"note {text}"]}
    said = table.markdown(group([failed, warned]))
    for expected in (f"it said {text}", f"note {text}"):
        (item,) = [item for item in list_items(said) if expected in shown(item)]
        assert {child.type for child in item.children or []} <= _PLAIN


@pytest.mark.parametrize("name", ["a`b", "`x`", "a``b", "```", "<b>", "*x*"])
def test_a_protocol_is_shown_as_code(name: str) -> None:
    stored = copy.deepcopy(records.record("posemamba-xs"))
    stored["signature"]["long"] = stored["signature"]["long"].replace("data:motion", f"data:{name}")
    assert f"data:{name}" in stored["signature"]["long"]
    (built,) = table.build(group([stored]))
    assert code(table.markdown(group([stored]))) == [built.heading]


@pytest.mark.parametrize("text", [*HOSTILE, "- item", "+ item", "2) second", "~~~", "    four spaces"])
def test_a_paragraph_is_quoted_as_it_stands(text: str) -> None:
    tokens = parsed(grid.quoted(text))
    assert [token.type for token in tokens] == [
        "blockquote_open", "paragraph_open", "inline", "paragraph_close", "blockquote_close",
    ]  # fmt: skip
    assert shown(tokens[2]) == " ".join(text.split())
    assert {child.type for child in tokens[2].children or []} <= _PLAIN
