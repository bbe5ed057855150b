"""The selective scan by every backend that is here, against its definition, and a whole lifter by its kernels.

Letters: B batch, K scan directions, D channels of one, N states, L tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.doctor.check import Absent, Broken, Check, Need

if TYPE_CHECKING:
    from torch import Tensor

PART = "scan"
#: Largest difference from the definition, in float32 and over the largest number: rounding is a hundredth of it.
TOLERANCE = 1e-4
#: Longer than the stretch of tokens after which backends keep their states.
_TOKENS = 70
_BUILD = "python setup.py build_ext --inplace   (in the clone; elsewhere reinstall)"
_MAMBA_SSM = "pip install --no-build-isolation mamba-ssm causal-conv1d"


def reference(results: Path) -> str:
    """torch's recurrence against the same written in Python's numbers, for one channel and one state."""
    import torch

    u, delta, b, c = [1.0, -2.0, 0.5], [0.3, -1.0, 2.0], [1.0, 0.5, -1.0], [2.0, 1.0, 0.25]
    rate, skip, bias = -0.7, 1.5, 0.2
    state, expected = 0.0, []
    for token in range(3):
        step = math.log1p(math.exp(delta[token] + bias))
        state = math.exp(step * rate) * state + step * b[token] * u[token]
        expected.append(c[token] * state + skip * u[token])
    of_token = [torch.tensor(values, dtype=torch.float64).view(1, 1, 3) for values in (u, delta)]
    shared = [torch.tensor(values, dtype=torch.float64).view(1, 1, 1, 3) for values in (b, c)]
    constants = [torch.tensor([value], dtype=torch.float64) for value in (skip, bias)]
    rates = torch.tensor([[rate]], dtype=torch.float64)
    y = _scan([*of_token, rates, *shared, *constants], "reference")
    difference = (y.flatten() - torch.tensor(expected, dtype=torch.float64)).abs().max().item()
    return _close(difference / max(map(abs, expected)), 1e-12, "the recurrence worked out by hand")


def chunked(results: Path) -> str:
    """Values and gradients, on the processor."""
    return _against_reference("chunked", "cpu")


def native(results: Path) -> str:
    """Values and gradients, and the same bits on one thread and on all."""
    import torch

    from posemamba import native as library
    from posemamba.scan import available

    if reason := available()["native"]:
        found = reason.partition(";")[0]
        if "not built" in reason:
            raise Absent(found, _BUILD)
        raise Broken(found, _BUILD, left_aside=True)
    compared = _against_reference("native", "cpu")
    inputs, threads = _inputs("cpu"), torch.get_num_threads()
    outputs = []
    for count in (1, max(2, threads)):
        torch.set_num_threads(count)
        with torch.no_grad():
            outputs.append(_scan(inputs, "native"))
    torch.set_num_threads(threads)
    if not torch.equal(*outputs):
        raise Broken("its result depends on the number of threads", _BUILD)
    return f"{library.instruction_set()}, {compared}"


def mamba_ssm(results: Path) -> str:
    """Values and gradients, on the GPU."""
    import torch

    from posemamba.scan import available

    reason = available()["mamba-ssm"]
    if not torch.cuda.is_available():
        raise Absent("it needs a CUDA GPU, and PyTorch sees none")
    if "not installed" in reason:
        raise Absent("the package mamba-ssm is not installed", _MAMBA_SSM)
    if reason:
        raise Broken(reason.partition(";")[0], _MAMBA_SSM.replace("install", "install --force-reinstall"), True)
    return _against_reference("mamba-ssm", "cuda")


def lifter(results: Path) -> str:
    """A tiny PoseMamba by the kernels that ``auto`` takes against the same weights by the definition of the scan."""
    import torch

    from harness import models

    torch.manual_seed(0)
    clips = torch.randn(2, 9, 17, 2)
    built, defined = (
        models.build("posemamba-xs", 9, 2, dim=16, depth=1, scan_backend=backend) for backend in ("auto", "reference")
    )
    defined.load_state_dict(built.state_dict())
    outputs, gradients = [], []
    for model in (built.eval(), defined.eval()):
        answer = model(clips)
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(answer.sum(), list(model.parameters()))]))
        outputs.append(answer.detach())
    with torch.no_grad():
        alone = built(clips)
    worst = max(
        _difference(alone, outputs[1]), _difference(outputs[0], outputs[1]), _difference(gradients[0], gradients[1])
    )
    backend = models.scan_backend(built, "cpu")
    return f"by {backend}, {_close(worst, TOLERANCE, 'the definition')}"


def _against_reference(backend: str, device: str) -> str:
    import torch

    answers: dict[str, list[Tensor]] = {}
    for name in ("reference", backend):
        inputs = _inputs(device)
        y = _scan(inputs, name)
        direction = torch.linspace(-1, 1, y.numel(), device=device).view_as(y)
        answers[name] = [y.detach(), *torch.autograd.grad(y, inputs, direction)]
    worst = max(_difference(*pair) for pair in zip(answers[backend], answers["reference"], strict=True))
    return _close(worst, TOLERANCE, "the definition")


def _scan(tensors: Sequence[Tensor], backend: str) -> Tensor:
    """Of u, delta, A, B, C, D and delta_bias, with softplus on the step."""
    from posemamba.scan import selective_scan

    u, delta, A, B, C, D, delta_bias = tensors
    return selective_scan(u, delta, A, B, C, D, delta_bias, delta_softplus=True, backend=backend)


def _inputs(device: str) -> list[Tensor]:
    """u, delta, A, B, C, D and delta_bias of B = 2, K = 2, D = 3, N = 4 in float32, all requiring gradients."""
    import torch

    draw = torch.Generator().manual_seed(0)
    shapes = ((2, 6, _TOKENS), (2, 6, _TOKENS), (6, 4), (2, 2, 4, _TOKENS), (2, 2, 4, _TOKENS), (6,), (6,))
    tensors = [torch.randn(shape, generator=draw) for shape in shapes]
    tensors[2] = -tensors[2].exp()
    return [tensor.to(device).requires_grad_() for tensor in tensors]


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest, over the largest magnitude that is expected; infinite where anything is not a number."""
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    return difference if math.isfinite(difference) else math.inf


def _close(difference: float, tolerance: float, expected: str) -> str:
    if not difference <= tolerance:
        raise Broken(f"it differs from {expected} by {difference:.1g} of its largest number")
    return f"equals {expected} to {difference:.0e}"


CHECKS = (
    Check(
        PART,
        "reference",
        "the definition of the scan, which every backend is held against",
        reference,
        Need.ALWAYS,
        "pip install --force-reinstall torch",
    ),
    Check(
        PART,
        "chunked",
        "the scan wherever there is no other: any device, slower",
        chunked,
        Need.ALWAYS,
        "pip install --force-reinstall torch",
    ),
    Check(PART, "native", "the scan on a processor, many times faster than chunked", native, Need.IF_HERE, _BUILD),
    Check(PART, "mamba-ssm", "the scan on a GPU, faster than chunked", mamba_ssm, Need.IF_HERE, _MAMBA_SSM),
    Check(PART, "lifter", "PoseMamba's blocks run by their own kernels without gradients", lifter, Need.ALWAYS, _BUILD),
)
