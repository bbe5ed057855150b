"""Sweeps of real processes: a lifter that crashes, one that hangs, and Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.store.store import Store
from harness.sweep import worker
from tests.faults.life import DATA, HERE
from tests.harness.cli.command import harness

Capture = pytest.CaptureFixture[str]


def grid(folder: Path, *models: str, steps: int = 2) -> Path:
    """Tiny trainings of lifters of this package."""
    path = folder / "grid.toml"
    names = [HERE + name for name in models]
    path.write_text(
        f'model = {names}\ndata = "{DATA}"\nframes = 9\nbatch-size = 2\nsteps = {steps}\nthreads = 1\ndevice = "cpu"\n'
    )
    return path


def rows(results: Path) -> dict[str, tuple[str, str | None]]:
    """(status, error) of the newest record of each model."""
    return {
        record["config"]["model"].removeprefix(HERE): (record["status"], record.get("error"))
        for record in Store(results).latest()
    }


def test_a_lifter_that_crashes_is_a_row_and_the_others_finish(tmp_path: Path, capsys: Capture) -> None:
    words = ("sweep", grid(tmp_path, "aborting", "plain"), "--jobs", "2", "--retries", "0", "--results", tmp_path / "r")
    code, out, err = harness(*words, capsys=capsys)
    assert code == 1, err
    found = rows(tmp_path / "r")
    assert (found["plain"], found["aborting"][0]) == (("ok", None), "failed"), err
    assert str(found["aborting"][1]).startswith("crashed with SIGABRT")
    assert ("plain" in out, "aborting" in out) == (True, False)
    assert "harness: 1 of 2 points failed" in err
    assert (tmp_path / "r" / "sweeps").is_dir()


def test_a_lifter_that_hangs_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(worker, "GRACE_S", 0.5)  # it does not end the step that it was asked to end with
    words = ("sweep", grid(tmp_path, "hanging"), "--timeout", "0.1", "--retries", "0", "--results", tmp_path / "r")
    code, out, err = harness(*words, capsys=capsys)
    assert (code, out) == (1, ""), err
    assert rows(tmp_path / "r") == {"hanging": ("timeout", "stopped after 0.1 minutes (--timeout)")}


def test_ctrl_c_ends_what_runs_and_says_how_to_go_on(tmp_path: Path) -> None:
    results = tmp_path / "r"
    endless = grid(tmp_path, "plain", steps=100_000_000)
    words = [sys.executable, "-m", "harness", "sweep", str(endless), "--results", str(results)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sweep:
        until = time.monotonic() + 120
        while not list(results.glob("runs/*/config.json")):  # written when everything else is ready
            assert sweep.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        sweep.send_signal(signal.SIGINT)
        try:
            out, err = sweep.communicate(timeout=120)
        finally:
            sweep.kill()  # of nothing, or of one that would train for ever
    assert (sweep.returncode, out) == (130, "")
    assert err.endswith(f"stopped with 0 of 1 points finished in {results}; the same command goes on\n")
    assert "Traceback" not in err
    assert [status for status, _ in rows(results).values()] == ["interrupted"]
    held = subprocess.run(["flock", "-n", next(results.glob("runs/*/lock")), "true"], check=False)
    assert held.returncode == 0, "the training goes on"
