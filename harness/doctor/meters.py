"""What measures: operations, peak memory and energy, each on something of which the answer is known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.doctor.check import Absent, Broken, Check, Need

PART = "meters"
_BLOCK_BYTES = 64 << 20
#: The kernel brings its counts of pages together now and then; a tenth of the block is far beyond what that leaves out.
_TOLERANCE = 0.1
#: 9 frames x 17 joints x 2 channels in x 3 out.
_MACS = 918


def operations(results: Path) -> str:
    """One linear layer by every convention that counts it."""
    from torch import nn

    from harness.measurement import counts

    counted: dict[str, Any] = counts.count(nn.Linear(2, 3, bias=False), 9, 2, training=False)
    expected = {"macs_thop": _MACS, "macs_fvcore": _MACS, "flops_torch": 2 * _MACS, "params_total": 6}
    wrong = [f"{name} is {counted[name]}, not {value}" for name, value in expected.items() if counted[name] != value]
    if wrong:
        raise Broken("; ".join(wrong))
    return f"{', '.join(expected)} of a linear layer are as by hand"


def memory(results: Path) -> str:
    """The peak of a call that fills a block."""
    from harness.measurement.memory import available_bytes, peak, reader_for

    reader = reader_for("cpu")
    seen = peak(lambda: b"x" * _BLOCK_BYTES, reader)
    if seen is None:
        raise Absent(f"{reader.name} does not say what one call takes")
    if abs(seen - _BLOCK_BYTES) > _TOLERANCE * _BLOCK_BYTES:
        raise Broken(f"{reader.name} saw {seen >> 20} MiB of a block of {_BLOCK_BYTES >> 20} MiB")
    free = available_bytes()
    left = "" if free is None else f"; {free / 2**30:.1f} GiB can be had"
    return f"{reader.name}: saw {seen / 2**20:.1f} MiB of {_BLOCK_BYTES >> 20}{left}"


def processor_energy(results: Path) -> str:
    """RAPL's counter has to rise while the processor works."""
    from harness.measurement import energy

    counters = sorted(energy.POWERCAP.glob("intel-rapl:*/energy_uj"))
    if not counters:
        raise Absent(f"{energy.POWERCAP} has no counter of a processor, as in most virtual machines")
    if unreadable := [path for path in counters if not os.access(path, os.R_OK)]:
        remedy = f"sudo chmod a+r {energy.POWERCAP}/intel-rapl:*/energy_uj   (until the next start)"
        raise Broken(f"{unreadable[0]} may be read by root alone", remedy)
    meter = energy.meter_for("cpu")
    if meter is None:
        raise Absent(f"{energy.POWERCAP} has no counter of a processor package")
    return _rising(meter, _work)


def gpu_energy(results: Path) -> str:
    """NVML's counter has to rise while the GPU is on."""
    import torch

    from harness.measurement import energy

    if not torch.cuda.is_available():
        raise Absent("PyTorch sees no GPU")
    try:
        meter: energy.Meter = energy.Nvml.of("cuda")
        meter.joules()
    except ModuleNotFoundError as error:
        raise Absent("the package nvidia-ml-py is not installed", "pip install nvidia-ml-py") from error
    return _rising(meter, _work_of_gpu)


def _rising(meter: Any, work: Any) -> str:
    before = meter.joules()
    work()
    counted = meter.joules() - before
    if not counted > 0:
        raise Broken(f"{meter.name} stands still")
    return f"{meter.name}: counted {counted:.2g} J"


def _work() -> None:
    import torch

    x = torch.ones(512, 512)
    for _ in range(100):
        x = (x @ x).clamp(max=1)


def _work_of_gpu() -> None:
    import torch

    x = torch.ones(4096, 4096, device="cuda")
    for _ in range(100):
        x = (x @ x).clamp(max=1)
    torch.cuda.synchronize()


CHECKS = (
    Check(PART, "operations", "every table of costs counts with them", operations, Need.ALWAYS,
          "pip install --force-reinstall fvcore torch"),
    Check(PART, "peak memory", "the memory column of costs; nothing else depends on it", memory, Need.IF_HERE,
          "cat /proc/self/status   (VmRSS and VmHWM have to follow what a process takes)"),
    Check(PART, "energy of the processor", "energy in costs of a processor; it is left out without", processor_energy),
    Check(PART, "energy of the GPU", "energy in costs of a GPU; it is left out without", gpu_energy,
          remedy="pip install --force-reinstall nvidia-ml-py"),
)  # fmt: skip
