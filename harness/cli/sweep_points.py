"""The commands of a grid as the command line takes them: every point with its config, before anything is started."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import processes
from harness.cli.measure import measure_command, requested
from harness.cli.run import configs_of, run_command
from harness.errors import BadInput, suggestion
from harness.store.schema import NUMBER, TEXT, WHOLE, YES_NO
from harness.sweep import grid
from harness.sweep.grid import Command, Key
from harness.sweep.point import Point

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.measurement.request import Request

#: Of machines that need not be like this one.
_DEVICES = ("cpu", "cuda")
_KINDS: dict[type[click.ParamType], str] = {click.types.IntParamType: WHOLE, click.types.FloatParamType: NUMBER}
#: Of a command line, what says how a run is done and not which it is.
_NOT_OF_CONFIGS = ("devices", "max_restarts", "timeout_minutes", "tensorboard", "again", "dry_run", "results")


def planned(path: Path, elsewhere: bool) -> list[Point]:
    """The points of the grid in ``path``. ``elsewhere``: they will be run on machines that need not be like this one.

    Raises BadInput naming the place in the file for whatever ``harness run`` and ``harness measure`` would refuse
    before they build a model, and for a point that is there twice.
    """
    commands = grid.read(path, keys(run_command), keys(measure_command, leave_out=("model",)))
    points: dict[str, Point] = {}
    for command in commands:
        point = _point(command, elsewhere)
        if point.id in points:
            text = " ".join(["harness", *point.words])
            raise BadInput(f"{command.where}: {point.id} is there twice ({text}); leave one of them out")
        points[point.id] = point
    _require_importable(points.values())
    return list(points.values())


def keys(command: click.Command, leave_out: Collection[str] = ()) -> dict[str, Key]:
    """The options of ``command`` as a grid names them."""
    found = {}
    for option in command.params:
        if isinstance(option, click.Option):
            flag = next(word for word in option.opts if word.startswith("--"))
            kind = YES_NO if option.is_flag else _KINDS.get(type(option.type), TEXT)
            found[flag.removeprefix("--")] = Key(flag, kind, next(iter(option.secondary_opts), None))
    return {name: key for name, key in found.items() if name not in (*grid.NOT_OF_POINTS, *leave_out)}


def _point(command: Command, elsewhere: bool) -> Point:
    try:
        return (_run if command.words[0] == "run" else _measurement)(command.words, elsewhere)
    except click.ClickException as error:
        raise BadInput(f"{command.where}: {error.format_message()}") from error
    except BadInput as error:
        raise BadInput(f"{command.where}: {error}") from error


def _run(words: tuple[str, ...], elsewhere: bool) -> Point:
    from harness import placement
    from harness.config import DEFAULT_DATA, require_ranges

    given = _parsed(run_command, words)
    devices = given["devices"] or 1
    asked = given["device"] = _device(given["device"], elsewhere)
    processes.require_possible(placement.here(), given["devices"], given["max_restarts"], asked)
    settings = {name: value for name, value in given.items() if name not in _NOT_OF_CONFIGS}
    settings |= {"data": given["data"] or DEFAULT_DATA, "device": _here(asked, elsewhere)}
    names, seeds = settings.pop("names"), settings.pop("seeds")
    config: RunConfig = configs_of(names, seeds, **settings)[0]
    config = dataclasses.replace(config, device=config.device if asked == "auto" else asked)
    require_ranges(config)  # some are of the device
    # Its processes share the threads.
    cores, gpus = max(config.threads, devices), devices if config.device == "cuda" else 0
    return Point(config.run_id(), _explicit(words, config.device, config.threads), config, None, cores, gpus)


def _measurement(words: tuple[str, ...], elsewhere: bool) -> Point:
    from harness.config import DEFAULT_FRAMES

    if "--frames" not in words:
        words = (*words, "--frames", str(DEFAULT_FRAMES))
    given = _parsed(measure_command, words)
    asked = _device(given["device"], elsewhere)
    settings = {name: value for name, value in given.items() if name not in ("dry_run", "results")}
    settings["device"] = _here(asked, elsewhere)
    request: Request = requested(**settings).resolved()
    request = dataclasses.replace(request, device=request.device if asked == "auto" else asked)
    threads = request.threads[0]
    words = _explicit(words, request.device, threads)
    name = re.sub(r"[^A-Za-z0-9_]+", "-", request.models[0]).strip("-")[:100]
    digest = hashlib.sha256("\0".join(words).encode()).hexdigest()[:8]
    point_id = f"measure-{name}-t{request.frames[0]}-{digest}"
    return Point(point_id, words, None, request, threads, 1 if request.device == "cuda" else 0)


def _parsed(command: click.Command, words: Sequence[str]) -> dict[str, Any]:
    return dict(command.make_context(words[0], list(words[1:])).params)


def _device(asked: str, elsewhere: bool) -> str:
    if asked.startswith("cuda:"):
        raise BadInput(f"device {asked}: which GPU is the engine's to choose; use cuda")
    if elsewhere and asked == "auto":
        raise BadInput("no device, and the machines that will work need not be like this one; give device, cpu or cuda")
    if elsewhere and asked not in _DEVICES:
        raise BadInput(f"device {asked}: {suggestion(asked, _DEVICES)}Machines elsewhere have {' or '.join(_DEVICES)}")
    return asked


def _here(asked: str, elsewhere: bool) -> str:
    """The device to check a point with: there need not be a GPU where a sweep is only started."""
    return "cpu" if elsewhere else asked


def _explicit(words: tuple[str, ...], device: str, threads: int) -> tuple[str, ...]:
    """With what would otherwise be another on another machine."""
    said = [] if "--device" in words else ["--device", device]
    return (*words, *said, *([] if "--threads" in words else ["--threads", str(threads)]))


def _require_importable(points: Iterable[Point]) -> None:
    """A third party's models, as far as that goes without calling them: in a sweep only their own points may fail."""
    from harness import models

    for name in dict.fromkeys(point.model for point in points if ":" in point.model):
        models.factory_of(name)
