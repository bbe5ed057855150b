"""One classification run, fully resolved: every choice that can change its figures, in one frozen object."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from harness import devices, models
from harness import options as given_options
from harness.classification import shapes, source
from harness.classification.cloud_set import Augmentation
from harness.errors import BadInput
from harness.training.budget import Budget
from harness.training.losses import LossWeights
from harness.training.recipe import Recipe
from harness.training.seed import require_seed

DEFAULT_MINUTES = 10.0
COST_POINTS = (256, 512, 1024, 2048, 4096)
#: Steps until the learning rate is at its peak. A budget in minutes does not tell how many follow.
WARMUP_STEPS = 30
#: Fields of a model's config that the run decides.
_DECIDED = frozenset({"points", "classes"})


@dataclass(frozen=True)
class ClassificationConfig:
    """``options`` are the model's, ``points`` P of the clouds it is trained and tested on, ``cost_points`` those at
    which latency and memory are measured; ``data_seed`` is 0 where the data are files.

    The training follows Mamba3D's (cfgs/finetune_modelnet.yaml, tools/builder.py and tools/runner_finetune.py in
    xhanxu/Mamba3D at b519a9c) in AdamW, weight decay 0.05, a warm-up and half a cosine, batches of 32, gradients
    clipped at 10 and the ranges of the augmentation. It differs in

    length        a budget, of minutes by default, for 300 epochs
    rate          at its peak twice their 5e-4, which fewer steps want; it rises in WARMUP_STEPS and falls to 0, step
                  by step, where theirs rises from 1e-6 in 10 epochs and falls to 1e-6, epoch by epoch
    weight decay  of all parameters; they leave out those with one axis, the biases, and names with ``token``
    labels        smoothed by 0.1; theirs are not
    points        chosen by chance from the farthest points that the set keeps; they find those anew in every epoch,
                  from another first point
    drop path     the model's own, for Mamba3D 0.1; theirs is 0.2 for ModelNet40
    accuracy      of the last step; theirs is the best that any epoch has on the test clouds
    """

    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    data: str = shapes.NAME
    data_seed: int = 0
    points: int = shapes.DEFAULT_POINTS
    budget: Budget = field(default_factory=lambda: Budget(seconds=DEFAULT_MINUTES * 60))
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    cost_points: tuple[int, ...] = COST_POINTS

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a record."""
        return {**dataclasses.asdict(self), "budget": self.budget.as_dict(), "cost_points": list(self.cost_points)}

    def digest(self) -> str:
        """sha256 over every field but ``cost_points``: two runs with the same digest train and score the same."""
        decisive = {name: value for name, value in self.as_dict().items() if name != "cost_points"}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def run_id(self) -> str:
        """Readable and unique, such as ``mamba3d-xs-p1024-s0-1a2b3c4d``; safe as a folder name."""
        name = re.sub(r"[^A-Za-z0-9_]+", "-", self.model).strip("-")
        return f"{name}-p{self.points}-s{self.seed}-{self.digest()[:8]}"

    def recipe(self) -> Recipe:
        """What of the training ``harness.training.loop`` decides; its loss on poses is replaced."""
        return Recipe(
            name="classification",
            source="after cfgs/finetune_modelnet.yaml in xhanxu/Mamba3D at b519a9c; the differences are listed in "
            "harness/classification/config.py",
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            schedule="cosine",
            loss=LossWeights(),
            target_space="camera",
            flip="none",
            gradient_clip=10.0,
            warmup_steps=WARMUP_STEPS,
        )

    def training(self, augmentation: Augmentation) -> dict[str, Any]:
        """The choices of the training as a record shows them."""
        recipe = self.recipe()
        return {
            "source": recipe.source,
            "optimizer": recipe.optimizer,
            "schedule": recipe.schedule,
            "warmup_steps": recipe.warmup_steps,
            "gradient_clip": recipe.gradient_clip,
            "augmentation": augmentation,
        }


def resolve(
    model: str,
    *,
    options: Mapping[str, Any] | None = None,
    data: str | None = None,
    data_seed: int = 0,
    points: int | None = None,
    budget: Budget | None = None,
    device: str = devices.AUTO,
    threads: int | None = None,
    cost_points: tuple[int, ...] = (),
    **given: Any,
) -> ClassificationConfig:
    """A config from what the user gave; None takes the default, of ``points`` the one that the data have.

    Raises BadInput for an unknown model, option or data, a device that is not there and values out of range.
    """
    spec = data or shapes.NAME
    config = ClassificationConfig(
        model=model,
        options=_model_options(model, options or {}),
        data=spec,
        data_seed=data_seed if spec == shapes.NAME else 0,
        points=source.default_points(spec) if points is None else points,
        budget=budget or Budget(seconds=DEFAULT_MINUTES * 60),
        device=devices.resolve(device),
        threads=torch.get_num_threads() if threads is None else threads,
        cost_points=tuple(sorted(cost_points)) or COST_POINTS,
        **{name: value for name, value in given.items() if value is not None},
    )
    _require_ranges(config)
    return config


def _model_options(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that differ from the published ones, with their types."""
    for name in _DECIDED & given.keys():
        raise BadInput(f"-o {name}: that is decided by --points and --data")
    if ":" in model:
        return given_options.guess(given)
    models.classifier(model)
    built, published = models.configure(model, overrides=given), models.preset(model)
    return {
        field.name: getattr(built, field.name)
        for field in dataclasses.fields(built)
        if field.name not in _DECIDED and getattr(built, field.name) != getattr(published, field.name)
    }


def _require_ranges(config: ClassificationConfig) -> None:
    for flag, value, least in (
        # One point alone has no extent that could be brought into the unit ball.
        ("--points", config.points, 2),
        *(("--cost-points", points, 1) for points in config.cost_points),
        # Batch norms have no spread over one cloud, and the accuracy of a batch of one teaches nothing either.
        ("--batch-size", config.batch_size, 2),
        ("--threads", config.threads, 1),
        ("--data-seed", config.data_seed, 0),
    ):
        if not value >= least:
            raise BadInput(f"{flag} {value} is out of range; it must be at least {least}")
    require_seed(config.seed)
    if not 0 < config.learning_rate < math.inf:
        raise BadInput(f"--learning-rate {config.learning_rate} is out of range; it must be positive and finite")
    if not 0 <= config.weight_decay < math.inf:
        raise BadInput(f"--weight-decay {config.weight_decay} is out of range; it must be finite and at least 0")
    if not 0 <= config.label_smoothing < 1:
        raise BadInput(f"--label-smoothing {config.label_smoothing} is out of range; it must be from 0 to below 1")
