"""Names that are markup, formulas or orders to a terminal, in every text that a results folder can hold.

Names come from other people's files: of sequences and actions, of models and options, and so do errors that quote them.
Wherever they are shown they are text.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from harness import cli
from harness.printable import encodable
from harness.store import traces as trace_file
from harness.store.store import Store
from harness.traces import ErrorCurve, Excerpt, Traces
from tests.faults.test_bad_inputs import Capture, refused
from tests.harness.cli.command import harness
from tests.harness.reporting import records
from tests.harness.reporting.test_report import Page

#: A formula, the end of a script, an element that runs one, an entity, what clears a terminal and turns text round, and
#: a byte of a name in another encoding, as Python has it.
HOSTILE = "=1+1</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\x1b[2J\x9b31m\u202e\udcf6"
#: The other beginnings of a formula.
FORMULAS = ("-2+3", "+2+3", "@SUM(1)")
#: Of a vocabulary of the harness's own, which decides what is shown at all.
_WORDS = {"status", "verdict", "long", "short"}
#: Whose names are free.
_FREE = {"options", "per_action", "by_operator", "uncounted", "macs_fvcore", "packages", "environment", "recipe"}
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


def spoiled(value: Any, number: Iterator[int], above: str = "") -> Any:
    """Every text in ``value``, and every name that is free, made hostile and told apart by a number."""
    if isinstance(value, dict):
        return {
            f"{HOSTILE}{name}" if above in _FREE else name: spoiled(entry, number, name)
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [spoiled(entry, number, above) for entry in value]
    return f"{HOSTILE}{next(number)}" if isinstance(value, str) and above not in _WORDS else value


def hostile(record: dict[str, Any], model: str) -> dict[str, Any]:
    if "signature" in record:
        record["signature"]["long"] = record["signature"]["long"].replace("motion", HOSTILE)
    sequences = record.get("accuracy", {}).pop("per_sequence", [])
    record["config"]["options"] = {"depth": 1}
    # Of one test set and one configuration all runs say the same.
    same = {name: spoiled(record.pop(name), itertools.count(), name) for name in ("data", "config", "environment")}
    whole = spoiled(record, itertools.count(1000))
    for row in sequences:
        row |= {name: f"{HOSTILE}{row[name]}" for name in ("sequence", "take", "action")}
    if sequences:
        whole["accuracy"]["per_sequence"] = sequences
    return {**whole, **same, "id": f"{HOSTILE}{model}", "config": {**same["config"], "model": f"{HOSTILE}{model}"}}


def kept(folder: Path, record: dict[str, Any]) -> dict[str, str]:
    rows = record["accuracy"]["per_sequence"][:3]
    poses = np.zeros((5, 17, 3), np.float32) + np.arange(17, dtype=np.float32)[:, None]
    curves = [ErrorCurve(row["sequence"], row["take"], row["action"], 0.5, np.ones(4, np.float32)) for row in rows]
    excerpts = [Excerpt(row["sequence"], row["take"], row["action"], "worst", 0.0, 10.0, poses, poses) for row in rows]
    sha256 = trace_file.save(folder / "runs" / "one" / "traces.npz", Traces(tuple(curves), tuple(excerpts)))
    return {"path": "runs/one/traces.npz", "sha256": sha256}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    models = ("posemamba-xs", "posemamba-s")
    runs = [hostile(records.record(model), model) for model in models]
    runs[0]["traces"] = kept(folder, runs[0])
    runs.append(hostile(records.failed("dstformer-lite", 0, "oom", "no memory"), "dstformer-lite"))
    for number, formula in enumerate(FORMULAS, start=1):
        runs.append(records.failed("dstformer-lite", number, "oom", "no memory"))
        runs[-1]["error"] = f"{formula}{HOSTILE}"
    for run in runs:
        Store(folder).append(run)
    (folder / "about.txt").write_text(f"Made by {encodable(HOSTILE)}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def said(store: Path) -> str:
    """What making the whole report printed, on both streams."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as ended:
        cli.main(["compare", "report", "--results", str(store), "--out", str(store / "report")])
    assert ended.value.code == 0, out.getvalue()
    return out.getvalue()


@pytest.mark.usefixtures("said")
def test_the_page_has_no_element_or_script_of_theirs(store: Path) -> None:
    source = (store / "report" / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    # The page's own two, and the data of the viewer.
    assert source.count("<script") == page.tags["script"] == 3
    assert page.tags["img"] == 0
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not _OBEYED.search(source)
    shown = HOSTILE.translate({0x1B: "\\x1b", 0x9B: "\\x9b", 0x202E: "\\u202e", 0xDCF6: "\\udcf6"})
    assert page.text.count(shown) > 100
    assert f"Made by {shown}" in page.text
    policy = dict(page.attributes)["content"] or ""
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]


@pytest.mark.usefixtures("said")
def test_markdown_has_no_markup_of_theirs(store: Path) -> None:
    text = (store / "report" / "table.md").read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    kinds = {child.type for token in tokens for child in (token, *(token.children or []))}
    assert not {kind for kind in kinds if kind.startswith(("html", "link", "image"))}
    assert "alert(1)" in text
    assert not _OBEYED.search(text)


@pytest.mark.usefixtures("said")
def test_latex_has_no_command_of_theirs(store: Path) -> None:
    text = (store / "report" / "table.tex").read_text(encoding="utf-8")
    assert r"\textless{}script\textgreater{}" in text
    assert not re.search(r"(?<!\\)&amp;|<|>", text)
    assert not _OBEYED.search(text)


@pytest.mark.usefixtures("said")
def test_spreadsheets_get_no_formula(store: Path, capsys: Capture) -> None:
    # A table of the store itself is exact: it holds what UTF-8 can.
    assert "\\udcf6" in refused("export", "csv", "--results", store, capsys=capsys)
    held = store / "held"
    held.mkdir()
    Store(held).path.write_bytes(Store(store).path.read_bytes().replace(rb"\udcf6", b""))
    code, exported, _ = harness("export", "csv", "--results", held, capsys=capsys)
    assert code == 0
    table = (store / "report" / "table.csv").read_text(encoding="utf-8")
    for text in (table, exported):
        rows = list(csv.reader(text.splitlines()))
        cells = [cell for row in rows[1:] for cell in row]
        assert sum(cell.startswith("'=1+1") for cell in cells) >= 3
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@")) and not is_number(cell)]
    assert all(f"'{formula}" in exported for formula in FORMULAS)


def is_number(cell: str) -> bool:
    with contextlib.suppress(ValueError):
        float(cell)
        return True
    return False


def test_a_terminal_gets_no_orders(store: Path, said: str, capsys: Capture) -> None:
    _, listed, _ = harness("list", "runs", "--results", store, capsys=capsys)
    _, _, refusal = harness("compare", "runs", "nothing", "posemamba-s", "--results", store, capsys=capsys)
    for text in (said, listed, refusal):
        assert not _OBEYED.search(text)
    assert "\\x1b[2J" in listed


@pytest.mark.usefixtures("said")
def test_every_file_lies_where_it_should_under_a_plain_name(store: Path) -> None:
    written = [path.relative_to(store / "report") for path in (store / "report").rglob("*") if path.is_file()]
    assert len(written) > 10
    assert {path.parent.as_posix() for path in written} == {".", "figures"}
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", path.name) for path in written)
