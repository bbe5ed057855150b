"""What must hold of a store: after every kill, and at the end beside one that was never killed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import data
from harness.data import array_store
from harness.data.sequence import digest
from harness.store.measurement import MEASUREMENTS
from harness.store.record import RUNS
from harness.store.schema import Record, Schema
from harness.store.store import Store
from tests.faults.life import is_temporary
from tests.soak.chore import Place

SCHEMAS = (RUNS, MEASUREMENTS)


class Lost(Exception):
    """Something that was finished is not there any more, or is not what it should be."""


class Audit:
    """Of one results folder. Each look at it remembers what was there, and compares with the look before."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self._content = dict.fromkeys((schema.file_name for schema in SCHEMAS), b"")
        self._finished: set[str] = set()

    @property
    def finished(self) -> int:
        """Records that were seen with status ok."""
        return len(self._finished)

    def look(self) -> None:
        """Raises Lost where the store cannot be read, a byte of it has changed, or a finished record is gone."""
        for schema in SCHEMAS:
            path = self.results / schema.file_name
            content = path.read_bytes() if path.exists() else b""
            if not content.startswith(self._content[schema.file_name]):
                raise Lost(f"{path}: what was written before has changed")
            self._content[schema.file_name] = content
        finished = {record["id"] for record in self.latest() if record["status"] == "ok"}
        if gone := self._finished - finished:
            raise Lost(f"finished, and not so any more: {', '.join(sorted(gone))}")
        self._finished = finished

    def latest(self) -> list[Record]:
        """The newest record of every id, runs first."""
        return [record for schema in SCHEMAS for record in _latest(self.results, schema)]

    def record(self, run_id: str) -> Record:
        """The newest of this id."""
        found = next((record for record in self.latest() if record["id"] == run_id), None)
        if found is None:
            raise Lost(f"{run_id} is not in {self.results}")
        return found


def _latest(results: Path, schema: Schema) -> list[Record]:
    with warnings.catch_warnings():
        # A torn line is what a kill may leave; a bad one raises.
        warnings.simplefilter("ignore")
        return Store(results, schema).latest()


def compare(whole: Audit, broken: Audit) -> None:
    """Raises Lost for a record that one of the two lacks, or whose lasting figures differ by a bit."""
    one, other = ({record["id"]: record for record in audit.latest()} for audit in (whole, broken))
    if one.keys() != other.keys():
        raise Lost(f"in one of the two stores alone: {', '.join(sorted(one.keys() ^ other.keys()))}")
    for name in one:
        for field, value in _lasting(one[name]):
            if (found := dict(_lasting(other[name]))[field]) != value:
                raise Lost(f"{name}: {field} is {found!r:.200}, and without kills {value!r:.200}")


def _lasting(record: Record) -> Iterator[tuple[str, Any]]:
    """What of a record must be the same on one machine at any time."""
    yield "status", record["status"]
    if "pass" in record:
        yield "counts", record.get("counts")
        yield "point", record.get("point")
        return
    yield "accuracy", record["accuracy"]
    yield "traces", record["traces"]["sha256"]
    yield "weights", record["weights"]["sha256"]
    yield "losses", [stretch["loss"] for stretch in record.get("training", {}).get("curve", [])]


def require_converted(places: list[Place]) -> None:
    """Raises Lost where the places do not have the same converted data, whole, and once."""
    digests = []
    for place in places:
        stores = sorted((place.data / array_store.FOLDER).iterdir())
        if len(stores) != 1 or (wrong := array_store.verify(stores[0])):
            raise Lost(f"{place.data}: {wrong if len(stores) == 1 else stores}")
        opened = data.load(f"3dhp:{place.data}", cache=place.results / "cache")
        if array_store.find(opened) != stores[0]:
            raise Lost(f"{stores[0]} is not what {place.data} is opened from")
        digests.append((digest(opened.train), digest(opened.test)))
    if len(set(digests)) != 1:
        raise Lost(f"converted data differ: {digests}")


def require_equal_files(one: Path, other: Path) -> None:
    """Raises Lost where two folders do not hold the same bytes under the same names."""
    for name in sorted({path.relative_to(folder) for folder in (one, other) for path in _files(folder)}):
        if not (one / name).is_file() or not (other / name).is_file():
            raise Lost(f"{name} is in {one} or in {other} alone")
        if (one / name).read_bytes() != (other / name).read_bytes():
            raise Lost(f"{one / name} and {other / name} differ")


def require_nothing_temporary(*folders: Path) -> None:
    """Raises Lost for parts of files, checkpoints, and whatever only a process at work should have."""
    left = [path for folder in folders for path in folder.rglob("*") if is_temporary(path.name)]
    if left:
        raise Lost(f"left behind: {', '.join(map(str, left))}")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
