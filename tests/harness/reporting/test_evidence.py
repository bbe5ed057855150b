"""What a report may draw on."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.reporting.evidence import Evidence
from harness.store import traces as trace_file
from tests.harness.store.test_traces import made


def test_traces_are_those_of_the_run_or_none(tmp_path: Path) -> None:
    sha256 = trace_file.save(tmp_path / "runs/one/traces.npz", made())
    evidence = Evidence.of(tmp_path, [])
    kept = {"traces": {"path": "runs/one/traces.npz", "sha256": sha256}}
    found = evidence.traces(kept)
    assert found is not None
    assert found is evidence.traces(kept)
    assert len(found.curves) == 3
    assert evidence.traces({}) is None
    assert evidence.traces({"traces": {"path": "runs/two/traces.npz", "sha256": sha256}}) is None


def test_traces_of_another_run_are_left_out_and_said(tmp_path: Path) -> None:
    trace_file.save(tmp_path / "runs/one/traces.npz", made())
    evidence = Evidence.of(tmp_path, [])
    for _ in range(2):
        assert evidence.traces({"traces": {"path": "runs/one/traces.npz", "sha256": "0" * 64}}) is None
    assert "damaged or of another run" in evidence.damaged["runs/one/traces.npz"]


def test_what_is_said_about_the_runs_is_read_by_paragraphs(tmp_path: Path) -> None:
    assert Evidence.of(tmp_path, []).about == ()
    (tmp_path / "about.txt").write_text("One\nline.\n\n \n\nÄnother.\n", encoding="utf-8")
    assert Evidence.of(tmp_path, []).about == ["One line.", "Änother."]
    (tmp_path / "about.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match=r"cannot read .*about\.txt as UTF-8"):
        _ = Evidence.of(tmp_path, []).about
