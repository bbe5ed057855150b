"""A point: one model at one T, batch, device, number of threads and precision, and the axes that points come from."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

AUTO = "auto"
#: The axes that are options of a model: taken by those whose config has them.
OPTION_AXES = ("attention", "scan_backend")


@dataclass(frozen=True)
class Point:
    """What is measured. The fields are those of ``point`` in a measurement row (harness.store.measurement).

    options      of the model, as far as they differ from the published ones
    batch        clips a forward; None until the largest one is known (``batch_asked="auto"``)
    streaming    one new frame a call, of a causal lifter
    """

    model: str
    frames: int
    in_channels: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)
    batch: int | None = 1
    batch_asked: str = "1"
    device: str = "cpu"
    threads: int = 2
    precision: str = "fp32"
    compiled: bool = False
    streaming: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, as stored under ``point``."""
        plain = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        options = {name: list(value) if isinstance(value, tuple) else value for name, value in self.options.items()}
        return {**plain, "options": dict(sorted(options.items()))}

    def key(self) -> str:
        """Digest of all that was asked for: the batch that ``auto`` led to is a finding, and no part of it."""
        asked = self.as_dict() | ({"batch": None} if self.batch_asked == AUTO else {})
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]

    def __hash__(self) -> int:
        return hash((self.key(), self.batch))

    def of_batch(self, batch: int | None) -> Point:
        """The same with another number of clips."""
        return dataclasses.replace(self, batch=batch)

    def name(self) -> str:
        """For a line of progress: ``posemamba-s T=243 B=1``, and what is not the usual."""
        words = [self.model, f"T={self.frames}", f"B={self.batch if self.batch is not None else self.batch_asked}"]
        words += [f"{name}={value}" for name, value in sorted(self.options.items())]
        words += [self.precision] * (self.precision != "fp32")
        words += ["compiled"] * self.compiled + ["streaming"] * self.streaming
        return " ".join([*words, self.device, f"{self.threads} thread{'s' * (self.threads != 1)}"])

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Point:
        """The point of a stored row."""
        return cls(**row["point"])


@dataclass(frozen=True)
class Axes:
    """Every point of ``models`` x ``frames`` x … is wanted. Empty ``attention`` or ``scan_backends``: the model's own.

    ``in_channels`` None takes each model's own number.
    """

    models: Sequence[str]
    frames: Sequence[int]
    in_channels: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    batches: Sequence[str] = ("1",)
    device: str = "cpu"
    threads: Sequence[int] = (1,)
    precisions: Sequence[str] = ("fp32",)
    compiled: Sequence[bool] = (False,)
    attention: Sequence[str] = ()
    scan_backends: Sequence[str] = ()
    streaming: bool = False


def points(axes: Axes, published: Callable[[str], Mapping[str, Any]]) -> list[Point]:
    """The points in the order of the axes, each once.

    ``published`` gives the options that a model has with their published values, of ``in_channels`` at least.
    """
    found = [
        Point(
            model=model,
            frames=frames,
            in_channels=axes.in_channels or published(model)["in_channels"],
            options=options,
            batch=None if batch == AUTO else int(batch),
            batch_asked=AUTO if batch == AUTO else str(int(batch)),
            device=axes.device,
            threads=threads,
            precision=precision,
            compiled=compiled,
            streaming=axes.streaming,
        )
        for model in axes.models
        for options in _options(axes, published(model))
        for frames, batch, threads, precision, compiled in itertools.product(
            axes.frames, axes.batches, axes.threads, axes.precisions, axes.compiled
        )
    ]
    return list(dict.fromkeys(found))


def _options(axes: Axes, published: Mapping[str, Any]) -> list[dict[str, Any]]:
    asked = {"attention": axes.attention, "scan_backend": axes.scan_backends}
    choices = [[(name, value) for value in asked[name]] for name in OPTION_AXES if asked[name] and name in published]
    return [{**axes.options, **dict(chosen)} for chosen in itertools.product(*choices)]
