"""Printed figures of cost counted again: under the convention they were printed by, and with everything counted.

Every row of ``harness.published`` that has a model of ours and parameters or operations is set beside our count of that
very preset, T and options. A figure is matched if our count gives its printed digits, rounded or cut off; if not, there
is a sentence that says why, as far as it is known. Beside it stands what the same lifter has when every parameter,
attention product, scan and einsum counts.

The counts of lifters whose test also runs a head for all frames (``auxiliary`` in their contract) have it in them under
the authors' conventions; ours without it stand under 'everything'.
"""

from __future__ import annotations

import csv as csv_format
import io
import json as json_format
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from harness import contract, models, published
from harness.measurement import fvcore, ledger, other_counters, thop
from harness.measurement.fvcore import MacCount
from harness.measurement.thop import LayerCount, Rules
from harness.progress import Say
from harness.published import Figure, Row
from harness.quantity import MISSING
from harness.reporting.grid import Grid, Heading

#: The metrics that are counted again, and the title of their table.
METRICS: Mapping[str, str] = MappingProxyType({
    "parameters": "Parameters, in millions",
    "compute": "Operations of one clip, in thousand millions (G)",
    "compute per output frame": "Operations of one output frame, in millions (M)",
})  # fmt: skip
_UNITS = {"M": 1e6, "G": 1e9}

ROUNDED, CUT_OFF, NOT_MATCHED = "matched", "matched, cut off", "not matched"

#: What a figure is compared by where nobody knows its convention.
_INSTEAD = {"parameters": "all parameters", "MACs": "thop MACs", "FLOPs": "2 x thop MACs"}
_BY_HAND = "counted by hand"
#: Farther off than this, a counter's figure tells nothing about a printed one.
_FAR_PERCENT = 7

#: Where our structure, not our way of counting, makes a difference to a counter on the authors' code.
_STRUCTURE: Mapping[str, str] = MappingProxyType({
    "tcpformer": "the authors' code norms the frames of a block once more than ours, with which thop gives 109.215 G",
})  # fmt: skip


class Costs:
    """All counts of one lifter at one T that some convention needs, each made once and when it is asked for."""

    def __init__(self, row: Row) -> None:
        assert row.model is not None
        with torch.device("meta"):  # no weights are needed, and none are made
            self._model: Any = models.build(row.model, row.frames, **row.options)
        config: Any = self._model.config
        self.frames: int = config.frames
        self.in_channels: int = config.in_channels
        self.has_auxiliary_head = contract.of(self._model).auxiliary

    @cached_property
    def params_total(self) -> int:
        return sum(parameter.numel() for parameter in self._model.parameters())

    @cached_property
    def thop(self) -> LayerCount:
        return self._by_layers(thop.RULES)

    @cached_property
    def thop_0_0_31(self) -> LayerCount:
        return self._by_layers(other_counters.THOP_0_0_31)

    @cached_property
    def ptflops(self) -> LayerCount:
        return self._by_layers(other_counters.PTFLOPS_0_6_9)

    @cached_property
    def everything(self) -> MacCount:
        return fvcore.count(self._model, self.frames, self.in_channels)

    @cached_property
    def flops_exact(self) -> int:
        return ledger.of_model(self._model, self.frames, self.in_channels).total.flops

    @cached_property
    def amortised(self) -> int:
        """MACs of the convolutions that one frame more adds to a long sequence."""
        longer = fvcore.count(self._model, self.frames + 1, self.in_channels)
        return longer.by_kind["convolution"] - self.everything.by_kind["convolution"]

    def _by_layers(self, rules: Rules) -> LayerCount:
        model = _WithAuxiliaryHead(self._model) if self.has_auxiliary_head else self._model
        return thop.count(model, self.frames, self.in_channels, rules=rules)


class _WithAuxiliaryHead(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Tensor) -> Tensor:
        output: Tensor = self.model(clips, auxiliary=True)[0]
        return output


@dataclass(frozen=True)
class _Counter:
    """How a convention's figure is made: ``short`` name in tables, how often a multiply-accumulate counts."""

    short: str
    times: float
    count: Callable[[Costs], int]
    per_frame: bool = False

    def of(self, costs: Costs) -> float:
        return self.times * self.count(costs)


def _thop(costs: Costs) -> int:
    return costs.thop.macs


def _thop_0_0_31(costs: Costs) -> int:
    return costs.thop_0_0_31.macs


#: Convention of harness.published -> how to count by it.
COUNTERS: Mapping[str, _Counter] = MappingProxyType({
    "all parameters": _Counter("all", 1, lambda costs: costs.params_total),
    "thop parameters": _Counter("thop", 1, lambda costs: costs.thop.params),
    "parameters by thop 0.0.31": _Counter("thop 0.0.31", 1, lambda costs: costs.thop_0_0_31.params),
    "thop MACs": _Counter("thop", 1, _thop),
    "2 x thop MACs": _Counter("2 x thop", 2, _thop),
    "half the thop MACs": _Counter("half of thop", 0.5, _thop),
    "MACs by thop 0.0.31": _Counter("thop 0.0.31", 1, _thop_0_0_31),
    "2 x MACs by thop 0.0.31": _Counter("2 x thop 0.0.31", 2, _thop_0_0_31),
    "half the MACs by thop 0.0.31": _Counter("half of thop 0.0.31", 0.5, _thop_0_0_31),
    "2 x MACs by ptflops 0.6.9": _Counter("2 x ptflops", 2, lambda costs: costs.ptflops.macs),
    "2 x MACs of the convolutions, amortised over an endless sequence": _Counter(
        "2 x amortised", 2, lambda costs: costs.amortised, per_frame=True
    ),
})  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """One printed figure beside our counts, all in the figure's unit.

    convention   what ``ours`` is counted by: the figure's own, or where that is not known the nearest usual one
    known        whether it is the figure's own
    ours         our count by it
    verdict      ROUNDED, CUT_OFF or NOT_MATCHED
    why          why not matched, or what to know of a figure that is; may be empty only for a matched one
    everything   parameters in all; multiply-accumulates of all operators (macs_fvcore)
    flops_exact  every operation of every operator; None for parameters
    times        everything over the printed figure, both with a multiply-accumulate counted as the paper does; None
                 where it is not known how that is
    """

    row: Row
    figure: Figure
    convention: str
    known: bool
    ours: float
    verdict: str
    why: str
    everything: float
    flops_exact: float | None
    times: float | None

    @property
    def matched(self) -> bool:
        return self.verdict != NOT_MATCHED

    def as_dict(self) -> dict[str, Any]:
        """Flat, as stored and as CSV."""
        row, figure = self.row, self.figure
        return {
            "model": row.model,
            "system": row.system,
            "frames": row.frames,
            "options": " ".join(f"{name}={value}" for name, value in row.options.items()),
            "answers": row.answers,
            "metric": figure.metric,
            "unit": figure.unit,
            "printed": figure.value,
            "label": figure.label,
            "convention": figure.convention,
            "counted_by": self.convention,
            "ours": self.ours,
            "verdict": self.verdict,
            "why": self.why,
            "everything": self.everything,
            "flops_exact": self.flops_exact,
            "times": self.times,
            "kind": row.kind,
            "source": row.source.key,
            "where": row.where,
        }


def compare(rows: Iterable[Row] | None = None, *, say: Say | None = None) -> list[Comparison]:
    """All figures of cost of ``rows`` (None: of all that are on file), in the order of METRICS and of the file.

    ``say`` gets a line for each lifter that is counted.
    """
    costs: dict[Any, Costs] = {}
    found: list[Comparison] = []
    for row in published.load() if rows is None else rows:
        figures = [figure for figure in row.figures if figure.metric in METRICS]
        if row.model is None or row.frames is None or not figures:
            continue
        key = (row.model, row.frames, tuple(sorted(row.options.items())))
        if key not in costs:
            if say is not None:
                say(f"counting {row.model}, T = {row.frames} {dict(row.options) or ''}".rstrip())
            costs[key] = Costs(row)
        found += _with_reasons(row, [_compared(row, figure, costs[key]) for figure in figures], costs[key])
    order = list(METRICS)
    return sorted(found, key=lambda one: order.index(one.figure.metric))


def _compared(row: Row, figure: Figure, costs: Costs) -> Comparison:
    known = figure.convention in COUNTERS
    convention = str(figure.convention) if known else _INSTEAD[figure.label or figure.metric]
    counter = COUNTERS[convention]
    scale = _scale(row, figure, costs)
    ours = counter.of(costs) / (_UNITS[figure.unit] if counter.per_frame else scale)
    is_size = figure.metric == "parameters"
    everything = (costs.params_total if is_size else costs.everything.macs) / scale
    comparable = known or is_size or figure.label == "MACs"
    times = (2 if counter.times == 2 and not is_size else 1) * everything / figure.value
    return Comparison(
        row=row,
        figure=figure,
        convention=convention,
        known=known,
        ours=ours,
        verdict=_verdict(figure.value, ours) if known else NOT_MATCHED,
        why="",
        everything=everything,
        flops_exact=None if is_size else costs.flops_exact / scale,
        times=times if comparable else None,
    )


def _scale(row: Row, figure: Figure, costs: Costs) -> float:
    """What a count of a clip is divided by: the unit, and for a figure of one frame the frames that come out."""
    of_one_frame = figure.metric == "compute per output frame"
    return _UNITS[figure.unit] * (costs.frames if of_one_frame and row.answers == "every" else 1)


def _verdict(printed: float, ours: float) -> str:
    """Whether ``ours`` has the printed digits; closing zeros are not on file, so they are not asked for."""
    wanted = Decimal(str(printed))
    exponent = Decimal(1).scaleb(int(wanted.as_tuple().exponent))
    for rounding, verdict in ((ROUND_HALF_UP, ROUNDED), (ROUND_DOWN, CUT_OFF)):
        if Decimal(repr(ours)).quantize(exponent, rounding) == wanted:
            return verdict
    return NOT_MATCHED


def _with_reasons(row: Row, found: list[Comparison], costs: Costs) -> list[Comparison]:
    """A row's doubt belongs to those of its figures that are not as they should be; if all are, to all."""
    sound = all(one.matched and not one.convention.startswith("half") for one in found)
    return [_with_reason(one, row.doubt if sound or _is_odd(one) else None, costs) for one in found]


def _is_odd(one: Comparison) -> bool:
    return not one.matched or one.convention.startswith("half")


def _with_reason(one: Comparison, doubt: str | None, costs: Costs) -> Comparison:
    sentences = [_difference(one, costs)] if not one.matched else _remarks(one, costs)
    why = " ".join([*(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences), *([doubt] if doubt else [])])
    return Comparison(**{**vars(one), "why": why})


def _difference(one: Comparison, costs: Costs) -> str:
    if one.figure.convention == _BY_HAND:
        return f"counted by hand, by the authors' own word; {COUNTERS[one.convention].short} gives {_shown(one.ours)}"
    name, value = min(_candidates(one, costs), key=lambda candidate: abs(math.log(candidate[1] / one.figure.value)))
    off = 100 * (one.figure.value / value - 1)
    if abs(off) > _FAR_PERCENT:
        return f"no counter that we know gives it; {one.convention} are {_shown(one.ours)}"
    return (
        f"no counter that we know gives it; the nearest is {name} with {_shown(value)}, from which it is {off:+.1f} %"
    )


def _candidates(one: Comparison, costs: Costs) -> Iterable[tuple[str, float]]:
    scale = _scale(one.row, one.figure, costs)
    is_size = one.figure.metric == "parameters"
    for name, counter in COUNTERS.items():
        if ("parameters" in name) == is_size and not counter.per_frame:
            yield name, counter.of(costs) / scale
    if not is_size:
        yield "macs_fvcore, attention included", one.everything


def _remarks(one: Comparison, costs: Costs) -> list[str]:
    """What to know of a figure that is matched."""
    remarks = []
    if one.verdict == CUT_OFF:
        remarks.append("the last digit is cut off, not rounded")
    if one.figure.label == "FLOPs" and COUNTERS[one.convention].times == 1:
        remarks.append("printed as FLOPs, and a multiplication with its addition counts once")
    if one.figure.label == "MACs" and COUNTERS[one.convention].times == 2:
        remarks.append("printed as MACs, and a multiplication and its addition count apart")
    if COUNTERS[one.convention].per_frame:
        remarks.append("neighbouring windows share all but a frame's work; everything is of a window by itself")
    if one.figure.metric != "parameters" and (structure := _STRUCTURE.get(str(one.row.model))):
        remarks.append(structure)
    if costs.has_auxiliary_head and one.convention != "all parameters":
        remarks.append("with the head for all frames, which the authors' code runs in its test too")
    return remarks


def tables(comparisons: Iterable[Comparison]) -> list[Grid]:
    """One for each of METRICS that there are figures of; the notes carry the reasons."""
    found = list(comparisons)
    return [
        _table(metric, members) for metric in METRICS if (members := [c for c in found if c.figure.metric == metric])
    ]


_HEADINGS = (
    Heading("system", number=False),
    Heading("T"),
    Heading("source", number=False),
    Heading("printed"),
    Heading("", number=False),
    Heading("by", number=False),
    Heading("ours"),
    Heading("match", number=False),
    Heading("all"),
    Heading("times"),
    Heading("note", number=False),
)
_MATCH = {ROUNDED: "yes", CUT_OFF: "cut off", NOT_MATCHED: "no"}


def _table(metric: str, members: list[Comparison]) -> Grid:
    numbers: dict[str, int] = {}
    for one in members:
        if one.why:
            numbers.setdefault(one.why, len(numbers) + 1)
    matched = sum(one.matched for one in members)
    title = f"{METRICS[metric]}: {matched} of {len(members)} printed figures matched to the last digit"
    explained = [f"{number}: {why}" for why, number in numbers.items()]
    return Grid(title, _HEADINGS, tuple(_cells(one, numbers) for one in members), (_LEGEND[metric], *explained))


_COUNTED = (
    "by: the counter that gives the printed figure, and how often it counts a multiply-accumulate; ours: our count by"
    " it; all: {all}; times: that over the printed figure"
)
_LEGEND = {
    "parameters": _COUNTED.format(all="every parameter"),
    "compute": _COUNTED.format(all="multiply-accumulates of every operator, attention and scan included"),
    "compute per output frame": _COUNTED.format(all="multiply-accumulates of every operator for one output frame"),
}


def _cells(one: Comparison, numbers: Mapping[str, int]) -> tuple[str, ...]:
    row, figure = one.row, one.figure
    options = ", ".join(f"{name} {value}" for name, value in row.options.items())
    return (
        f"{row.system} ({options})" if options else row.system,
        str(row.frames),
        row.source.key,
        f"{figure.value}",
        figure.label or "",
        COUNTERS[one.convention].short if one.known else "by hand" if figure.convention == _BY_HAND else "?",
        _shown(one.ours),
        _MATCH[one.verdict],
        _shown(one.everything),
        MISSING if one.times is None else f"{one.times:.2f}" if one.times < 99.5 else f"{one.times:.0f}",
        str(numbers[one.why]) if one.why else "",
    )


def _shown(value: float) -> str:
    """Three decimals, or as many as five digits leave."""
    decimals = max(0, min(4, 4 - math.floor(math.log10(value)))) if value > 0 else 0
    return f"{value:.{min(decimals, 3) if value >= 1 else 4}f}"


def text(comparisons: Iterable[Comparison]) -> str:
    """The tables for a terminal of 120 columns."""
    return "\n\n\n".join(grid.to_text() for grid in tables(comparisons))


def markdown(comparisons: Iterable[Comparison]) -> str:
    """The tables as Markdown, with the sources below."""
    found = list(comparisons)
    sources = {one.row.source.key: str(one.row.source) for one in found}
    listed = "\n".join(f"* `{key}`: {source}" for key, source in sorted(sources.items()))
    return "\n\n".join([*(grid.to_markdown() for grid in tables(found)), "**Sources**", listed]) + "\n"


def json(comparisons: Iterable[Comparison]) -> str:
    """A list of ``Comparison.as_dict``, as the figure ``published`` reads it."""
    return json_format.dumps([one.as_dict() for one in comparisons], indent=1, ensure_ascii=False) + "\n"


def csv(comparisons: Iterable[Comparison]) -> str:
    """One line a figure, columns as in ``Comparison.as_dict``."""
    records = [one.as_dict() for one in comparisons]
    stream = io.StringIO()
    writer = csv_format.DictWriter(stream, records[0] if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()
