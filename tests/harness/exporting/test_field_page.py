from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.exporting.field_page import TRACE_ARRAYS, field_page
from harness.exporting.table import KINDS, Kind
from harness.store import traces as trace_file
from harness.store.store import Store
from harness.traces import ErrorCurve, Excerpt, Traces
from tests.harness.reporting import records

PAGE = Path(__file__).parents[3] / "docs" / "records.md"
GENERATED = field_page(list(KINDS.values()))


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == GENERATED, "make it again: harness export schema > docs/records.md"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_field_has_a_row_with_a_meaning(kind: Kind) -> None:
    page = field_page([kind])
    for path, (_, meaning) in kind.schema.fields.items():
        assert meaning, f"{path} has no meaning in {kind.schema.where}"
        assert re.search(rf"^\| `{re.escape(path)}` \| [\w ]+ \| {re.escape(meaning)} \|$", page, re.MULTILINE), path


def test_every_row_of_a_table_has_as_many_cells_as_its_heading() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", GENERATED, re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1, table


def code(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GENERATED, re.DOTALL)


def stored(folder: Path) -> dict[str, Any]:
    """Two lines of one run and a failed one."""
    store = Store(folder)
    old = records.record("posemamba-xs")
    new = {**old, "accuracy": {**old["accuracy"], "p1_mm": 12.5}}
    failed = {**records.record("posemamba-s"), "status": "failed", "error": "no room", "accuracy": None}
    for record in (old, failed, new):
        store.append(record)
    return new


def test_the_python_code_reads_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = stored(tmp_path)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"schema": 1, "id": "cut sho #torn\n{"schema": 1, "id": "cut short again')
    monkeypatch.chdir(tmp_path)
    with_pandas, plain, _ = code("python")
    found: dict[str, Any] = {}
    exec(with_pandas, found)
    assert found["runs"].loc[new["id"], "accuracy.p1_mm"] == 12.5
    assert len(found["runs"]) == 2
    exec(plain, found)
    assert found["errors_mm"] == {new["id"]: 12.5}


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_jq_code_reads_a_store(tmp_path: Path) -> None:
    new = stored(tmp_path)
    shown = subprocess.run(code("sh")[0], shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout == f"{new['id']}\t12.5\n"


def test_the_shell_commands_are_those_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.cli.root import cli

    (tmp_path / "results").mkdir()
    stored(tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    for line in code("sh")[1].splitlines():
        words = line.split("#")[0].split()[1:]
        if "measurements" not in words:
            cli.main(args=words, standalone_mode=False)
            assert (tmp_path / words[words.index("--out") + 1]).is_file()


def test_the_traces_are_described_as_they_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poses = np.arange(2 * 17 * 3, dtype=np.float32).reshape(2, 17, 3)
    curve = ErrorCurve("walk/cam1", "walk", "walking", 0.1, np.array([1.5, np.nan, 3.0], np.float32))
    excerpt = Excerpt("walk/cam1", "walk", "walking", "worst", 0.5, 12.5, poses, poses + 1)
    trace_file.save(tmp_path / "traces.npz", Traces((curve,), (excerpt,)))
    kinds = {"U": "text", "f": "float", "i": "int"}
    with np.load(tmp_path / "traces.npz", allow_pickle=False) as arrays:
        assert set(arrays) == set(TRACE_ARRAYS)
        for name, (described, _) in TRACE_ARRAYS.items():
            array = arrays[name]
            bits = "" if array.dtype.kind == "U" else 8 * array.dtype.itemsize
            assert described.endswith(f") {kinds[array.dtype.kind]}{bits}"), name
            assert len(re.findall(r"\w+(?=[,)])", described)) == array.ndim, name
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(code("python")[2], found)
    assert np.array_equal(found["first_curve_mm"], curve.p1_mm, equal_nan=True)
    assert np.allclose(found["first_truth_mm"], poses)


def test_a_page_of_one_kind_has_that_kind_alone() -> None:
    page = field_page([KINDS["measurements"]])
    assert "## measurements.jsonl" in page
    assert "## records.jsonl" not in page
    assert "traces" not in page
