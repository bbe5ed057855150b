"""The findings in words for a reader, and as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from harness.doctor.finding import MISSING, OK, Finding
from harness.printable import printable

_NAME_WIDTH = 23
_INDENT = " " * 10


def lines(finding: Finding, before: Finding | None) -> list[str]:
    """What is printed of ``finding`` after the one ``before`` it: its part where a new one begins, and a remedy."""
    heading = [*([""] if before else []), finding.part] if before is None or before.part != finding.part else []
    said = [*heading, f"  {finding.state:7} {finding.name:{_NAME_WIDTH}} {finding.found}".rstrip()]
    if finding.state != OK:
        said.append(f"{_INDENT}it is for: {finding.meaning}")
        said += [f"{_INDENT}remedy: {finding.remedy}"] if finding.remedy else []
    return [printable(line) for line in said]


def verdict(findings: Sequence[Finding]) -> str:
    """One sentence: whether the harness runs here, and what it does without."""
    if stopping := names_that_stop(findings):
        return f"The harness does not run rightly here until this is mended: {', '.join(stopping)}."
    lacking = [one.name for one in findings if one.state == MISSING]
    broken = [one.name for one in findings if one.state not in (OK, MISSING)]
    said = ["The harness runs here."]
    said += [f"Missing, and not needed: {', '.join(lacking)}."] if lacking else []
    said += [f"Broken, and not needed: {', '.join(broken)}."] if broken else []
    return " ".join(said)


def names_that_stop(findings: Sequence[Finding]) -> list[str]:
    """Of what has to be mended first."""
    return [f"{one.part}: {one.name}" for one in findings if one.stops]


def as_json(findings: Sequence[Finding], results: Path) -> str:
    """``runs``, ``results`` and the ``findings`` with every field of theirs."""
    whole = {
        "runs": not names_that_stop(findings),
        "results": str(results),
        "findings": [finding.as_dict() for finding in findings],
    }
    return json.dumps(whole, indent=2)
