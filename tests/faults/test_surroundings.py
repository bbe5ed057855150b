"""Locale, time zone, hash seed, working folder, and paths with blanks and letters of any script: the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.data import synthetic
from tests.faults import life

ROOT = Path(__file__).parents[2]
#: Runs commands one after the other in one process, as they are typed; ends with the first code that is not 0.
PROGRAM = """
import json, sys
from harness import cli
from harness.measurement import inference
from harness.measurement.timing import Protocol
inference.PROTOCOL = Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1)
for words in json.loads(sys.argv[1]):
    try:
        cli.main(words)
    except SystemExit as ended:
        if ended.code:
            sys.exit(ended.code)
"""
#: Fields of a record that hold times, speeds and the machine's state.
_OF_THE_MOMENT = ("started", "finished", "environment")
_FILES = ("report.html", "table.md", "table.csv")


def made_in(
    folder: Path, report_of: str | None, environment: dict[str, str]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(the record, the report's files) of a tiny run in ``folder``, all paths from there; the report is of
    ``report_of``, else of this very run."""
    data = folder / "Daten ä 动作"
    data.mkdir(parents=True)
    parts: dict[str, dict[str, Any]] = {}
    for number, take in enumerate(synthetic.takes(0, train_minutes=0.2, test_minutes=0.1)):
        metres = (take.joints_mm / 1000).astype(np.float32)
        parts.setdefault(take.part, {})[f"S{number}/Größe ☃/1"] = metres
    for part, takes in parts.items():
        np.savez(data / f"a_{part}.npz", **takes)
    run = ["run", "--model", life.HERE + "plain", *life.TINY, "--steps", "3", "--results", "Ergebnisse ☃ 1"]
    run[run.index(life.DATA)] = f"motion:{data.name}"
    report = ["compare", "report", "--results", report_of or "Ergebnisse ☃ 1", "--out", "Bericht ß"]
    execute([run, report], folder, environment)
    (line,) = (folder / "Ergebnisse ☃ 1" / "records.jsonl").read_bytes().splitlines()
    return json.loads(line), {name: (folder / "Bericht ß" / name).read_bytes() for name in _FILES}


def execute(commands: list[list[str]], folder: Path, environment: dict[str, str]) -> None:
    """``commands``, all of which must end well."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()


def lasting(record: dict[str, Any]) -> dict[str, Any]:
    """What of a record must be the same in any surroundings."""
    kept = {name: value for name, value in record.items() if name not in _OF_THE_MOMENT}
    kept["training"] = {
        name: value for name, value in record["training"].items() if name in ("recipe", "steps", "epochs", "batch_size")
    }
    kept["losses"] = [stretch["loss"] for stretch in record["training"]["curve"]]
    kept["cost"] = {
        name: value for name, value in record["cost"].items() if name.startswith(("params", "macs", "flops", "bytes"))
    }
    kept["warnings"] = [
        text for text in record["warnings"] if not text.startswith(("inference speed is", "training computed"))
    ]
    return kept


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("surroundings")


@pytest.fixture(scope="module")
def both(folder: Path) -> list[tuple[dict[str, Any], dict[str, bytes]]]:
    plain = {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1", "PYTHONUTF8": "1"}
    foreign = {"LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2", "PYTHONUTF8": "0"}
    first = made_in(folder / "a", None, plain)
    second = made_in(folder / "b ü ☃" / "deep er", str(folder / "a" / "Ergebnisse ☃ 1"), foreign)
    return [first, second]


def test_the_same_record_everywhere(both: list[tuple[dict[str, Any], dict[str, bytes]]]) -> None:
    one, other = (lasting(record) for record, _ in both)
    assert one["weights"]["sha256"] == other["weights"]["sha256"]
    assert one["traces"]["sha256"] == other["traces"]["sha256"]
    assert one == other
    assert one["data"]["spec"] == "motion:Daten ä 动作"


@pytest.mark.parametrize("name", _FILES)
def test_the_same_report_of_the_same_records(both: list[tuple[dict[str, Any], dict[str, bytes]]], name: str) -> None:
    (_, one), (_, other) = both
    assert one[name] == other[name]
    assert "Größe ☃".encode() in one["report.html"]


def test_the_same_report_where_letters_are_ascii(
    both: list[tuple[dict[str, Any], dict[str, bytes]]], folder: Path
) -> None:
    """There a file opened without its encoding named cannot hold what is in these records."""
    shutil.copytree(folder / "a" / "Ergebnisse ☃ 1", folder / "results")
    ascii_only = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    execute([["compare", "report", "--results", "results", "--out", "ascii"]], folder, ascii_only)
    assert {name: (folder / "ascii" / name).read_bytes() for name in _FILES} == both[0][1]
