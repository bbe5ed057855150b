"""The tables of measurements in their three forms."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from harness.errors import BadInput
from harness.reporting import cost_table, grid
from tests.harness.complexity import rows


def line(text: str, *start: str) -> list[str]:
    """The words of the first line that begins with these."""
    return next(words for words in map(str.split, text.splitlines()) if words[: len(start)] == list(start))


def raw(made: list[dict[str, Any]], table: str = "points") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(cost_table.csv(made, table))))


def test_text_fits_the_terminal_whatever_the_names_are() -> None:
    long = "my_package.with_a_very_long_name.models.lifters:build_the_largest_of_them"
    made = rows.typical() + rows.survey({long: rows.LAWS["motionbert"]})
    made[1]["warnings"] = ["a very long warning " * 20]
    for written in cost_table.text(made).splitlines():
        assert len(written) <= grid.WIDTH, written


def test_all_four_tables_with_conventions_above() -> None:
    text = cost_table.text(rows.typical())
    lines = text.splitlines()
    assert lines[0].startswith("environment ")
    assert "AMD EPYC 9R14" in lines[0]
    assert "torch 2.13.0" in lines[0]
    assert lines[1].startswith("protocol: rounds in fresh processes: 3, warm-up 10 calls, or 1 s, samples of 0.01 s")
    assert "T = frames of a clip" in text
    for title in ("Points", "Growth: exponent of T", "Crossovers", "Roofline: share of the attainable rate"):
        assert lines.count(title) == 1


def test_a_point() -> None:
    (made,) = [rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, (81,), noise=0)]
    text = cost_table.text(made)
    # 64.06 ms for 81 frames; 0.55 MB a frame and 4 MB; 53.8 MFLOP a frame.
    expected = ["posemamba-s", "81", "1", "64.1", "[64.1,", "64.1]", "64.1", "0.791", "1,264", "48.5", "M", "53.8", "M"]
    assert line(text, "posemamba-s", "81") == [*expected, "STABLE"]


def test_p90_needs_its_samples() -> None:
    law = {"posemamba-s": rows.LAWS["posemamba-s"]}
    assert "p90" in cost_table.text(rows.survey(law, (81,), samples=15))
    assert "p90" not in cost_table.text(rows.survey(law, (81,), samples=14))


def test_gaps_and_doubts_are_shown_with_their_reason() -> None:
    text = cost_table.text(rows.typical())
    assert line(text, "motionbert", "2187")[-1] == "oom"
    assert line(text, "motionagformer-xs", "(fp16)", "729")[-1] == "unsupported"
    assert line(text, "motionbert", "27")[-1] == "NOISY"
    assert "* motionbert, T=2187: oom: out of memory at batch 1" in text
    assert "* motionbert, T=27: NOISY: the medians of the rounds lie" in text
    assert "* motionagformer-xs (fp16), T=729: unsupported: fp16 has no kernels on the CPU" in text


def test_an_invalid_duration_is_nowhere() -> None:
    made = rows.typical()
    invalid = line(cost_table.text(made), "motionbert", "9")
    assert invalid[3:6] == ["–", "–", "–"]
    assert invalid[-1] == "INVALID"
    (entry,) = [row for row in raw(made) if (row["label"], row["frames"]) == ("motionbert", "9")]
    assert entry["latency_ms"] == entry["per_frame_ms"] == entry["frames_per_s"] == entry["p90_ms"] == ""
    assert entry["verdict_reason"] == "the clock went backwards by 3 ms"
    assert entry["flops_exact"] != ""


def test_growth_table() -> None:
    text = cost_table.text(rows.survey(noise=0.001))
    start = text.index("Growth: exponent of T")
    assert line(text[start:], "posemamba-s")[:3] == ["posemamba-s", "81..729", "(4)"]
    assert line(text[start:], "posemamba-s")[-3:] == ["1.000", "–", "–"]
    later = cost_table.text(rows.survey(noise=0.001), minimum=243)
    assert line(later[later.index("Growth") :], "posemamba-s")[:6] == [
        "posemamba-s", "243..729", "(3)", "0.99", "±", "0.02",
    ]  # fmt: skip


def test_crossover_table() -> None:
    laws = {"a": rows.power_law(1.0), "b": rows.power_law(2.0, 0.01), "c": rows.power_law(1.0, 3.0)}
    text = cost_table.text(rows.survey(laws, noise=0))
    start = text[text.index("Crossovers") :]
    assert " ".join(line(start, "a", "/", "b")) == "a / b B < 100 < A B < 100 < A B < 100 < A"
    assert " ".join(line(start, "a", "/", "c")) == "a / c none in 9..729: A none in 9..729: A none in 9..729: A"


def test_nothing_beyond_the_measured_lengths_is_tabulated() -> None:
    laws = {"a": rows.power_law(1.0), "b": rows.power_law(2.0, 1 / 800)}
    made = rows.survey(laws, noise=0)
    assert "800" not in cost_table.text(made)
    assert {row["frames"] for row in raw(made, "crossovers")} == {""}


def test_an_open_interval_is_written_as_open() -> None:
    laws = {"a": rows.power_law(1.0), "b": rows.power_law(2.0, 1 / 700)}
    made = rows.survey(laws, noise=0.05)
    assert "> 729] < A" in cost_table.text(made)
    latency = raw(made, "crossovers")[0]
    assert (latency["open_above"], latency["high"]) == ("True", "")


def test_roofline_table_says_what_bounds() -> None:
    made = rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, (81, 243))
    text = cost_table.text(made)
    start = text[text.index("Roofline") :]
    # whole, projection, scan
    assert line(start, "posemamba-s", "81")[5:10:2] == ["m", "a", "e"]


def test_without_the_machine_there_is_no_roofline() -> None:
    made = [row for row in rows.survey() if row["pass"] != "machine"]
    assert "Roofline" not in cost_table.text(made)
    assert cost_table.csv(made, "roofline") == ""


def test_two_environments_are_two_groups() -> None:
    other = {**rows.ENVIRONMENT, "processor": "another"}
    text = cost_table.text([*rows.survey(), *rows.survey(environment=other)])
    assert text.count("environment ") == 2
    assert text.splitlines().count("Points") == 2
    assert "another" in text
    assert len({row["environment"] for row in raw([*rows.survey(), *rows.survey(environment=other)])}) == 2


def test_two_protocols_are_two_lines() -> None:
    made = rows.survey()
    for row in made[-4:]:
        row["protocol"]["min_seconds"] = 0.5
    assert cost_table.text(made).count("protocol: ") == 2


def test_a_warning_of_every_point_is_said_once() -> None:
    made = rows.survey(frames=(9, 27))
    for row in made:
        row["warnings"] = ["the governor is powersave"]
    assert cost_table.text(made).count("every point: the governor is powersave") == 1


def test_energy_is_a_column_where_there_is_a_meter() -> None:
    made = rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, (81,))
    assert "J/frame" not in cost_table.text(made)
    made[2]["energy"] = {"joules_per_call": 8.1, "meter": "RAPL"}
    assert "0.100" in line(cost_table.text(made), "posemamba-s", "81")


def test_the_batch_that_auto_led_to_is_shown_as_such() -> None:
    made = rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, (81,), batch=48, batch_asked="auto")
    assert line(cost_table.text(made), "posemamba-s", "81")[2:4] == ["48", "(auto)"]


def test_markdown_has_as_many_cells_in_every_row() -> None:
    tables: list[set[int]] = [set()]
    for written in cost_table.markdown(rows.typical()).splitlines():
        if written.startswith("|"):
            tables[-1].add(written.count("|"))
        elif tables[-1]:
            tables.append(set())
    assert [len(counts) for counts in tables if counts] == [1, 1, 1, 1]


def test_csv_has_raw_figures() -> None:
    made = rows.typical()
    points = raw(made)
    assert len(points) == 26
    assert float(points[0]["latency_ms"]) == pytest.approx(9.34, rel=0.1)
    assert points[0]["params_total"] == "1470211"
    assert next(row for row in points if row["status"] == "oom")["error"].startswith("out of memory")
    growth = raw(made, "growth")
    assert {row["quantity"] for row in growth} >= {"latency", "memory", "flops_exact", "seconds.scan"}
    assert {row["quantity"] for row in raw(made, "crossovers")} == {"latency", "memory", "flops_exact"}
    assert {row["kind"] for row in raw(made, "roofline")} >= {"whole", "scan", "attention"}


def test_an_unknown_table_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="Did you mean: growth"):
        cost_table.csv(rows.typical(), "groth")


def test_nothing_stored_is_nothing_printed() -> None:
    assert cost_table.text([]) == cost_table.markdown([]) == cost_table.csv([]) == ""


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(0.01234, "0.0123"), (5.968, "5.97"), (9.996, "10.0"), (99.94, "99.9"), (99.96, "100"), (1649.2, "1,649")],
)
def test_durations_have_three_digits(ms: float, shown: str) -> None:
    law = rows.power_law(0, ms)
    text = cost_table.text(rows.survey({"a": law}, (9,), noise=0))
    assert line(text, "a", "9")[3] == shown


def test_of_many_pairs_those_that_cross_are_shown_and_the_rest_counted() -> None:
    laws = {f"linear-{index}": rows.power_law(1.0, 1.0 + index) for index in range(10)}
    laws["square"] = rows.power_law(2.0, 1 / 300)
    made = rows.survey(laws, (81, 243, 729), noise=0)
    page = cost_table.text(made)
    assert "linear-0 / square" in page
    assert "linear-0 / linear-1" not in page
    crossing = sum(1 for line in page.splitlines() if " / square" in line)
    assert f"{55 - crossing} further pairs cross in nothing" in page
    assert len(cost_table.csv(made, "crossovers").splitlines()) >= 1 + 3 * 55


def test_an_exponent_over_other_t_than_the_rest_of_its_row_says_so() -> None:
    slow = rows.of_point(rows.LAWS["motionbert"], rows.point("motionbert", 2187))
    for row in slow[1:]:
        row["timing"] |= {"verdict": "INVALID", "reason": "the clock went backwards"}
    page = cost_table.text([*rows.survey({"motionbert": rows.LAWS["motionbert"]}), *slow], minimum=243)
    assert "243..729 (3)" in page
    assert "° motionbert: memory over 243..2187 (4), operations over 243..2187 (4)" in page


def test_a_batch_that_was_searched_for_says_what_bounded_it() -> None:
    made = rows.of_point(rows.LAWS["motionbert"], rows.point("motionbert", 27, batch=64, batch_asked="auto"))
    made[0] |= {"largest_batch": 64, "largest_batch_bound": "time"}
    assert "64 (auto, time)" in cost_table.text(made)
