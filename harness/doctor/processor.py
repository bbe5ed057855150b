"""Cores and threads: how many there are for us, how many torch takes, and whether others use them now."""

from __future__ import annotations

import os
from pathlib import Path

from harness.doctor.check import Broken, Check


def threads(results: Path) -> str:
    """More threads than cores wait for each other at the end of every parallel loop."""
    import torch

    from harness import environment

    cores, taken = environment.usable_cores() or 1, torch.get_num_threads()
    counted = f"{taken} thread{'s' * (taken != 1)} on {cores} usable core{'s' * (cores != 1)}"
    if taken > cores:
        raise Broken(f"{counted}: they take turns", f"export OMP_NUM_THREADS={cores}")
    instructions = torch.backends.cpu.get_cpu_capability()
    return (
        f"{counted}, {instructions}, {environment.capture()['processor'] or 'a processor that does not say its name'}"
    )


def load(results: Path) -> str:
    """What runs beside us is no fault, but a timing made now would be told NOISY, or be slow throughout."""
    from harness import environment

    cores, busy = environment.usable_cores() or 1, os.getloadavg()[0]
    verdict = "busy: a speed measured now is not this machine's best" if busy > 0.5 * cores else "quiet"
    return f"{busy:.1f} processes want the {cores} core{'s' * (cores != 1)}, {verdict}"


CHECKS = (
    Check("machine", "threads", "training and timing run on as many as torch takes by itself", threads),
    Check("machine", "load", "speeds are measured beside whatever else runs", load),
)
