"""What a store knows of how fast lifters train and answer: each finished run and each timed point as one line."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from harness.complexity.summary import summarise
from harness.store.schema import Record, look_up

if TYPE_CHECKING:
    from harness.config import RunConfig

#: What a duration at some T rests on: that very T, a power law through others, or one other T.
Ground = Literal["same", "growth", "proportional"]

#: Options that leave the work of a step as it is: see harness.config.resolve, which sets one by the recipe.
_FREE_OPTIONS = ("drop_path", "drop_path_rate")
#: What of a run does not change how long a clip trains, or is looked at by itself.
_FREE = (
    "model", "frames", "in_channels", "options", "data", "detector", "data_seed", "recipe", "budget", "batch_size",
    "learning_rate", "seed", "flip_test", "windows", "protocol", "space", "xy", "root", "precision",
)  # fmt: skip
#: What beside lifter, T and setting decides how long the evaluation takes.
_SCORING = ("data", "detector", "flip_test", "windows", "protocol", "precision")


@dataclass(frozen=True)
class Trained:
    """One finished run.

    lifter, setting   see ``lifter_of`` and ``setting_of``; ``scoring``: what else decides how long it is scored
    machine           processor or GPU
    clip_s            of a training step for each of its clips
    wall_per_core     seconds of training for each second of processor time; None where that was not recorded
    rest_s            all but training: loading, evaluation, counting; None where the run was resumed
    forward_s         one clip answered, median; None where that was INVALID
    forwards          clips answered in the evaluation, roughly; None for lifters with one answer a clip
    step_operations   of a training step for one clip
    """

    lifter: str
    frames: int
    setting: str
    scoring: str
    batch_size: int
    machine: str
    clip_s: float
    wall_per_core: float | None
    rest_s: float | None
    forward_s: float | None
    forwards: float | None
    step_operations: float | None


@dataclass(frozen=True)
class Timed:
    """One timed forward of one clip, alone on its machine, in float32 and not compiled.

    ``step_over_forward`` is the ratio of the operations of a training step to those of the forward, None if unknown.
    """

    lifter: str
    frames: int
    setting: str
    machine: str
    forward_s: float
    operations: float | None
    step_over_forward: float | None


def lifter_of(model: str, in_channels: int, options: Mapping[str, Any]) -> str:
    """Key of what computes alike at one T. Rates of drop path make no difference."""
    decisive = {name: value for name, value in options.items() if name not in _FREE_OPTIONS}
    return json.dumps([model, in_channels, decisive], sort_keys=True, default=list)


def setting_of(config: Mapping[str, Any], defaults: Mapping[str, Any], processes: int = 1) -> str:
    """Key of how a lifter is computed: device, threads, processes and whatever else of a run changes its speed.

    ``defaults`` are those of a run, for what an older record does not say.
    """
    decisive = {name: config.get(name, value) for name, value in defaults.items() if name not in _FREE}
    device = str(decisive["device"]).partition(":")[0]
    threads = None if device == "cuda" else decisive["threads"]
    own = {"device": device, "threads": threads, "processes": processes}
    return json.dumps({**decisive, **own}, sort_keys=True, default=str)


def device_of(setting: str) -> str:
    """``cpu`` or ``cuda``, of a key of ``setting_of``."""
    return str(json.loads(setting)["device"])


def scoring_of(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Key of what is scored, and how."""
    return json.dumps([config.get(name, defaults.get(name)) for name in _SCORING])


def defaults_of(config: RunConfig) -> dict[str, Any]:
    """Every field of a run with its default; None where it has none."""
    return {
        field.name: None if field.default is dataclasses.MISSING else field.default
        for field in dataclasses.fields(config)
    }


def trained(records: Iterable[Record], defaults: Mapping[str, Any]) -> list[Trained]:
    """The finished trainings among ``records``, of runs with these ``defaults``."""
    return [found for record in records if (found := _trained(record, defaults)) is not None]


def _trained(record: Record, defaults: Mapping[str, Any]) -> Trained | None:
    config, training = record["config"], record.get("training") or {}
    frames_per_s, answered = training.get("frames_per_s"), look_up(record, "cost.output_frames")
    processes = {stretch["processes"] for stretch in training.get("processes") or [{"processes": 1}]}
    if record["status"] != "ok" or not frames_per_s or not answered or len(processes) > 1:
        return None
    call_ms, core_s = look_up(record, "cost.inference.call_ms"), training.get("core_seconds")
    scored = look_up(record, "accuracy.frames")
    return Trained(
        lifter=lifter_of(config["model"], config["in_channels"], config.get("options") or {}),
        frames=config["frames"],
        setting=setting_of(config, defaults, *processes),
        scoring=scoring_of(config, defaults),
        batch_size=config["batch_size"],
        machine=machine_of(record.get("environment") or {}, str(config.get("device"))),
        clip_s=answered / frames_per_s,
        wall_per_core=training["seconds"] / core_s if core_s else None,
        rest_s=_rest_s(record),
        forward_s=call_ms / 1000 if call_ms else None,
        forwards=(2 if config.get("flip_test") else 1) * scored / answered if scored and answered > 1 else None,
        step_operations=look_up(record, "cost.training_step.flops_exact"),
    )


def _rest_s(record: Record) -> float | None:
    """A run that was resumed trained longer than the last start lasted, or rather: cannot be told from its times."""
    if not record.get("started") or not record.get("finished"):
        return None
    lasted_s = (datetime.fromisoformat(record["finished"]) - datetime.fromisoformat(record["started"])).total_seconds()
    rest_s = lasted_s - record["training"]["seconds"]
    return rest_s if rest_s > 0 else None


def machine_of(environment: Mapping[str, Any], device: str) -> str:
    """The GPU's name, or the processor's."""
    name = environment.get("gpu") if device.startswith("cuda") else environment.get("processor")
    return str(name or "unknown")


def timed(rows: Iterable[Record], defaults: Mapping[str, Any]) -> list[Timed]:
    """The timed points among measurement ``rows`` that say something of trainings with these ``defaults``.

    A point that was measured in several environments counts as in the last one.
    """
    newest: dict[tuple[str, int, str], tuple[str, Timed]] = {}
    for one in summarise(rows):
        point = one.point
        if not one.latency_ms or point.batch != 1 or point.precision != "fp32" or point.compiled or point.streaming:
            continue
        setting = setting_of({"device": point.device, "threads": point.threads}, defaults)
        forward, step = (look_up(one.counts or {}, name) for name in ("flops_exact", "training_step.flops_exact"))
        found = Timed(
            lifter=lifter_of(point.model, point.in_channels, point.options),
            frames=point.frames,
            setting=setting,
            machine=machine_of(one.environment, point.device),
            forward_s=one.latency_ms / 1000,
            operations=forward,
            step_over_forward=step / forward if step and forward else None,
        )
        key = (found.lifter, found.frames, setting)
        if key not in newest or newest[key][0] <= one.started:
            newest[key] = (one.started, found)
    return [found for _, found in newest.values()]


def at(frames: int, known: Sequence[tuple[int, float]]) -> tuple[float, Ground] | None:
    """A duration at T = ``frames`` from (T, seconds) pairs, and what it rests on; None of none.

    Several of one T count as their median. Elsewhere: the power of T that fits them best by least squares on
    logarithmic axes, or proportional to T where only one T is known.
    """
    by_frames: dict[int, list[float]] = defaultdict(list)
    for length, seconds in known:
        by_frames[length].append(seconds)
    medians = {length: statistics.median(values) for length, values in by_frames.items()}
    if frames in medians:
        return medians[frames], "same"
    if not medians:
        return None
    x, y = [math.log(length) for length in medians], [math.log(seconds) for seconds in medians.values()]
    middle = statistics.mean(x)
    spread = sum((one - middle) ** 2 for one in x)
    exponent = sum((a - middle) * b for a, b in zip(x, y, strict=True)) / spread if spread else 1.0
    seconds = math.exp(statistics.mean(y) + exponent * (math.log(frames) - middle))
    return seconds, "growth" if spread else "proportional"
