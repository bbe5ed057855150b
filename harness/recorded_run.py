"""What every training that is recorded owes its user, whatever it trains: one record in any case, done once."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness import atomic_file, determinism, termination
from harness.errors import BadInput, Interrupted, ProcessLost, RunFailed, is_out_of_memory, left_by
from harness.progress import Say, warnings_said
from harness.store import traces as trace_file
from harness.store.schema import Record
from harness.store.store import Store
from harness.traces import Traces
from harness.training import checkpoint

#: In a run's folder while --again repeats the run: which finished record that was begun from.
AGAIN = "again.json"


def newest(store: Store, run_id: str, say: Say) -> Record | None:
    """The newest record of a run, or None; what is wrong with the lines that name it is said."""
    with warnings_said(say):
        return store.find(run_id)


def repeated(folder: Path, before: Record | None, again: bool, say: Say) -> bool:
    """Whether the run in ``folder`` is to be trained whatever is finished, as it was asked to be ``again``.

    ``before`` is its newest record. Asking makes the training start from nothing; until the repetition is finished or
    has failed the same command, and the one without --again, go on with it. What was finished stays so meanwhile.
    """
    mark = folder / AGAIN
    if _begun(mark, before):
        say(f"going on with the repetition that --again has begun (remove {folder} to forget it)")
        return True
    if again:
        # In this order: a kill in between leaves the run as if nobody had asked.
        checkpoint.clear(folder)
        atomic_file.write(mark, json.dumps({"from": _named(before)}).encode())
    return again


def _begun(mark: Path, before: Record | None) -> bool:
    """Whether there is a repetition that was begun from ``before``: of an earlier one the record has been stored."""
    try:
        return bool(json.loads(mark.read_bytes()) == {"from": _named(before)})
    except (OSError, ValueError, RecursionError):
        return False


def _named(record: Record | None) -> str:
    """A digest of a finished record; of none ``""``."""
    if record is None or record["status"] != "ok":
        return ""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def tidy(folder: Path) -> None:
    """Remove what only a run at work should have."""
    checkpoint.clear(folder)
    (folder / AGAIN).unlink(missing_ok=True)


def finished(before: Record | None, described: Mapping[str, Any], spec: str) -> Record | None:
    """``before``, the newest record of a run, or None if that is not finished.

    Raises BadInput if it was made on data that have changed since: ``described`` is the record's ``data`` entry as it
    would be now, ``spec`` what the user calls them.
    """
    if before is None or before["status"] != "ok":
        return None
    if before["data"] != described:
        raise BadInput(
            f"{before['id']} is finished, but {spec} has changed since; repeat it with --again, "
            "or use another --results folder"
        )
    return before


@contextlib.contextmanager
def recording(
    record: dict[str, Any], store: Store, before: Record | None = None, folder: Path | None = None
) -> Iterator[None]:
    """Append ``record``, which is filled in meanwhile, whatever ends the block, with a status that says it.

    ``before`` is the newest record of the same work. Where that is finished and the repetition fails, nothing is
    appended: what was finished stays the newest. What ran and is not deterministic is added to its ``warnings``.
    ``folder`` is that of a training: of a repetition that failed nothing is gone on with, unless a process was lost.
    Raises RunFailed where the block ends by SystemExit, which a third party's code may raise.
    """
    doubts: list[str] = []
    lost = False
    # SIGTERM must not end the process while the record is appended, either.
    with termination.as_interrupt():
        try:
            with determinism.doubts_noted() as doubts:
                yield
            record["status"] = "ok"
        except SystemExit as error:
            record["status"], record["error"] = "failed", left_by(error)
            raise RunFailed(record["error"]) from error
        except BaseException as error:
            lost = isinstance(error, ProcessLost)
            record["status"], record["error"] = status(error), str(error) or type(error).__name__
            raise
        finally:
            record["finished"] = now()
            record["warnings"] = [*record.get("warnings", []), *doubts]
            if record["status"] == "ok" or before is None or before["status"] != "ok":
                store.append(record)
            if folder is not None and record["status"] not in ("ok", "interrupted") and not lost:
                (folder / AGAIN).unlink(missing_ok=True)


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
