"""Latency and operations of a clip against T on log-log axes: how the cost of each lifter grows with the clip.

From the rows of ``harness measure`` in the same store where they have two T of a lifter of the group, else from what
each run counted and timed of itself.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.comparison.group import Entry, Group
from harness.complexity.growth import fit_operations, fit_values
from harness.complexity.series import Series, series
from harness.complexity.summary import Summary
from harness.measurement.samples import INVALID
from harness.reporting import caption
from harness.reporting.cost_figures import complexity, curve, sheet
from harness.reporting.cost_figures.complexity import LATENCY, OPERATIONS
from harness.reporting.cost_figures.curve import Curve, Quantity, Reading
from harness.reporting.cost_figures.matches import all_of_one_kind, inference_options
from harness.reporting.evidence import Evidence
from harness.reporting.figure import style
from harness.reporting.palette import Look, looks
from harness.reporting.placement import row_height
from harness.store.schema import Record, look_up

CAPTION = (
    "What a clip costs as it grows longer, on logarithmic axes: a straight line is a power of T, and its steepness, "
    "written at its end, the exponent; 1 is linear. Frames of longer clips cost more where it is above 1."
)
#: Inches: the figure, its panels at least, what stands around them.
_WIDTH, _HEIGHT, _LEFT, _ABOVE, _BELOW = 10.6, 2.9, 0.86, 0.34, 0.52
_QUANTITIES = (OPERATIONS, LATENCY)
_ITSELF = (
    "Operations are those that each run counted; latency was timed by each run itself beside other work, and harness "
    "measure gives better figures."
)


@dataclass(frozen=True)
class Grown:
    """Curves by label for each quantity that is known at two T, how they are drawn, and how they came about."""

    curves: Mapping[Quantity, Mapping[str, Curve]]
    look: Mapping[str, Look]
    sentences: tuple[str, ...]


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """A panel a quantity; None without two T of one lifter."""
    grown = _grown(group, evidence)
    if grown is None:
        return None
    most = max(len(ones) for ones in grown.curves.values())
    height = max(_HEIGHT, row_height() * (most + 2) / 72)
    labels = [sheet.label_width(list(ones.values())) for ones in grown.curves.values()]
    panel = (_WIDTH - sum(labels) - _LEFT * len(labels)) / len(labels)
    with style():
        canvas = sheet.Canvas.bare(_WIDTH, _ABOVE + height + _BELOW)
        for index, (quantity, ones) in enumerate(grown.curves.items()):
            shown = list(ones.values())
            left = _LEFT + index * (_LEFT + panel) + sum(labels[:index])
            axes = canvas.axes(left, _ABOVE, panel, height)
            complexity.panel(axes, quantity, shown, shown, grown.look, "")
            curve.write_labels(axes, shown, grown.look)
    return canvas.figure


def notes(group: Group, evidence: Evidence) -> Sequence[str]:
    """How the figures were measured, what to doubt and what is missing."""
    grown = _grown(group, evidence)
    return grown.sentences if grown else ()


def _grown(group: Group, evidence: Evidence) -> Grown | None:
    return _measured(group, evidence.summaries) or _of_itself(group)


def _measured(group: Group, summaries: Sequence[Summary]) -> Grown | None:
    kept = [one for one in series(_of_group(group, summaries)) if len(one.members) > 1]
    curves = _worth_drawing(
        {
            quantity: found
            for quantity in _QUANTITIES
            for found in [complexity.curves_of(kept, [quantity])[quantity.name]]
        }
    )
    if not curves:
        return None
    members = [member for one in kept for member in one.members]
    sizes = [(one.label, one.members[0].point.model, _parameters(one)) for one in kept]
    said = [
        *curve.exponents_in_words([one for ones in curves.values() for one in ones.values()]),
        f"{caption.timing(members)} {caption.setting(members)}",
        *caption.verdicts(members),
        *caption.gaps(members),
    ]
    return Grown(curves, looks(sizes, on_dark_too=True), tuple(said))


def _of_group(group: Group, summaries: Sequence[Summary]) -> list[Summary]:
    """Of the group's lifters, with the input channels that they were run with where there is a choice."""
    wanted = {_what(entry.any_run["config"]): entry.any_run["config"]["in_channels"] for entry in group.scored}
    same = [one for one in all_of_one_kind(summaries) if _what(one.point.as_dict()) in wanted]
    exact = {_what(one.point.as_dict()) for one in same if one.point.in_channels == wanted[_what(one.point.as_dict())]}
    return [
        one
        for one in same
        if (what := _what(one.point.as_dict())) not in exact or one.point.in_channels == wanted[what]
    ]


def _what(config: Mapping[str, object]) -> str:
    """A lifter whatever its T, as one key."""
    return json.dumps([config["model"], inference_options(config)], sort_keys=True)


def _parameters(one: Series) -> float:
    return max((float(look_up(member.counts or {}, "params_total") or 0) for member in one.members), default=0.0)


def _of_itself(group: Group) -> Grown | None:
    """From the records of the group."""
    lifters: dict[str, list[Entry]] = {}
    for entry in group.scored:
        lifters.setdefault(_what(entry.any_run["config"]), []).append(entry)
    named = {entries[0].label: entries for entries in lifters.values()}
    curves = _worth_drawing(
        {
            OPERATIONS: {label: _counted(label, entries) for label, entries in named.items()},
            LATENCY: {label: _timed(label, entries) for label, entries in named.items()},
        }
    )
    if not curves:
        return None
    sizes = [(label, own[0].model, own[0].mean("cost.params_total") or 0.0) for label, own in named.items()]
    exponents = curve.exponents_in_words([one for ones in curves.values() for one in ones.values()])
    return Grown(curves, looks(sizes, on_dark_too=True), (*exponents, _ITSELF))


def _worth_drawing(curves: Mapping[Quantity, Mapping[str, Curve]]) -> dict[Quantity, dict[str, Curve]]:
    """The curves of at least two points, and the quantities that have one."""
    kept = {
        quantity: {label: one for label, one in ones.items() if len(one.frames) > 1}
        for quantity, ones in curves.items()
    }
    return {quantity: ones for quantity, ones in kept.items() if ones}


def _counted(label: str, entries: Sequence[Entry]) -> Curve:
    points = {entry.frames: _first(entry, "cost.flops_exact") for entry in entries}
    found = {frames: float(count) for frames, count in sorted(points.items()) if count}
    return _curve(label, {frames: (count, None, None) for frames, count in found.items()}, measured=False)


def _timed(label: str, entries: Sequence[Entry]) -> Curve:
    """Median over runs; those that are INVALID are left out."""
    found: dict[int, Reading] = {}
    for entry in entries:
        calls_ms = [float(ms) for run in entry.runs if (ms := _call_ms(run))]
        if calls_ms:
            found[entry.frames] = (statistics.median(calls_ms), None, None)
    return _curve(label, dict(sorted(found.items())), measured=True)


def _curve(label: str, points: Mapping[int, Reading], *, measured: bool) -> Curve:
    frames, values = list(points), [value for value, _, _ in points.values()]
    exponent = fit_values(frames, values) if measured else fit_operations(frames, values)
    told = exponent is not None and curve.is_telling(exponent)
    return Curve(label, f"{label}  {exponent.value:.2f}" if exponent and told else label, points, exponent=exponent)


def _first(entry: Entry, path: str) -> float | None:
    return next(iter(entry.values(path)), None)


def _call_ms(run: Record) -> float | None:
    return None if look_up(run, "cost.inference.verdict") == INVALID else look_up(run, "cost.inference.call_ms")
