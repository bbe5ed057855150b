"""Stored runs as a reader wants them: what may be compared stands together, and so do the seeds of one configuration.

Two figures may be ranked only if they were made under the same protocol on the same test set: runs are grouped by
``Signature.group`` and the digest of the test set. In a group, runs that differ in their seed alone are one entry.
"""

from __future__ import annotations

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.evaluation.signature import Signature
from harness.store.later_choices import BEFORE
from harness.store.schema import Record, look_up

#: Digits of the digest of training data that tell configurations apart.
_DIGITS = 12
#: What an evaluation of a run's weights takes from that run.
_OF_TRAINING = (
    "recipe", "budget", "batch_size", "learning_rate", "activation_checkpointing", "accumulate", "training_precision",
    "compiled",
)  # fmt: skip
#: Of a group, which is a part of the names of its figures' files.
_LONGEST_NAME = 60
#: Options of this name (drop path) matter while training alone.
REGULARISATION = "drop"
#: Below this number of seeds a spread says nothing, so none is shown.
SEEDS_FOR_SPREAD = 3
TEST_SET = "test set"


@dataclass(frozen=True)
class Entry:
    """One configuration: ``runs`` that finished, one for each seed, and ``gaps``, those that did not.

    ``label`` is the model's name, with the settings in which its namesakes of the group differ; with its options, that
    make it another network than the one of that name; and with its precision unless that is float32. ``title`` has T
    as well where the group has more than one T. ``configuration`` is everything that was chosen but the seed: equal for
    entries of two stores that are the same experiment, wherever their data lay.
    """

    label: str
    title: str
    runs: tuple[Record, ...]
    gaps: tuple[Record, ...]
    configuration: str = ""

    @classmethod
    def of(cls, run: Record) -> Entry:
        """A single run as an entry of its own, named by its id."""
        scored = is_scored(run)
        key = _key_of(_settings(run, {}))
        return cls(run["id"], run["id"], (run,) if scored else (), () if scored else (run,), key)

    @property
    def model(self) -> str:
        return str(self.any_run["config"]["model"])

    @property
    def frames(self) -> int:
        """T."""
        return int(self.any_run["config"]["frames"])

    @property
    def any_run(self) -> Record:
        return (self.runs or self.gaps)[0]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the finished runs, ascending; weights from elsewhere may have none."""
        return tuple(int(run["seed"]) for run in self.runs if run.get("seed") is not None)

    @property
    def p1_mm(self) -> float | None:
        return self.mean("accuracy.p1_mm")

    @property
    def p1_sd_mm(self) -> float | None:
        """Standard deviation over seeds, None with fewer than SEEDS_FOR_SPREAD of them."""
        values = self.values("accuracy.p1_mm")
        return statistics.stdev(values) if len(values) >= SEEDS_FOR_SPREAD else None

    def values(self, path: str) -> list[Any]:
        """The figure at a dotted path, of every finished run that has it."""
        found = (look_up(run, path) for run in self.runs)
        return [value for value in found if value is not None]

    def p1_by_name(self, path: str) -> dict[str, float]:
        """Mean P1 over seeds in mm of each name at a dotted path, such as ``accuracy.per_action``."""
        found: dict[str, list[float]] = defaultdict(list)
        for figures in self.values(path):
            # Not by a dotted path of their own: names come from the data and may hold dots.
            for name, of_name in figures.items():
                if of_name.get("p1_mm") is not None:
                    found[name].append(of_name["p1_mm"])
        return {name: statistics.fmean(values) for name, values in found.items()}

    def mean(self, path: str) -> float | None:
        """Mean of ``values``, None where there are none."""
        values = self.values(path)
        return statistics.fmean(values) if values else None


@dataclass(frozen=True)
class Group:
    """Runs under one protocol on one test set. ``entries`` are ranked by P1, those without a figure last.

    ``protocol`` is the part of the signature that all share, None for runs that failed before they were scored and
    fit no other group. ``differs`` has the fields in which the groups of a store differ, with this group's values;
    ``test_set`` is the digest of that.
    """

    name: str
    protocol: str | None
    differs: Mapping[str, str]
    entries: tuple[Entry, ...]
    floors: Mapping[str, Mapping[str, float]]
    test_set: str = ""

    @property
    def scored(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.runs)


def group(records: Iterable[Record], only: Collection[str] | None = None) -> list[Group]:
    """Groups of the newest record of every run, the one with the most configurations first.

    ``only`` are the ids of runs that are shown. All others of the store decide with them what a group and a
    configuration is called, what sets it apart, and where weights come from that were scored once more.
    """
    newest = {record["id"]: record for record in records}
    keyed = _by_protocol(list(newest.values()))
    configurations = {key: _configurations(members, _trainings(newest.values())) for key, members in keyed.items()}
    keys = sorted(keyed, key=lambda key: (key == _UNKNOWN, -len(configurations[key]), key))
    fields = [_fields(key) for key in keys if key != _UNKNOWN]
    names = _names([keyed[key] for key in keys])
    groups = [_group(name, key, fields, configurations[key], only) for name, key in zip(names, keys, strict=True)]
    return [members for members in groups if members.entries]


def is_scored(record: Record) -> bool:
    """Whether the run finished and has accuracy figures."""
    return record["status"] == "ok" and bool(record.get("accuracy"))


#: Protocol and digest of the test set.
_Key = tuple[str, str]
_UNKNOWN: _Key = ("", "")


def _key(record: Record) -> _Key:
    return Signature.parse(record["signature"]["long"]).group(), record["data"]["digest_test"]


def _by_protocol(records: Sequence[Record]) -> dict[_Key, list[Record]]:
    keyed: dict[_Key, list[Record]] = defaultdict(list)
    planned: dict[Hashable, _Key] = {}
    for record in filter(is_scored, records):
        keyed[_key(record)].append(record)
        for plan in _plans(record):
            planned.setdefault(plan, _key(record))
    # A run that failed has no signature yet; it belongs where it would have been scored.
    for record in records:
        if not is_scored(record):
            keyed[next((planned[plan] for plan in _plans(record) if plan in planned), _UNKNOWN)].append(record)
    return keyed


def _plans(record: Record) -> list[Hashable]:
    """What a record says beforehand about the protocol it will be scored under, the most precise first."""
    config = {**BEFORE, **record["config"]}
    decided = tuple(config.get(name) for name in ("detector", "flip_test", "protocol", "xy", "root"))
    roughly = (look_up(record, "data.digest_test"), *decided)
    # Where it is left open, recipe and data choose the space; in some protocols the clips decide which frames count.
    in_space = (*roughly, config["space"], config.get("recipe"))
    return [(*in_space, config["frames"], config["windows"]), in_space, (*roughly, config["space"]), roughly]


def _fields(key: _Key) -> dict[str, str]:
    protocol, digest = key
    metric, *parts = protocol.split("|")
    return {"metric": metric, **dict(part.split(":", 1) for part in parts), TEST_SET: digest[:12]}


def _names(groups: Sequence[Sequence[Record]]) -> list[str]:
    """A name for each group that is safe in a file name, such as ``motion-sh``."""
    names: list[str] = []
    for members in groups:
        config = members[0]["config"]
        data = look_up(members[0], "data.name") or config.get("data", "data")
        words = f"{data}-{config.get('detector') or ''}"
        name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_LONGEST_NAME] or "runs"
        same = sum(other == name or other.startswith(f"{name}--") for other in names)
        names.append(f"{name}--{same + 1}" if same else name)
    return names


def _group(
    name: str,
    key: _Key,
    fields: Sequence[Mapping[str, str]],
    configurations: Sequence[_Configuration],
    only: Collection[str] | None,
) -> Group:
    own = {} if key == _UNKNOWN else _fields(key)
    differs = {field: value for field, value in own.items() if any(other.get(field) != value for other in fields)}
    entries = sorted(
        _entries(configurations, only), key=lambda entry: (entry.p1_mm is None, entry.p1_mm or 0, entry.label)
    )
    runs = (run for one in configurations for run in one.runs)
    floors: Mapping[str, Any] = next((run["floors"] for run in runs if run.get("floors")), {})
    return Group(name, key[0] or None, differs, tuple(entries), floors, key[1])


@dataclass(frozen=True)
class _Configuration:
    """Runs that differ in nothing but their seed, and what they share: every setting, on one level, and as ``key``."""

    key: str
    settings: Mapping[str, Any]
    runs: tuple[Record, ...]

    @property
    def told(self) -> set[str]:
        """Settings that a label has in any case: what makes it another network or figure than its name says."""
        options = {name for name in self.runs[0]["config"].get("options") or {} if REGULARISATION not in name}
        precision = {"precision"} if self.settings["precision"] != BEFORE["precision"] else set()
        return options | precision


def _trainings(records: Iterable[Record]) -> dict[str, Record]:
    """The run that ended with these weights, by their digest."""
    return {digest: run for run in records if run.get("training") and (digest := look_up(run, "weights.sha256"))}


def _configurations(members: Iterable[Record], trainings: Mapping[str, Record]) -> list[_Configuration]:
    found: dict[str, tuple[dict[str, Any], list[Record]]] = {}
    for record in members:
        settings = _settings(record, trainings)
        found.setdefault(_key_of(settings), (settings, []))[1].append(record)
    return [_Configuration(key, settings, tuple(runs)) for key, (settings, runs) in found.items()]


def _key_of(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def _settings(run: Record, trainings: Mapping[str, Record]) -> dict[str, Any]:
    """Everything that was chosen but the seed, on one level; weights that were not trained here are a choice too."""
    config = {**BEFORE, **run["config"]}
    digest = look_up(run, "weights.sha256")
    is_foreign = is_scored(run) and not run.get("training") and digest not in trainings
    if not run.get("training") and digest in trainings:
        # Scored once more under other rules: what was chosen for its training is on record there.
        chosen = {**BEFORE, **trainings[digest]["config"]}
        config.update({name: chosen.get(name) for name in _OF_TRAINING})
    config.update(_data(run, run if run.get("training") else trainings.get(digest or "", run)))
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}" if name != "options" else inner: below for inner, below in value.items()})
        elif name != "seed":
            flat[name] = value
    if is_foreign:
        flat["weights"] = (digest or "?")[:8]
    return flat


def _data(run: Record, training: Record) -> dict[str, Any]:
    """What ``run`` was scored and ``training`` was trained on: what it is, where that is known, not the path to it."""
    if not look_up(run, "data.name") or not look_up(run, "data.digest_test"):
        return {}
    trained_on = look_up(training, "data.digest_train")
    return {"data": look_up(run, "data.name"), "digest_train": trained_on and trained_on[:_DIGITS]}


def _entries(configurations: Sequence[_Configuration], only: Collection[str] | None) -> Iterator[Entry]:
    several_lengths = len({one.settings["frames"] for one in configurations}) > 1
    for one in configurations:
        runs = [run for run in one.runs if only is None or run["id"] in only]
        label = _label(one, configurations)
        if runs:
            yield Entry(
                label=label,
                title=f"{label}, T={one.settings['frames']}" if several_lengths else label,
                runs=_one_for_each_seed(filter(is_scored, runs)),
                gaps=_one_for_each_seed(run for run in runs if not is_scored(run)),
                configuration=one.key,
            )


def _one_for_each_seed(runs: Iterable[Record]) -> tuple[Record, ...]:
    by_seed = {run.get("seed"): run for run in runs}
    return tuple(sorted(by_seed.values(), key=lambda run: (run.get("seed") is None, run.get("seed") or 0)))


def _label(one: _Configuration, configurations: Iterable[_Configuration]) -> str:
    model, frames = one.settings["model"], one.settings["frames"]
    namesakes = [
        other.settings
        for other in configurations
        if other.settings["model"] == model and other.settings["frames"] == frames
    ]
    shown = [
        f"{name}={value}"
        for name, value in one.settings.items()
        if name in one.told or any(other.get(name) != value for other in namesakes)
    ]
    return f"{model} ({', '.join(shown)})" if shown else str(model)
