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


@pytest.mark.parametrize("other", ["meta", "mps", "xpu:0"])
def test_other_kinds_of_device(other: str) -> None:
    with pytest.raises(BadInput, match=f"--device {other}: .*use cpu, cuda or cuda:0"):
        devices.resolve(other)


def test_a_cpu_has_no_number() -> None:
    assert devices.resolve("cpu:0") == "cpu"
