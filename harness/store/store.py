"""The append-only store of records: one file of JSON lines that a kill at any moment leaves readable.

A record is one write to a file opened for appending, so that processes which append at once do not mix their lines.
A networked file system does not keep that promise between machines, so that the file is locked meanwhile, where that
can be done. A write that was cut short leaves a torn last line: reading drops it with a warning, and the next append
marks it and starts a new line. Nothing is ever rewritten, and a record that lacks nothing but its line feed is kept.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import BadInput, CannotWrite
from harness.store.record import RUNS
from harness.store.schema import Record, Schema

#: Ends a line that a broken write left without line feed. No JSON object ends like this.
TORN_MARK = b" #torn"
#: What is read at a time of a file that is read from its end, in bytes.
_BLOCK = 1 << 20


def line(record: Mapping[str, Any]) -> bytes:
    """A record as it is stored: one JSON object in ASCII with its line feed."""
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n"


class Store:
    """The records of one schema in ``folder``; nothing is read or written before a method asks for it."""

    def __init__(self, folder: str | os.PathLike[str], schema: Schema = RUNS) -> None:
        self.folder = Path(folder)
        self.schema = schema
        self.path = self.folder / schema.file_name

    def preflight(self) -> None:
        """Make sure that records can be written, before anything expensive starts; makes the folder itself if needed.

        Raises CannotWrite naming the path when it is no folder, its parent is missing, it is read-only or full.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as probe:
                probe.write(b"x")
                probe.flush()
            if self.path.exists():
                self.path.open("ab").close()
        except OSError as error:
            raise CannotWrite(f"results folder {self.folder}: {_reason(error, self.folder)}") from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record, on the disk when this returns; ``schema`` is filled in.

        Raises BadInput for a record that breaks the schema, CannotWrite when the disk is full or the file read-only;
        earlier records are whole in either case.
        """
        record = {"schema": self.schema.version, **record}
        self.schema.validate(record)
        content = line(record)
        try:
            self._write(content)
        except OSError as error:
            reason = _reason(error, self.path)
            raise CannotWrite(
                f"cannot append {len(content)} bytes to {self.path}: {reason}. Earlier records are whole"
            ) from error

    def _write(self, line: bytes) -> None:
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            with contextlib.suppress(OSError):  # some networked file systems have no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _ends_torn(handle):
                line = TORN_MARK + b"\n" + line
            written = os.write(handle, line)
            if written < len(line):
                raise OSError(errno.EIO, f"only {written} bytes were taken; the disk is probably full")
            os.fsync(handle)
        finally:
            os.close(handle)

    def records(self, skip_bad: bool = False) -> list[Record]:
        """Every record, the oldest first. A torn line is dropped with a warning naming file and byte.

        Raises BadInput naming file, line and column for a line that is not a record (with ``skip_bad`` that is a
        warning), and naming both versions for a record of a newer schema.
        """
        return list(self._read(skip_bad))

    def latest(self, skip_bad: bool = False) -> list[Record]:
        """The newest record of every id, the oldest first."""
        newest: dict[str, Record] = {}
        for record in self._read(skip_bad):
            newest.pop(record["id"], None)
            newest[record["id"]] = record
        return list(newest.values())

    def find(self, run_id: str, skip_bad: bool = False) -> Record | None:
        """The newest record with this id, or None.

        Of a store of thousands only the lines that name it are parsed, from the end; so that what is wrong with others
        is neither raised nor warned of.
        """
        names = {json.dumps(run_id, ensure_ascii=escaped).encode() for escaped in (True, False)}
        for start, line in self._from_the_end():
            if any(name in line for name in names):
                record = self._parse(line, f"{self.path}, the line at byte {start}", start, skip_bad)
                if record is not None and record["id"] == run_id:
                    return record
        return None

    def _from_the_end(self) -> Iterator[tuple[int, bytes]]:
        """(its first byte, line) of each line, the last one first."""
        try:
            with self.path.open("rb") as file:
                rest, begun = b"", file.seek(0, os.SEEK_END)
                while begun > 0:
                    end, begun = begun, max(0, begun - _BLOCK)
                    file.seek(begun)
                    rest = file.read(end - begun) + rest
                    whole = rest.find(b"\n") + 1 if begun else 0
                    if begun and not whole:
                        continue
                    place = begun + len(rest)
                    for line in reversed(rest[whole:].splitlines(keepends=True)):
                        place -= len(line)
                        yield place, line
                    rest = rest[:whole]
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreadable(error) from error

    def _read(self, skip_bad: bool) -> Iterator[Record]:
        content = self._content()
        start = 0
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            record = self._parse(line, f"{self.path} line {number}", start, skip_bad)
            if record is not None:
                yield record
            start += len(line)

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> BadInput:
        return BadInput(f"cannot read {self.path}: {error.strerror}")

    def _parse(self, line: bytes, where: str, start: int, skip_bad: bool) -> Record | None:
        torn = not line.endswith(b"\n") or line.rstrip().endswith(TORN_MARK)
        text = line.rstrip().removesuffix(TORN_MARK).strip()
        try:
            return self._record(text, where) if text else None
        except json.JSONDecodeError as error:
            if torn:
                problem = f"the record at byte {start} was cut short while it was written, and is left out"
                warnings.warn(f"{self.path}: {problem}", stacklevel=2)
                return None
            bad = BadInput(f"{where}, column {error.colno}: {error.msg}. Mend or remove that line")
        except BadInput as error:
            bad = error
        if not skip_bad:
            raise bad
        warnings.warn(f"left out: {bad}", stacklevel=2)
        return None

    def _record(self, text: bytes, where: str) -> Record:
        try:
            record = json.loads(
                text.decode(),
                parse_constant=lambda constant: _refuse(where, constant),
                parse_float=lambda number: _finite(where, number),
            )
        except UnicodeDecodeError as error:
            raise BadInput(f"{where}, byte {error.start} of it: not UTF-8. Mend or remove that line") from error
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:  # a whole number of thousands of digits; lists in lists in lists
            raise BadInput(f"{where} is no record: {error}. Mend or remove that line") from error
        if not isinstance(record, dict) or not isinstance(record.get("schema"), int):
            raise BadInput(f"{where} is no record: it has no schema version")
        if record["schema"] > self.schema.version:
            raise BadInput(
                f"{where} was written by a newer version: its schema is {record['schema']}, this one reads up to "
                f"{self.schema.version}. Update the harness"
            )
        if not isinstance(record.get("id"), str) or not isinstance(record.get("status"), str):
            raise BadInput(f"{where} is no record: it has no id or no status")
        return record


def _ends_torn(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"


def _refuse(where: str, constant: str) -> None:
    raise BadInput(f"{where} holds {constant}, which is neither JSON nor a figure")


def _finite(where: str, number: str) -> float:
    """JSON allows 1e999, which no float holds."""
    value = float(number)
    if not math.isfinite(value):
        _refuse(where, number[:40])
    return value


def _reason(error: OSError, path: Path) -> str:
    explained = {
        errno.ENOTDIR: "it is not a folder",
        errno.EEXIST: "it is not a folder",
        errno.ENOENT: f"{path.parent} does not exist; make it first",
        errno.ENOSPC: "no space left on the disk; free some and start again",
        errno.EDQUOT: "the disk quota is used up; free some space and start again",
        errno.EFBIG: "the file may not grow any further (file size limit)",
        errno.EROFS: "the file system is read-only; choose another folder",
        errno.EACCES: "no permission to write there; choose another folder",
    }
    return explained.get(error.errno or 0, error.strerror or str(error))
