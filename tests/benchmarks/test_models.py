"""The models' benchmark on small ones: forms, steps, long clips, and what follows from their medians."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import lifter, models
from benchmarks.report import Report
from benchmarks.turns import Effort, Row
from harness.measurement import machine

SMALL = ["--model", "posemamba-xs", "--peers", "motionagformer-xxs", "--threads", "1", "--samples", "1"]
PEAKS = {"device": "cpu", "gemm_flops_per_s": 2e11, "copy_bytes_per_s": 1e9, "exp_per_s": 4e9}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "measure", lambda device, threads: {**PEAKS, "threads": threads})


@pytest.fixture(autouse=True)
def _threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(tmp_path: Path, *words: str) -> dict[str, Any]:
    file = tmp_path / "models.json"
    assert models.main([*SMALL, "--seconds", "0.01", *words, "--json", str(file)]) == 0
    document: dict[str, Any] = json.loads(file.read_text())
    return document


def test_all_forms_are_beside_each_other(tmp_path: Path) -> None:
    (table,) = run(tmp_path, "--parts", "inference", "--frames", "3", "5", "--loop-frames", "3")["sections"]
    named = [(row["model"], row["form"], row["frames"]) for row in table["rows"]]
    subject, peer = "posemamba-xs", "motionagformer-xxs"
    assert named == [
        *((subject, form, 3) for form in ("by itself", "bf16", "unbind loop")),
        *((peer, form, 3) for form in ("sdpa", "explicit")),
        *((subject, form, 5) for form in ("by itself", "bf16")),
        *((peer, form, 5) for form in ("sdpa", "explicit")),
    ]
    assert [one["what"] for one in table["skipped"]] == ["posemamba-xs, unbind loop, T = 5"]
    rows = {(row["form"], row["frames"]): row for row in table["rows"]}
    assert rows["unbind loop", 3]["difference"] < 1e-4
    assert 0 < rows["bf16", 3]["difference"] < 0.5
    assert rows["bf16", 3]["share_of_gemm_peak"] is None
    assert rows["by itself", 3]["share_of_gemm_peak"] > 0
    assert rows["by itself", 3]["flops_exact"] == lifter.operations(subject, 1, 3)


def test_a_step_is_beside_both_forwards(tmp_path: Path) -> None:
    words = ("--parts", "training", "--training-frames", "3", "--training-batch", "2")
    (table,) = run(tmp_path, *words)["sections"]
    passes = ["forward without gradients", "forward in training mode", "step"]
    assert [row["pass"] for row in table["rows"]] == 2 * passes
    assert {one["what"] for one in table["derived"]} == {
        f"time of a step over a {name}, {model}"
        for name in passes[:2]
        for model in ("posemamba-xs", "motionagformer-xxs")
    }
    forward, _, step = table["rows"][:3]
    assert step["flops_exact"] > 2 * forward["flops_exact"]


def test_long_clips_have_memory_and_time_and_an_exponent(tmp_path: Path) -> None:
    (table,) = run(tmp_path, "--parts", "memory", "--memory", "81", "243", "729")["sections"]
    assert [row["frames"] for row in table["rows"]] == [81, 243, 729]
    peaks = [row["peak_bytes"] for row in table["rows"]]
    assert peaks == sorted(peaks)
    assert all(row["median_ms"] > 0 for row in table["rows"])
    (exponent,) = table["derived"]
    assert 0.3 < exponent["value"] < 1.5


def test_an_unknown_model_is_said_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["--model", "posemamba-z"]) == 2
    captured = capsys.readouterr()
    assert "posemamba-z" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("words", [["--frames", "0"], ["--threads", "-1"], ["--parts", "all"]])
def test_options_out_of_range_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        models.main(words)
    assert stopped.value.code == 2


def _row(model: str, form: str, median_ms: float, **others: Any) -> Row:
    times = {"median_ms": median_ms, "low_ms": median_ms, "high_ms": median_ms, "spread": 0.0, "verdict": "STABLE"}
    setting = {"threads": 2, "batch": 1, "frames": 81, "model": model, "form": form, "precision": "fp32"}
    return {**setting, **times, "flops_exact": 10**9, **others}


def test_ratios_of_forms() -> None:
    report = Report("b", Effort(), peaks={number: {**PEAKS, "threads": number} for number in (1, 2)})
    table = models.inference_section(report, "posemamba-s")
    table.add(
        [
            _row("posemamba-s", "by itself", 50.0),
            _row("posemamba-s", "by itself", 90.0, threads=1),
            _row("posemamba-s", "bf16", 25.0, precision="bf16"),
            _row("posemamba-s", "unbind loop", 4000.0),
            _row("motionagformer-xs", "sdpa", 80.0),
            _row("motionagformer-xs", "explicit", 75.0),
        ]
    )
    assert {one.what: one.value for one in table.derived if "2 threads" in f"{one.what} {one.where}"} == {
        "time of motionagformer-xs in its faster form over posemamba-s": 1.5,
        "speed of posemamba-s bf16 over by itself": 2.0,
        "speed of posemamba-s over its unbind loop": 80.0,
        "speed of 2 threads over 1, posemamba-s": 1.8,
    }
    assert table.rows[4]["over_subject"] == 1.6
    assert table.rows[0]["flops_per_s"] == 2e10
    assert table.rows[0]["share_of_gemm_peak"] == pytest.approx(0.1)


def test_the_exponent_of_memory_in_proportion_to_frames_is_one() -> None:
    table = models.memory_section("posemamba-s")
    table.add(
        [_row("posemamba-s", "by itself", 1.0, frames=frames, peak_bytes=1000 * frames) for frames in (9, 27, 81)]
    )
    (exponent,) = table.derived
    assert exponent.value == pytest.approx(1.0)
    assert "T = 9, 27, 81" in exponent.where


def test_outputs_far_from_the_first_form_are_invalid() -> None:
    outputs: dict[str, torch.Tensor] = {}
    inspect = lifter._against(lifter.Form("m"), outputs)
    assert inspect(torch.ones(4)) == {"difference": 0.0}
    assert "off that of the lifter's first form" in inspect(torch.full((4,), 1.1))["trouble"]
    bf16 = lifter._against(lifter.Form("m", lifter.BF16, precision="bf16"), outputs)
    assert bf16(torch.full((4,), 1.1)) == {"difference": pytest.approx(0.1)}
    assert inspect(torch.tensor([float("inf")] * 4)) == {"trouble": lifter.NOT_FINITE}


def test_all_forms_have_the_same_weights() -> None:
    forms = lifter.subject_forms("posemamba-xs", with_loop=True, compiled=False)
    first, *others = [lifter.build(form, 3).state_dict() for form in forms]
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)
