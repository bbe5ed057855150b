"""Where a lifter runs: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``."""

from __future__ import annotations

import torch

from harness.errors import BadInput

AUTO = "auto"


def resolve(asked: str) -> str:
    """The device's name; ``auto`` takes a GPU where there is one, and a CPU has no number.

    Raises BadInput for what is no device, is not here, or is of a kind that nothing here was tried on (meta, mps …).
    """
    if asked == AUTO:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(asked).type
    except RuntimeError as error:
        raise BadInput(f"--device {asked}: not a device; use cpu, cuda or cuda:0") from error
    if kind not in ("cpu", "cuda"):
        raise BadInput(f"--device {asked}: lifters run on a CPU or a CUDA GPU; use cpu, cuda or cuda:0")
    if kind == "cuda" and not torch.cuda.is_available():
        raise BadInput("no CUDA device on this machine; use --device cpu (the scan runs on its native CPU kernel)")
    return kind if kind == "cpu" else asked
