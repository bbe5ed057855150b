"""The table in its three forms."""

from __future__ import annotations

import csv
import io

from harness.reporting import grid, quantity, table
from tests.harness.reporting import records


def test_text_fits_the_terminal_whatever_the_names_are() -> None:
    runs = records.two_protocols()
    runs[0]["config"]["model"] = "my_package.with_a_very_long_name.models.lifters:build_the_largest_of_them"
    runs[0]["warnings"] = ["a very long warning " * 20]
    for line in table.text(runs).splitlines():
        assert len(line) <= grid.WIDTH, line


def test_text_of_a_typical_store() -> None:
    lines = table.text(records.typical()).splitlines()
    assert lines[0].startswith("MPJPE|protocol:all|data:motion|2d:sh|test:S7,S8|")
    best = next(line for line in lines if line.startswith("posemamba-s "))
    assert " ".join(best.split()) == "posemamba-s 27 3 61.4 ± 0.4 46.3 58.3 7.24 4.42 1.47 M 30.4 M 212 690 yes ok"
    assert any(line.split() == ["floor:", "mean", "pose", "231.2", "188.0"] for line in lines)


def test_rows_are_ranked_and_floors_stand_below() -> None:
    (built,) = table.build(records.typical())
    assert [row.rank for row in built.rows] == [1, 2, 3, 4, 5, None, None, None, None]
    assert [row.kind for row in built.rows] == ["model"] * 6 + ["floor"] * 3
    models = [row.p1_mm for row in built.rows if row.rank]
    assert models == sorted(models)


def test_no_spread_but_the_number_of_seeds_below_three() -> None:
    (built,) = table.build([records.record(seed=seed) for seed in (0, 1)])
    cells = built.cells()[0]
    assert cells[2] == "2"
    assert "±" not in cells[3]


def test_gaps_have_their_reason() -> None:
    (built,) = table.build(records.typical())
    by_model = {row.model: row for row in built.rows}
    assert by_model["dstformer-lite"].status == "oom"
    assert by_model["dstformer-lite"].p1_mm is None
    assert by_model["motionagformer-s"].status == "ok, 1 failed"
    assert "dstformer-lite, seed 0: oom: out of memory: tried to allocate 1.2 GiB" in built.notes


def test_noisy_timing_is_printed_beside_the_figure() -> None:
    assert "260 NOISY" in table.text(records.typical())


def test_a_model_above_the_floors_is_called_so() -> None:
    (built,) = table.build([records.untrained(), records.record("motionagformer-xs", 1)])
    assert built.rows[0].below_every_floor == "1 of 2"
    assert table.build([records.untrained()])[0].rows[0].below_every_floor == "NO"


def test_a_warning_of_every_run_is_said_once() -> None:
    runs = records.typical()
    for run in runs:
        run["warnings"] = ["3 sequences are shorter than T"]
    assert table.build(runs)[0].notes.count("every run: 3 sequences are shorter than T") == 1


def test_markdown_has_as_many_cells_in_every_row_and_escapes_what_would_break_them() -> None:
    run = records.record()
    run["id"], run["config"]["model"] = "hostile", "a|b<script>\nc"
    lines = [line for line in table.markdown([run, *records.typical()]).splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {
        sum(column.always for column in table.COLUMNS) + 1
    }
    assert any(line.startswith(r"| a\|b&lt;script> c |") for line in lines)


def test_csv_has_raw_figures_and_the_protocol() -> None:
    rows = list(csv.DictReader(io.StringIO(table.csv(records.two_protocols()))))
    assert len(rows) == 8 + 3 + 1 + 3
    best = next(row for row in rows if row["model"] == "posemamba-s" and row["frames"] == "27")
    assert float(best["p1_sd_mm"]) > 0.1
    assert best["params_total"] == "1470211"
    assert best["protocol"].startswith("MPJPE|protocol:all|data:motion|2d:sh|")
    assert {row["group"] for row in rows} == {"motion-sh", "motion-gt"}
    assert next(row for row in rows if row["status"] == "oom")["reason"].startswith("out of memory")


def test_nothing_stored_is_nothing_printed() -> None:
    assert table.text([]) == ""
    assert table.csv([]) == ""


def test_no_floors_are_not_unbeaten_floors() -> None:
    run = records.record()
    run["floors"], run["beats_floors"] = {}, None
    assert table.build([run])[0].rows[0].below_every_floor == quantity.MISSING


def test_pck_is_a_column_where_the_protocol_has_it() -> None:
    plain = records.typical()
    scored = [
        {**record, "accuracy": {**record["accuracy"], "pck150_percent": 98.76, "auc_percent": 78.94}}
        if record.get("accuracy")
        else record
        for record in plain
    ]
    assert "PCK" not in table.text(plain)
    text = table.text(scored)
    assert "PCK" in text
    assert "98.8" in text
    assert "78.9" in text
    assert "| 98.8 | 78.9 |" in table.markdown(scored)
