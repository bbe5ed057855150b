"""What came with an outcome, into the store: as far as it is of its point, whatever the machine that made it sends."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from harness import atomic_file
from harness.errors import BadInput, CannotWrite
from harness.store.measurement import MEASUREMENTS
from harness.store.record import RUNS
from harness.store.schema import Schema
from harness.store.store import Store
from harness.sweep.point import Point
from harness.sweep.task import Outcome

#: Of a file that cannot be written: it is its name's fault, and not the disk's.
_OF_THE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.EINVAL)


class Deliveries:
    """Into the store in ``results``. What has come once with status ok is not taken again."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._arrived: set[str] = set()

    def take(self, point: Point, outcome: Outcome) -> None:
        """The files first, since records name them.

        Nothing is stored of an outcome that has anything which is not its point's: a record of another kind or id, or
        against the schema, a file elsewhere than in RESULTS/runs/ID or its log, or one that a link leads out of the
        store. Raises then, mostly BadInput, and CannotWrite where the store cannot be written.
        """
        schema = RUNS if point.request is None else MEASUREMENTS
        records = _checked(point, outcome, schema)
        new = [record for record in records if record["id"] not in self._arrived]
        if point.id in self._arrived or (records and not new):
            return
        for path, content in [(self._checked_path(point, path), content) for path, content in outcome.files.items()]:
            _write(path, content)
        for record in new:
            Store(self._results, schema).append(record)
            if record["status"] == "ok":
                self._arrived.add(record["id"])

    def _checked_path(self, point: Point, name: str) -> Path:
        path = self._results / name
        folder, log = PurePosixPath("runs", point.id), PurePosixPath("sweeps", f"{point.id}.log")
        inside = folder in PurePosixPath(name).parents and ".." not in PurePosixPath(name).parts
        # A link in the file's own place is replaced, and not followed.
        if not (inside or PurePosixPath(name) == log) or not _is_in(self._results, path.parent):
            raise BadInput(f"the file {name[:200]!r} is in no place that {point.id} has in {self._results}")
        return path


def _is_in(results: Path, folder: Path) -> bool:
    return folder.resolve().is_relative_to(results.resolve())


def _checked(point: Point, outcome: Outcome, schema: Schema) -> list[Mapping[str, Any]]:
    found = []
    for file, records in outcome.records.items():
        for record in records:
            if file != schema.file_name or (schema is RUNS and record["id"] != point.id):
                raise BadInput(f"the record {str(record['id'])[:200]!r} in {file[:200]} is none of {point.id}")
            schema.validate({"schema": schema.version, **record})
            found.append(record)
    return found


def _write(path: Path, content: bytes) -> None:
    try:
        atomic_file.write(path, content)
    except CannotWrite as error:
        if getattr(error.__cause__, "errno", None) in _OF_THE_NAME:
            raise BadInput(str(error)) from error
        raise
