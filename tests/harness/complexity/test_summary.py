"""Rows to summaries: what is pooled, what is kept apart, what counts."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest

from harness.complexity.summary import Summary, summarise
from harness.store.measurement import MEASUREMENTS
from tests.harness.complexity import rows

POSEMAMBA = rows.LAWS["posemamba-s"]


def one(made: list[dict[str, Any]]) -> Summary:
    (summary,) = summarise(made)
    return summary


def test_made_up_rows_are_rows_of_the_schema() -> None:
    made = rows.typical()
    for row in made:
        MEASUREMENTS.validate(row)
    assert len({row["id"] for row in made}) == len(made)


def test_rounds_are_pooled_and_the_cost_row_has_the_rest() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81))
    summary = one(made)
    pooled = [duration for row in made[1:] for duration in row["timing"]["samples_ms"]]
    assert summary.latency_ms == statistics.median(pooled)
    assert summary.samples is not None
    assert (summary.samples.n, summary.samples.rounds) == (90, 3)
    assert (summary.status, summary.error, summary.verdict) == ("ok", None, "STABLE")
    assert summary.peak_bytes == made[0]["memory"]["peak_bytes"]
    assert summary.counts == made[0]["counts"]
    assert summary.kinds == made[0]["kinds"]
    assert summary.scan_backend == "native"


def test_the_order_of_rows_does_not_matter() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81))
    shuffled = random.Random(3).sample(made, len(made))
    assert one(shuffled) == one(made)


def test_per_frame_is_by_frames_answered_for() -> None:
    every = one(rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81, batch=4, batch_asked="4"), noise=0))
    centre = one(rows.of_point(rows.LAWS["videopose3d"], rows.point("videopose3d", 81), noise=0))
    assert every.latency_ms is not None
    assert every.per_frame_ms == pytest.approx(every.latency_ms / (4 * 81))
    assert every.clips_per_s == pytest.approx(4000 / every.latency_ms)
    assert every.frames_per_s == pytest.approx(4 * 81 * 1000 / every.latency_ms)
    assert centre.per_frame_ms == centre.latency_ms


def test_streaming_answers_for_one_frame_a_call() -> None:
    summary = one(rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81, streaming=True), noise=0))
    assert summary.per_frame_ms == summary.latency_ms


def test_environments_are_never_mixed() -> None:
    other = {**rows.ENVIRONMENT, "processor": "another"}
    point = rows.point("posemamba-s", 81)
    made = rows.of_point(POSEMAMBA, point) + rows.of_point(POSEMAMBA, point, environment=other, seed=7)
    first, second = summarise(made)
    assert first.environment_key != second.environment_key
    assert first.rounds_ms != second.rounds_ms
    assert first.samples is not None
    assert first.samples.n == 90
    assert second.environment["processor"] == "another"
    assert first.label == second.label == "posemamba-s"


def test_order_is_model_then_frames() -> None:
    made = rows.survey(frames=(243, 9, 27))
    order = [(summary.point.model, summary.point.frames) for summary in summarise(made)]
    assert order == [(model, frames) for model in rows.LAWS for frames in (9, 27, 243)]


def test_a_later_row_of_the_same_id_replaces_the_earlier() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81))
    failed = {**made[2], "status": "interrupted", "error": "stopped by the user", "timing": None}
    assert one([made[0], failed, *made[1:]]).status == "ok"
    assert one([*made, failed]).status == "interrupted"


def test_what_did_not_run_is_a_summary_with_its_reason() -> None:
    summary = one([rows.out_of_memory()])
    assert (summary.status, summary.samples, summary.verdict, summary.peak_bytes) == ("oom", None, None, None)
    assert summary.error is not None
    assert summary.error.startswith("out of memory")
    assert not summary.usable
    assert summary.largest_batch == 0


def test_the_machine_is_no_point() -> None:
    assert summarise([rows.machine()]) == []


def test_labels_name_the_settings_in_which_namesakes_differ() -> None:
    def label(**fields: Any) -> list[str]:
        points = [rows.point("mixste", 81), rows.point("mixste", 81, **fields), rows.point("martinez", 27)]
        return [one.label for one in summarise(rows.row("cost", point) for point in points)]

    assert label(precision="bf16") == ["mixste (fp32)", "mixste (bf16)", "martinez"]
    assert label(threads=1) == ["mixste (2 threads)", "mixste (1 thread)", "martinez"]
    assert label(compiled=True) == ["mixste", "mixste (compiled)", "martinez"]
    assert label(options={"attention": "explicit"}) == ["mixste", "mixste (attention=explicit)", "martinez"]
    assert label(batch=64, batch_asked="auto") == ["mixste (batch 1)", "mixste (batch auto)", "martinez"]
    assert label(in_channels=3) == ["mixste (2 channels)", "mixste (3 channels)", "martinez"]


def test_namesakes_of_another_environment_change_no_label() -> None:
    other = {**rows.ENVIRONMENT, "processor": "another"}
    made = [rows.row("cost", rows.point("mixste", 81)), rows.row("cost", rows.point("mixste", 81, threads=1), other)]
    assert [summary.label for summary in summarise(made)] == ["mixste", "mixste"]


def test_the_verdict_is_over_all_rounds() -> None:
    assert one(rows.noisy()).verdict == "NOISY"
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81), samples=3)
    for row in made[1:]:
        row["timing"] |= {"verdict": "INVALID", "reason": "only 3 samples"}
    # Nine samples in three rounds are enough, though no round has enough by itself.
    pooled = one(made)
    assert pooled.verdict == "STABLE"
    assert pooled.reason is not None
    assert "9 of the 30 samples wanted" in pooled.reason


def test_trouble_in_one_round_is_trouble_of_the_point() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81))
    made[2]["timing"] |= {"verdict": "INVALID", "reason": "the output is not finite"}
    summary = one(made)
    assert (summary.verdict, summary.reason) == ("INVALID", "the output is not finite")
    assert not summary.usable


def test_durations_that_are_none_are_invalid_and_no_error() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81))
    made[1]["timing"]["samples_ms"][0] = 0.0
    summary = one(made)
    assert (summary.verdict, summary.latency_ms, summary.rounds_ms) == ("INVALID", None, ())


def test_the_batch_that_auto_led_to_is_told() -> None:
    asked = rows.row("cost", rows.point("mixste", 81, batch=None, batch_asked="auto"))
    timed = rows.row("timing", rows.point("mixste", 81, batch=48, batch_asked="auto"), round=0)
    assert one([asked, timed]).point.batch == 48


def test_warnings_are_told_once() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81))
    for row in made:
        row["warnings"] = ["the scan ran in PyTorch"]
    assert one(made).warnings == ("the scan ran in PyTorch",)


@pytest.mark.parametrize("of_what", ["model_code", "measurement_code"])
def test_rows_of_another_version_of_the_code_are_not_pooled(of_what: str) -> None:
    of = rows.point("package.module:lifter", 81)
    before, after = (
        [
            {**row, "id": f"{row['id']}-{code}", "started": f"2026-03-0{day}T00:00:00Z",
             "environment": {**row["environment"], of_what: code}}
            for row in rows.of_point(law, of, noise=0)
        ]
        for code, day, law in (("old", 1, rows.power_law(1.0, 5.0)), ("new", 2, rows.power_law(1.0)))
    )  # fmt: skip
    assert one([*after, *before]).rounds_ms == one(after).rounds_ms


def test_a_round_that_came_to_nothing_is_not_dropped_in_silence() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 81))
    made[2]["timing"] |= {"verdict": "INVALID", "reason": "the output is not finite", "samples_ms": []}
    summary = one(made)
    assert (summary.verdict, summary.reason) == ("INVALID", "the output is not finite")


def test_rounds_of_another_batch_than_the_costs_are_not_pooled() -> None:
    now, before = (
        rows.of_point(POSEMAMBA, {**rows.point("posemamba-s", 27), "batch": batch, "batch_asked": "auto"}, noise=0)
        for batch in (32, 64)
    )
    made = [*now[:2], *({**old, "point_key": now[0]["point_key"]} for old in before[2:])]
    assert one(made).rounds_ms == one(now[:2]).rounds_ms


def test_percentiles_are_of_forwards_and_not_of_blocks() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 27))
    assert one(made).samples.percentiles_ms.keys() == {"p90", "p95"}  # type: ignore[union-attr]
    made[1]["timing"]["calls_per_sample"] = 4
    assert one(made).samples.percentiles_ms == {}  # type: ignore[union-attr]


def test_energy_is_the_mean_over_rounds() -> None:
    made = rows.of_point(POSEMAMBA, rows.point("posemamba-s", 27))
    for row, joules in zip(made[1:], (1.0, 2.0, None), strict=True):
        row["energy"] = {"joules_per_call": joules, "meter": "a meter"}
    assert one(made).joules == 1.5
