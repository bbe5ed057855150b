"""requirements.lock: the same versions as constraints.txt, every one of them with digests."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
DIGEST = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def pins(lines: list[str]) -> set[tuple[str, str, str]]:
    """(name, version, on which Python) of every line."""
    found = [Requirement(line) for line in lines]
    return {(canonicalize_name(one.name), str(one.specifier), on_which(one)) for one in found}


def on_which(pin: Requirement) -> str:
    """The marker, however it is spelt: the lock has Python 3.10 where the constraints have below 3.11."""
    return (
        "any"
        if pin.marker is None
        else str(pin.marker.evaluate({"python_version": "3.10", "python_full_version": "3.10.0"}))
    )


def test_the_lock_is_of_the_constraints_and_leaves_nothing_without_a_digest() -> None:
    constraints = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    entries = text.replace("\\\n", " ").splitlines()
    for entry in entries:
        pin, *digests = re.split(r"\s+(?=--hash)", entry.strip())
        assert digests, pin
        assert all(DIGEST.fullmatch(digest) for digest in digests), pin
    assert pins([entry.split("--hash")[0] for entry in entries]) == pins(constraints)
