"""Meters against files and a library of the test's own; without them there is no figure."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from harness.measurement import energy


def zone(powercap: Path, number: str, name: str, energy_uj: int) -> Path:
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir()
    for file, content in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", 10_000_000)):
        (folder / file).write_text(f"{content}\n")
    return folder


def test_packages_are_added_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    first, second = zone(tmp_path, "0", "package-0", 5_000_000), zone(tmp_path, "1", "package-1", 1_000_000)
    parts = zone(tmp_path, "0:0", "core", 3_000_000), zone(tmp_path, "2", "psys", 8_000_000)
    meter = energy.Rapl(tmp_path)
    before = meter.joules()
    (first / "energy_uj").write_text("7500000")
    (second / "energy_uj").write_text("1250000")
    for part in parts:
        (part / "energy_uj").write_text("9000000")
    assert meter.joules() - before == pytest.approx(2.75)


def test_a_counter_that_starts_again_goes_on(tmp_path: Path) -> None:
    package = zone(tmp_path, "0", "package-0", 9_000_000)
    meter = energy.Rapl(tmp_path)
    for counted, total in ((500_000, 1.5), (9_500_000, 10.5), (0, 11.0)):
        (package / "energy_uj").write_text(str(counted))
        assert meter.joules() == pytest.approx(total)


def test_nvml_counts_millijoules_of_the_gpu_that_torch_means(monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: f"handle of {uuid}",
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: {"handle of GPU-0a1b-2c": 2500}[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    visible = {"cuda": "0a1b-2c", "cuda:0": "0a1b-2c"}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=visible[device]))
    for device in visible:
        meter = energy.meter_for(device)
        assert meter is not None
        assert meter.joules() == 2.5
    assert energy.meter_for("cuda:1") is None


def test_there_is_none_without_a_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert energy.meter_for("cpu", tmp_path) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy.meter_for("cuda") is None
    unreadable = zone(tmp_path, "0", "package-0", 1)
    assert energy.meter_for("cpu", tmp_path) is not None
    (unreadable / "energy_uj").unlink()
    assert energy.meter_for("cpu", tmp_path) is None
