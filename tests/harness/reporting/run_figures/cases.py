"""Groups of made-up runs for the figures, and what a figure of them says."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.comparison.group import Group, group
from harness.reporting.evidence import Evidence
from harness.store.schema import Record
from harness.traces import ErrorCurve, Traces
from tests.harness.reporting import records

#: What markup, mathematics and line breaks could make of a name.
HOSTILE = "costs $5^{ or $6 <b>&amp; a_b\\frac"
BINS, BIN_MM = 101, 5


class Kept(Evidence):
    """Evidence whose traces are given by id instead of read from files."""

    def __init__(
        self, runs: Sequence[Record], kept: Mapping[str, Traces] | None = None, measurements: Sequence[Record] = ()
    ) -> None:
        super().__init__(Path("nowhere"), runs, measurements)
        object.__setattr__(self, "kept", kept or {})

    def traces(self, record: Record) -> Traces | None:
        found: Traces | None = self.kept.get(record["id"])
        return found


def of(runs: Sequence[Record], **given: Any) -> tuple[Group, Evidence]:
    """The first group of ``runs`` and the evidence they are."""
    return group(runs)[0], Kept(runs, **given)


def whole(model: str = "posemamba-xs", seed: int = 0, **kwargs: Any) -> dict[str, Any]:
    """A run that has kept everything a figure can draw."""
    run = records.record(model, seed, **kwargs)
    run["accuracy"]["distribution"] = distribution(run["accuracy"]["p1_mm"])
    run["cost"]["flops_exact"] = 2.1 * run["cost"]["macs_fvcore"]
    run["cost"]["params_thop"] = run["cost"]["params_total"] // 2
    run["cost"]["macs_thop"] = run["cost"]["macs_fvcore"] // 2
    return run


def distribution(middle_mm: float) -> dict[str, Any]:
    """Frames spread evenly over two thirds to four thirds of ``middle_mm``, joints from 0 to twice of it."""
    return {
        "bin_mm": BIN_MM,
        "frame_share": evenly(0.67 * middle_mm, 1.33 * middle_mm),
        "joint_share": evenly(0.0, 2 * middle_mm),
        "frame_median_mm": middle_mm,
    }


def evenly(low_mm: float, high_mm: float) -> list[float]:
    """Shares of errors that lie evenly between two values."""
    edges = np.clip((np.arange(BINS + 1) * BIN_MM - low_mm) / (high_mm - low_mm), 0, 1)
    return [float(share) for share in np.diff(edges)]


def traces(run: Record, bins: int = 40, hole: bool = True) -> Traces:
    """A curve of every sequence of a run about its P1, with a stretch without truth."""
    curves = []
    for sequence in run["accuracy"]["per_sequence"]:
        values = sequence["p1_mm"] * (1 + 0.2 * np.sin(np.arange(bins) / 5))
        if hole:
            values[10:14] = np.nan
        curves.append(
            ErrorCurve(sequence["sequence"], sequence["take"], sequence["action"], 0.1, values.astype(np.float32))
        )
    return Traces(tuple(curves), ())


def renamed(run: Record, title: str) -> dict[str, Any]:
    """The same run of a model of another name."""
    made: dict[str, Any] = copy.deepcopy(run)
    made["config"]["model"] = title
    made["id"] += title
    return made
