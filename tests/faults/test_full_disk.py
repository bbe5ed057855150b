"""A disk that fills up during a run: path and bytes are named, what was there is whole, no half file is left."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import atomic_file
from harness.errors import CannotWrite
from harness.store.store import Store
from tests.faults import injections, life

CONFIG = {"model": "m", "frames": 9, "in_channels": 2}


def test_a_checkpoint_that_does_not_fit_ends_the_run_with_4(tmp_path: Path) -> None:
    Store(tmp_path).append({"id": "earlier", "status": "ok", "config": CONFIG})
    ended = life.train(tmp_path, "wide", fault=injections.small_disk, most_bytes=200_000)
    assert ended.code == 4, ended
    assert "step-00000001.pt: File too large. Free some space and start again" in ended.err
    assert "cannot write 4" in ended.err, "the bytes are not named"
    assert life.remains(tmp_path) == []
    earlier, failed = Store(tmp_path).records()
    assert (earlier["id"], failed["status"]) == ("earlier", "failed")
    assert "Free some space" in failed["error"]
    assert life.train(tmp_path, "wide").code == 0, "with room again the same command goes on"
    assert [record["status"] for record in Store(tmp_path).records()] == ["ok", "failed", "ok"]


def test_a_record_that_does_not_fit_either_leaves_the_earlier_ones(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(6):
        store.append({"id": str(number), "status": "ok", "config": CONFIG})
    room = store.path.stat().st_size + 100
    ended = life.train(tmp_path, "wide", fault=injections.small_disk, most_bytes=max(room, 1000))
    assert ended.code == 4, ended
    assert "records.jsonl" in ended.err
    assert "Earlier records are whole" in ended.err
    with pytest.warns(UserWarning, match=r"records\.jsonl: the record at byte \d+ was cut short"):
        assert [record["id"] for record in store.records()] == list("012345")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        refused = subprocess.run(mount, capture_output=True, text=True, check=False).stderr
    except OSError as error:
        refused = str(error)
    if refused or not folder.is_mount():
        pytest.skip(f"no file system can be mounted here: {refused.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_file_system_without_room(tiny_disk: Path) -> None:
    atomic_file.write(tiny_disk / "a", b"x" * 30_000)
    with pytest.raises(CannotWrite, match=r"cannot write 60,000 bytes to .*/a: No space left .* Free some space"):
        atomic_file.write(tiny_disk / "a", b"y" * 60_000)
    assert [path.name for path in tiny_disk.iterdir()] == ["a"]
    assert (tiny_disk / "a").read_bytes() == b"x" * 30_000
