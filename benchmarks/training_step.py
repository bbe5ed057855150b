"""A step of training beside the forward alone, in both of its meanings, on made-up targets.

The step is the harness's: forward in training mode, the ``common`` recipe's loss, its backward, AdamW.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import lifter
from benchmarks.lifter import Form
from benchmarks.turns import Peer, Row
from harness.training import losses
from harness.training.recipes import recipe

NO_GRADIENTS, TRAINING_MODE, STEP = "forward without gradients", "forward in training mode", "step"
#: Small, so that made-up targets do not lead the weights anywhere.
_LEARNING_RATE = 1e-5


def peers(model: str, batch: int, frames: int, threads: int) -> list[Peer]:
    """The two forwards and the step, each of a network of its own."""
    inputs = lifter.clips(model, batch, frames)
    calls = {
        NO_GRADIENTS: _without_gradients(_network(model, frames).eval(), inputs),
        TRAINING_MODE: _in_training_mode(_network(model, frames).train(), inputs),
        STEP: _step(_network(model, frames).train(), inputs),
    }
    setting = {"threads": threads, "batch": batch, "frames": frames, "model": model}
    return [
        Peer(
            {**setting, "pass": name},
            call,
            _inspect,
            threads,
            {"flops_exact": lifter.operations(model, batch, frames, name == STEP)},  # the optimiser's are not in it
        )
        for name, call in calls.items()
    ]


def _network(model: str, frames: int) -> nn.Module:
    return lifter.build(Form(model), frames)


def _without_gradients(network: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    def call() -> Tensor:
        with torch.inference_mode():
            return network(inputs)

    return call


def _in_training_mode(network: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    return lambda: network(inputs).detach()


def _step(network: nn.Module, inputs: Tensor) -> Callable[[], float]:
    weights = recipe("common").loss
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, fused=True)
    with torch.inference_mode():
        shape = network(inputs).shape
    targets = 0.5 * torch.randn(shape, generator=torch.Generator().manual_seed(1))  # (B, T, J, 3)

    def call() -> float:
        loss = losses.total(network(inputs), targets, weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return call


def _inspect(result: Any) -> Row:
    finite = bool(torch.isfinite(result).all()) if isinstance(result, Tensor) else math.isfinite(result)
    return {} if finite else {"trouble": lifter.NOT_FINITE}
