from __future__ import annotations

import io
import sys

import pytest

from harness.errors import BadInput
from harness.exporting.csv_text import csv_text
from harness.exporting.parquet_file import parquet_file
from harness.exporting.sheet import Column, Sheet, sheet
from harness.exporting.table import KINDS
from harness.store.schema import NUMBER, TEXT, WHOLE, YES_NO
from tests.harness.exporting.test_csv_text import COLUMNS, ROWS
from tests.harness.reporting import records

pyarrow = pytest.importorskip("pyarrow")


def read(content: bytes) -> pyarrow.Table:
    from pyarrow import parquet

    return parquet.read_table(io.BytesIO(content))


def test_every_value_and_type_comes_back() -> None:
    table = read(parquet_file(Sheet(COLUMNS, ROWS)))
    assert [str(field.type) for field in table.schema] == ["string", "int64", "double", "bool"]
    assert tuple(zip(*(column.to_pylist() for column in table.columns), strict=True)) == ROWS


def test_a_column_whose_name_is_in_another_encoding() -> None:
    whole = Sheet((Column("config.options.gr\udcf6", TEXT),), (("a",),))
    assert read(parquet_file(whole)).schema.names == ["config.options.gr\\udcf6"]
    assert csv_text(whole) == "config.options.gr\\udcf6\na\n"


def test_the_table_of_runs_comes_back_equal() -> None:
    stored = [records.record(model, seed) for model in ("posemamba-xs", "posemamba-s") for seed in (0, 1)]
    for table in KINDS["runs"].tables:
        made = sheet(stored, KINDS["runs"], table)
        rows = zip(*(column.to_pylist() for column in read(parquet_file(made)).columns), strict=True)
        assert tuple(rows) == made.rows, table.name


def test_a_column_says_what_it_means() -> None:
    schema = read(parquet_file(Sheet((Column("p1_mm", NUMBER, "mean error"), Column("id", TEXT)), ()))).schema
    assert schema.field("p1_mm").metadata[b"meaning"] == b"mean error"
    assert schema.field("id").metadata is None or b"meaning" not in schema.field("id").metadata


def test_a_table_without_rows_keeps_its_types() -> None:
    columns = tuple(Column(name, name) for name in (TEXT, WHOLE, NUMBER, YES_NO))
    assert [str(field.type) for field in read(parquet_file(Sheet(columns, ()))).schema] == [
        "string", "int64", "double", "bool",
    ]  # fmt: skip


def test_pyarrow_reads_our_csv_with_the_same_nulls() -> None:
    from pyarrow import csv

    options = csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""])
    parse = csv.ParseOptions(newlines_in_values=True)
    content = io.BytesIO(csv_text(Sheet(COLUMNS, ROWS)).encode())
    table = csv.read_csv(content, convert_options=options, parse_options=parse)
    assert tuple(zip(*(column.to_pylist() for column in table.columns), strict=True)) == ROWS


def test_without_pyarrow_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"pip install pyarrow"):
        parquet_file(Sheet((), ()))
