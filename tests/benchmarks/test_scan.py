"""The scan's benchmark at a tiny size: who takes part, and what the figures are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import scan
from benchmarks.report import Report
from benchmarks.scan_peers import BOTH, FORWARD
from benchmarks.turns import Effort, Row
from harness.measurement import machine
from posemamba import native

needs_native = pytest.mark.skipif(bool(native.missing()), reason=native.missing())
TINY = ["--frames", "1", "--channels", "4", "--samples", "1", "--seconds", "0.01"]
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
    file = tmp_path / "scan.json"
    assert scan.main([*TINY, *words, "--json", str(file)]) == 0
    document: dict[str, Any] = json.loads(file.read_text())
    return document


@needs_native
def test_every_peer_is_there_in_both_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = run(tmp_path, "--threads", "1")
    rows = document["sections"][0]["rows"]
    best = native.instruction_set()
    named = {(row["peer"], row["instructions"], row["pass"]) for row in rows}
    for name in (FORWARD, BOTH):
        for peer in ("unbind", "published, unbind", "published", "chunked"):
            assert (peer, None, name) in named
        for peer in ("native, by channel", "native, by token", "cross scan", "cross scan, plain"):
            assert (peer, best, name) in named
        assert ("native, by token", "portable", name) in named
    assert all(row["relative_error"] < 1e-5 for row in rows)
    assert "| 1 | 1, 4, 1 | forward | unbind |" in capsys.readouterr().out


@needs_native
def test_on_two_threads_the_speed_over_one_is_derived(tmp_path: Path) -> None:
    document = run(tmp_path, "--threads", "1", "2")
    whats = {one["what"] for one in document["sections"][0]["derived"]}
    best = native.instruction_set()
    assert f"speed of 2 threads over 1, native, by token, {best}, {FORWARD}" in whats
    if best != "portable":
        assert f"time of portable over {best}, cross scan, {BOTH}" in whats
        assert f"difference of portable over {best}" in whats


def test_what_is_left_out_is_said_with_the_reason(tmp_path: Path) -> None:
    document = run(tmp_path, "--threads", "1", "--frames", "2", "3", "--loop-frames", "2", "--quadratic-frames", "1")
    skipped = {one["what"]: one["why"] for one in document["sections"][0]["skipped"]}
    assert "quadratic in L" in skipped[f"published, {BOTH}, threads 1; B, D, T = 1, 4, 2"]
    assert skipped["unbind, published, unbind, published; B, D, T = 1, 4, 3"] == "T above --loop-frames 2"
    kept = {(row["peer"], row["pass"], row["frames"]) for row in document["sections"][0]["rows"]}
    assert ("published", FORWARD, 2) in kept
    assert ("published", BOTH, 2) not in kept
    assert ("unbind", FORWARD, 3) not in kept


def test_without_the_library_the_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_reason", "the native scan was not built")
    document = run(tmp_path, "--threads", "1")
    skipped = {one["what"]: one["why"] for one in document["sections"][0]["skipped"]}
    assert skipped["native, cross scan; B, D, T = 1, 4, 1"] == "the native scan was not built"
    assert {row["peer"] for row in document["sections"][0]["rows"]} >= {"unbind", "chunked"}


def test_figures_of_a_table() -> None:
    report = Report("b", Effort(), peaks={1: {**PEAKS, "threads": 1}})
    table = scan.section(report)
    table.add([_row("unbind", 100.0), _row("published, unbind", 200.0), _row("native, by token", 2.0, "avx512")])
    row = table.rows[-1]
    assert (row["times_unbind"], row["times_published_unbind"]) == (50.0, 100.0)
    assert row["state_elements_per_s"] == 1e9
    assert row["share_of_exp_peak"] == pytest.approx(3e6 / 2e-3 / 4e9)
    assert row["share_of_gemm_peak"] == pytest.approx(2e7 / 2e-3 / 2e11)
    assert table.rows[0]["times_published_unbind"] == 2.0


def _row(peer: str, median_ms: float, instructions: str | None = None, **others: Any) -> Row:
    times = {"median_ms": median_ms, "low_ms": median_ms, "high_ms": median_ms, "spread": 0.0, "verdict": "STABLE"}
    work = {"state_elements": 2_000_000, "exponentials": 3_000_000, "flops_exact": 20_000_000}
    setting = {"threads": 1, "batch": 1, "channels": 4, "frames": 9, "pass": FORWARD}
    return {**setting, "peer": peer, "instructions": instructions, **times, **work, "relative_error": 1e-7, **others}
