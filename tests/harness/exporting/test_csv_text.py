from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd

from harness.exporting.csv_text import csv_text
from harness.exporting.sheet import Column, Sheet
from harness.store.schema import NUMBER, TEXT, WHOLE, YES_NO

COLUMNS = (Column("text", TEXT), Column("whole", WHOLE), Column("a, b", NUMBER), Column("yes", YES_NO))
ROWS = (
    ("plain", 1, 0.1, True),
    ('say "no", twice\nand more\r', -(2**63), 1e-300, False),
    ("", 2**53 + 1, 5e-324, None),
    (None, None, None, None),
    (" spaced ", 0, -0.0, True),
    ("one\ntwo", 7, 2.5, True),
    ("one\rtwo", 7, 2.5, True),
    ("süß 漢", 2**63 - 1, 1.7976931348623157e308, False),
)


def test_the_text_itself() -> None:
    assert csv_text(Sheet(COLUMNS, ROWS[:3])) == (
        'text,whole,"a, b",yes\n'
        "plain,1,0.1,true\n"
        '"say ""no"", twice\nand more\r",-9223372036854775808,1e-300,false\n'
        '"",9007199254740993,5e-324,\n'
    )


def test_the_standard_library_reads_it() -> None:
    read = list(csv.reader(io.StringIO(csv_text(Sheet(COLUMNS, ROWS)), newline="")))
    assert read[0] == ["text", "whole", "a, b", "yes"]
    for found, row in zip(read[1:], ROWS, strict=True):
        assert found[0] == (row[0] or "")
        assert (int(found[1]) if found[1] else None) == row[1]
        assert (float(found[2]) if found[2] else None) == row[2]


def test_pandas_reads_every_digit() -> None:
    text = csv_text(Sheet(COLUMNS, ROWS))
    all_digits = {"float_precision": "round_trip"} if int(pd.__version__.split(".")[0]) < 3 else {}
    source = io.StringIO(text, newline="")
    frame = pd.read_csv(source, dtype_backend="numpy_nullable", keep_default_na=False, na_values=[""], **all_digits)
    for name, place in (("whole", 1), ("yes", 3)):
        assert [None if value is pd.NA else value for value in frame[name]] == [row[place] for row in ROWS]
    numbers = np.array([float("nan") if row[2] is None else row[2] for row in ROWS])
    assert np.array_equal(frame["a, b"].to_numpy(float, na_value=np.nan), numbers, equal_nan=True)
