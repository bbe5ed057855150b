"""What tests of whole runs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from harness.measurement import inference
from harness.measurement.timing import Protocol


@pytest.fixture
def whole_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A run times its lifter shortly, and torch's settings are afterwards as they were before it."""
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
