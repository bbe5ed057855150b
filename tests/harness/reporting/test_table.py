"""The table in its three forms."""

from __future__ import annotations

import csv
import io
import math
import statistics

import pytest

from harness import quantity
from harness.comparison import pair
from harness.comparison.group import group
from harness.reporting import grid, table
from tests.harness.comparison.entries import apart, counted, timed, twin
from tests.harness.reporting import records


def test_text_fits_the_terminal_whatever_the_names_are() -> None:
    runs = records.two_protocols()
    runs[0]["config"]["model"] = "my_package.with_a_very_long_name.models.lifters:build_the_largest_of_them"
    runs[0]["warnings"] = ["a very long warning " * 20]
    for line in table.text(group(runs)).splitlines():
        assert len(line) <= grid.WIDTH, line


def test_text_of_a_typical_store() -> None:
    lines = table.text(group(records.typical())).splitlines()
    assert lines[0].startswith("MPJPE|protocol:all|data:motion|2d:sh|test:S7,S8|")
    best = next(line for line in lines if line.startswith("posemamba-s "))
    assert " ".join(best.split()) == "posemamba-s 27 0–2 61.4 ± 0.4 [57.9, 64.8] best 46.3 1.47 M 30.4 M 1.45 yes ok"
    second = next(line for line in lines if line.startswith("dilated-convolution "))
    assert "+2.0 ***" in second
    assert any(line.split() == ["floor:", "mean", "pose", "231.2", "188.0"] for line in lines)


def test_rows_are_ranked_and_floors_stand_below() -> None:
    (built,) = table.build(group(records.typical()))
    assert [row.rank for row in built.rows] == [1, 2, 3, 4, 5, None, None, None, None]
    assert [row.kind for row in built.rows] == ["model"] * 6 + ["floor"] * 3
    models = [row.p1_mm for row in built.rows if row.rank]
    assert models == sorted(models)


def cell(built: table.Table, heading: str, row: int = 0) -> str:
    headings = [column.heading for column in built.columns]
    return built.cells()[row][headings.index(heading)]


def test_no_spread_but_the_number_of_seeds_below_three() -> None:
    (built,) = table.build(group([records.record(seed=seed) for seed in (0, 1)]))
    assert cell(built, "seeds") == "0, 1"
    assert cell(built, "P1").endswith("(2 seeds)")
    assert "±" not in cell(built, "P1")
    (built,) = table.build(group([records.record(seed=5)]))
    assert (cell(built, "seeds"), cell(built, "P1")[4:]) == ("5", " (1 seed)")


def test_from_three_seeds_on_there_is_a_spread_and_which_seeds_they_were() -> None:
    for seeds, shown in (((0, 1, 2), "0–2"), ((0, 2, 5), "0, 2, 5")):
        (built,) = table.build(group([records.record(seed=seed) for seed in seeds]))
        assert cell(built, "seeds") == shown
        assert "±" in cell(built, "P1")
        assert "seed" not in cell(built, "P1")


def test_the_test_set_interval_is_a_column_of_its_own() -> None:
    runs = [records.record("posemamba-s", seed) for seed in range(3)]
    (built,) = table.build(group(runs))
    row = built.rows[0]
    expected, _ = pair.interval(built.group.entries[0])
    assert expected is not None
    assert (row.p1_low_mm, row.p1_high_mm) == pytest.approx((expected.low_mm, expected.high_mm), abs=1e-7)
    assert row.takes == 48
    assert cell(built, "95% test") == f"[{expected.low_mm:.1f}, {expected.high_mm:.1f}]"
    said = " ".join(built.legend)
    assert "conditional on the test subjects" in said
    assert "10,000 resamples of the 48 takes" in said


def test_differences_from_the_best_have_marks_and_the_marks_a_meaning() -> None:
    (built,) = table.build(group(records.typical()))
    assert [cell(built, "to best", row) for row in range(6)] == [
        "best",
        *["+2.0 ***", "+4.8 ***"],
        "+10.3 ***",
        "+10.9 ***",
        "–",
    ]
    (said,) = [line for line in built.legend if line.startswith("to best")]
    assert "*** p < 0.001" in said
    assert "Holm over 4 comparisons with the best" in said
    assert built.rows[1].p_value == pytest.approx(1 / 10_001, abs=1e-8)
    assert built.rows[1].p_value_holm == pytest.approx(4 / 10_001, abs=1e-8)


def test_a_difference_that_other_seeds_may_reverse_has_no_stars() -> None:
    runs = [*apart("posemamba-s", (-3.0, 0.0, 3.0)), *apart("posemamba-xs", (-3.0, 0.0, 3.0))]
    (built,) = table.build(group(runs))
    assert cell(built, "to best", 1) == "+4.1 ~"
    assert any(line.startswith("~: p < 0.05, but the seeds overlap") for line in built.legend)
    row = built.rows[1]
    assert row.seeds_standard_error_mm == pytest.approx(math.sqrt(6), abs=1e-7)
    assert row.seeds_margin_mm == pytest.approx(2.776445 * math.sqrt(6), rel=1e-6)
    assert row.seeds_may_reverse is True
    assert r"+4.1$^{\sim}$" in built.to_latex()
    (built,) = table.build(group([*apart("posemamba-s", (-0.3, 0.0, 0.3)), *apart("posemamba-xs", (-0.3, 0.0, 0.3))]))
    assert cell(built, "to best", 1) == "+4.1 ***"
    assert not any(line.startswith("~") for line in built.legend)


def test_a_part_of_a_store_is_called_as_in_the_whole() -> None:
    runs = records.two_protocols()
    whole = {one.group.name: one for one in table.build(group(runs))}
    (part,) = table.build(group(runs, only={runs[-1]["id"]}))
    assert part.heading == whole["motion-gt"].heading
    assert "apart from the others by 2d gt" in part.heading


def test_a_difference_that_is_none_has_no_mark() -> None:
    one = records.record("posemamba-s")
    (built,) = table.build(group([one, twin(one, "twin")]))
    assert cell(built, "to best", 1) == "0.0"
    assert built.rows[1].p_value_holm == 1


def test_what_could_not_be_tested_is_marked_and_explained() -> None:
    runs = [records.record(model) for model in ("posemamba-s", "posemamba-xs", "motionagformer-xs")]
    del runs[1]["accuracy"]["per_sequence"]
    (built,) = table.build(group(runs))
    assert (cell(built, "95% test", 1), cell(built, "to best", 1)) == ("–", "+4.1 ?")
    assert cell(built, "to best", 2).endswith("***")
    assert any(
        line == "posemamba-xs: no test-set interval or no test: errors of single sequences are not stored"
        for line in built.legend
    )
    assert built.rows[1].untested == "errors of single sequences are not stored"


def test_a_store_with_too_few_takes_still_has_a_table() -> None:
    runs = [records.record(model) for model in ("posemamba-s", "posemamba-xs")]
    for run in runs:
        run["accuracy"]["per_sequence"] = run["accuracy"]["per_sequence"][:8]
    (built,) = table.build(group(runs))
    assert cell(built, "to best", 1) == "+4.1 ?"
    (said,) = [line for line in built.legend if "too few" in line]
    assert said.startswith("no test-set interval or no test: 2 takes are too few")
    assert table.latex(group(runs))
    assert table.csv(group(runs))


def test_one_entry_and_failures_alone_have_tables_in_every_form() -> None:
    for runs in ([records.record()], [records.failed()], [records.failed(), records.failed("posemamba-s", 1, "oom")]):
        (built,) = table.build(group(runs))
        assert built.to_text()
        assert built.to_markdown()
        assert built.to_latex()
        assert table.csv(group(runs))
        assert not [line for line in built.legend if line.startswith("to best")]


def test_the_best_two_of_every_accuracy_column_are_set_off_among_models_alone() -> None:
    runs = [records.record("posemamba-s"), records.record("posemamba-xs"), records.untrained("motionagformer-xs")]
    runs[1]["accuracy"]["p2_mm"] = 1.0
    markdown = table.markdown(group(runs))
    best, second = (
        next(line for line in markdown.splitlines() if line.startswith(f"| {name} "))
        for name in ("posemamba-s", "posemamba-xs")
    )
    assert "| **61.5 (1 seed)** |" in best
    assert "| **1.0** |" in second
    assert "**" not in next(line for line in markdown.splitlines() if line.startswith("| floor: linear"))
    latex = table.latex(group(runs))
    assert r"\textbf{61.5 (1 seed)}" in latex
    assert r"\underline{65.6 (1 seed)}" in latex
    assert r"\textbf{1.0}" in latex
    assert "**" not in table.markdown(group(runs[:1]))


def test_operations_are_exact_where_they_were_counted() -> None:
    runs = [counted(records.record(model), flops) for model, flops in (("posemamba-s", 61e6), ("posemamba-xs", 9.3e6))]
    text = table.text(group(runs))
    assert "61.0 M" in text
    assert "MACs" not in text
    assert "| 61.0 M | 30.4 M |" in table.markdown(group(runs))
    assert "MACs" in table.text(group(records.typical()))
    assert " ops " not in table.text(group(records.typical()))


def test_latency_is_of_what_was_timed_well_and_says_where_not_all_were_timed_alike() -> None:
    runs = [timed(records.record(seed=0), 27.0), timed(records.record(seed=1), 270.0, verdict="NOISY")]
    (built,) = table.build(group(runs))
    assert cell(built, "latency") == "1.00"
    assert not [line for line in built.legend if "latency" in line]
    other = timed(records.record("posemamba-s"), 27.0)
    other["environment"]["processor"] = "Another 9000"
    (built,) = table.build(group([*runs, other]))
    (said,) = [line for line in built.legend if "latency" in line]
    assert "posemamba-s on Another 9000, 2 of 2 cores, fp32; posemamba-xs on AMD EPYC 9R14" in said
    (built,) = table.build(group([timed(records.record(), 27.0, verdict="INVALID")]))
    assert cell(built, "latency") == "INVALID"


def test_the_latex_caption_has_protocol_seeds_and_condition() -> None:
    source = table.latex(group(records.two_protocols()))
    for said in (
        r"\texttt{MPJPE|\allowbreak{}protocol:all|", "(apart from the others by 2d sh, test set b2b2b2b2b2b2)",
        "Mean over 1 to 3 seeds", "conditional on the test subjects", r"\label{tab:motion-sh}",
        r"\label{tab:motion-gt}",
        r"{*}{*}{*} p \textless{} 0.001", "out of memory: tried to allocate 1.2 GiB",
    ):  # fmt: skip
        assert said in source
    assert "NOISY: interquartile" not in source


def test_gaps_have_their_reason() -> None:
    (built,) = table.build(group(records.typical()))
    by_model = {row.model: row for row in built.rows}
    assert by_model["dstformer-lite"].status == "oom"
    assert by_model["dstformer-lite"].p1_mm is None
    assert by_model["motionagformer-s"].status == "ok, 1 failed"
    assert "dstformer-lite, seed 0: oom: out of memory: tried to allocate 1.2 GiB" in built.notes


def test_noisy_timing_is_printed_beside_the_figure() -> None:
    assert "3.85 NOISY" in table.text(group(records.typical()))


def test_a_model_above_the_floors_is_called_so() -> None:
    (built,) = table.build(group([records.untrained(), records.record("motionagformer-xs", 1)]))
    assert built.rows[0].below_every_floor == "1 of 2"
    assert table.build(group([records.untrained()]))[0].rows[0].below_every_floor == "NO"


def test_a_warning_of_every_run_is_said_once() -> None:
    runs = records.typical()
    for run in runs:
        run["warnings"] = ["3 sequences are shorter than T"]
    assert table.build(group(runs))[0].notes.count("every run: 3 sequences are shorter than T") == 1


def test_markdown_has_as_many_cells_in_every_row_and_escapes_what_would_break_them() -> None:
    run = records.record()
    run["id"], run["config"]["model"] = "hostile", "a|b<script>\nc"
    lines = [line for line in table.markdown(group([run, *records.typical()])).splitlines() if line.startswith("| ")]
    shown = sum(column.always for column in table.COLUMNS) + 1  # and MACs
    assert {line.replace("\\|", "").count("|") for line in lines} == {shown + 1}
    assert any(line.startswith(r"| a\|b&lt;script> c |") for line in lines)


def test_csv_has_raw_figures_and_the_protocol() -> None:
    rows = list(csv.DictReader(io.StringIO(table.csv(group(records.two_protocols())))))
    assert len(rows) == 8 + 3 + 1 + 3
    best = next(row for row in rows if row["model"] == "posemamba-s" and row["frames"] == "27")
    assert float(best["p1_sd_mm"]) > 0.1
    assert best["params_total"] == "1470211"
    assert best["seed_list"] == "0 1 2"
    by_seed = [float(value) for value in best["p1_by_seed_mm"].split()]
    assert statistics.fmean(by_seed) == pytest.approx(float(best["p1_mm"]))
    assert float(best["p1_low_mm"]) < float(best["p1_mm"]) < float(best["p1_high_mm"])
    assert best["runs"].split() == [f"posemamba-s-t27-s{seed}-{best['runs'].split()[seed][-8:]}" for seed in range(3)]
    worse = next(row for row in rows if row["model"] == "posemamba-xs")
    low, gap, high = (float(worse[f"difference_{name}mm"]) for name in ("low_", "", "high_"))
    assert 0 < low < gap < high
    assert float(worse["p_value"]) < float(worse["p_value_holm"]) < 0.01
    assert best["protocol"].startswith("MPJPE|protocol:all|data:motion|2d:sh|")
    assert {row["group"] for row in rows} == {"motion-sh", "motion-gt"}
    assert next(row for row in rows if row["status"] == "oom")["reason"].startswith("out of memory")


def test_nothing_stored_is_nothing_printed() -> None:
    assert table.text(group([])) == ""
    assert table.csv(group([])) == ""


def test_no_floors_are_not_unbeaten_floors() -> None:
    run = records.record()
    run["floors"], run["beats_floors"] = {}, None
    assert table.build(group([run]))[0].rows[0].below_every_floor == quantity.MISSING


def test_pck_is_a_column_where_the_protocol_has_it() -> None:
    plain = records.typical()
    scored = [
        {**record, "accuracy": {**record["accuracy"], "pck150_percent": 98.76, "auc_percent": 78.94}}
        if record.get("accuracy")
        else record
        for record in plain
    ]
    assert "PCK" not in table.text(group(plain))
    text = table.text(group(scored))
    assert "PCK" in text
    assert "98.8" in text
    assert "78.9" in text
    assert "| 98.8 | 78.9 |" in table.markdown(group(scored))
