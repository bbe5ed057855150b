"""Energy meters, where a machine has one: NVML's counter of a GPU, RAPL's of the processor's packages.

A meter counts the whole device, other programs included. Where there is none the figure is absent: energy is never
worked out from a data sheet.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from harness.errors import HarnessError

POWERCAP = Path("/sys/class/powercap")


class Meter(Protocol):
    """``joules`` is what has been counted since some moment in the past: only differences mean something."""

    name: str

    def joules(self) -> float: ...


def meter_for(device: str, powercap: Path = POWERCAP) -> Meter | None:
    """The meter of ``device``, or None."""
    try:
        meter: Meter = Nvml.of(device) if device.startswith("cuda") else Rapl(powercap)
        meter.joules()
    except Exception:  # no library, no counter, no permission: each library has exceptions of its own
        return None
    return meter


def _uuid(device: str) -> str:
    """Of the GPU that torch calls so: CUDA_VISIBLE_DEVICES hides some of those that NVML counts and orders others."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


class Nvml:
    """A GPU's counter of its total energy, which Volta and later have. ``uuid`` is NVML's, ``GPU-…``."""

    name = "NVML total energy of the GPU"

    def __init__(self, uuid: str, library: Any = None) -> None:
        self._nvml = library or importlib.import_module("pynvml")
        self._nvml.nvmlInit()
        self._handle = self._nvml.nvmlDeviceGetHandleByUUID(uuid)

    @classmethod
    def of(cls, device: str) -> Nvml:
        """The counter of the GPU that torch calls ``device``."""
        library = importlib.import_module("pynvml")
        return cls(_uuid(device), library)

    def joules(self) -> float:
        """The counter is in millijoules."""
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000


class Rapl:
    """The packages of the powercap tree together. A counter starts again at 0 beyond its range."""

    name = "RAPL energy of the processor packages"

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._zones = [
            zone for zone in sorted(powercap.glob("intel-rapl:*")) if _read(zone / "name").startswith("package")
        ]
        if not self._zones:
            raise HarnessError(f"{powercap} has no energy counter of a processor package")
        self._last_uj = {zone: int(_read(zone / "energy_uj")) for zone in self._zones}
        self._counted_uj = 0

    def joules(self) -> float:
        """Counters are in microjoules; between two calls each may start again once."""
        for zone in self._zones:
            now_uj = int(_read(zone / "energy_uj"))
            step_uj = now_uj - self._last_uj[zone]
            self._counted_uj += step_uj if step_uj >= 0 else step_uj + int(_read(zone / "max_energy_range_uj"))
            self._last_uj[zone] = now_uj
        return self._counted_uj / 1e6


def _read(path: Path) -> str:
    return path.read_text().strip()
