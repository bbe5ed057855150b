from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.store.measurement import MEASUREMENTS
from harness.store.store import Store
from tests.harness.cli.command import harness, require_refused
from tests.harness.reporting import records

ROOT = Path(__file__).parents[3]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of three runs, one of them recorded twice."""
    store = Store(tmp_path / "results")
    store.preflight()
    first = records.record("posemamba-xs")
    for record in ({**first, "seed": 9}, records.record("posemamba-s"), records.record("posemamba-xs", 1), first):
        store.append(record)
    return store.folder


def lines_of(folder: Path) -> list[str]:
    return (folder / "records.jsonl").read_text().splitlines(keepends=True)


def test_json_lines_are_the_newest_of_every_id_bit_by_bit(folder: Path, capsys: Capture) -> None:
    code, out, _ = harness("export", "jsonl", "--results", folder, capsys=capsys)
    assert code == 0
    assert out == "".join(lines_of(folder)[1:])


def test_a_named_run_alone(folder: Path, capsys: Capture) -> None:
    run_id = records.record("posemamba-s")["id"]
    _, out, _ = harness("export", "jsonl", run_id, "--results", folder, capsys=capsys)
    assert out == lines_of(folder)[1]
    _, out, _ = harness("export", "csv", run_id, "--table", "joints", "--results", folder, capsys=capsys)
    assert {line.split(",")[0] for line in out.splitlines()[1:]} == {run_id}


def test_csv_goes_to_stdout_or_replaces_a_file(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    _, out, err = harness("export", "csv", "--results", folder, capsys=capsys)
    assert out.splitlines()[0].startswith("schema,id,status,error,")
    assert len(out.splitlines()) == 4
    assert err == ""
    target = tmp_path / "made" / "runs.csv"
    target.parent.mkdir()
    target.write_text("something older")
    code, shown, _ = harness("export", "csv", "--results", folder, "--out", target, capsys=capsys)
    assert (code, shown) == (0, "")
    assert target.read_text() == out
    assert [path.name for path in target.parent.iterdir()] == ["runs.csv"]


def test_parquet_is_a_file_with_the_rows_of_the_csv(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    target = tmp_path / "sequences.parquet"
    words = ("--table", "sequences", "--results", folder)
    assert harness("export", "parquet", *words, "--out", target, capsys=capsys)[0] == 0
    _, out, _ = harness("export", "csv", *words, capsys=capsys)
    assert parquet.read_table(target).num_rows == len(out.splitlines()) - 1 > 100
    code, _, err = harness("export", "parquet", *words, capsys=capsys)
    assert code == 2
    assert "--out" in err


def test_parquet_without_pyarrow_says_how_to_get_it(
    folder: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    words = ["export", "parquet", "--results", str(folder), "--out", str(tmp_path / "x.parquet")]
    require_refused(words, "pip install pyarrow", capsys)
    assert not (tmp_path / "x.parquet").exists()


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "harness", "export", "csv", "--table", "curve", "--results", str(folder)]
    ended = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_measurements(tmp_path: Path, capsys: Capture) -> None:
    row = {"id": "r", "status": "ok", "pass": "timing", "environment_key": "e", "timing": {"samples_ms": [1.5, 2.25]}}
    Store(tmp_path, MEASUREMENTS).append(row)
    words = ("export", "csv", "--what", "measurements", "--table", "samples", "--results", tmp_path)
    _, out, _ = harness(*words, capsys=capsys)
    assert out.splitlines()[1:] == ["r,,,,timing,,0,1.5", "r,,,,timing,,1,2.25"]


def test_a_torn_line_is_left_out_with_a_note(folder: Path, capsys: Capture) -> None:
    whole = lines_of(folder)
    with (folder / "records.jsonl").open("a") as file:
        file.write(whole[0][:100])
    code, out, err = harness("export", "jsonl", "--results", folder, capsys=capsys)
    assert (code, out) == (0, "".join(whole[1:]))
    assert "cut short" in err


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("no json\n", "records.jsonl line 5"),
        ('{"schema":1,"id":"x","status":"ok","config":{"model":"m"}}\n', "has no config.frames"),
    ],
)
def test_a_bad_line_is_refused_or_skipped(folder: Path, capsys: Capture, form: str, bad: str, message: str) -> None:
    whole = lines_of(folder)
    with (folder / "records.jsonl").open("a") as file:
        file.write(bad)
    require_refused(["export", form, "--results", str(folder)], message, capsys)
    code, out, err = harness("export", form, "--skip-bad", "--results", folder, capsys=capsys)
    assert code == 0
    assert message in err
    assert len(out.splitlines()) == 3 + (form == "csv")
    assert form == "csv" or out == "".join(whole[1:])


def test_the_store_is_never_written_over(folder: Path, capsys: Capture) -> None:
    before = lines_of(folder)
    target = folder / ".." / "results" / "records.jsonl"
    require_refused(["export", "jsonl", "--results", str(folder), "--out", str(target)], "is a store", capsys)
    assert lines_of(folder) == before


def test_nor_is_another_one(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "measurements.jsonl").write_text("{}\n")
    out = str(others / "measurements.jsonl")
    require_refused(["export", "csv", "--results", str(folder), "--out", out], "is a store", capsys)
    assert (others / "measurements.jsonl").read_text() == "{}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["csv", "--table", "sequence"], "Did you mean: sequences"),
        (["csv", "--what", "measurement"], "Did you mean: measurements"),
        (["csv", "posemamba-xs-t27"], "no record 'posemamba-xs-t27'"),
        (["csv", "--what", "classifications"], "no classifications are stored in"),
        (["schema", "--what", "run"], "Did you mean: runs"),
    ],
)
def test_what_there_is_not_is_refused(folder: Path, words: list[str], message: str, capsys: Capture) -> None:
    results = [] if words[0] == "schema" else ["--results", str(folder)]
    require_refused(["export", *words, *results], message, capsys)


def test_the_schema_is_markdown_or_a_json_schema(capsys: Capture) -> None:
    _, page, _ = harness("export", "schema", capsys=capsys)
    assert page.startswith("# Records\n")
    _, out, _ = harness("export", "schema", "--format", "json", "--what", "measurements", capsys=capsys)
    schema: dict[str, Any] = json.loads(out)
    assert schema["title"] == "measurements.jsonl"
    assert schema["$schema"].endswith("2020-12/schema")
    _, out, _ = harness("export", "schema", "--format", "json", capsys=capsys)
    assert json.loads(out)["title"] == "records.jsonl"
