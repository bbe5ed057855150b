"""Stored classification runs as tables: for the terminal, as Markdown, and as CSV with the raw figures.

One table for each protocol and set of test clouds, the best model first, floors below; seeds of one configuration are
one row. Beneath it a table of what a cloud costs by its number of points.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.quantity import MISSING, decimal, prefixed, speed, with_spread
from harness.reporting.grid import Grid, Heading
from harness.spreadsheet import inert
from harness.store.schema import Record, look_up

#: The least exponent of P that counts as growth: less is noise of the clock.
GROWS = 0.1
#: From so many seeds on a standard deviation over them is shown; before, the interval over test clouds.
_SEEDS_FOR_SPREAD = 3
#: Parts of a configuration that do not make it another one: the seed, and where cost was measured beside P.
_NOT_OF_AN_ENTRY = frozenset({"seed", "cost_points"})


@dataclass(frozen=True)
class Entry:
    """Runs that differ in their seed alone: ``runs`` finished, ``gaps`` ended otherwise."""

    label: str
    records: tuple[Record, ...]

    @property
    def runs(self) -> list[Record]:
        return [record for record in self.records if record["status"] == "ok"]

    @property
    def gaps(self) -> list[Record]:
        return [record for record in self.records if record["status"] != "ok"]

    @property
    def first(self) -> Record:
        """The one to take figures from that do not depend on the seed."""
        return (self.runs or self.gaps)[0]

    def mean(self, path: str) -> float | None:
        """Over the finished runs that have the figure."""
        found = [value for run in self.runs if (value := look_up(run, path)) is not None]
        return statistics.fmean(found) if found else None

    def spread(self, path: str) -> float | None:
        """Standard deviation over seeds, None of fewer than three."""
        found = [value for run in self.runs if (value := look_up(run, path)) is not None]
        return statistics.stdev(found) if len(found) >= _SEEDS_FOR_SPREAD else None

    @property
    def status(self) -> str:
        endings = [str(gap["status"]) for gap in self.gaps]
        gaps = [f"{endings.count(ending)} {ending}" for ending in dict.fromkeys(endings)]
        return ", ".join(["ok", *gaps] if self.runs else gaps)


@dataclass(frozen=True)
class Group:
    """Entries that may be ranked against each other, the best first."""

    protocol: str
    entries: tuple[Entry, ...]

    @property
    def floors(self) -> dict[str, Any]:
        return next((entry.first["floors"] for entry in self.entries if entry.runs), {})


def groups(records: Iterable[Record]) -> list[Group]:
    """A group for each protocol, number of points and set of test clouds, the largest first.

    Runs that were not scored stand beside the last that were made on the same data.
    """
    records = list(records)
    signed = {_clouds(record): record["signature"] for record in records if record.get("signature")}
    found: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        clouds = _clouds(record)
        found.setdefault((*clouds, record.get("signature") or signed.get(clouds)), []).append(record)
    made = [_group(members) for members in found.values()]
    return sorted(made, key=lambda group: -len(group.entries))


def _clouds(record: Record) -> tuple[Any, ...]:
    return look_up(record, "data.digest_test"), record["config"]["points"]


def _group(members: Sequence[Record]) -> Group:
    protocol = next((record["signature"] for record in members if record.get("signature")), None)
    name = f"{look_up(members[0], 'data.name')}, {members[0]['config']['points']} points: not scored"
    by_config: dict[str, list[Record]] = {}
    for record in members:
        rest = {key: value for key, value in record["config"].items() if key not in _NOT_OF_AN_ENTRY}
        by_config.setdefault(json.dumps(rest, sort_keys=True), []).append(record)
    labels = _labels([records[0]["config"] for records in by_config.values()])
    entries = [Entry(label, tuple(runs)) for label, runs in zip(labels, by_config.values(), strict=True)]
    entries.sort(key=lambda entry: (-(entry.mean("accuracy.overall_percent") or -1.0), entry.label))
    return Group(protocol or name, tuple(entries))


def _labels(configs: Sequence[dict[str, Any]]) -> list[str]:
    """The model and its options; where that is not enough, what else differs between those that share it."""
    plain = [_described(config["model"], config["options"]) for config in configs]
    labels = []
    for config, label in zip(configs, plain, strict=True):
        alike = [other for other, same in zip(configs, plain, strict=True) if same == label]
        decisive = {key: value for key, value in config.items() if key not in _NOT_OF_AN_ENTRY}
        differs = {key: value for key, value in decisive.items() if any(other[key] != value for other in alike)}
        labels.append(_described(label, {key: _short(value) for key, value in differs.items()}))
    return labels


def _described(name: str, options: dict[str, Any]) -> str:
    return f"{name} ({', '.join(f'{key}={value}' for key, value in options.items())})" if options else name


def _short(value: Any) -> Any:
    """A budget by the one of its three numbers that is set."""
    if isinstance(value, dict):
        return " ".join(f"{number:g} {unit}" for unit, number in value.items() if number is not None)
    return value


Cell = Callable[[Entry], str]


def _figure(path: str, shown: Callable[[float | None], str]) -> Cell:
    return lambda entry: shown(entry.mean(path))


def _latency(entry: Entry) -> str:
    verdicts = {look_up(run, "cost.verdict") for run in entry.runs}
    worst = next((verdict for verdict in ("INVALID", "NOISY") if verdict in verdicts), "")
    return f"{decimal(entry.mean('cost.latency_ms'), 2)} {worst}".rstrip()


def _overall(entry: Entry) -> str:
    path = "accuracy.overall_percent"
    return with_spread(entry.mean(path), entry.spread(path))


def _interval(entry: Entry) -> str:
    """From the lowest end to the highest, as long as seeds are too few to show how they vary."""
    if not 0 < len(entry.runs) < _SEEDS_FOR_SPREAD:
        return ""
    scored = [run["accuracy"] for run in entry.runs]
    low, high = min(each["low_percent"] for each in scored), max(each["high_percent"] for each in scored)
    return f"{low:.1f}–{high:.1f}"


#: Heading, unit, cell, meaning.
COLUMNS: tuple[tuple[str, str, Cell, str], ...] = (
    ("points", "", lambda entry: str(entry.first["config"]["points"]), "P of a cloud"),
    ("seeds", "", lambda entry: str(len(entry.runs)), "finished runs that differ in their seed alone"),
    ("OA", "%", _overall, "overall accuracy; ± is the standard deviation over seeds, from three on"),
    ("95 %", "", _interval, "Wilson's interval of OA over test clouds; of two seeds, around both"),
    ("mAcc", "%", _figure("accuracy.class_mean_percent", decimal), "mean of the classes' accuracies"),
    ("params", "", _figure("cost.params_total", prefixed), "all parameters"),
    ("thop", "", _figure("cost.params_thop", prefixed), "parameters that thop sees"),
    ("MACs", "thop", _figure("cost.macs_thop", prefixed), "multiply-accumulates of a cloud's layers by thop's rules"),
    ("MACs", "all", _figure("cost.macs_fvcore", prefixed), "by fvcore with attention and scan counted"),
    ("FLOPs", "exact", _figure("cost.flops_exact", prefixed), "every operation of every operator"),
    ("cloud", "ms", _latency, "latency of one cloud; STABLE unless NOISY or INVALID stands beside it"),
    ("train", "cl/s", _figure("cost.train_clouds_per_s", speed), "clouds seen in training in a second"),
    ("status", "", lambda entry: entry.status, ""),
)  # fmt: skip


def _accuracy(group: Group) -> Grid:
    rows = [(entry.label, *(cell(entry) for _, _, cell, _ in COLUMNS)) for entry in group.entries]
    headings = [name for name, *_ in COLUMNS]
    for name, floor in sorted(group.floors.items(), key=lambda item: -item[1]["overall_percent"]):
        cells = dict.fromkeys(range(len(COLUMNS)), "")
        cells[headings.index("OA")] = decimal(floor["overall_percent"])
        cells[headings.index("mAcc")] = decimal(floor["class_mean_percent"])
        rows.append((f"floor: {name}", *cells.values()))
    columns = [Heading(name, unit, name != "status") for name, unit, *_ in COLUMNS]
    return Grid(group.protocol, (Heading("model", number=False), *columns), tuple(rows), tuple(_notes(group)))


def _notes(group: Group) -> list[str]:
    notes = []
    for entry in group.entries:
        for gap in entry.gaps:
            notes.append(f"{entry.label}, seed {gap.get('seed')}: {gap['status']}: {gap.get('error')}")
        for run in entry.runs:
            notes += [f"{entry.label}, seed {run.get('seed')}: {warning}" for warning in run.get("warnings") or []]
    return notes


def _costs(group: Group) -> Grid | None:
    """A row for each entry and number of points, from the first finished run."""
    rows, notes = [], []
    for entry in group.entries:
        if not entry.runs:
            continue
        measured = entry.first["cost"]["by_points"]
        for row in measured:
            latency = f"{decimal(row.get('latency_ms'), 2)} {_verdict(row)}".rstrip()
            peak = row.get("peak_memory_bytes")
            rows.append(
                (entry.label, str(row["points"]), prefixed(row.get("macs_fvcore")), prefixed(row.get("flops_exact")),
                 latency, MISSING if peak is None else decimal(peak / 2**20))
            )  # fmt: skip
        notes += _growths(entry.label, measured)
    if not rows:
        return None
    headings = [("points", ""), ("MACs", "all"), ("FLOPs", "exact"), ("cloud", "ms"), ("peak", "MiB")]
    columns = (Heading("model", number=False), *(Heading(*heading) for heading in headings))
    return Grid("One cloud, by its number of points", columns, tuple(rows), tuple(notes))


def _verdict(row: dict[str, Any]) -> str:
    verdict = str(row.get("verdict") or "STABLE")
    return "" if verdict == "STABLE" else verdict


def _growths(label: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    named = (("operations", "flops_exact"), ("latency", "latency_ms"), ("memory", "peak_memory_bytes"))
    said = [f"{name} {found}" for name, figure in named if (found := growth(rows, figure))]
    return [f"{label}: {'; '.join(said)}"] if said else []


def growth(rows: Sequence[dict[str, Any]], figure: str) -> str | None:
    """How a figure goes with P from the fewest to the most points, and the exponent e of P^e; None without two."""
    known = sorted((row for row in rows if row.get(figure)), key=lambda row: int(row["points"]))
    if len(known) < 2:
        return None
    few, many, low, high = (known[end][name] for name in ("points", figure) for end in (0, -1))
    exponent = math.log(high / low) / math.log(many / few)
    doubt = ", NOISY" if figure == "latency_ms" and any(_verdict(known[end]) for end in (0, -1)) else ""
    word = "growing" if exponent > GROWS else "shrinking" if exponent < -GROWS else "not growing"
    return f"{word}, times {high / low:.2f} from {few} to {many} points (P^{exponent:.2f}{doubt})"


def text(records: Iterable[Record], costs: bool = True) -> str:
    """Every table for the terminal; with ``costs`` also those by number of points."""
    return "\n\n".join(grid.to_text() for grid in _grids(records, costs))


def markdown(records: Iterable[Record]) -> str:
    """Every table as Markdown, with what the columns mean."""
    meanings = "; ".join(f"{name} {unit}".rstrip() + f": {meaning}" for name, unit, _, meaning in COLUMNS if meaning)
    return "\n\n".join([*(grid.to_markdown() for grid in _grids(records, True)), meanings]) + "\n"


def _grids(records: Iterable[Record], costs: bool) -> list[Grid]:
    grids: list[Grid] = []
    for group in groups(records):
        grids.append(_accuracy(group))
        if costs and (grid := _costs(group)) is not None:
            grids.append(grid)
    return grids


_RAW = (
    "id", "status", "seed", "signature", "config.model", "config.points", "accuracy.overall_percent",
    "accuracy.low_percent", "accuracy.high_percent", "accuracy.class_mean_percent", "beats_floors",
    "cost.params_total", "cost.params_thop", "cost.macs_thop", "cost.macs_fvcore", "cost.flops_torch",
    "cost.flops_exact", "cost.latency_ms", "cost.verdict", "cost.peak_memory_bytes", "cost.train_clouds_per_s",
    "training.steps", "training.epochs", "training.seconds", "error",
)  # fmt: skip


def csv(records: Iterable[Record]) -> str:
    """A row for each run, with its raw figures."""
    rows = [{path: inert(look_up(record, path)) for path in _RAW} for record in records]
    return str(pd.DataFrame(rows, columns=list(_RAW), dtype=object).to_csv(index=False, lineterminator="\n"))
