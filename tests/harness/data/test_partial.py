"""What is not whole yet: kept while its writer lives, removed when it has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data import partial

HOUR_S = 3600.0
PROGRAM = "from harness.data import partial; print(partial.name('set-0123'))"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def of_the_dead() -> str:
    """The name that a process gave which has ended."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_names_are_unlike_and_say_what_they_are_of() -> None:
    one, other = partial.name("set-0123"), partial.name("set-0123")
    assert one != other
    assert one.startswith("set-0123.")
    assert one.endswith(partial.ENDING)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_at_once(tmp_path: Path, of_the_dead: str, kind: str) -> None:
    mine = partial.name("set-0123")
    for name in (of_the_dead, mine):
        if kind == "folder":
            (tmp_path / name).mkdir()
        (tmp_path / name / "truth.npy" if kind == "folder" else tmp_path / name).write_bytes(b"half")
    partial.remove_abandoned(tmp_path, HOUR_S)
    assert names(tmp_path) == [mine]


def test_those_of_another_machine_are_removed_when_they_are_old(
    tmp_path: Path, of_the_dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial.socket, "gethostname", lambda: "another.machine")
    (tmp_path / of_the_dead).write_bytes(b"half")
    partial.remove_abandoned(tmp_path, HOUR_S)
    assert names(tmp_path) == [of_the_dead]
    os.utime(tmp_path / of_the_dead, (1, 1))
    partial.remove_abandoned(tmp_path, HOUR_S)
    assert names(tmp_path) == []


def test_a_process_that_may_not_be_asked_is_taken_to_live(
    tmp_path: Path, of_the_dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    (tmp_path / of_the_dead).write_bytes(b"half")
    partial.remove_abandoned(tmp_path, HOUR_S)
    assert names(tmp_path) == [of_the_dead]
