"""The commands that make a stored run again, rebuilt from what its record says was decided.

Read back by the harness, a command gives a configuration of the same hash, or of the one that ``notes`` tells for runs
from before some choices existed; all that is not said is as it is by default.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.store.later_choices import BEFORE, UNHASHED
from harness.store.schema import Record, look_up

#: Field of a record's config -> its flag, where it is said only if it is not this default.
_USUAL: Mapping[str, tuple[str, Any]] = {
    "windows": ("--windows", "auto"),
    "xy": ("--xy", "predicted"),
    "precision": ("--precision", "fp32"),
}
_TRAINING_USUAL: Mapping[str, tuple[str, Any]] = {
    **_USUAL,
    "in_channels": ("--in-channels", 3),
    "data_seed": ("--data-seed", 0),
    "space": ("--space", "auto"),
    "accumulate": ("--accumulate", 1),
    "training_precision": ("--training-precision", "fp32"),
}
_EVALUATION_USUAL: Mapping[str, tuple[str, Any]] = {**_USUAL, "root": ("--root", "zeroed")}
#: Budget -> its flag, and seconds for one of its units.
_BUDGETS: Mapping[str, tuple[str, int]] = {
    "epochs": ("--epochs", 1),
    "steps": ("--steps", 1),
    "seconds": ("--minutes", 60),
    "core_seconds": ("--core-minutes", 60),
}
#: Digits of a hash at the end of a run's identifier.
_DIGITS = 8
#: Without these nobody knows what was run.
_NEEDED = {"model", "frames", "in_channels", "options", "data", "detector", "seed", "device", "threads"}


def commands(runs: Sequence[Record], stored: Iterable[Record] = ()) -> list[str]:
    """For runs that differ in their seed alone: one ``harness run``, or one ``harness evaluate`` each.

    ``stored`` are the runs whose weights an evaluation can name by their id. Empty where a record does not say enough.
    """
    if not all(run["config"].keys() >= _NEEDED for run in runs):
        return []
    if runs and _budget(runs[0]["config"]):
        return [_training(runs[0]["config"], [int(run["config"]["seed"]) for run in runs])]
    trained = {look_up(run, "weights.sha256"): run["id"] for run in stored if run["config"].get("budget")}
    return [_evaluation(run, trained.get(look_up(run, "weights.sha256"))) for run in runs if run.get("weights")]


def notes(runs: Sequence[Record]) -> list[str]:
    """What the commands of these runs will not make as it was, a sentence each: identifiers, and steps of training."""
    trained = [run for run in runs if run["config"].keys() >= _NEEDED and _budget(run["config"])]
    return [note for note in (_identifiers(trained), _steps(trained)) if note]


def digest(config: Mapping[str, Any]) -> str:
    """The hash of the configuration that a command of ``harness run`` gives, from the record of what it was."""
    said = {**BEFORE, **config}
    said["budget"] = {name: value for name, value in said["budget"].items() if value or name != "core_seconds"}
    if ":" in said["model"]:
        # Nobody declared these options: they are kept as they are written.
        said["options"] = {name: _value(value) for name, value in said["options"].items()}
    decisive = {name: value for name, value in said.items() if name not in UNHASHED or value != UNHASHED[name]}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _identifiers(runs: Sequence[Record]) -> str:
    others = [(run["id"], new) for run in runs if run.get("config_hash") and (new := _identifier(run)) != run["id"]]
    if not others:
        return ""
    renamed = ", ".join(f"{new} in place of {old}" for old, new in others)
    return f"Recorded before some choices existed that are part of an identifier now: {renamed}."


def _identifier(run: Record) -> str:
    """Of the run that a command makes."""
    new = digest(run["config"])
    return str(run["id"]) if new == run["config_hash"] else f"{run['id'][:-_DIGITS]}{new[:_DIGITS]}"


def _steps(runs: Sequence[Record]) -> str:
    """What a budget of time came to, which it does not say."""
    budget = runs[0]["config"]["budget"] if runs else {}
    if not (budget.get("seconds") or budget.get("core_seconds")):
        return ""
    taken = [f"{steps:,} (seed {run['config']['seed']})" for run in runs if (steps := look_up(run, "training.steps"))]
    said = "The budget is a time: how many steps it is enough for depends on the machine"
    return f"{said}. Here it was {', '.join(taken)}." if taken else f"{said}."


def _training(config: Mapping[str, Any], seeds: Sequence[int]) -> str:
    words = ["harness", "run", "--model", config["model"], *_data(config)]
    words += ["--frames", config["frames"], *_options(config), "--recipe", config["recipe"], *_budget(config)]
    words += ["--batch-size", config["batch_size"], "--learning-rate", _number(config["learning_rate"])]
    words += [*_scoring(config), *_unusual(config, _TRAINING_USUAL)]
    if config.get("activation_checkpointing"):
        words.append("--activation-checkpointing")
    if config.get("compiled"):
        words.append("--compile")
    return _line([*words, *_machine(config), "--seed", *seeds])


def _evaluation(run: Record, trained: str | None) -> str:
    config = run["config"]
    model = ["--model", config["model"]]
    # What is not the harness's own is imported only where it is named.
    source = ["--run", trained, *(model if ":" in config["model"] else [])] if trained else [
        *model, "--weights", run["weights"]["path"],
    ]  # fmt: skip
    # Left out, these would be those of the run or of the published model, which may be others.
    words = ["harness", "evaluate", *source, *_data(config), "--data-seed", config.get("data_seed", 0)]
    words += ["--frames", config["frames"], "--in-channels", config["in_channels"], *_options(config)]
    words += [*_scoring(config), *_unusual(config, _EVALUATION_USUAL)]
    space = look_up(run, "signature.fields.space")
    return _line([*words, *(["--space", space] if space else []), *_machine(config)])


def _data(config: Mapping[str, Any]) -> list[Any]:
    return ["--data", config["data"], "--detector", config["detector"]]


def _options(config: Mapping[str, Any]) -> list[Any]:
    return [word for name, value in config["options"].items() for word in ("-o", f"{name}={_value(value)}")]


def _budget(config: Mapping[str, Any]) -> list[Any]:
    """Empty where nothing was trained."""
    for name, amount in (config.get("budget") or {}).items():
        if amount is not None:
            flag, unit_s = _BUDGETS[name]
            return [flag, amount if unit_s == 1 else _number(_minutes(float(amount)))]
    return []


def _minutes(seconds: float) -> float:
    """Minutes that are exactly so many seconds when they are multiplied by 60."""
    near = seconds / 60
    candidates = (near, math.nextafter(near, math.inf), math.nextafter(near, 0))
    return next((minutes for minutes in candidates if minutes * 60 == seconds), near)


def _scoring(config: Mapping[str, Any]) -> list[Any]:
    flip = [] if config.get("flip_test", True) else ["--no-flip"]
    return ["--protocol", config.get("protocol", "all"), *flip]


def _unusual(config: Mapping[str, Any], usual: Mapping[str, tuple[str, Any]]) -> list[Any]:
    found = [(flag, config.get(name, default), default) for name, (flag, default) in usual.items()]
    return [word for flag, value, default in found if value != default for word in (flag, value)]


def _machine(config: Mapping[str, Any]) -> list[Any]:
    return ["--device", config["device"], "--threads", config["threads"]]


def _number(value: float) -> str:
    """The shortest text that is read as this very number; whole ones without a point."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else repr(value)


def _value(value: Any) -> str:
    """An option as it is written behind the equals sign."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(_value, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)


def _line(words: Sequence[Any]) -> str:
    return shlex.join(map(str, words))
