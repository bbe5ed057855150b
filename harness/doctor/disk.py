"""The results folder: room, speed, and the three promises of its file system that no record is lost by.

They are that a rename replaces a file in one step, that what is appended goes to the end whoever else appends, and
that a lock is held by one and goes with its holder. All is tried in a folder of its own, which is removed again.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from harness.doctor.check import Broken, Check, Need

PART = "results folder"
#: Weights, checkpoints and traces of a run of a large lifter, twice.
LEAST_FREE_BYTES = 1 << 30
SLOWEST_BYTES_PER_S = 1 << 20
_PIECE_BYTES = 8 << 20
_ANOTHER = "harness run --results FOLDER   (a folder on a local disk with room)"


def writable(results: Path) -> str:
    """It is a folder that files can be made in, with room."""
    with _probe(results) as folder:
        free = shutil.disk_usage(folder).free
        where = f"{results}" if results.is_dir() else f"{results} does not exist yet; {folder.parent}"
    if free < LEAST_FREE_BYTES:
        raise Broken(
            f"{where} has {free / 2**20:.0f} MiB left",
            f"df -h {shlex.quote(str(folder.parent))}   (free some space there)",
        )
    return f"{where} has {free / 2**30:.0f} GiB left"


def speed(results: Path) -> str:
    """Bytes a second, on the disk when they are counted."""
    content = os.urandom(_PIECE_BYTES)
    with _probe(results) as folder, (folder / "piece").open("wb") as file:
        start = time.perf_counter()
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        seconds = time.perf_counter() - start
    rate = _PIECE_BYTES / max(seconds, 1e-9)
    written = f"{_PIECE_BYTES >> 20} MiB are on the disk after {seconds:.2g} s, {rate / 2**20:.0f} MiB/s"
    if rate < SLOWEST_BYTES_PER_S:
        raise Broken(f"{written}: checkpoints hold the training up", _ANOTHER, left_aside=True)
    return written


def rename(results: Path) -> str:
    """A file that is replaced is at every moment the old one or the new one, and nothing is left beside it."""
    from harness import atomic_file

    with _probe(results) as folder:
        path = folder / "record"
        atomic_file.write(path, b"old")
        with path.open("rb") as reader:
            atomic_file.write(path, b"new")
            seen, stored, names = reader.read(), path.read_bytes(), os.listdir(folder)
    if (seen, stored, names) != (b"old", b"new", ["record"]):
        raise Broken(f"replacing a file changed it for a reader ({seen!r}, {stored!r}) or left {sorted(names)}")
    return "a file is replaced in one step"


def append(results: Path) -> str:
    """Two that have a file open for appending do not write over each other."""
    with _probe(results) as folder:
        handles = [os.open(folder / "lines", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) for _ in range(2)]
        for handle, line in zip((*handles, handles[0]), (b"1\n", b"2\n", b"3\n"), strict=True):
            os.write(handle, line)
        for handle in handles:
            os.close(handle)
        lines = (folder / "lines").read_bytes()
    if lines != b"1\n2\n3\n":
        raise Broken(f"of three lines appended in turn there is {lines!r}")
    return "lines that two append in turn are all there"


def lock(results: Path) -> str:
    """A second holder is refused, and let in when the first is gone."""
    from harness import lock as locks
    from harness.errors import ResultsBusy

    with _probe(results) as folder:
        path = folder / "lock"
        with locks.held(path, "it"):
            refused = False
            try:
                with locks.held(path, "it"):
                    pass
            except ResultsBusy:
                refused = True
        if not refused:
            raise Broken("a second process would not be refused: two runs could write to one folder")
        with locks.held(path, "it"):
            return "held by one at a time"


@contextlib.contextmanager
def _probe(results: Path) -> Iterator[Path]:
    """A folder inside ``results``, or where it would be made. Raises Broken where there can be none."""
    parent = results if os.path.lexists(results) else results.absolute().parent
    if not parent.exists():
        raise Broken(f"{parent} does not exist", f"mkdir -p {shlex.quote(str(parent))}")
    if not parent.is_dir():
        raise Broken(f"{parent} is not a folder", _ANOTHER)
    quoted = shlex.quote(str(parent))
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise Broken(f"{parent}: {error.strerror or error}", f"df -h {quoted}; ls -ld {quoted}") from error


CHECKS = (
    Check(PART, "room", "records, weights and checkpoints are kept there", writable, Need.ALWAYS, _ANOTHER),
    Check(PART, "write speed", "a checkpoint is written every minute", speed, remedy=_ANOTHER),
    Check(PART, "atomic rename", "a kill leaves the old checkpoint or the new one", rename, Need.ALWAYS, _ANOTHER),
    Check(PART, "append", "runs may store their records at the same time", append, Need.ALWAYS, _ANOTHER),
    Check(PART, "lock", "two commands do not work on one run", lock, Need.ALWAYS, _ANOTHER),
)
