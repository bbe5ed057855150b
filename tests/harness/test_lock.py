"""One holder at a time, and none that blocks after its death."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import lock
from harness.errors import ResultsBusy


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    busy = pytest.raises(ResultsBusy, match=f"the folder is in use by process {os.getpid()} on")
    with lock.held(path, "the folder"), busy, lock.held(path, "the folder"):
        pass
    with lock.held(path, "the folder"):
        pass


def test_a_dead_holder_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = f"""
import os
from pathlib import Path
from harness import lock
with lock.held(Path({str(path)!r}), "it"):
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    with lock.held(path, "it"):
        assert f"process {os.getpid()}" in path.read_text()
