"""Let waiting OpenMP threads sleep.

By default an idle thread of a parallel region spins, which is fast on an idle machine and ruinous on a shared one:
beside another process on two cores a training step of two threads took ten times as long as one that sleeps.
OpenMP reads the setting when it is loaded, so this has to come before torch is imported.
"""

from __future__ import annotations

import os

WAIT_POLICY = "OMP_WAIT_POLICY"


def sleep_while_waiting() -> None:
    """Set ``OMP_WAIT_POLICY=PASSIVE`` unless the user has set it."""
    os.environ.setdefault(WAIT_POLICY, "PASSIVE")
