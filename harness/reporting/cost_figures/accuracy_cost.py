"""P1 against operations, and against measured latency, of an output frame: what accuracy costs, under one protocol."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from harness.complexity.summary import Summary
from harness.reporting import bubbles, caption
from harness.reporting.bubbles import Bubble
from harness.reporting.cost_figures import sheet
from harness.reporting.figure import style
from harness.reporting.group import Entry, Group
from harness.reporting.palette import Look, looks

#: Inches: a page of two panels or one, panels, what stands left of and below one.
_WIDTH, _NARROW, _HEIGHT, _LEFT, _ABOVE, _BELOW = 10.6, 7.0, 3.7, 0.7, 0.15, 0.55
EXACT, FVCORE = (
    "operations per output frame (log scale)",
    "multiply-accumulates per output frame, by fvcore (log scale)",
)
LATENCY = "latency per output frame, ms (log scale)"
#: Path of the count in a run's own record.
_OWN_COUNT = "cost.per_frame.flops_exact"
#: Options that change nothing about a forward in inference.
_REGULARISATION = "drop"

Cost = Callable[[Entry], float | None]


def draw(groups: Sequence[Group], summaries: Sequence[Summary]) -> dict[str, Figure]:
    """A figure for each group with an accuracy and a cost; runs of different groups are never in one.

    Operations are those of a run's own record or, where that has none, of the same model, T and options among
    ``summaries``; latency is always of these. One that differs in its input channels alone will do where there is no
    other, and the caption says so.
    """
    measured = _of_one_kind(summaries)
    found = {}
    for group in groups:
        figure = _figure(group, summaries, measured)
        if figure is not None:
            found[f"accuracy-cost--{group.name}"] = figure
    return {"accuracy-cost": next(iter(found.values()))} if len(found) == 1 else found


def _figure(group: Group, summaries: Sequence[Summary], measured: Sequence[Summary]) -> Figure | None:
    counted, timed = Matches.of(summaries), Matches.of(measured)
    axis, operations = _operations(group.scored, counted)
    costs: dict[str, Cost] = {
        axis: operations,
        LATENCY: lambda entry: one.per_frame_ms if (one := timed.find(entry)) else None,
    }
    look = looks([(entry.title, entry.model, entry.mean("cost.params_total") or 0.0) for entry in group.scored])
    panels = {name: _bubbles(group.scored, cost, look) for name, cost in costs.items()}
    panels = {name: shown for name, shown in panels.items() if shown}
    if not panels:
        return None
    width = _WIDTH if len(panels) == 2 else _NARROW
    sentences = [*_sentences(group, panels, timed), *_other_channels(group.scored, panels, counted, timed)]
    with style():
        canvas = sheet.Canvas.blank("What accuracy costs", sentences, width, _ABOVE + _HEIGHT + _BELOW)
        room = width / len(panels)
        drawn = []
        for index, (name, shown) in enumerate(panels.items()):
            axes = canvas.axes(index * room + _LEFT, _ABOVE, room - _LEFT - 0.15, _HEIGHT)
            bubbles.draw(axes, shown, name)
            drawn.append(axes)
        limits = [limit for axes in drawn for limit in axes.get_ylim()]
        for axes, shown in zip(drawn, panels.values(), strict=True):
            # The same height means the same accuracy in both.
            axes.set_ylim(min(limits), max(limits))
            bubbles.write_labels(axes, shown, detail=len(shown) <= 8)
    return canvas.figure


def _bubbles(entries: Sequence[Entry], cost: Cost, look: Mapping[str, Look]) -> list[Bubble]:
    largest = max((entry.mean("cost.params_total") or 0.0 for entry in entries), default=0.0)
    shown = []
    for entry in entries:
        at, params = cost(entry), entry.mean("cost.params_total")
        if at and params and entry.p1_mm is not None:
            own = look[entry.title]
            area = bubbles.area(params, largest)
            shown.append(Bubble(entry.title, at, entry.p1_mm, entry.p1_sd_mm, params, area, own.colour, own.marker))
    return shown


def _operations(entries: Sequence[Entry], counted: Matches) -> tuple[str, Cost]:
    """The count that all entries have, exact if there is a choice; its name and how to read it."""

    def exact(entry: Entry) -> float | None:
        own = entry.mean(_OWN_COUNT)
        same = counted.find(entry)
        return own if own is not None else same.flops_per_frame if same else None

    def fvcore(entry: Entry) -> float | None:
        own = entry.mean("cost.per_frame.macs_fvcore")
        return own if own is not None else entry.mean("cost.macs_fvcore_per_frame")

    choices = {EXACT: exact, FVCORE: fvcore}
    name = max(choices, key=lambda name: sum(choices[name](entry) is not None for entry in entries))
    return name, choices[name]


@dataclass(frozen=True)
class Matches:
    """Measurements by what they are of, and then by input channels."""

    by_what: Mapping[str, Mapping[int, Summary]]

    @classmethod
    def of(cls, summaries: Sequence[Summary]) -> Matches:
        """Of those that were counted."""
        found: dict[str, dict[int, Summary]] = {}
        for summary in summaries:
            if summary.counts:
                found.setdefault(_what(summary.point.as_dict()), {})[summary.point.in_channels] = summary
        return cls(found)

    def find(self, entry: Entry) -> Summary | None:
        """The measurement of an entry's lifter; with other input channels where there is none with its own."""
        config = entry.any_run["config"]
        same = self.by_what.get(_what(config), {})
        return same.get(config["in_channels"]) or next((same[channels] for channels in sorted(same)), None)


def _what(config: Mapping[str, Any]) -> str:
    """Model, T, precision and the options that a forward in inference depends on, as one key."""
    options = {key: value for key, value in (config.get("options") or {}).items() if _REGULARISATION not in key}
    precision = config.get("precision", "fp32")
    return json.dumps([config["model"], config["frames"], precision, options], sort_keys=True)


def _of_one_kind(summaries: Sequence[Summary]) -> list[Summary]:
    """The usable points at batch 1 in float32 of the machine and threads with the most of them."""
    plain = [
        summary
        for summary in summaries
        if summary.usable and summary.latency_ms and summary.point.batch_asked == "1"
        and summary.point.precision == "fp32" and not summary.point.compiled and not summary.point.streaming
    ]  # fmt: skip
    kinds = Counter(_kind(summary) for summary in plain)
    return [summary for summary in plain if _kind(summary) == max(kinds, key=lambda kind: (kinds[kind], kind))]


def _kind(summary: Summary) -> tuple[str, str, int]:
    return summary.environment_key, summary.point.device, summary.point.threads


def _other_channels(
    entries: Sequence[Entry], panels: Mapping[str, Sequence[Bubble]], counted: Matches, timed: Matches
) -> list[str]:
    """A sentence for each set of lifters drawn at a cost that is not of the input channels that they were run with."""
    said = []
    for axis, verb, matches in ((EXACT, "Operations counted", counted), (LATENCY, "Latency measured", timed)):
        drawn = {bubble.title for bubble in panels.get(axis, ())}
        others: dict[tuple[int, int], list[str]] = {}
        for entry in entries:
            one, own = matches.find(entry), entry.any_run["config"]["in_channels"]
            is_own_count = axis == EXACT and entry.mean(_OWN_COUNT) is not None
            if entry.title in drawn and one and one.point.in_channels != own and not is_own_count:
                others.setdefault((one.point.in_channels, own), []).append(entry.title)
        said += [
            f"{verb} with {measured} channels, accuracy with {own}: {', '.join(titles)}."
            for (measured, own), titles in sorted(others.items())
        ]
    return said


def _sentences(group: Group, panels: Mapping[str, Sequence[Bubble]], timed: Matches) -> list[str]:
    used = list({one.point.key(): one for entry in group.scored if (one := timed.find(entry))}.values())
    drawn = {name: {bubble.title for bubble in shown} for name, shown in panels.items()}
    said = [
        "The area of a bubble is the number of parameters; bars are the standard deviation over at least three seeds. "
        "Nothing is both cheaper and better than what lies on the dashed line. A lifter that answers for one frame of "
        "a clip needs a forward for each output frame.",
        f"Accuracy: {(group.protocol or '').replace('|', ' | ')}.",
    ]
    if used:
        said.append(f"Latency: {caption.timing(used, bands=False)} {caption.setting(used)}")
        said += caption.verdicts(used)
    for name, titles in drawn.items():
        missing = [entry.title for entry in group.scored if entry.title not in titles]
        if missing:
            said.append(
                f"Without a figure for {name.partition(',')[0].removesuffix(' (log scale)')}: {', '.join(missing)}."
            )
    unscored = [entry.title for entry in group.entries if not entry.runs]
    if unscored:
        said.append(f"Not scored: {', '.join(unscored)}.")
    return said
