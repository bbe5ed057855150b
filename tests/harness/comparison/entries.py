"""Made-up runs as the entries of a group, with what the comparison looks at set at will."""

from __future__ import annotations

import copy
from typing import Any

from harness.comparison.group import Entry, group
from tests.harness.reporting import records

Run = dict[str, Any]


def twin(run: Run, name: str, by_mm: float = 0.0) -> Run:
    """The same run under another model's name; the error of every sequence is ``by_mm`` higher."""
    other = copy.deepcopy(run)
    other["id"], other["config"]["model"] = f"{name}-s{run['seed']}", name
    return shifted(other, by_mm)


def shifted(run: Run, by_mm: float) -> Run:
    """The run with every error ``by_mm`` higher, and P1 with them."""
    changed = copy.deepcopy(run)
    changed["accuracy"]["p1_mm"] += by_mm
    for row in changed["accuracy"]["per_sequence"]:
        row["p1_mm"] += by_mm
    return changed


def apart(model: str, by_mm: tuple[float, ...]) -> list[Run]:
    """Seeds of ``model`` that err as its first does, by so much more."""
    runs = []
    for seed, shift_mm in enumerate(by_mm):
        run = shifted(records.record(model), shift_mm)
        run["id"], run["seed"], run["config"]["seed"] = f"{model}-s{seed}", seed, seed
        runs.append(run)
    return runs


def timed(run: Run, call_ms: float, half_width_ms: float = 0.1, verdict: str = "STABLE") -> Run:
    """The run with a clip's forward timed at ``call_ms``, and the interval of that."""
    changed = copy.deepcopy(run)
    changed["cost"]["inference"] |= {
        "call_ms": call_ms, "low_ms": call_ms - half_width_ms, "high_ms": call_ms + half_width_ms, "verdict": verdict,
    }  # fmt: skip
    return changed


def counted(run: Run, flops_per_frame: float) -> Run:
    """The run with its exact operations counted."""
    changed = copy.deepcopy(run)
    changed["cost"]["per_frame"] = {"flops_exact": flops_per_frame}
    return changed


def entry(*runs: Run) -> Entry:
    """Runs of one configuration."""
    (members,) = group(runs)
    (made,) = members.entries
    return made
