"""P1 against operations, and against latency, of an output frame: what accuracy costs, under one protocol.

``planes`` is what there is to show of a group; the figure of ``harness plot`` and that of the report draw the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from harness.comparison.group import Entry, Group
from harness.complexity.summary import Summary
from harness.reporting import bubbles, row_labels
from harness.reporting.bubbles import Bubble
from harness.reporting.cost_figures import sheet
from harness.reporting.cost_figures.latency import Latencies, latencies
from harness.reporting.cost_figures.matches import Matches
from harness.reporting.figure import style
from harness.reporting.hardest import lowest_floor_mm
from harness.reporting.look import looks_of
from harness.reporting.palette import MUTED, Look

#: Inches: a page of two panels or one, panels, what stands left of and below one. The first figure of the report has
#: three fifths of a screen: drawn any wider, its letters would be too small there.
_WIDTH, _NARROW, _HEIGHT, _LEFT, _ABOVE, _BELOW = 9.0, 6.4, 3.9, 0.66, 0.15, 0.55
EXACT, FVCORE = (
    "operations per output frame (log scale)",
    "multiply-accumulates per output frame, by fvcore (log scale)",
)
LATENCY = "latency per output frame, ms (log scale)"
#: Path of the count in a run's own record.
_OWN_COUNT = "cost.per_frame.flops_exact"
#: With more bubbles than this, or too little room, their labels are titles alone.
_MOST_IN_DETAIL = 6
#: With more lines of them, or too little room, labels are numbers, and a key below says whose: points of its text,
#: inches of a row and of a number.
_MOST_LINES, _KEY_SIZE, _KEY_ROW, _KEY_NUMBER = 16, 8.5, 0.175, 0.32

Cost = Callable[[Entry], float | None]


@dataclass(frozen=True)
class Planes:
    """``panels`` has the bubbles of each panel by the name of its cost; ``floor_mm`` is the lowest floor, if any."""

    panels: Mapping[str, Sequence[Bubble]]
    floor_mm: float | None
    sentences: tuple[str, ...]

    @property
    def width(self) -> float:
        """Inches."""
        return _WIDTH if len(self.panels) == 2 else _NARROW

    def draw_on(self, canvas: sheet.Canvas) -> None:
        """Side by side, with one height for one error."""
        self._draw_panels(canvas, self._numbers or self._names)
        self._write_key(canvas)

    def _draw_panels(self, canvas: sheet.Canvas, labels: Mapping[str, str]) -> bool:
        """With ``labels`` by title; whether there was room for all of them."""
        room = self.width / len(self.panels)
        drawn = []
        for index, (name, shown) in enumerate(self.panels.items()):
            axes = canvas.axes(index * room + _LEFT, _ABOVE, room - _LEFT - 0.15, _HEIGHT)
            bubbles.draw(axes, shown, name, self.floor_mm)
            drawn.append(axes)
        limits = [limit for axes in drawn for limit in axes.get_ylim()]
        had_room = True
        for axes, shown in zip(drawn, self.panels.values(), strict=True):
            axes.set_ylim(min(limits), max(limits))
            own = [labels[bubble.title] for bubble in shown]
            had_room &= bubbles.write_labels(axes, shown, own, self._draw_floor(axes, shown), self.floor_mm)
        return had_room

    @property
    def body(self) -> float:
        """Inches that ``draw_on`` takes below the top of its canvas."""
        return _ABOVE + _HEIGHT + _BELOW + _KEY_ROW * (self._key_rows + 0.5 * bool(self._key_rows))

    @cached_property
    def _names(self) -> dict[str, str]:
        """Titles, of few with their parameters as far as there is room; empty where the titles have none."""
        shown = {bubble.title: bubble for ones in self.panels.values() for bubble in ones}
        lines = max(sum(bubbles.label(one).count("\n") + 1 for one in ones) for ones in self.panels.values())
        if lines > _MOST_LINES:
            return {}
        for detail in (True, False) if len(shown) <= _MOST_IN_DETAIL else (False,):
            names = {title: bubbles.label(bubble, detail=detail) for title, bubble in shown.items()}
            if self._have_room(names):
                return names
        return {}

    @cached_property
    def _numbers(self) -> dict[str, str]:
        """Places in the ranking by title, where names beside the bubbles would lie on each other or beside others."""
        if self._names:
            return {}
        titles = {bubble.title: bubble.p1_mm for shown in self.panels.values() for bubble in shown}
        ranked = sorted(titles, key=lambda title: (titles[title], title))
        return {title: str(place) for place, title in enumerate(ranked, start=1)}

    def _have_room(self, names: Mapping[str, str]) -> bool:
        """Found out by drawing them."""
        with style():
            return self._draw_panels(sheet.Canvas.bare(self.width, _ABOVE + _HEIGHT + _BELOW), names)

    @property
    def _key_columns(self) -> int:
        return int((self.width - 0.3) / (row_labels.width(self._numbers, _KEY_SIZE) + _KEY_NUMBER + 0.25))

    @property
    def _key_rows(self) -> int:
        return -(-len(self._numbers) // max(1, self._key_columns)) if self._numbers else 0

    def _write_key(self, canvas: sheet.Canvas) -> None:
        """Which number is whose, column by column."""
        wide, high = canvas.figure.get_size_inches()
        column = (self.width - 0.3) / max(1, self._key_columns)
        for index, (title, number) in enumerate(self._numbers.items()):
            across, down = divmod(index, self._key_rows)
            left = 0.15 + across * column + _KEY_NUMBER
            up = (canvas.top - _ABOVE - _HEIGHT - _BELOW - _KEY_ROW * (down + 0.5)) / high
            canvas.figure.text(
                (left - 0.07) / wide, up, number, ha="right", va="center", fontsize=_KEY_SIZE, color=MUTED
            )
            canvas.figure.text(left / wide, up, title, ha="left", va="center", fontsize=_KEY_SIZE)

    def _draw_floor(self, axes: Axes, shown: Sequence[Bubble]) -> list[Bbox]:
        """A line at the lowest floor where it is in sight; what its label covers, at the end with fewer bubbles."""
        low, high = axes.get_ylim()
        if self.floor_mm is None or not low < self.floor_mm < high:
            return []
        axes.axhline(self.floor_mm, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0.8)
        label = axes.annotate(
            f"best floor {self.floor_mm:.1f}", (1, self.floor_mm), (-2, 2), ha="right", va="bottom",
            xycoords=axes.get_yaxis_transform(), textcoords="offset points", fontsize=8.5, color=MUTED,
        )  # fmt: skip
        right = label.get_window_extent()
        left = right.translated(axes.bbox.x0 - right.x0 + axes.bbox.x1 - right.x1, 0)
        covered = {side: sum(side.overlaps(bubbles.box(axes, one)) for one in shown) for side in (right, left)}
        if covered[left] < covered[right]:
            label.set(horizontalalignment="left", x=2)
            label.xy = (0, self.floor_mm)
        return [label.get_window_extent()]


def draw(groups: Sequence[Group], summaries: Sequence[Summary]) -> dict[str, Figure]:
    """A figure for each group with an accuracy and a cost; runs of different groups are never in one."""
    found = {}
    for group in groups:
        shown = planes(group, summaries)
        if shown is not None:
            said = [f"Accuracy: {(group.protocol or '').replace('|', ' | ')}.", *shown.sentences]
            with style():
                canvas = sheet.Canvas.blank("What accuracy costs", [_READING, *said], shown.width, shown.body)
                shown.draw_on(canvas)
            found[f"accuracy-cost--{group.name}"] = canvas.figure
    return {"accuracy-cost": next(iter(found.values()))} if len(found) == 1 else found


_READING = (
    "The area of a bubble is the number of parameters; bars are the standard deviation over at least three seeds. "
    "Nothing is both cheaper and better than what lies on the dashed line; what is not below the best floor is never "
    "on it. A lifter that answers for one frame of a clip needs a forward for each output frame."
)


def planes(group: Group, summaries: Sequence[Summary]) -> Planes | None:
    """What there is to show, None without an accuracy and a cost of one entry.

    Operations are those of a run's own record or, where that has none, of the same model, T and options among
    ``summaries``; for latency see ``harness.reporting.cost_figures.latency``. One that differs in its input channels
    alone will do where there is no other, and a sentence says so.
    """
    counted, timed = Matches.of(summaries), latencies(group.scored, summaries)
    axis, operations = _operations(group.scored, counted)
    costs: dict[str, Cost] = {
        axis: operations,
        LATENCY: lambda entry: timed.of[entry.title].ms if entry.title in timed.of else None,
    }
    hollow = {LATENCY: {title for title, latency in timed.of.items() if latency.noisy}}
    look = looks_of(group.scored)
    panels = {name: _bubbles(group.scored, cost, look, hollow.get(name, set())) for name, cost in costs.items()}
    panels = {name: shown for name, shown in panels.items() if shown}
    if not panels:
        return None
    missing = _missing(group, panels, {LATENCY: timed.left_out})
    sentences = [*timed.sentences, *missing, *_other_channels(group.scored, panels, counted, timed)]
    return Planes(panels, lowest_floor_mm(group), tuple(sentences))


def _bubbles(entries: Sequence[Entry], cost: Cost, look: Mapping[str, Look], hollow: set[str]) -> list[Bubble]:
    largest = max((entry.mean("cost.params_total") or 0.0 for entry in entries), default=0.0)
    shown = []
    for entry in entries:
        at, params = cost(entry), entry.mean("cost.params_total")
        if at and params and entry.p1_mm is not None:
            own, area = look[entry.title], bubbles.area(params, largest, len(entries))
            shown.append(
                Bubble(
                    entry.title, at, entry.p1_mm, entry.p1_sd_mm, params, area, own.colour, own.marker,
                    hollow=entry.title in hollow,
                )
            )  # fmt: skip
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


def _missing(
    group: Group, panels: Mapping[str, Sequence[Bubble]], told: Mapping[str, Collection[str]]
) -> list[str]:  # fmt: skip
    """``told`` are titles by panel that another sentence says the reason of."""
    said = []
    for name, shown in panels.items():
        known = {*(bubble.title for bubble in shown), *told.get(name, ())}
        missing = [entry.title for entry in group.scored if entry.title not in known]
        if missing:
            said.append(
                f"Without a figure for {name.partition(',')[0].removesuffix(' (log scale)')}: {', '.join(missing)}."
            )
    unscored = [entry.title for entry in group.entries if not entry.runs]
    return [*said, f"Not scored: {', '.join(unscored)}."] if unscored else said


def _other_channels(
    entries: Sequence[Entry], panels: Mapping[str, Sequence[Bubble]], counted: Matches, timed: Latencies
) -> list[str]:
    """A sentence for each set of lifters drawn at a cost that is not of the input channels that they were run with."""
    own_counts = {entry.title for entry in entries if entry.mean(_OWN_COUNT) is not None}
    used = {
        EXACT: {entry.title: counted.find(entry) for entry in entries if entry.title not in own_counts},
        LATENCY: timed.measured,
    }
    said = []
    for axis, verb in ((EXACT, "Operations counted"), (LATENCY, "Latency measured")):
        drawn = {bubble.title for bubble in panels.get(axis, ())}
        others: dict[tuple[int, int], list[str]] = {}
        for entry in entries:
            one, own = used[axis].get(entry.title), entry.any_run["config"]["in_channels"]
            if entry.title in drawn and one and one.point.in_channels != own:
                others.setdefault((one.point.in_channels, own), []).append(entry.title)
        said += [
            f"{verb} with {measured} channels, accuracy with {own}: {', '.join(titles)}."
            for (measured, own), titles in sorted(others.items())
        ]
    return said
