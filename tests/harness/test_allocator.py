"""The allocator's thresholds, seen from outside: freed memory stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness import allocator

PROGRAM = """
import resource, numpy as np
from harness import allocator
if {keep}: assert allocator.keep_freed_memory()
def touch():
    np.ones(8 << 20, dtype=np.uint8)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50): touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not allocator.keep_freed_memory(), reason="the C library here is not glibc")
def test_repeated_large_blocks_cost_no_page_faults() -> None:
    faults = [
        int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM.format(keep=keep)], capture_output=True, text=True, check=True
            ).stdout
        )
        for keep in (False, True)
    ]
    assert faults[1] * 10 < faults[0]


def test_elsewhere_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
