"""What a benchmark prints and writes, also after Ctrl-C and errors."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report as reports
from benchmarks import turns
from benchmarks.report import Column, Derived, Pieces, Report, Section, Skipped
from benchmarks.turns import Effort, Peer, Row
from harness.errors import BadInput
from harness.measurement import machine
from tests.benchmarks.durations import Durations, finds_nothing, quietly
from tests.harness.measurement.fake_clock import FakeClock

PEAKS = {"threads": 1, "device": "cpu", "gemm_flops_per_s": 2e9, "copy_bytes_per_s": 1e9, "exp_per_s": 4e9}


def test_a_peer_that_fails_is_named_and_the_others_go_on() -> None:
    def fail() -> None:
        raise MemoryError("no room")

    table = Section("t", [Column("peer", lambda row: row["peer"], words=True)], "")
    failing = Peer({"peer": "large", "form": None}, fail, finds_nothing, threads=1)
    working = Peer({"peer": "small"}, lambda: sum(range(1000)), finds_nothing, threads=1)
    table.measure([failing, working], Effort(samples=1, seconds=0.01), quietly)
    assert table.skipped == [Skipped("peer large", "MemoryError: no room")]
    assert [row["peer"] for row in table.rows] == ["small"]


def interrupting(after: int) -> Callable[[], None]:
    left = iter(range(after))

    def call() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return call


def test_ctrl_c_prints_and_writes_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_SHORT_MS", 0.0)
    durations = Durations()
    complete = durations.peer("complete", repeat(0.5))
    stopped = durations.peer("stopped", repeat(0.5))
    stopped.call = interrupting(2 + 4)
    report, table = Report("b", Effort()), Section("t", [Column("peer", lambda row: row["peer"])], "")
    report.sections.append(table)

    def measure() -> None:
        clock = durations.clock
        monkeypatch.setattr(
            reports, "take_turns", lambda peers, effort, tell: original(peers, effort, tell, clock=clock)
        )
        stopped.call = _lasting(clock, stopped.call)
        table.measure([complete, stopped], Effort(samples=8), quietly)

    original = turns.take_turns
    code = reports.carry_out(report, measure, Pieces("b", 1.0), tmp_path / "new" / "b.json")
    assert code == 130
    printed, document = capsys.readouterr().out, json.loads((tmp_path / "new" / "b.json").read_text())
    assert "Interrupted" in printed
    assert "| stopped |" in printed
    assert document["interrupted"] is True
    rows = {row["peer"]: row for row in document["sections"][0]["rows"]}
    assert len(rows["stopped"]["samples_ms"]) == 4
    assert rows["stopped"]["verdict"] == "INVALID"
    assert len(rows["complete"]["samples_ms"]) in (4, 5)


def _lasting(clock: FakeClock, call: Callable[[], Any]) -> Callable[[], None]:
    def timed() -> None:
        call()
        clock.now_s += 0.5

    return timed


def test_an_error_of_the_harness_ends_with_its_exit_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def measure() -> None:
        raise BadInput("unknown model 'x'")

    file = tmp_path / "b.json"
    assert reports.carry_out(Report("b", Effort()), measure, Pieces("b", 1.0), file) == 2
    captured = capsys.readouterr()
    assert captured.err == "Error: unknown model 'x'\n"
    assert captured.out == ""
    assert not file.exists()


def test_a_file_that_cannot_be_written_is_said_before_measuring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "b.json"):
        assert reports.carry_out(Report("b", Effort()), _never, Pieces("b", 1.0), path) == 4
        assert str(path) in capsys.readouterr().err


def _never() -> None:
    raise AssertionError("measured in spite of it")


def test_a_section_shows_its_rows_what_follows_and_what_is_missing() -> None:
    def derive(rows: list[Row]) -> list[Derived]:
        return [Derived("speed of b over a", f"T = {row['frames']}", row["frames"] / 4) for row in rows]

    columns = [Column("peer", lambda row: row["peer"], words=True), Column("T", lambda row: str(row["frames"]))]
    table = Section("Scan", columns, "How to read it.", derive)
    table.add([{"peer": "a", "frames": 9}])
    table.add([{"peer": "b", "frames": 27}])
    table.skipped.append(Skipped("numba", "not installed"))
    assert table.markdown() == (
        "## Scan\n\nHow to read it.\n\n| peer | T |\n| --- | --: |\n| a | 9 |\n| b | 27 |\n\n"
        "* speed of b over a: 2.25 (T = 9), 6.75 (T = 27)\n* not measured: numba: not installed"
    )
    assert table.as_dict()["derived"][1] == {"what": "speed of b over a", "where": "T = 27", "value": 6.75}


@pytest.fixture
def known_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "measure", lambda device, threads: {**PEAKS, "threads": threads})


@pytest.mark.usefixtures("known_peaks")
def test_shares_are_of_the_peak_of_as_many_threads() -> None:
    report = Report("b", Effort())
    report.measure_peaks([1, 2], quietly)
    report.peaks[2]["exp_per_s"] = 8e9
    assert report.share({"threads": 1, "median_ms": 10.0}, 1e7, "exp_per_s") == 0.25
    assert report.share({"threads": 2, "median_ms": 10.0}, 1e7, "exp_per_s") == 0.125
    assert report.share({"threads": 1, "median_ms": None}, 1e7, "exp_per_s") is None
    report.peaks[1]["exp_per_s"] = None
    assert report.share({"threads": 1, "median_ms": 10.0}, 1e7, "exp_per_s") is None


@pytest.mark.usefixtures("known_peaks")
def test_the_machine_is_named_with_its_peaks() -> None:
    report = Report("b", Effort())
    report.measure_peaks([2], quietly)
    assert "* peak on 2 threads: 2 GFLOP/s of a product, 1 GB/s of a copy, 4 G exponentials/s" in report.markdown()


@pytest.mark.parametrize(
    ("value", "shown"), [(0.36172, "0.3617"), (27.4149, "27.41"), (412.0, "412.0"), (12345.6, "12,346"), (None, "–")]
)
def test_four_digits(value: float | None, shown: str) -> None:
    assert reports.significant(value) == shown


@pytest.mark.parametrize(("share", "shown"), [(0.413, "41 %"), (0.0123, "1.23 %"), (1.2, "120 %"), (None, "–")])
def test_percent(share: float | None, shown: str) -> None:
    assert reports.percent(share) == shown


def test_a_ratio_needs_two_medians() -> None:
    assert reports.ratio({"median_ms": 6.0}, {"median_ms": 4.0}) == 1.5
    assert reports.ratio({"median_ms": 6.0}, {"median_ms": None}) is None
    assert reports.ratio(None, {"median_ms": 4.0}) is None


@pytest.mark.parametrize("word", ["0", "-1", "1.5", "two"])
def test_a_count_is_a_whole_number_of_at_least_one(word: str) -> None:
    assert reports.count("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match="at least 1"):
        reports.count(word)
