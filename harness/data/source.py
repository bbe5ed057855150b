"""Data sets by name: ``load("motion:PATH")``, ``load("synthetic")``.

A loader takes what stands behind the colon and returns a ``Dataset``. It is named here by import string and imported
when asked for, so that one loader's needs are never another's.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, cast

from harness.data.detector import check_preset
from harness.data.sequence import Dataset
from harness.errors import BadInput, suggestion

LOADERS: Mapping[str, str] = {
    "motion": "harness.data.motion:load",
    "synthetic": "harness.data.builtin:load",
}

#: How each kind is written, for messages and lists.
FORMS: Mapping[str, str] = {
    "motion": "motion:PATH",
    "synthetic": "synthetic or synthetic:OPTION=VALUE,...",
}


class Loader(Protocol):
    """What every loader is: from what stands behind the colon to the data set."""

    def __call__(self, argument: str, *, detector: str, seed: int, cache: Path | None) -> Dataset: ...


def load(spec: str, *, detector: str = "sh", seed: int = 0, cache: Path | None = None) -> Dataset:
    """The data set that ``spec`` names, its training and test sequences.

    detector  preset of the simulated 2D detector, where the source has no 2D of its own
    seed      of the detector's noise, at least 0
    cache     folder where what is dear to make is kept between runs; None: nowhere

    Raises BadInput naming what is wrong: the kind, the path, the file and the place in it.
    """
    kind, _, argument = spec.partition(":")
    if kind not in LOADERS:
        hint = f"For files: motion:{spec}. " if Path(spec).expanduser().exists() else suggestion(kind, LOADERS)
        raise BadInput(f"unknown data {spec!r}. {hint}There are: {', '.join(FORMS.values())}")
    if seed < 0:
        raise BadInput(f"data seed {seed}: must be at least 0")
    check_preset(detector)
    dataset = _loader(kind)(argument, detector=detector, seed=seed, cache=cache)
    if not dataset.train and not dataset.test:
        raise BadInput(f"{spec}: holds no sequence")
    return replace(dataset, notes=(*dataset.notes, *_notes(dataset)))


def _loader(kind: str) -> Loader:
    module, _, attribute = LOADERS[kind].partition(":")
    return cast(Loader, getattr(importlib.import_module(module), attribute))


def _notes(dataset: Dataset) -> list[str]:
    """What a reader of any result on this set must know."""
    notes = [
        f"no {part} sequences"
        for part, sequences in (("training", dataset.train), ("test", dataset.test))
        if not sequences
    ]
    seen = {sequence.action for sequence in dataset.train}
    unseen = sorted({sequence.action for sequence in dataset.test} - seen)
    if seen and unseen:
        notes.append(f"test actions that do not occur in training: {', '.join(unseen)}")
    return notes
