"""What the examination of one part of the machine found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

OK, MISSING, BROKEN = "ok", "missing", "broken"


@dataclass(frozen=True)
class Finding:
    """Of one check.

    part, name  what was examined
    state       ``ok``, ``missing`` (not here) or ``broken`` (here, and it does not do what it should)
    found       what was seen: version, size, error
    meaning     what it is for, so what is lost without it
    remedy      a command that mends it, with where to run it; empty where nothing has to be done, or can
    stops       whether the harness cannot run, or not rightly, until it is mended
    """

    part: str
    name: str
    state: str
    found: str
    meaning: str
    remedy: str = ""
    stops: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return dataclasses.asdict(self)
