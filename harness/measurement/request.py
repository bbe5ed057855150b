"""What ``harness measure`` is asked for, checked, and the points it comes to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from harness import devices, models, options
from harness.errors import BadInput, suggestion
from harness.measurement.point import AUTO, OPTION_AXES, Axes, Point, points
from harness.measurement.timing import Protocol
from harness.precision import PRECISIONS

QUICK_FRAMES = (9, 27, 81, 243)
#: Of one fresh process.
TIMEOUT_S, QUICK_TIMEOUT_S = 900.0, 60.0
#: Where the search for the largest batch ends, if memory does not end it: clips, and seconds of a forward.
BATCH_LIMIT, BATCH_SECONDS = 256, 2.0
_SHAPE = ("frames", "in_channels")
#: More is beyond what the system's calls take: seconds to wait, bytes to limit a process to.
_LONGEST_S, _MOST_BYTES = 1e6, 2**62
#: The options of a third party's model that are known.
_THIRD_PARTY: Mapping[str, Any] = {"in_channels": models.THIRD_PARTY_CHANNELS}


@dataclass(frozen=True)
class Request:
    """The points wanted and how they are to be measured.

    models              registered names or package.module:attribute
    frames              T; empty: 9, 27, 81, 243
    in_channels         2 or 3; None: as each model is published
    options             of the models, name -> value or its text
    batches             numbers, or ``auto``: the largest that runs (see ``batch_limit`` and ``batch_seconds``)
    device              ``auto``, ``cpu``, ``cuda`` …
    threads             CPU threads; empty: as many as torch takes by itself
    attention           forms, for the models that have the option; empty: each model's own. So ``scan_backends``
    protocol            None: the usual one, or with ``quick`` the quick one
    memory_limit_bytes  of one process; None: what is available when it starts
    timeout_s           of one process; None: 15 minutes, or one where ``quick``
    again               measure also what is stored
    """

    models: Sequence[str]
    frames: Sequence[int] = ()
    in_channels: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    batches: Sequence[str] = ("1",)
    device: str = devices.AUTO
    threads: Sequence[int] = ()
    precisions: Sequence[str] = ("fp32",)
    compiled: Sequence[bool] = (False,)
    attention: Sequence[str] = ()
    scan_backends: Sequence[str] = ()
    streaming: bool = False
    protocol: Protocol | None = None
    quick: bool = False
    memory_limit_bytes: int | None = None
    timeout_s: float | None = None
    batch_limit: int = BATCH_LIMIT
    batch_seconds: float = BATCH_SECONDS
    seed: int = 0
    again: bool = False

    def resolved(self) -> Request:
        """With every ``auto``, None and empty list replaced. Raises BadInput for what cannot be asked for."""
        _require_known(self)
        _require_ranges(self)
        _require_option_axes(self)
        whole = dataclasses.replace(
            self,
            frames=tuple(self.frames) or QUICK_FRAMES,
            device=devices.resolve(self.device),
            threads=tuple(self.threads) or (torch.get_num_threads(),),
            protocol=self.protocol or (Protocol.quick() if self.quick else Protocol()),
            timeout_s=self.timeout_s or (QUICK_TIMEOUT_S if self.quick else TIMEOUT_S),
        )
        for model in whole.models:
            _require_buildable(whole, model)
        return whole

    def points(self) -> list[tuple[Point, str | None]]:
        """Every point, with the reason where its model does not take it. Of a ``resolved`` request."""
        axes = Axes(**{one.name: getattr(self, one.name) for one in dataclasses.fields(Axes)})
        return list(dict.fromkeys(_settled(point) for point in points(axes, _published)))


def _published(model: str) -> Mapping[str, Any]:
    return _THIRD_PARTY if ":" in model else vars(models.preset(model))


def _settled(point: Point) -> tuple[Point, str | None]:
    """Its options by our names and as values, without those that are as published: a point has one key."""
    if ":" in point.model:
        return dataclasses.replace(point, options=options.guess(point.options)), None
    try:
        built = models.configure(point.model, point.frames, point.in_channels, point.options)
    except BadInput as error:
        return point, str(error)
    published = _published(point.model)
    changed = {
        name: value for name, value in vars(built).items() if name not in _SHAPE and value != published[name]
    }  # fmt: skip
    return dataclasses.replace(point, options=changed), None


def _require_known(request: Request) -> None:
    if not request.models:
        raise BadInput("no model to measure; harness list models shows what there is")
    for model in request.models:
        if ":" not in model:
            models.entry(model)
    for flag, given, known in (
        ("--precision", request.precisions, PRECISIONS),
        ("--batch", [batch for batch in request.batches if not str(batch).isdecimal()], (AUTO,)),
    ):
        for word in given:
            if word not in known:
                or_number = "a number or " if flag == "--batch" else "one of "
                raise BadInput(f"{flag} {word}: {suggestion(word, known)}Expected {or_number}{', '.join(known)}")
    if request.in_channels not in (None, 2, 3):
        raise BadInput(f"--in-channels {request.in_channels}: a lifter sees 2 (x, y) or 3 (x, y, confidence) channels")


def _require_ranges(request: Request) -> None:
    for flag, values, least in (
        ("--frames", request.frames, 1),
        ("--threads", request.threads, 1),
        ("--batch", [int(batch) for batch in request.batches if batch != AUTO], 1),
        ("--batch-limit", [request.batch_limit], 1),
        ("--seed", [request.seed], 0),
        ("--memory-limit", [request.memory_limit_bytes] if request.memory_limit_bytes is not None else [], 1),
    ):
        for value in values:
            if value < least:
                raise BadInput(f"{flag} {value} is out of range; it must be at least {least}")
    if (request.memory_limit_bytes or 0) > _MOST_BYTES:
        raise BadInput(f"--memory-limit {request.memory_limit_bytes} bytes is out of range; leave it out for no limit")
    for flag, seconds in (("--timeout", request.timeout_s), ("--batch-seconds", request.batch_seconds)):
        if seconds is not None and not 0 < seconds <= _LONGEST_S:
            raise BadInput(f"{flag} {seconds} is out of range; it must be positive and at most {_LONGEST_S:.0f}")


def _require_option_axes(request: Request) -> None:
    """An axis that no model has would be left out without a word, and so would one of two values for an option."""
    for name, values in (("attention", request.attention), ("scan_backend", request.scan_backends)):
        flag = f"--{name.replace('_', '-')}"
        if values and not any(name in _published(model) for model in request.models):
            those = ", ".join(request.models)
            raise BadInput(
                f"{flag} {' '.join(values)}: none of {those} is known to have it; leave it out, or give an option of a "
                f"third party's model with -o {name}=…"
            )
        if values and name in request.options:
            given = f"-o {name}={request.options[name]} and {flag} {' '.join(values)}"
            raise BadInput(f"{name} is given twice, with {given}; leave one of them out")


def _require_buildable(request: Request, model: str) -> None:
    """A misspelt option is an error of the request; a T that a model does not take is a finding."""
    if ":" in model:
        models.factory_of(model)
        return
    has = _published(model)
    axes = {"attention": request.attention, "scan_backend": request.scan_backends}
    for name in OPTION_AXES:
        for value in axes[name] if name in has else ():
            models.configure(model, overrides={name: value})
    attempts = [(None, None), *((frames, request.in_channels) for frames in request.frames)]
    refusals = []
    for frames, in_channels in attempts if request.options else ():
        try:
            models.configure(model, frames, in_channels, request.options)
        except BadInput as error:
            refusals.append(error)
    if refusals and len(refusals) == len(attempts):
        raise refusals[0]
