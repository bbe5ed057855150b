"""Stored runs as a reader wants them: what may be compared stands together, and so do the seeds of one configuration.

Two figures may be ranked only if they were made under the same protocol on the same test set: runs are grouped by
``Signature.group`` and the digest of the test set. In a group, runs that differ in their seed alone are one entry.
"""

from __future__ import annotations

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.evaluation.signature import Signature
from harness.store.schema import Record, look_up

#: Choices that came later, and what runs recorded before were made with.
_ADDED = {
    "windows": "auto", "protocol": "all", "space": "auto", "xy": "predicted", "root": "zeroed", "precision": "fp32",
    "activation_checkpointing": False,
}  # fmt: skip
#: Below this number of seeds a spread says nothing, so none is shown.
SEEDS_FOR_SPREAD = 3
TEST_SET = "test set"


@dataclass(frozen=True)
class Entry:
    """One configuration: ``runs`` that finished, one for each seed, and ``gaps``, those that did not.

    ``label`` is the model's name, with the settings in which its namesakes of the group differ, and with its precision
    unless that is float32; ``title`` has T as well where the group has more than one T.
    """

    label: str
    title: str
    runs: tuple[Record, ...]
    gaps: tuple[Record, ...]

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

    def mean(self, path: str) -> float | None:
        """Mean of ``values``, None where there are none."""
        values = self.values(path)
        return statistics.fmean(values) if values else None


@dataclass(frozen=True)
class Group:
    """Runs under one protocol on one test set. ``entries`` are ranked by P1, those without a figure last.

    ``protocol`` is the part of the signature that all share, None for runs that failed before they were scored and
    fit no other group. ``differs`` has the fields in which the groups of a report differ, with this group's values.
    """

    name: str
    protocol: str | None
    differs: Mapping[str, str]
    entries: tuple[Entry, ...]
    floors: Mapping[str, Mapping[str, float]]

    @property
    def scored(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.runs)


def group(records: Iterable[Record]) -> list[Group]:
    """Groups of the newest record of every run, the one with the most configurations first."""
    newest = {record["id"]: record for record in records}
    keyed = _by_protocol(list(newest.values()))
    keys = sorted(keyed, key=lambda key: (key == _UNKNOWN, -len(_configurations(keyed[key])), key))
    fields = [_fields(key) for key in keys if key != _UNKNOWN]
    names = _names([keyed[key] for key in keys])
    return [_group(name, key, fields, keyed[key]) for name, key in zip(names, keys, strict=True)]


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
    roughly = (look_up(record, "data.digest_test"), record["config"].get("flip_test"))
    return [(*roughly, record["config"].get("recipe")), roughly]


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
        name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
        same = sum(other == name or other.startswith(f"{name}--") for other in names)
        names.append(f"{name}--{same + 1}" if same else name)
    return names


def _group(name: str, key: _Key, fields: Sequence[Mapping[str, str]], members: Sequence[Record]) -> Group:
    own = {} if key == _UNKNOWN else _fields(key)
    differs = {field: value for field, value in own.items() if any(other.get(field) != value for other in fields)}
    entries = sorted(_entries(members), key=lambda entry: (entry.p1_mm is None, entry.p1_mm or 0, entry.label))
    floors: Mapping[str, Any] = next((member["floors"] for member in members if member.get("floors")), {})
    return Group(name, key[0] or None, differs, tuple(entries), floors)


def _configurations(members: Iterable[Record]) -> list[list[Record]]:
    """Runs that differ in nothing but their seed, together."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in members:
        found[json.dumps(_settings(record), sort_keys=True)].append(record)
    return list(found.values())


def _settings(run: Record) -> dict[str, Any]:
    """Everything that was chosen but the seed, on one level; weights that were not trained here are a choice too."""
    flat: dict[str, Any] = {}
    for name, value in {**_ADDED, **run["config"]}.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}" if name != "options" else inner: below for inner, below in value.items()})
        elif name != "seed":
            flat[name] = value
    if is_scored(run) and not run.get("training"):
        flat["weights"] = (look_up(run, "weights.sha256") or "?")[:8]
    return flat


def _entries(members: Sequence[Record]) -> list[Entry]:
    configurations = _configurations(members)
    settings = [_settings(runs[0]) for runs in configurations]
    several_lengths = len({chosen["frames"] for chosen in settings}) > 1
    entries = []
    for runs, chosen in zip(configurations, settings, strict=True):
        label = _label(chosen, [other for other in settings if other["model"] == chosen["model"]])
        entries.append(
            Entry(
                label=label,
                title=f"{label}, T={chosen['frames']}" if several_lengths else label,
                runs=_one_for_each_seed(filter(is_scored, runs)),
                gaps=_one_for_each_seed(run for run in runs if not is_scored(run)),
            )
        )
    return entries


def _one_for_each_seed(runs: Iterable[Record]) -> tuple[Record, ...]:
    by_seed = {run.get("seed"): run for run in runs}
    return tuple(sorted(by_seed.values(), key=lambda run: (run.get("seed") is None, run.get("seed") or 0)))


def _label(chosen: Mapping[str, Any], namesakes: Sequence[Mapping[str, Any]]) -> str:
    shown = [name for name in chosen if name != "frames"]
    same_length = [other for other in namesakes if other["frames"] == chosen["frames"]]
    differing = [
        name
        for name in shown
        if any(other.get(name) != chosen[name] for other in same_length) or _is_always_told(name, chosen[name])
    ]
    settings = ", ".join(f"{name}={chosen[name]}" for name in differing)
    return f"{chosen['model']} ({settings})" if settings else str(chosen["model"])


def _is_always_told(name: str, value: object) -> bool:
    """A precision that is not the usual: the lifters of a group are ranked together whatever theirs is."""
    return name == "precision" and value != _ADDED[name]
