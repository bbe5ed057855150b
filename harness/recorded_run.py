"""What every training that is recorded owes its user, whatever it trains: one record in any case, done once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness import determinism, termination
from harness.errors import BadInput, Interrupted, is_out_of_memory
from harness.store import traces as trace_file
from harness.store.schema import Record
from harness.store.store import Store
from harness.traces import Traces
from harness.training import checkpoint


def finished(store: Store, run_id: str, described: Mapping[str, Any], spec: str) -> Record | None:
    """The stored record of this very run, or None if it has none with status ``ok``.

    Raises BadInput if it was made on data that have changed since: ``described`` is the record's ``data`` entry as it
    would be now, ``spec`` what the user calls them.
    """
    record = store.find(run_id)
    if record is None or record["status"] != "ok":
        return None
    if record["data"] != described:
        raise BadInput(
            f"{record['id']} is finished, but {spec} has changed since; repeat it with --again, "
            "or use another --results folder"
        )
    return record


@contextlib.contextmanager
def recording(record: dict[str, Any], store: Store, before: Record | None = None) -> Iterator[None]:
    """Append ``record``, which is filled in meanwhile, whatever ends the block, with a status that says it.

    ``before`` is the newest record of the same work. Where that is finished and the repetition fails, nothing is
    appended: what was finished stays the newest. What ran and is not deterministic is added to its ``warnings``.
    """
    doubts: list[str] = []
    try:
        with termination.as_interrupt(), determinism.doubts_noted() as doubts:
            yield
        record["status"] = "ok"
    except BaseException as error:
        record["status"], record["error"] = status(error), str(error) or type(error).__name__
        raise
    finally:
        record["finished"] = now()
        record["warnings"] = [*record.get("warnings", []), *doubts]
        if record["status"] == "ok" or before is None or before["status"] != "ok":
            store.append(record)


def status(error: BaseException) -> str:
    """Of a run that ended so, a word of the records' vocabulary."""
    if isinstance(error, (Interrupted, KeyboardInterrupt)):
        return "interrupted"
    return "oom" if is_out_of_memory(error) else "failed"


def keep_weights(folder: Path, content: Mapping[str, Any]) -> dict[str, str]:
    """The record's ``weights`` entry of ``content``, saved in the run's ``folder`` (RESULTS/runs/ID)."""
    path, sha256 = checkpoint.save_weights(folder, dict(content))
    return {"path": _in_results(path), "sha256": sha256}


def keep_traces(folder: Path, kept: Traces) -> dict[str, str]:
    """The record's ``traces`` entry of what is ``kept`` of its sequences, saved in the run's folder."""
    path = folder / trace_file.FILE_NAME
    return {"path": _in_results(path), "sha256": trace_file.save(path, kept)}


def _in_results(path: Path) -> str:
    """Of a file in RESULTS/runs/ID: relative to the results folder, so that this can be moved."""
    return path.relative_to(path.parent.parent.parent).as_posix()


def now() -> str:
    """UTC, to the second, ISO 8601."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
