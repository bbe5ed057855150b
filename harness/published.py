"""What others published about lifters: errors, sizes, costs and speeds, each with the place where it was printed.

``published.json`` holds one row for each system, clip length T, 2D source, data set and source of the figures. Digits
are those that were printed, less closing zeros; only the prefix of the unit may differ. A figure that another place
contradicts, or that is known to be a slip, is kept with its ``doubt``: whoever meets it elsewhere would trust it.

Three things keep two printed figures from being comparable, and a row says all three:

* Papers print one column as MACs and another as FLOPs, and some FLOPs are MACs and some are twice as many. ``label``
  is the printed word and ``convention`` the counter that gives the figure on the authors' own code. Most of them are
  of thop, which sees layers alone: no attention product, no selective scan, no parameter held outside a layer.
* Stacked Hourglass (SH), CPN, HRNet and ground-truth (GT) keypoints give four different problems.
* A lifter that answers for the centre frame alone runs once for each frame; ``answers`` tells it from the others.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any, TypeVar

from harness.errors import BadInput, suggestion

FILE = "published.json"

#: Who says so.
KINDS: Mapping[str, str] = MappingProxyType({
    "paper": "the system's own paper",
    "repository": "the authors' own repository or model card",
    "third-party table": "another paper's comparison, a leaderboard, or another repository",
    "third-party note": "somebody's notes, comment or own training run: a lead, not an oracle",
})  # fmt: skip

#: Metric -> the unit it is given in. ``M`` is millions, ``G`` thousand millions.
METRICS: Mapping[str, str] = MappingProxyType({
    "MPJPE": "mm",                    # P1 of Human3.6M's papers
    "P-MPJPE": "mm",                  # P2: after Procrustes alignment of every frame
    "MPJVE": "mm per frame",
    "PCK": "%",                       # within 150 mm
    "AUC": "%",
    "parameters": "M",
    "compute": "G",                   # of one clip of T frames
    "compute per output frame": "M",
    "throughput": "frames/s",
    "latency": "ms",
})  # fmt: skip
COMPUTE = ("compute", "compute per output frame")

#: What the papers call their counts of operations.
LABELS = ("MACs", "FLOPs")

#: The counter that gives a printed count, and what it leaves out.
CONVENTIONS: Mapping[str, str] = MappingProxyType({
    "all parameters": "every parameter",
    "thop parameters": "parameters of layers; none that a larger module holds itself",
    "thop MACs": "multiply-accumulates of layers; no attention product, einsum or selective scan",
    "2 x thop MACs": "the same, a multiplication and an addition counted apart",
    "half the thop MACs": "half of it, for no reason that is known",
    "parameters by thop 0.0.31": "parameters of layers, layer norms not among them",
    "MACs by thop 0.0.31": "thop of 2020: nothing for a layer norm, one for each bias of a convolution",
    "2 x MACs by thop 0.0.31": "the same, a multiplication and an addition counted apart",
    "half the MACs by thop 0.0.31": "half of it, for no reason that is known",
    "2 x MACs by ptflops 0.6.9": "layers and activations; no layer norm, no attention product",
    "counted by hand": "by the authors' own word",
    "2 x MACs of the convolutions, amortised over an endless sequence": "for one frame; neighbours share the work",
})  # fmt: skip

#: For which frames of a clip a lifter answers, as its figures were taken.
ANSWERS = ("every", "centre", "last")

Made = TypeVar("Made")


@dataclass(frozen=True)
class Source:
    """Where figures were printed: enough for a stranger to find it. ``url`` is None where only the title is known."""

    key: str
    title: str
    venue: str
    url: str | None

    def __str__(self) -> str:
        return ". ".join([self.title, self.venue, *([self.url] if self.url else [])])


@dataclass(frozen=True)
class Figure:
    """One printed figure: ``value`` in ``unit``.

    label       of a count of operations: ``MACs`` or ``FLOPs``, as printed
    convention  of a count: what reproduces it, one of CONVENTIONS; None where nobody knows
    condition   of a speed: device and batch

    Raises ValueError for what is not in METRICS, LABELS or CONVENTIONS, another unit, and a value not positive.
    """

    metric: str
    value: float
    unit: str
    label: str | None = None
    convention: str | None = None
    condition: str | None = None

    def __post_init__(self) -> None:
        _require_known("metric", self.metric, METRICS)
        if self.unit != METRICS[self.metric]:
            raise ValueError(f"{self.metric} is in {self.unit!r}; it must be in {METRICS[self.metric]!r}")
        if not (math.isfinite(self.value) and self.value > 0):
            raise ValueError(f"{self.metric} is {self.value}; it must be positive")
        if (self.label is None) == (self.metric in COMPUTE):
            raise ValueError(f"{self.metric} has the label {self.label!r}; counts of operations have one, others none")
        if self.label is not None:
            _require_known("label", self.label, LABELS)
        if self.convention is not None:
            _require_known("convention", self.convention, CONVENTIONS)

    def __str__(self) -> str:
        """``compute 3.587 G MACs (thop MACs)``."""
        text = f"{self.metric} {self.value} {self.unit}" + (f" {self.label}" if self.label else "")
        remarks = "; ".join(remark for remark in (self.convention, self.condition) if remark)
        return f"{text} ({remarks})" if remarks else text


@dataclass(frozen=True)
class Row:
    """What one source says about one system in one setting.

    model      our registered name of the system, None where we have no implementation
    frames     T, frames of a clip; None where the source does not say
    answers    for which frames of a clip the lifter answers, one of ANSWERS
    data       test set, None for sizes and speeds
    keypoints  where its 2D keypoints come from: SH, CPN, HRNet, Mask R-CNN or GT; None where that is not said
    kind       who says so, one of KINDS
    where      table, section or row of the source
    options    what makes ``model`` this variant, beside T, under our names
    doubt      why not to trust the row, in a sentence
    note       what else to know about it

    Raises ValueError for a word not in ANSWERS or KINDS, T below 1, no figure or one twice, and a third party's note
    without a doubt.
    """

    system: str
    model: str | None
    frames: int | None
    answers: str
    data: str | None
    keypoints: str | None
    kind: str
    source: Source
    where: str
    figures: tuple[Figure, ...]
    options: Mapping[str, int] = field(default_factory=dict)
    doubt: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        _require_known("answers", self.answers, ANSWERS)
        _require_known("kind", self.kind, KINDS)
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"frames is {self.frames}; it must be at least 1")
        metrics = [figure.metric for figure in self.figures]
        if not metrics or len(set(metrics)) < len(metrics):
            raise ValueError(f"the figures are {metrics}; there must be one or more, each metric once")
        if self.kind == "third-party note" and not self.doubt:
            raise ValueError("a third-party note must give its doubt")

    def __str__(self) -> str:
        """``Lifter, T = 27, Human3.6M, CPN: MPJPE 45.1 mm; paper [key of the source], Table 1.``"""
        setting = [
            self.system,
            *([f"T = {self.frames}"] if self.frames else []),
            *(f"{name} = {value}" for name, value in self.options.items()),
            *(word for word in (self.data, self.keypoints) if word),
        ]
        text = (
            f"{', '.join(setting)}: {', '.join(map(str, self.figures))}; {self.kind} [{self.source.key}], {self.where}."
        )
        remarks = (("Doubt", self.doubt), ("Note", self.note))
        return " ".join([text, *(f"{head}: {remark}" for head, remark in remarks if remark)])

    def figure(self, metric: str) -> Figure | None:
        """The figure of ``metric``, None where the source has none."""
        return next((figure for figure in self.figures if figure.metric == metric), None)


@functools.cache
def load() -> tuple[Row, ...]:
    """All rows in the order of the file. Raises BadInput where the file breaks its own rules."""
    text = resources.files("harness").joinpath(FILE).read_text(encoding="utf-8")
    return parse(json.loads(text))


def of(model: str) -> tuple[Row, ...]:
    """The rows of a registered model; none for a name without published figures."""
    return tuple(row for row in load() if row.model == model)


def parse(content: Any) -> tuple[Row, ...]:
    """Rows from the decoded file, ``{"sources": {key: …}, "rows": […]}``.

    Raises BadInput that names the row or source for an unknown or missing field, a value of another type or out of
    its range, an unknown source, and a source that no row uses.
    """
    if not (isinstance(content, dict) and content.keys() == {"sources", "rows"} and isinstance(content["rows"], list)):
        raise BadInput(f"{FILE}: expected an object of sources and a list of rows")
    sources = {
        key: _made(Source, {**_object(given, f"source {key!r}"), "key": key}, f"source {key!r}")
        for key, given in _object(content["sources"], "sources").items()
    }
    rows = tuple(_row(given, number, sources) for number, given in enumerate(content["rows"], start=1))
    unused = sources.keys() - {row.source.key for row in rows}
    if unused:
        raise BadInput(f"{FILE}: no row uses the source {', '.join(sorted(unused))}")
    return rows


def _row(given: Any, number: int, sources: Mapping[str, Source]) -> Row:
    place = f"row {number}"
    values = dict(_object(given, place))
    place += f" ({values.get('system', 'no system')})"
    if "source" in values:
        values["source"] = _source(values["source"], sources, place)
    if isinstance(figures := values.get("figures"), list):
        values["figures"] = tuple(
            _made(Figure, figure, f"{place}, figure {count}") for count, figure in enumerate(figures, 1)
        )
    if isinstance(options := values.get("options"), dict):
        values["options"] = MappingProxyType(options)
    return _made(Row, values, place)


def _source(key: Any, sources: Mapping[str, Source], place: str) -> Source:
    if key not in sources:
        raise BadInput(f"{FILE}, {place}: unknown source {key!r}. {suggestion(str(key), sources)}")
    return sources[key]


def _object(given: Any, place: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadInput(f"{FILE}, {place}: expected an object, got {given!r}")
    return given


def _made(kind: type[Made], given: Any, place: str) -> Made:
    """``kind(**given)`` once every field is known, there, and of its declared type."""
    values = _object(given, place)
    hints = typing.get_type_hints(kind)
    for name in values:
        if name not in hints:
            raise BadInput(
                f"{FILE}, {place}: unknown field {name!r}. {suggestion(name, hints)}Known: {', '.join(hints)}"
            )
    for declared in dataclasses.fields(kind):  # type: ignore[arg-type]
        optional = declared.default is not dataclasses.MISSING or declared.default_factory is not dataclasses.MISSING
        if declared.name not in values and not optional:
            raise BadInput(f"{FILE}, {place}: no {declared.name}")
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise BadInput(f"{FILE}, {place}: {name} is {value!r}, which is not of its type")
    try:
        return kind(**values)
    except ValueError as error:
        raise BadInput(f"{FILE}, {place}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    members = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    kinds = tuple(typing.get_origin(member) or member for member in members)
    if float in kinds:
        kinds += (int,)
    return isinstance(value, kinds) and not isinstance(value, bool)


def _require_known(what: str, word: str, known: Iterable[str]) -> None:
    if word not in known:
        raise ValueError(f"unknown {what} {word!r}. {suggestion(word, known)}One of: {', '.join(known)}")
