"""An NVIDIA GPU, asked for a product that the processor knows too."""

from __future__ import annotations

from pathlib import Path

from harness.doctor.check import Absent, Broken, Check, Need

#: One for every card, where the driver is at work.
DEVICES = Path("/dev")
_TORCH = "pip install --force-reinstall torch   (the build for CUDA: https://pytorch.org/get-started/locally)"
_DRIVER = "nvidia-smi   (it has to list the GPU; if not, mend the driver, or start the container with --gpus all)"


def gpu(results: Path) -> str:
    """What torch sees of it, after a product of matrices and a softmax that agree with the processor's."""
    import torch

    if not torch.cuda.is_available():
        if not sorted(DEVICES.glob("nvidia[0-9]*")):
            raise Absent("there is none; lifters run on the processor")
        if torch.version.cuda is None:
            raise Broken("there is one, and this PyTorch is built without CUDA", _TORCH, left_aside=True)
        raise Broken("there is one, and PyTorch cannot use it", _DRIVER, left_aside=True)
    properties = torch.cuda.get_device_properties(0)
    described = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    found = (x.cuda() @ x.cuda()).softmax(-1).cpu()
    difference = (found - (x @ x).softmax(-1)).abs().max().item()
    if not difference <= 1e-3:
        raise Broken(f"{described}: a product of matrices differs from the processor's by {difference:.1g}")
    return described


CHECKS = (Check("machine", "GPU", "--device auto takes it wherever PyTorch sees it", gpu, Need.IF_HERE, _DRIVER),)
