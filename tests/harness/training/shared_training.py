"""Trainings that a test takes in one process, and two processes share: ``python -m … FOLDER`` is one of them.

All is in float64, in which a mistake of what is added up stands out from rounding by many orders of magnitude.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness import contract, models
from harness.data.normalise import TARGET_SPACES
from harness.placement import here
from harness.process_group import joined
from harness.training.batches import Batch, TrainingClips
from harness.training.budget import Budget
from harness.training.loop import train
from harness.training.recipes import RECIPES
from harness.training.share import WHOLE, Share
from harness.training.training import Training
from harness.world import World
from tests.harness.test_every_lifter import NAMES, TINY
from tests.harness.training.conftest import make_sequence

FRAMES, STEPS = 9, 3
#: Attention weights that are dropped inside an operator are drawn otherwise, see harness.training.whole_batch.
WITHOUT: Mapping[str, dict[str, Any]] = {
    "baselines.stridedtransformer": {"attention_dropout": 0.0},
    "baselines.pstmo": {"attention_dropout": 0.0},
}


class Layered(nn.Module):
    """Every kind of layer that a batch as a whole matters to, some of their inputs with other orders in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(51, 24)
        self.plain, self.channels = nn.Dropout(0.3), nn.Dropout1d(0.2)
        self.norm, self.average = nn.BatchNorm1d(24), nn.BatchNorm2d(4, momentum=None, affine=False)
        self.position = nn.Parameter(torch.ones(1, FRAMES, 24))
        self.head = nn.Linear(24, 51)
        self.unused = nn.Linear(2, 2)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.plain(self.embed(clips.flatten(2)))  # (B, T, 24)
        x = self.norm(x.transpose(1, 2))  # (B, 24, T), not contiguous
        x = self.channels(self.plain(x))
        x = self.average(x.unflatten(1, (4, 6))).flatten(1, 2)
        x = self.plain(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, FRAMES))  # clips and frames together
        x = x + self.plain(self.position)  # drawn once for all clips
        return self.head(x).unflatten(2, (17, 3))


@dataclass(frozen=True)
class Case:
    """``model``: a registered name, or "" for ``Layered``."""

    model: str = ""
    batch_size: int = 4
    accumulate: int = 1
    recipe: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    recomputed: bool = False
    mirrored: bool = False

    def built(self) -> nn.Module:
        torch.manual_seed(5)
        if not self.model:
            return Layered().double()
        module = models.entry(self.model).module
        drop_path = {"drop_path": 0.3} if hasattr(models.preset(self.model), "drop_path") else {}
        options = {**TINY[module], **drop_path, **WITHOUT.get(module, {}), **self.options}
        return models.build(self.model, FRAMES, 3, **options).double()


PUBLISHED = {"norm_momentum": (0.1, 0.001), "optimizer": "adam", "amsgrad": True, "gradient_clip": None}
CASES: Mapping[str, Case] = {
    "layers": Case(),
    "layers, pieces of 3 and 2": Case(batch_size=5),
    "layers, squared loss": Case(recipe={"squared_loss": True}),
    "layers, accumulated": Case(batch_size=8, accumulate=2),
    "layers, momentum falls": Case(recipe=PUBLISHED),
    "layers, flipped": Case(recipe={"flip": "random"}),
    "layers, more than there is": Case(batch_size=500),
    "one clip a process": Case("stcformer", batch_size=2),
    "recomputed blocks": Case("mixste", options={"depth": 2, "dropout": 0.1}, recomputed=True),
    **{name: Case(name) for name in NAMES},
}


@dataclass(frozen=True)
class InDouble:
    """The clips of ``harness.training.batches.TrainingClips`` in float64."""

    clips: TrainingClips

    def batches_per_epoch(self, batch_size: int) -> int:
        return self.clips.batches_per_epoch(batch_size)

    def epoch(
        self, seed: int, number: int, batch_size: int, flip: bool, skip_batches: int = 0, share: Share = WHOLE
    ) -> Iterator[Batch]:
        for batch in self.clips.epoch(seed, number, batch_size, flip, skip_batches, share):
            whole = None if batch.whole_targets is None else batch.whole_targets.double()
            yield Batch(batch.inputs.double(), batch.targets.double(), whole, batch.of_clips)


def clips_for(model: nn.Module) -> InDouble:
    stated = contract.of(model)
    # None shorter than a clip: filled up they have equal frames, and which of these are MotionAGFormer's nearest
    # neighbours is decided by rounding.
    sequences = [make_sequence(f"s/walk/{number}", length, number) for number, length in enumerate((20, 10, 33))]
    position = stated.position(FRAMES)
    return InDouble(
        TrainingClips(
            sequences, FRAMES, 3, TARGET_SPACES["camera"], 3, position=position, whole_targets=stated.auxiliary
        )
    )


def trained(case: Case, folder: Path, world: World, steps: int = STEPS, **changes: Any) -> dict[str, Any]:
    """The weights after ``steps`` steps, and what the processes have to agree on besides."""
    folder.mkdir(exist_ok=True)
    model = case.built()
    recipe = dataclasses.replace(RECIPES["common"], warmup_steps=0, **case.recipe)
    losses: list[float] = []
    training = Training(
        recipe, Budget(steps=steps), case.batch_size, 0, folder, torch.device("cpu"),
        world=world, accumulate=case.accumulate, activation_checkpointing=case.recomputed,
        observe=lambda step, loss, rate: losses.append(loss), **changes,
    )  # fmt: skip
    progress = train(model, clips_for(model), training)
    return {"model": model.state_dict(), "losses": losses, "drawn": torch.rand(2), "processes": progress.processes}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    world = here()
    with joined(world, "cpu"):
        for number, case in enumerate(CASES.values()):
            result = trained(case, folder / str(number), world)
            torch.save(result, folder / f"{number}-{world.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
