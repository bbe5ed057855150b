"""``harness measure``, ``count``, ``compare cost`` and ``plot`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.measure import measure_command
from harness.measurement.counts import CONVENTIONS
from harness.measurement.request import BATCH_LIMIT, BATCH_SECONDS, Request
from harness.store.measurement import MEASUREMENTS
from harness.store.store import Store
from tests.harness.cli.command import harness, require_refused
from tests.harness.complexity import rows

TINY = ("--quick", "--samples", "6", "--seconds", "0", "--threads", "1", "--device", "cpu")
LIFTERS = "tests.harness.measurement.lifters"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["measure"], "--model"),
        (["measure", "--model", "posemaba"], "Did you mean: posemamba"),
        (["measure", "--model", "posemamba-xs", "posemamba-xs"], "--model posemamba-xs is given twice"),
        (["measure", "--model", "posemamba-xs", "--frames", "0"], "--frames 0 is out of range"),
        (["measure", "--model", "posemamba-xs", "--frames", "9", "9"], "--frames 9 is given twice"),
        (["measure", "--model", "posemamba-xs", "--batch", "most"], "--batch most"),
        (["measure", "--model", "posemamba-xs", "--batch", "0"], "--batch 0 is out of range"),
        (["measure", "--model", "posemamba-xs", "--threads", "0"], "--threads 0 is out of range"),
        (["measure", "--model", "posemamba-xs", "--precision", "fp8"], "--precision fp8"),
        (["measure", "--model", "posemamba-xs", "--device", "cuda:7"], "no CUDA device"),
        (["measure", "--model", "posemamba-xs", "--scan-backend", "natve"], "natve"),
        (["measure", "--model", "posemamba-xs", "--rounds", "0"], "rounds 0 is out of range"),
        (["measure", "--model", "posemamba-xs", "-o", "dephth=8"], "no such option 'dephth'"),
        (["measure", "--model", "posemamba-xs", "--memory-limit", "inf"], "--memory-limit inf"),
        (["measure", "--model", "posemamba-xs", "--memory-limit", "nan"], "--memory-limit nan"),
        (["measure", "--model", "posemamba-xs", "--timeout", "inf"], "--timeout inf"),
        (["measure", "--model", "posemamba-xs", "--seconds", "nan"], "min_seconds nan"),
        (["measure", "--model", "posemamba-xs", "--batch-limit", "0"], "--batch-limit 0 is out of range"),
        (["measure", "--model", "posemamba-xs", "--batch-seconds", "nan"], "--batch-seconds nan"),
        (["measure", "--model", "posemamba-xs", "--device", "meta"], "--device meta"),
        (["measure", "--model", "martinez", "--attention", "sdpa"], "--attention sdpa"),
        (["count", f"{LIFTERS}:sound", "--frames", "0"], "frames 0 is out of range"),
        (["count", "posemaba"], "Unknown model 'posemaba'"),
        (["count", "posemamba-xs", "--frames", "0"], "frames"),
        (["count", "mhformer", "--frames", "10"], "9"),
        (["compare", "cost"], "nothing is measured in results yet"),
        (["plot", "complexty"], "Did you mean: complexity"),
        (["plot", "complexity"], "make them with: harness measure"),
        (["plot", "published"], "harness compare published"),
    ],
)
def test_bad_input_is_named_and_ends_with_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    require_refused(words, message, capsys)


def test_options_that_take_lists() -> None:
    words = ["--model", "a", "b", "--frames", "9", "27", "--batch", "1", "auto", "--threads", "1", "2"]
    with measure_command.make_context("measure", words) as context:
        found = context.params
    assert found["models"] == ("a", "b")
    assert found["frames"] == (9, 27)
    assert found["batches"] == ("1", "auto")
    assert found["threads"] == (1, 2)


def test_where_a_search_for_the_largest_batch_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []
    monkeypatch.setattr("harness.measurement.plan.plan", lambda request, *_: asked.append(request))
    words = ["--model", "martinez", "--batch", "auto", "--dry-run", "--results", str(tmp_path)]
    for more in ([], ["--batch-limit", "32", "--batch-seconds", "0.5"]):
        measure_command.main([*words, *more], standalone_mode=False)
    assert [(one.batch_limit, one.batch_seconds) for one in asked] == [(BATCH_LIMIT, BATCH_SECONDS), (32, 0.5)]
    told = {option.name: getattr(option, "help", "") for option in measure_command.params}
    assert f"[default: {BATCH_LIMIT}]" in told["batch_limit"]
    assert f"[default: {BATCH_SECONDS:g}]" in told["batch_seconds"]


def test_count_for_programs_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("count", "posemamba-xs", "--frames", "9", "--in-channels", "3", "-o", "depth=1", "--json")
    code, out, _ = harness(*words, capsys=capsys)
    counted = json.loads(out)
    assert code == 0
    assert {"params_total", "params_thop", *CONVENTIONS} <= counted.keys()
    assert (counted["frames"], counted["in_channels"], counted["options"]) == (9, 3, {"depth": 1})
    code, page, _ = harness(*words[:-1], capsys=capsys)
    assert f"{counted['flops_exact']:,}" in page


def test_measured_stored_skipped_tabulated_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("measure", "--model", "martinez", f"{LIFTERS}:sound", "--frames", "3", "9", *TINY, "--results", tmp_path)
    code, planned, said = harness(*words, "--dry-run", capsys=capsys)
    assert (code, planned) == (0, "")
    assert "9 passes to run, 0 stored" in said
    code, table, _ = harness(*words, capsys=capsys)
    assert code == 0
    assert "martinez" in table
    stored = (tmp_path / "measurements.jsonl").read_bytes()
    code, again, _ = harness(*words, capsys=capsys)
    assert (code, again) == (0, table)
    assert (tmp_path / "measurements.jsonl").read_bytes() == stored
    code, compared, _ = harness("compare", "cost", "--results", tmp_path, capsys=capsys)
    assert code == 0
    assert "martinez" in compared.partition("lifters:sound")[0]
    assert set(table.splitlines()) <= set(compared.splitlines())
    assert len((tmp_path / "cost" / "points.csv").read_text().splitlines()) == 1 + 4
    code, drawn, _ = harness("plot", "complexity", "--results", tmp_path, "--out", tmp_path / "figures", capsys=capsys)
    assert code == 0
    assert {Path(line).suffix for line in drawn.splitlines()} == {".svg", ".png"}
    assert all(Path(line).stat().st_size > 0 for line in drawn.splitlines())


def test_a_point_that_fails_is_a_row_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("measure", "--model", f"{LIFTERS}:aborting", "martinez", "--frames", "3", *TINY, "--results", tmp_path)
    code, table, err = harness(*words, capsys=capsys)
    assert code == 1
    assert "martinez" in table
    assert "failed" in err
    statuses = {
        row["point"]["model"]: row["status"] for row in Store(tmp_path, MEASUREMENTS).latest() if row.get("point")
    }
    assert statuses == {f"{LIFTERS}:aborting": "failed", "martinez": "ok"}


def test_every_figure_and_table_of_a_whole_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path, MEASUREMENTS)
    for row in rows.typical():
        store.append(row)
    code, out, _ = harness("compare", "cost", "--from-frames", "243", "--results", tmp_path, capsys=capsys)
    assert code == 0
    assert {path.name for path in (tmp_path / "cost").iterdir()} == {
        "cost.md", "points.csv", "growth.csv", "crossovers.csv", "roofline.csv",
    }  # fmt: skip
    code, out, err = harness("plot", "all", "--results", tmp_path, capsys=capsys)
    assert code == 0
    names = {Path(line).stem.partition("--")[0] for line in out.splitlines()}
    assert {"complexity", "memory", "roofline"} <= names
    assert "no figure accuracy-cost" in err
