"""What a lifter must do to be measured here, checked on a model before it is trusted with hours.

The contract: ``(B, T, J, C) -> (B, T, J, 3)``, finite, the same answer twice in eval mode, every clip for itself,
gradients for its parameters. ``harness check --model package.module:attribute`` prints the findings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.data.skeleton import JOINT_COUNT
from harness.errors import BadInput


@dataclass(frozen=True)
class Finding:
    """One line of the contract: what was checked, whether it holds, and what was seen."""

    name: str
    holds: bool
    detail: str


def require_output_shape(model_name: str, output: object, clips: Tensor) -> Tensor:
    """``output`` as a tensor of the contract's shape for ``clips`` (B, T, J, C). Raises BadInput otherwise."""
    expected = (*clips.shape[:3], 3)
    if not isinstance(output, Tensor):
        raise BadInput(f"{model_name} returned {type(output).__name__}; the contract is one tensor {expected}")
    if tuple(output.shape) != expected:
        raise BadInput(
            f"{model_name} returned {tuple(output.shape)}; the contract is (B, T, {JOINT_COUNT}, 3) = {expected}. "
            f"See harness check"
        )
    return output


def check(model: nn.Module, name: str, frames: int, in_channels: int) -> list[Finding]:
    """Every line of the contract for ``model``; an exception inside it is a finding, not a crash."""
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(2, frames, JOINT_COUNT, in_channels, generator=generator) * 0.5
    lines: list[tuple[str, Callable[[], tuple[bool, str]]]] = [
        ("output shape", lambda: _shape(model, name, clips)),
        ("finite output", lambda: _finite(model, clips)),
        ("same answer twice", lambda: _repeatable(model, clips)),
        ("clips do not influence each other", lambda: _independent(model, clips)),
        ("gradients reach the parameters", lambda: _trainable(model, clips)),
        ("state can be saved and loaded", lambda: _reloadable(model)),
    ]
    model.eval()
    return [_finding(line, look) for line, look in lines]


def _finding(line: str, look: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        holds, detail = look()
    except Exception as error:  # a third party's code may raise anything, and that is what is being found out
        return Finding(line, False, f"{type(error).__name__}: {error}")
    return Finding(line, holds, detail)


def _shape(model: nn.Module, name: str, clips: Tensor) -> tuple[bool, str]:
    with torch.no_grad():
        return True, str(tuple(require_output_shape(name, model(clips), clips).shape))


def _finite(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    with torch.no_grad():
        wrong = int((~torch.isfinite(model(clips))).sum())
    return wrong == 0, f"{wrong} values are not finite"


def _repeatable(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    with torch.no_grad():
        gap = float((model(clips) - model(clips)).abs().max())
    return gap == 0, f"two calls differ by at most {gap:.1e}"


def _independent(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    with torch.no_grad():
        gap = float((model(clips)[:1] - model(clips[:1])).abs().max())
    return gap < 1e-4, f"a clip alone and in a batch differ by at most {gap:.1e}"


def _trainable(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    model.train()
    try:
        model(clips).square().mean().backward()
    finally:
        model.eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    reached = sum(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in parameters)
    model.zero_grad(set_to_none=True)
    return reached > 0, f"{reached} of {len(parameters)} parameter tensors get a finite gradient"


def _reloadable(model: nn.Module) -> tuple[bool, str]:
    state = model.state_dict()
    model.load_state_dict(state)
    return bool(state), f"{len(state)} entries"
