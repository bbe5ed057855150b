"""What a training is given, and where it stands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from harness.precision import FLOAT32
from harness.training.batches import Batch
from harness.training.budget import Budget
from harness.training.recipe import Recipe
from harness.training.share import WHOLE, Share
from harness.world import ALONE, World


class Examples(Protocol):
    """What a training goes over, such as ``harness.training.batches.TrainingClips``: see there."""

    def batches_per_epoch(self, batch_size: int) -> int: ...

    def epoch(
        self, seed: int, number: int, batch_size: int, flip: bool, skip_batches: int = 0, share: Share = WHOLE
    ) -> Iterator[Batch]: ...


#: The loss of a batch whose inputs and targets are on the model's device.
Objective = Callable[[nn.Module, Batch], Tensor]


@dataclass
class Progress:
    """Where a training stands; the part of a checkpoint that is neither weights nor random state.

    ``processes``: from which step on (counted from 0) how many worked on it, the one or the other since the start.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    core_s: float = 0.0
    recent_loss: float = 0.0
    recent_steps: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    processes: list[dict[str, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Training:
    """What stays fixed over one training; ``report`` gets progress, share of the budget and loss after every step.

    ``observe`` gets the number of the step (from 1), its loss and its learning rate, for a log.
    ``data_digest`` names the data: a checkpoint made on other data is not gone on with. ``activation_checkpointing``:
    see there; it changes memory and time of a step, and not its result. ``objective`` replaces the recipe's loss on
    poses for what has other targets.

    ``batch_size`` is that of a step, whatever ``world`` of processes shares it and into how many parts ``accumulate``
    cuts it. ``precision`` is that of the forward pass, see ``harness.precision``; weights, loss and update are in
    float32. ``compiled``: by torch.compile.
    """

    recipe: Recipe
    budget: Budget
    batch_size: int
    seed: int
    folder: Path
    device: torch.device
    data_digest: str = ""
    activation_checkpointing: bool = False
    objective: Objective | None = None
    world: World = ALONE
    accumulate: int = 1
    precision: str = FLOAT32
    compiled: bool = False
    save_every_s: float = 60.0
    report: Callable[[Progress, float, float], None] = lambda progress, share, loss: None
    observe: Callable[[int, float, float], None] | None = None
    clock: Callable[[], float] = time.monotonic
    core_clock: Callable[[], float] = time.process_time
