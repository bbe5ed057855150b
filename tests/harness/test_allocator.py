"""The allocator's thresholds, seen from outside: freed memory stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import allocator

PROGRAM = """
import resource, numpy as np
from harness import allocator
for habit in {habits}: assert getattr(allocator, habit)()
def touch():
    np.ones(8 << 20, dtype=np.uint8)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50): touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not allocator.keep_freed_memory(), reason="the C library here is not glibc")
def test_repeated_large_blocks_cost_no_page_faults_unless_they_are_to_be_returned() -> None:
    faults = [
        int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM.format(habits=habits)], capture_output=True, text=True, check=True
            ).stdout
        )
        for habits in ([], ["keep_freed_memory"], ["keep_freed_memory", "return_freed_memory"])
    ]
    assert faults[1] * 10 < faults[0]
    assert faults[1] * 10 < faults[2]


def test_elsewhere_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
    assert not allocator.return_freed_memory()
