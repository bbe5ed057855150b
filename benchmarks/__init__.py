"""Timings beside peers, never run as tests: ``python -m benchmarks.scan``, ``python -m benchmarks.models``.

Waiting threads sleep here as they do under the ``harness`` command, which is to be said before torch is loaded.
"""

from harness.threads import sleep_while_waiting

sleep_while_waiting()
