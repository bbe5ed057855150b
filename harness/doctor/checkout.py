"""git: whether a record can name the commit that it was made by."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.doctor.check import Absent, Broken, Check

ROOT = Path(__file__).resolve().parents[2]


def commit(results: Path) -> str:
    """As records have it."""
    from harness import environment

    if not (ROOT / ".git").exists():
        raise Absent(f"{ROOT} is an installed copy and no clone")
    if shutil.which("git") is None:
        raise Absent("git is not on the PATH", "apt-get install git   (or your system's package of it)")
    found = environment.capture()["commit"]
    if found is None:
        raise Broken(f"git says nothing of {ROOT}", f"git config --global --add safe.directory {ROOT}")
    return f"commit {found['id'][:12]}{', with changes' if found['dirty'] else ''}"


CHECKS = (Check("machine", "git", "every record names the commit it was made by, or says that there is none", commit),)
