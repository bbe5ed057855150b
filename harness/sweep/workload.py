"""How much there is to compute in a run, whatever it is computed on: counted on its data and its lifter."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from harness.progress import Say, warnings_said

if TYPE_CHECKING:
    from torch import nn

    from harness.config import RunConfig
    from harness.data.sequence import Dataset

Found = TypeVar("Found")


@dataclass(frozen=True)
class Workload:
    """steps_per_epoch  optimiser steps of one pass over the training clips
    clips_per_step   the batch, or all clips where there are fewer
    forwards         clips of T frames' worth that the lifter answers in the evaluation, mirrored ones among them
    """

    steps_per_epoch: int
    clips_per_step: int
    forwards: float


class Workloads(Protocol):
    """Of any run; None where it cannot be counted."""

    def of(self, config: RunConfig) -> Workload | None: ...

    def step_operations(self, config: RunConfig) -> float | None:
        """Floating-point operations of forward and backward for one clip."""


class Counted:
    """Workloads by the data set itself, which is loaded, and the lifter, which is built: each once.

    ``cache`` is the store's folder for what loaders keep (None: nothing is kept), ``say`` hears what loaders warn of.
    A third party's lifter is unknown: it may do anything when it is built, to this process, too.
    """

    def __init__(self, cache: Path | None, say: Say) -> None:
        self._cache, self._say = cache, say
        self._datasets: dict[str, Dataset] = {}
        self._workloads: dict[str, Workload] = {}
        self._operations: dict[str, float | None] = {}

    def of(self, config: RunConfig) -> Workload | None:
        """Raises BadInput where the data cannot be loaded, or the lifter cannot be built or scored as asked."""
        if is_third_party(config.model):
            return None
        names = (*_LIFTER, *_DATA, "recipe", "batch_size", "protocol", "windows", "flip_test")
        return _once(self._workloads, _key(config, names), lambda: self._workload(config))

    def step_operations(self, config: RunConfig) -> float | None:
        """Counted without numbers (harness.measurement.ledger): a second or two for a lifter at one T."""
        if is_third_party(config.model):
            return None
        return _once(self._operations, _key(config, _LIFTER), lambda: _step_operations(config))

    def _workload(self, config: RunConfig) -> Workload:
        from harness import assessment, run
        from harness.data.normalise import target_space
        from harness.evaluation.protocol import protocol

        dataset, model = self._dataset(config), _model(config)
        clips = run.training_clips(model, dataset, config, target_space(config.training_recipe().target_space))
        cutting = assessment.cutting(model, config)
        lengths = [len(sequence) for sequence in protocol(config.protocol).scored(dataset.test, config.frames)]
        read = sum(cutting.count(length) * len(next(iter(cutting.windows(length))).indices) for length in lengths)
        return Workload(
            clips.batches_per_epoch(config.batch_size),
            min(config.batch_size, len(clips)),
            read / config.frames * (2 if config.flip_test else 1),
        )

    def _dataset(self, config: RunConfig) -> Dataset:
        from harness import data

        def load() -> Dataset:
            with warnings_said(self._say):
                return data.load(config.data, detector=config.detector, seed=config.data_seed, cache=self._cache)

        return _once(self._datasets, _key(config, _DATA), load)


#: Of the counted step: a batch norm in front of a single answer does not train on one.
_CLIPS = 2
_LIFTER = ("model", "frames", "in_channels", "options")
_DATA = ("data", "detector", "data_seed")


def is_third_party(model: str) -> bool:
    """Whether ``model`` is a package.module:attribute, and none of the harness's own."""
    return ":" in model


def _key(config: RunConfig, names: tuple[str, ...]) -> str:
    return json.dumps([getattr(config, name) for name in names], sort_keys=True, default=str)


def _once(known: dict[str, Found], key: str, find: Callable[[], Found]) -> Found:
    if key not in known:
        known[key] = find()
    return known[key]


def _model(config: RunConfig) -> nn.Module:
    from harness import models

    return models.build(config.model, config.frames, config.in_channels, **config.options)


def _step_operations(config: RunConfig) -> float | None:
    from harness.measurement import ledger

    try:
        step = ledger.of_model(_model(config), config.frames, config.in_channels, batch=_CLIPS, training=True)
    except Exception:  # at a T or options that it does not take, a lifter may raise anything; its run will tell
        return None
    return step.total.flops / _CLIPS
