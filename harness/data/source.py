"""Data sets by name: ``load("motion:PATH")``, ``load("h36m:PATH")``, ``load("synthetic")``.

A loader is a module with two functions: ``detectors``, the sources of 2D keypoints that there are for what stands
behind the colon, and ``load``, which returns a ``Dataset``. It is named here by import string and imported when asked
for, so that one loader's needs are never another's.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

from harness.data.sequence import Dataset
from harness.errors import BadInput, suggestion

#: In place of a detector's name: the first that the data have.
AUTO = "auto"


@dataclass(frozen=True)
class Kind:
    """module    of the loader
    form      how the data are named, for messages and lists
    protocol  under which figures on them are published (see harness.evaluation.protocol)
    """

    module: str
    form: str
    protocol: str = "all"


KINDS: Mapping[str, Kind] = {
    "motion": Kind("harness.data.motion", "motion:PATH"),
    "synthetic": Kind("harness.data.builtin", "synthetic or synthetic:OPTION=VALUE,..."),
    "h36m": Kind("harness.data.h36m", "h36m:PATH"),
    "3dhp": Kind("harness.data.mpi_inf_3dhp", "3dhp:PATH", "3dhp"),
    "3dpw": Kind("harness.data.pw3d", "3dpw:PATH", "3dpw"),
}


class Loader(Protocol):
    """What every loader's module offers; ``argument`` is what stands behind the colon."""

    def detectors(self, argument: str) -> tuple[str, ...]:
        """Names of the sources of 2D keypoints that can be asked for, the one to take unless told otherwise first."""

    def load(self, argument: str, *, detector: str, seed: int, cache: Path | None) -> Dataset:
        """The data set with the keypoints of ``detector``, one of ``detectors``."""


def load(spec: str, *, detector: str = AUTO, seed: int = 0, cache: Path | None = None) -> Dataset:
    """The data set that ``spec`` names, its training and test sequences.

    detector  source of the 2D keypoints: a preset of the simulated detector, or one that the files have
    seed      of the simulated detector's noise, at least 0
    cache     folder where what is dear to make is kept between runs; None: nowhere but beside the data

    Raises BadInput naming what is wrong: the kind, the path, the file and the place in it.
    """
    kind, argument = _parted(spec)
    if seed < 0:
        raise BadInput(f"data seed {seed}: must be at least 0")
    detector = resolve_detector(spec, detector)
    dataset = _loader(kind).load(argument, detector=detector, seed=seed, cache=cache)
    if not dataset.train and not dataset.test:
        raise BadInput(f"{spec}: holds no sequence")
    return replace(dataset, notes=(*dataset.notes, *_notes(dataset)))


def detectors(spec: str) -> tuple[str, ...]:
    """Sources of 2D keypoints of the data that ``spec`` names, the one to take unless told otherwise first."""
    kind, argument = _parted(spec)
    return _loader(kind).detectors(argument)


def resolve_detector(spec: str, asked: str = AUTO) -> str:
    """``asked`` if the data have it, their first for ``auto``. Raises BadInput listing those there are otherwise."""
    known = detectors(spec)
    if asked == AUTO:
        return known[0]
    if asked not in known:
        raise BadInput(f"{spec}: unknown detector {asked!r}. {suggestion(asked, known)}There are: {', '.join(known)}")
    return asked


def published_protocol(spec: str) -> str:
    """Name of the protocol under which figures on this data set are published."""
    return KINDS[_parted(spec)[0]].protocol


def _parted(spec: str) -> tuple[str, str]:
    kind, _, argument = spec.partition(":")
    if kind not in KINDS:
        hint = f"For files: motion:{spec}. " if Path(spec).expanduser().exists() else suggestion(kind, KINDS)
        forms = ", ".join(known.form for known in KINDS.values())
        raise BadInput(f"unknown data {spec!r}. {hint}There are: {forms}")
    return kind, argument


def _loader(kind: str) -> Loader:
    return cast(Loader, importlib.import_module(KINDS[kind].module))


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
        notes.append(f"test {dataset.grouped_by}s that do not occur in training: {', '.join(unseen)}")
    return notes
