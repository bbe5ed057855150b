"""All checks, in the order they are shown in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.doctor import checkout, clock, compiler, disk, gpu, meters, packages, processor, scan
from harness.doctor.check import Check, finding_of_own_process
from harness.doctor.finding import Finding

CHECKS: tuple[Check, ...] = (
    *packages.CHECKS,
    *scan.CHECKS,
    *gpu.CHECKS,
    *compiler.CHECKS,
    *processor.CHECKS,
    *checkout.CHECKS,
    *meters.CHECKS,
    *clock.CHECKS,
    *disk.CHECKS,
)


def examine(results: Path) -> Iterator[Finding]:
    """One finding of every check, each made in a process of its own when it is asked for. Raises nothing of theirs."""
    for check in CHECKS:
        yield finding_of_own_process(check, results)
