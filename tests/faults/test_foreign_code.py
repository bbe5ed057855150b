"""Code that is not the harness's own runs only where the user names it, whatever a results folder says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.reporting.command import commands
from harness.reporting.evidence import Evidence
from harness.store.measurement import MEASUREMENTS
from harness.store.store import Store
from tests.faults.test_bad_data import Malicious
from tests.faults.test_bad_inputs import Capture, refused
from tests.harness.cli.command import harness
from tests.harness.complexity import rows
from tests.harness.reporting import records

CANARY = "canary_lifter"
MODEL = f"{CANARY}:build"


@pytest.fixture(autouse=True)
def _canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module that can be imported, and fails where it is asked for a model."""
    (tmp_path / f"{CANARY}.py").write_text("def build(**options):\n    raise ValueError('sung')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop(CANARY, None)


def run(seed: int, model: str = MODEL) -> dict[str, Any]:
    record = records.record("posemamba-xs", seed)
    record["config"]["model"], record["id"] = model, f"{model.replace(':', '-')}-{seed}"
    record["weights"]["path"] = f"runs/{record['id']}/weights.pt"
    return record


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two finished runs of the module's model, one of ours, and measurements of both."""
    folder = tmp_path / "results"
    Store(folder).preflight()
    for record in (run(0), run(1), records.record("posemamba-s")):
        Store(folder).append(record)
    for row in rows.typical():
        if row.get("point"):
            row["point"]["model"] = row["point"]["model"].replace("posemamba-xs", MODEL)
        Store(folder, MEASUREMENTS).append(row)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("list", "runs"),
        ("compare", "report", "--format", "md,latex,csv"),
        ("compare", "runs", "posemamba-s", f"{CANARY}-build-0"),
        ("compare", "regress", "posemamba-s", f"{CANARY}-build-0"),
        ("compare", "cost"),
        ("plot", "memory"),
        ("export", "csv"),
    ],
)
def test_reading_a_store_imports_nothing_that_it_names(command: tuple[str, ...], store: Path, capsys: Capture) -> None:
    code, _, err = harness(*command, "--results", store, capsys=capsys)
    assert code in (0, 1), err  # 1: what compare regress finds
    assert CANARY not in sys.modules


def test_scoring_a_run_wants_its_code_named(store: Path, capsys: Capture) -> None:
    words = ("evaluate", "--run", f"{CANARY}-build-0", "--data", "synthetic", "--results", store)
    said = refused(*words, capsys=capsys)
    assert said.endswith(f"which is not the harness's code: to have it imported, name it: --model {MODEL}")
    said = refused(*words, "--model", f"{CANARY}:other", capsys=capsys)
    assert said.startswith(f"run {CANARY}-build-0 is of {MODEL}, not of {CANARY}:other")
    assert CANARY not in sys.modules
    assert "sung" in refused(*words, "--model", MODEL, capsys=capsys)
    assert CANARY in sys.modules


def test_the_report_s_command_names_it() -> None:
    trained, scored = run(0), run(1)
    scored["config"]["budget"] = None
    scored["weights"] = trained["weights"]
    (line,) = commands([scored], [trained])
    assert line.startswith(f"harness evaluate --run {CANARY}-build-0 --model {MODEL} ")
    ours, again = run(0, "posemamba-xs"), run(1, "posemamba-xs")
    again["config"]["budget"], again["weights"] = None, ours["weights"]
    (line,) = commands([again], [ours])
    assert "--model" not in line


@pytest.mark.parametrize("path", ["../outside.pt", "runs/../../outside.pt", "{absolute}", "C:\\outside.pt"])
def test_a_record_does_not_lead_out_of_its_folder(path: str, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "results"
    Store(folder).preflight()
    torch.save({}, tmp_path / "outside.pt")
    record = run(0, "posemamba-xs")
    record["weights"]["path"] = path.format(absolute=tmp_path / "outside.pt")
    record["traces"] = {**record["weights"]}
    Store(folder).append(record)
    message = f"the record's path {record['weights']['path']} leads out of the results folder {folder}"
    assert refused("evaluate", "--run", record["id"], "--results", folder, capsys=capsys) == message
    evidence = Evidence(folder, [record])
    assert evidence.traces(record) is None
    assert evidence.damaged == {record["traces"]["path"]: message}


@pytest.mark.parametrize("new_format", [True, False])
def test_a_malicious_checkpoint(
    new_format: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Malicious()}, "weights.pt", _use_new_zipfile_serialization=new_format)
    words = ("evaluate", "--model", "posemamba-xs", "--frames", "9", "--weights", "weights.pt")
    said = refused(*words, capsys=capsys)
    assert said.startswith(
        "weights.pt is refused: it holds posix.system; a checkpoint may hold tensors, numbers and text"
    )
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("model", ["../../outside:build", "a/b:c", "..:x", "x" * 400 + ":build"])
def test_a_model_s_name_makes_no_path(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path for path in tmp_path.parent.rglob("*") if tmp_path not in (path, *path.parents)}
    said = refused("run", "--model", model, "--steps", "1", capsys=capsys)
    assert "package.module:attribute" in said
    made = [path for path in (tmp_path / "results" / "runs").rglob("*") if path.is_dir()]
    assert all(len(path.name) < 200 and ".." not in path.name for path in made)
    assert {path for path in tmp_path.parent.rglob("*") if tmp_path not in (path, *path.parents)} == before
