"""One record of every run, whatever ends it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness import recorded_run


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError(), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "oom"),
        (KeyboardInterrupt(), "interrupted"),
        (RuntimeError("boom"), "failed"),
    ],
)
def test_statuses(error: BaseException, status: str) -> None:
    assert recorded_run.status(error) == status


class Kept:
    """Stands for a store."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def append(self, record: dict[str, Any]) -> None:
        self.records.append(dict(record))


@pytest.mark.parametrize(("error", "status"), [(None, "ok"), (ValueError("boom"), "failed")])
def test_a_record_is_kept_in_any_case(error: Exception | None, status: str) -> None:
    store, record = Kept(), {"status": "failed"}
    passed_on = pytest.raises(ValueError, match="boom") if error else contextlib.nullcontext()
    with passed_on, recorded_run.recording(record, store):  # type: ignore[arg-type]
        record["found"] = "something"
        if error:
            raise error
    (kept,) = store.records
    assert (kept["status"], kept["found"], kept.get("error")) == (status, "something", error and "boom")
    assert kept["finished"] <= recorded_run.now()


@pytest.mark.parametrize(
    ("before", "error", "statuses"),
    [
        ("ok", ValueError("boom"), []),
        ("ok", KeyboardInterrupt(), []),
        ("ok", None, ["ok"]),
        ("failed", ValueError("boom"), ["failed"]),
        ("interrupted", None, ["ok"]),
    ],
)
def test_a_repetition_that_fails_does_not_replace_what_is_finished(
    before: str, error: BaseException | None, statuses: list[str]
) -> None:
    store = Kept()
    passed_on = pytest.raises(type(error)) if error else contextlib.nullcontext()
    with passed_on, recorded_run.recording({"status": "failed"}, store, {"status": before}):  # type: ignore[arg-type]
        if error:
            raise error
    assert [record["status"] for record in store.records] == statuses


def test_sigterm_is_recorded_as_an_interruption() -> None:
    store = Kept()
    with pytest.raises(KeyboardInterrupt), recorded_run.recording({"status": "failed"}, store):  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGTERM)
    assert [record["status"] for record in store.records] == ["interrupted"]


def test_weights_are_named_from_the_results_folder(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "runs" / "a-run"
    folder.mkdir(parents=True)
    entry = recorded_run.keep_weights(folder, {"model": {}})
    assert (tmp_path / "results" / entry["path"]).is_file()
    assert len(entry["sha256"]) == 64
