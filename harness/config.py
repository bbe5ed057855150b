"""One run, fully resolved: every choice that can change its figures, whoever made it, in one frozen object."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from harness import devices, models
from harness.data import source
from harness.errors import BadInput, suggestion
from harness.evaluation.protocol import protocol
from harness.precision import FLOAT32, PRECISIONS
from harness.store.later_choices import UNHASHED
from harness.training.budget import Budget
from harness.training.recipe import Recipe
from harness.training.recipes import recipe
from harness.training.seed import require_seed

#: What is decided by the data, the recipe or the model, as a device is by the machine.
AUTO = devices.AUTO
#: In place of a recipe's name: that of the model's authors.
PUBLISHED = "published"
DEFAULT_DATA = "synthetic"
DEFAULT_FRAMES = 27
#: With loading and evaluation a run of the default budget stays under 20 minutes.
DEFAULT_MINUTES = 17.0
#: Of a model in a run's identifier, which is the name of a folder: file systems take 255 bytes.
_LONGEST_NAME = 100


@dataclass(frozen=True)
class RunConfig:
    """See ``resolve`` for where each value comes from. ``options`` are the model's, already checked.

    space     what the lifter puts out, see harness.data.normalise: ``camera``, ``image``, or ``auto``, by recipe and
              data
    protocol  see harness.evaluation.protocol; ``windows``: how test clips are cut where it leaves that open
    xy        ``predicted``, or ``input``: the detections' x and y in place of the predicted ones, as published for
              ground-truth 2D
    root      the predicted pelvis is ``zeroed`` or ``subtracted``, where the protocol does not keep it
    precision of inference where the lifter is scored and timed, see harness.precision
    batch_size  clips of a training step, all processes and accumulated parts together
    activation_checkpointing, accumulate, training_precision, compiled  of training, see harness.training.training
    """

    model: str
    frames: int = DEFAULT_FRAMES
    in_channels: int = 3
    options: Mapping[str, Any] = field(default_factory=dict)
    data: str = DEFAULT_DATA
    detector: str = "sh"
    data_seed: int = 0
    recipe: str = "common"
    budget: Budget = field(default_factory=lambda: Budget(seconds=DEFAULT_MINUTES * 60))
    batch_size: int = 4
    learning_rate: float = 3e-3
    seed: int = 0
    flip_test: bool = True
    windows: str = AUTO
    protocol: str = "all"
    space: str = AUTO
    xy: str = "predicted"
    root: str = "zeroed"
    device: str = "cpu"
    threads: int = 1
    precision: str = FLOAT32
    activation_checkpointing: bool = False
    accumulate: int = 1
    training_precision: str = FLOAT32
    compiled: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as stored in a record."""
        return {**dataclasses.asdict(self), "budget": self.budget.as_dict()}

    def digest(self) -> str:
        """sha256 over every field: two runs with the same digest are the same run.

        Choices that came later are left out where they are as all runs were before, so that the ids of these stay. How
        many processes share a run is no field: it changes nothing but the time, and rounding.
        """
        decisive = self.as_dict()
        for name, before in UNHASHED.items():
            if decisive[name] == before:
                del decisive[name]
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def run_id(self) -> str:
        """Readable and unique, such as ``posemamba-xs-t27-s0-1a2b3c4d``; safe as a folder name."""
        name = re.sub(r"[^A-Za-z0-9_]+", "-", self.model).strip("-")[:_LONGEST_NAME]
        return f"{name}-t{self.frames}-s{self.seed}-{self.digest()[:8]}"

    def training_recipe(self) -> Recipe:
        """The named recipe with this run's batch size and learning rate."""
        return dataclasses.replace(recipe(self.recipe), batch_size=self.batch_size, learning_rate=self.learning_rate)


def resolve(
    model: str,
    *,
    options: Mapping[str, Any] | None = None,
    recipe_name: str = "common",
    budget: Budget | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    device: str = AUTO,
    threads: int | None = None,
    data: str = DEFAULT_DATA,
    detector: str = AUTO,
    protocol_name: str = AUTO,
    **given: Any,
) -> RunConfig:
    """A RunConfig from what the user gave; None takes the recipe's value, then the harness's default.

    ``auto`` takes the data's first detector, and the protocol that figures on the data are published under. The recipe
    ``published`` is that of the model's authors. A recipe's drop path rate becomes a model option where the model has
    one and the user did not set it.
    Raises BadInput for an unknown model, option, recipe or device and for values out of range.
    """
    chosen = recipe(_published_recipe(model) if recipe_name == PUBLISHED else recipe_name)
    config = RunConfig(
        model=model,
        options=dict(options or {}),
        recipe=chosen.name,
        budget=budget or _default_budget(chosen),
        batch_size=chosen.batch_size if batch_size is None else batch_size,
        learning_rate=chosen.learning_rate if learning_rate is None else learning_rate,
        device=devices.resolve(device),
        threads=_default_threads() if threads is None else threads,
        data=data,
        detector=source.resolve_detector(data, detector),
        protocol=protocol(source.published_protocol(data) if protocol_name == AUTO else protocol_name).name,
        **given,
    )
    require_ranges(config)
    return dataclasses.replace(config, options=_model_options(config, chosen))


def _default_threads() -> int:
    """torch's, that a run is the same with torchrun as without: that sets OpenMP to one thread for each process."""
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("OMP_NUM_THREADS") == "1":
        alone = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        asking = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
        return int(subprocess.run(asking, env=alone, capture_output=True, check=True).stdout)
    return torch.get_num_threads()


def _published_recipe(model: str) -> str:
    name = None if ":" in model else models.entry(model).recipe
    if name is None:
        raise BadInput(f"there is no published recipe for {model}; use --recipe common")
    return name


def _default_budget(chosen: Recipe) -> Budget:
    return Budget(epochs=chosen.epochs) if chosen.epochs else Budget(seconds=DEFAULT_MINUTES * 60)


def require_ranges(config: RunConfig) -> None:
    """Raises BadInput naming the option for a value that no run can have."""
    for flag, value, least in (
        ("--frames", config.frames, 1),
        ("--batch-size", config.batch_size, 1),
        ("--accumulate", config.accumulate, 1),
        ("--threads", config.threads, 1),
        ("--data-seed", config.data_seed, 0),
    ):
        if value < least:
            raise BadInput(f"{flag} {value} is out of range; it must be at least {least}")
    require_seed(config.seed)
    if not 0 < config.learning_rate < math.inf:
        raise BadInput(f"--learning-rate {config.learning_rate} is out of range; it must be positive and finite")
    if config.in_channels not in (2, 3):
        raise BadInput(f"--in-channels {config.in_channels}: a lifter sees 2 (x, y) or 3 (x, y, confidence) channels")
    for flag, word, known in (
        ("--space", config.space, (AUTO, "camera", "image")),
        ("--xy", config.xy, ("predicted", "input")),
        ("--root", config.root, ("zeroed", "subtracted")),
        ("--precision", config.precision, PRECISIONS),
        ("--training-precision", config.training_precision, PRECISIONS),
    ):
        if word not in known:
            raise BadInput(f"{flag} {word}: {suggestion(word, known)}One of: {', '.join(known)}")
    if config.accumulate > 1 and recipe(config.recipe).squared_loss:
        raise BadInput(f"--accumulate: recipe {config.recipe} squares the loss of the whole batch; leave it out")
    if config.compiled and config.activation_checkpointing:
        raise BadInput("--compile and --activation-checkpointing do not go together; leave one of them out")
    if config.budget.core_seconds is not None and config.device != "cpu":
        raise BadInput(
            f"--core-minutes counts processor time, which says little of work on {config.device}; use --minutes"
        )
    if config.xy == "input" and config.detector != "gt":
        raise BadInput("--xy input is published for ground-truth 2D alone; add --detector gt")


def _model_options(config: RunConfig, chosen: Recipe) -> dict[str, Any]:
    if ":" in config.model:
        return dict(config.options)
    built = models.configure(config.model, config.frames, config.in_channels, config.options)
    published = models.preset(config.model)
    options = {
        field.name: value
        for field in dataclasses.fields(built)
        if field.name not in ("frames", "in_channels")
        and (value := getattr(built, field.name)) != getattr(published, field.name)
    }
    # Given by the user, if only as the value that it has anyway, under either name.
    given = {"drop_path", "drop_path_rate"} & config.options.keys()
    if chosen.drop_path is not None and hasattr(built, "drop_path"):
        options.setdefault("drop_path", built.drop_path if given else chosen.drop_path)
    return options
