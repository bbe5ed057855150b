"""Whether a data set as loaded is what it should be: complete, finite, of one piece in 2D and 3D, left where left is.

What each check looks at and its limits: ``harness.data.checks``.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from harness.data import array_store
from harness.data.camera_estimate import LARGEST_RESIDUAL_PX
from harness.data.checks import totals
from harness.data.checks.agreement import LARGEST_DETECTOR_ERROR_PX, LARGEST_GT_ERROR_PX, Agreement
from harness.data.checks.bones import BoneLengths
from harness.data.checks.look import Check, Finding, Look
from harness.data.checks.sides import SidesInImage, SidesInSpace
from harness.data.checks.values import ConfidenceRange, Finite, Framing
from harness.data.sequence import Dataset
from harness.progress import ProgressLine


def validate(dataset: Dataset, spec: str) -> list[Finding]:
    """All findings on ``dataset``, loaded by the name ``spec``; progress is shown on stderr."""
    checks: list[Check] = [
        Finite(), ConfidenceRange(), Framing(), Agreement(_largest_error_px(dataset)), SidesInImage(), SidesInSpace(),
        BoneLengths(limbs=True), BoneLengths(limbs=False),
    ]  # fmt: skip
    _show(dataset, checks)
    return [
        *totals.check(dataset, spec),
        _unique_names(dataset),
        *(check.finding() for check in checks),
        _stored_arrays(dataset),
    ]


def failed(findings: list[Finding]) -> list[str]:
    """Names of the checks that failed."""
    return [finding.name for finding in findings if finding.verdict == "FAIL"]


def summary(findings: list[Finding]) -> str:
    """In a line: how many checks failed, and how many could not be made."""
    verdicts = Counter(finding.verdict for finding in findings)
    unknown = f", {verdicts['?']} could not be told" if verdicts["?"] else ""
    return f"{len(findings)} checks: {verdicts['ok']} ok, {verdicts['FAIL']} failed{unknown}"


def _show(dataset: Dataset, checks: list[Check]) -> None:
    sequences = (*dataset.train, *dataset.test)
    frames, done = sum(map(len, sequences)), 0
    line = ProgressLine(f"checking {len(sequences):,} sequences")
    try:
        for sequence in sequences:
            look = Look(sequence, dataset.joints)
            # Values of a broken set may overflow, which the findings tell.
            with np.errstate(all="ignore"):
                for check in checks:
                    check.see(look)
            done += len(sequence)
            line.update(done / max(frames, 1))
    finally:
        line.close()


def _largest_error_px(dataset: Dataset) -> float:
    if dataset.detector != "gt":
        return LARGEST_DETECTOR_ERROR_PX
    # MPI-INF-3DHP's are annotations, and its cameras are told from them: as near as that was asked to be.
    return LARGEST_RESIDUAL_PX if dataset.name == "3dhp" else LARGEST_GT_ERROR_PX


def _unique_names(dataset: Dataset) -> Finding:
    names = Counter(sequence.name for sequence in (*dataset.train, *dataset.test))
    twice = [name for name, number in names.items() if number > 1]
    if twice:
        return Finding(
            "names are unique", "FAIL", f"{len(twice)} names are given to several sequences, such as {twice[0]}"
        )
    return Finding("names are unique", "ok", f"{len(names):,} sequences")


def _stored_arrays(dataset: Dataset) -> Finding:
    name = "stored arrays unchanged"
    store = array_store.find(dataset)
    if store is None:
        return Finding(name, "?", "none are stored: the set is made at every start")
    changed = array_store.verify(store)
    return Finding(name, "FAIL" if changed else "ok", "; ".join(changed) or f"as written in {store}")
