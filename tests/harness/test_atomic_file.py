"""Files that are whole or not there: full disk, read-only folder, death in the middle."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness import atomic_file
from harness.errors import CannotWrite

#: A process whose files may not grow beyond 1,000 bytes: what a full disk looks like to it.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from harness import atomic_file
from harness.errors import CannotWrite
try:
    atomic_file.write(Path(sys.argv[1]), b"x" * 5000)
except CannotWrite as error:
    print(error)
"""


def test_the_content_is_there_and_nothing_else(tmp_path: Path) -> None:
    atomic_file.write(tmp_path / "new" / "a.txt", b"one")
    atomic_file.write(tmp_path / "new" / "a.txt", b"two")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"two"
    assert os.listdir(tmp_path / "new") == ["a.txt"]


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    assert f"cannot write 5,000 bytes to {path}: " in done.stdout
    assert "Free some space" in done.stdout
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match=r"cannot write 1 bytes to .*below"):
        atomic_file.write(tmp_path / "file" / "below", b"x")


def test_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """As two reports of one store at once: whoever reads meets one of them, whole."""
    path, failures = tmp_path / "a.txt", []
    contents = [bytes([letter]) * 200_000 for letter in b"abcd"]

    def write(content: bytes) -> None:
        try:
            for _ in range(25):
                atomic_file.write(path, content)
        except CannotWrite as error:
            failures.append(error)

    atomic_file.write(path, contents[0])
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    assert failures == []
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_dead_writer_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "a.txt.part").write_bytes(b"x" * 1000)
    atomic_file.write(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_without_locks_it_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(handle: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    atomic_file.write(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_a_death_before_the_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def die(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        atomic_file.write(path, b"new")
    assert path.read_bytes() == b"old"
