"""One check of the machine, and how it becomes a finding: whatever it does, even if it kills its process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from harness.doctor.finding import BROKEN, MISSING, OK, Finding
from harness.measurement import fresh_process

#: The first check waits for torch to be imported, which a busy machine may take minutes for.
TIMEOUT_S = 300.0
_PRELOAD = ("harness.doctor.preload",)
#: What a server that has just died is given to be gone, so that another one is started.
_PAUSE_S = 0.1


class Need(Enum):
    """How much the harness needs what is checked."""

    ALWAYS = "it has to be here and to work"
    IF_HERE = "the harness does without, but takes it wherever it is here, so that it has to be right"
    NEVER = "the harness does without it"


@dataclass(frozen=True)
class Check:
    """``examine`` gets the results folder and the check's process for itself.

    It returns what it found, or raises Absent or Broken; any other exception, a crash and a hang are Broken too, for
    which ``remedy`` is the command.
    """

    part: str
    name: str
    meaning: str
    examine: Callable[[Path], str]
    need: Need = Need.NEVER
    remedy: str = ""


class Absent(Exception):
    """What was looked for is not on this machine."""

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(found)
        self.remedy = remedy


class Broken(Exception):
    """It is here and does not do what it should; ``left_aside`` where the harness itself notices and does without."""

    def __init__(self, found: str, remedy: str = "", left_aside: bool = False) -> None:
        super().__init__(found)
        self.remedy, self.left_aside = remedy, left_aside


def finding_of(check: Check, results: Path) -> Finding:
    """What ``check`` finds in this process. Raises nothing but what ends the process."""
    try:
        return _finding(check, OK, check.examine(results))
    except Absent as absent:
        return _finding(check, MISSING, str(absent), absent.remedy, check.need is Need.ALWAYS)
    except Broken as broken:
        stops = check.need is not Need.NEVER and not broken.left_aside
        return _finding(check, BROKEN, str(broken), broken.remedy or check.remedy, stops)
    except Exception as error:  # a library that is half installed fails with whatever it raises
        return _failed(check, f"{type(error).__name__}: {error}".strip(": "))


def finding_of_own_process(check: Check, results: Path, timeout_s: float = TIMEOUT_S) -> Finding:
    """The same in a process of its own, which may crash, hang, or change settings for nobody else."""
    task = {"check": check, "results": results}
    try:
        result = _called(task, timeout_s)
    except (OSError, EOFError) as error:
        return _failed(check, f"no process could be started for it ({error})")
    if "finding" in result:
        return Finding(**result["finding"])
    timed_out = result["status"] == "timeout"
    return _failed(check, f"it does not end; given up after {timeout_s:g} s" if timed_out else result["error"])


def _called(task: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """From a server that has torch or, where importing it ends the server, from one that has nothing."""
    for preload in (_PRELOAD, (), ()):
        with contextlib.suppress(OSError, EOFError):
            return fresh_process.call(_run, task, timeout_s=timeout_s, preload=preload)
        time.sleep(_PAUSE_S)
    return fresh_process.call(_run, task, timeout_s=timeout_s)


def _run(task: dict[str, Any]) -> dict[str, Any]:
    return {"finding": finding_of(task["check"], task["results"]).as_dict()}


def _failed(check: Check, found: str) -> Finding:
    return _finding(check, BROKEN, found, check.remedy, check.need is not Need.NEVER)


def _finding(check: Check, state: str, found: str, remedy: str = "", stops: bool = False) -> Finding:
    one_line = " ".join(found.split())
    return Finding(check.part, check.name, state, one_line, check.meaning, remedy, stops)
