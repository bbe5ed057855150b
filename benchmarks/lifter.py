"""Lifters with weights by chance, in the forms that are beside each other: by operators, precision, compilation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.turns import Inspect, Peer, Row
from harness import models
from harness.data.skeleton import JOINT_COUNT
from harness.measurement import ledger
from harness.measurement.worker import MOST_DIFFERENCE
from harness.precision import FLOAT32, in_precision

#: The form that a lifter has by itself.
BY_ITSELF = "by itself"
UNBIND, BF16, COMPILED = "unbind loop", "bf16", "compiled"
NOT_FINITE = "the output is not finite"


@dataclass(frozen=True)
class Form:
    """Lifter ``model`` with ``options``; the first form of a lifter is what the others' outputs are compared with."""

    model: str
    name: str = BY_ITSELF
    options: Mapping[str, Any] = field(default_factory=dict)
    precision: str = FLOAT32
    compiled: bool = False


def subject_forms(model: str, *, with_loop: bool, compiled: bool) -> Iterator[Form]:
    """By itself and bf16; the scan as a loop over ``unbind`` and compiled where asked for."""
    yield Form(model)
    yield Form(model, BF16, precision="bf16")
    if compiled:
        yield Form(model, COMPILED, compiled=True)
    if with_loop:
        yield Form(model, UNBIND, {"scan_backend": "reference"})


def peer_forms(model: str) -> Iterator[Form]:
    """Both of attention, where the lifter has the option, else itself."""
    if hasattr(models.preset(model), "attention"):
        for attention in ("sdpa", "explicit"):
            yield Form(model, attention, {"attention": attention})
    else:
        yield Form(model)


def build(form: Form, frames: int) -> nn.Module:
    """The same weights for every form of a lifter."""
    torch.manual_seed(0)
    return models.build(form.model, frames, **form.options)


def clips(model: str, batch: int, frames: int) -> Tensor:
    """(batch, frames, J, C) of what the lifter reads."""
    channels = models.configure(model, frames).in_channels
    return 0.5 * torch.randn(batch, frames, JOINT_COUNT, channels, generator=torch.Generator().manual_seed(0))


@functools.cache
def operations(model: str, batch: int, frames: int, training: bool = False) -> int:
    """``flops_exact`` of a forward, or of forward and backward, of so many clips; of a lifter by itself."""
    channels = models.configure(model, frames).in_channels
    counted = ledger.of_model(models.build(model, frames), frames, channels, batch=batch, training=training)
    return counted.total.flops


def inference(form: Form, frames: int, threads: int, outputs: dict[str, Tensor]) -> Peer:
    """A forward of one clip. ``outputs`` has the first form's of each lifter, for all peers of one size."""
    function, clip = _callable(form, frames), clips(form.model, 1, frames)

    def call() -> Tensor:
        with torch.inference_mode():
            return function(clip)

    setting = {"threads": threads, "batch": 1, "frames": frames, "model": form.model, "form": form.name}
    found = {"precision": form.precision, "flops_exact": operations(form.model, 1, frames)}
    return Peer(setting, call, _against(form, outputs), threads, found)


def _callable(form: Form, frames: int) -> Callable[[Tensor], Tensor]:
    model = build(form, frames).eval()
    return in_precision(_compiled(model) if form.compiled else model, form.precision, "cpu")


def _compiled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    import torch._inductor.config as inductor

    inductor.compile_threads = 1  # otherwise its processes would be there beside what is timed
    compiled: Callable[[Tensor], Tensor] = torch.compile(model)
    return compiled


def _against(form: Form, outputs: dict[str, Tensor]) -> Inspect:
    def inspect(output: Tensor) -> Row:
        if not bool(torch.isfinite(output).all()):
            return {"trouble": NOT_FINITE}
        first = outputs.setdefault(form.model, output).float()
        difference = float((output.float() - first).abs().max() / first.square().mean().sqrt())
        found: Row = {"difference": difference}
        if form.precision == FLOAT32 and difference > MOST_DIFFERENCE:
            found["trouble"] = f"the output is {difference:.0e} off that of the lifter's first form"
        return found

    return inspect
