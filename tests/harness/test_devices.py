"""Names of devices."""

from __future__ import annotations

import pytest
import torch

from harness import devices
from harness.errors import BadInput


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, name in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert devices.resolve("auto") == name
    assert devices.resolve("cpu") == "cpu"


def test_what_is_no_device_or_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="--device gpu: not a device"):
        devices.resolve("gpu")
    with pytest.raises(BadInput, match="no CUDA device on this machine"):
        devices.resolve("cuda:0")
