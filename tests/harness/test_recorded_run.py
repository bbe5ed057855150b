"""One record of every run, whatever ends it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness import recorded_run
from harness.errors import RunFailed
from harness.training import checkpoint


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


def test_a_model_that_leaves_has_failed() -> None:
    store = Kept()
    with (
        pytest.raises(RunFailed, match="the model left by SystemExit: 0"),
        recorded_run.recording({"status": "failed"}, store),  # type: ignore[arg-type]
    ):
        raise SystemExit(0)
    (kept,) = store.records
    assert (kept["status"], "SystemExit: 0" in kept["error"]) == ("failed", True)


OK = {"id": "a", "status": "ok", "finished": "then"}


@pytest.mark.parametrize("before", [None, OK, {"id": "a", "status": "interrupted"}])
def test_again_starts_from_nothing_and_then_goes_on(tmp_path: Path, before: dict[str, Any] | None) -> None:
    said: list[str] = []

    def repeated(newest: dict[str, Any] | None, again: bool) -> bool:
        return recorded_run.repeated(tmp_path, newest, again, said.append)

    checkpoint.save(tmp_path, 1, {"step": 1})
    assert not repeated(before, again=False)
    assert checkpoint.load(tmp_path) is not None
    assert repeated(before, again=True)
    assert checkpoint.load(tmp_path) is None
    assert said == []
    checkpoint.save(tmp_path, 2, {"step": 2})
    assert [repeated(before, again) for again in (False, True)] == [True, True]
    assert checkpoint.load(tmp_path) == {"step": 2}
    assert len(said) == 2
    # It has been finished, and a kill came before the mark was removed.
    assert not repeated({**OK, "finished": "now"}, again=False)
    assert repeated({**OK, "finished": "now"}, again=True)
    assert checkpoint.load(tmp_path) is None


@pytest.mark.parametrize(("error", "marked"), [(ValueError("boom"), False), (KeyboardInterrupt(), True)])
def test_only_an_interrupted_repetition_is_gone_on_with(tmp_path: Path, error: BaseException, marked: bool) -> None:
    assert recorded_run.repeated(tmp_path, OK, True, lambda line: None)
    store = Kept()
    with pytest.raises(type(error)), recorded_run.recording({}, store, OK, tmp_path):  # type: ignore[arg-type]
        raise error
    assert store.records == []
    assert recorded_run.repeated(tmp_path, OK, False, lambda line: None) is marked


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b"\xff", b'{"from": 3}'])
def test_a_damaged_mark_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / recorded_run.AGAIN).write_bytes(content)
    assert not recorded_run.repeated(tmp_path, OK, False, lambda line: None)


def test_sigterm_while_the_record_is_appended_is_an_interruption() -> None:
    class Terminated(Kept):
        def append(self, record: dict[str, Any]) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().append(record)

    with pytest.raises(KeyboardInterrupt), recorded_run.recording({}, Terminated()):  # type: ignore[arg-type]
        pass
