"""P1 over time of the test sequences that are hardest for all: where in them which entry errs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from harness.comparison.group import Group
from harness.reporting import hardest, row_labels
from harness.reporting.cost_figures import sheet
from harness.reporting.evidence import Evidence
from harness.reporting.figure import style
from harness.reporting.look import looks_of
from harness.reporting.palette import Look
from harness.store.schema import Record
from harness.traces import ErrorCurve, means_of_neighbours

CAPTION = (
    "P1 over time in the hardest sequences, of different actions as far as there are: those where the error is the "
    "largest multiple of a model's own P1, on average over the models drawn that beat every floor. Hard moments are "
    "hard for all, others for one model alone. A gap is a stretch without truth."
)
#: Sequences that are drawn, entries in each, points of a line.
_MOST_SEQUENCES, _MOST_ENTRIES, _MOST_POINTS = 4, 6, 240
#: Inches: the figure, its panels, what stands around and between them, a row of the key.
_WIDTH, _HEIGHT, _LEFT, _ABOVE, _BELOW, _BETWEEN, _KEY = 10.6, 1.9, 0.6, 0.34, 0.5, 0.3, 0.2
#: Points of a panel's title, letters of the action in it.
_TITLE_SIZE, _LETTERS = 8.5, 30
#: The upright axis ends above what models that beat the floors err, and at this multiple of that percentile of it at
#: most, rounded up to so many mm: a model that does not beat them, or a single spike, would flatten all others.
_PERCENTILE, _MOST_OF_IT, _ROUNDED_MM = 98.0, 1.6, 10.0

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """``curves`` of one seed of each entry, by its title and then by sequence; ``seeds`` says which.

    ``own_mm`` is the P1 of that seed over the whole test set, of the entries that decide what is hard.
    """

    curves: Mapping[str, Mapping[str, ErrorCurve]]
    seeds: Mapping[str, object]
    own_mm: Mapping[str, float]

    @classmethod
    def of(cls, group: Group, evidence: Evidence) -> Shown:
        """The best entries that have kept their curves, each by its first seed that has."""
        curves: dict[str, Mapping[str, ErrorCurve]] = {}
        runs: dict[str, Record] = {}
        for entry in group.scored:
            if len(curves) == _MOST_ENTRIES:
                break
            kept = ((run, evidence.traces(run)) for run in entry.runs)
            run, traces = next(((run, traces) for run, traces in kept if traces and traces.curves), (None, None))
            if run is not None and traces is not None:
                curves[entry.title] = {curve.sequence: curve for curve in traces.curves}
                runs[entry.title] = run
        chosen = hardest.judges(
            [entry for entry in group.scored if entry.title in runs], hardest.lowest_floor_mm(group)
        )
        own_mm = {entry.title: float(runs[entry.title]["accuracy"]["p1_mm"]) for entry in chosen}
        return cls(curves, {title: run.get("seed") for title, run in runs.items()}, own_mm)

    def hardest(self) -> list[str]:
        """Sequences of the highest difficulty for the entries that decide; all of the entries have them.

        Of different actions first, then, where there are too few, of different takes.
        """
        common = set.intersection(*(set(own) for own in self.curves.values()))
        means = {name: {title: _mean(self.curves[title][name]) for title in self.own_mm} for name in common}
        difficulty = {name: hardest.difficulty(errors, self.own_mm) for name, errors in means.items()}
        known = [name for name in common if np.isfinite(difficulty[name])]
        ordered = sorted(known, key=lambda name: (-difficulty[name], name))
        first = next(iter(self.curves.values()))
        actions, takes = ({key(first[name]): name for name in reversed(ordered)} for key in (_action, _take))
        chosen = sorted(actions.values(), key=ordered.index)[:_MOST_SEQUENCES]
        seen = {first[name].take for name in chosen}
        more = [name for take, name in takes.items() if take not in seen]
        chosen += sorted(more, key=ordered.index)[: _MOST_SEQUENCES - len(chosen)]
        return sorted(chosen, key=ordered.index)

    def highest_mm(self) -> float:
        """Where the upright axis of all panels ends."""
        shown = self._values(self.hardest())
        decisive = np.concatenate([shown[title] for title in self.own_mm])
        end = min(1.05 * float(decisive.max()), _MOST_OF_IT * float(np.percentile(decisive, _PERCENTILE)))
        return _ROUNDED_MM * math.ceil(end / _ROUNDED_MM)

    def cut(self) -> dict[str, float]:
        """Title -> highest error in mm, of the entries whose lines leave the panels at the top."""
        end = self.highest_mm()
        highest = {title: float(values.max()) for title, values in self._values(self.hardest()).items()}
        return {title: error for title, error in highest.items() if error > end}

    def _values(self, sequences: Sequence[str]) -> dict[str, Float64Array]:
        """Title -> what is drawn of it in ``sequences``, without gaps."""
        values = {
            title: np.concatenate([thinned(own[name].p1_mm.astype(np.float64), _MOST_POINTS)[0] for name in sequences])
            for title, own in self.curves.items()
        }
        return {title: ones[np.isfinite(ones)] for title, ones in values.items() if np.isfinite(ones).any()}


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """A panel a sequence, the hardest first, on one upright axis."""
    shown = Shown.of(group, evidence)
    sequences = shown.hardest() if shown.curves else []
    if not sequences:
        return None
    columns = min(2, len(sequences))
    rows = -(-len(sequences) // columns)
    key_rows = -(-len(shown.curves) // _key_columns(shown))
    step = _ABOVE + _HEIGHT + _BELOW
    with style():
        canvas = sheet.Canvas.bare(_WIDTH, rows * step + _KEY * key_rows + 0.1)
        look = looks_of(group.scored)
        width = (_WIDTH - _LEFT - columns * _BETWEEN - (columns - 1) * _LEFT) / columns
        highest = shown.highest_mm()
        for index, name in enumerate(sequences):
            row, column = divmod(index, columns)
            axes = canvas.axes(_LEFT + column * (width + _LEFT + _BETWEEN), row * step + _ABOVE, width, _HEIGHT)
            _draw_sequence(axes, name, {title: own[name] for title, own in shown.curves.items()}, look)
            axes.set_ylim(0, highest)
        _write_key(canvas, shown, look)
    return canvas.figure


def notes(group: Group, evidence: Evidence) -> Sequence[str]:
    """Which seeds, that others are left out, and whose lines leave the panels."""
    shown = Shown.of(group, evidence)
    if not shown.curves or not shown.hardest():
        return ()
    seeds = sorted({str(seed) for seed in shown.seeds.values()})
    if len(seeds) == 1:
        which = f"One seed of each, {seeds[0]}"
    else:
        which = f"One seed of each: {', '.join(f'{title} {seed}' for title, seed in shown.seeds.items())}"
    others = len(group.scored) - len(shown.curves)
    best = f"; the best {len(shown.curves)} of {len(group.scored)} that kept their curves" if others else ""
    return (f"{which}{best}.", *_cut_in_words(shown))


def _cut_in_words(shown: Shown) -> list[str]:
    cut = shown.cut()
    if not cut:
        return []
    upto = ", ".join(f"{title} (up to {error:,.0f} mm)" for title, error in cut.items())
    return [f"Cut off above {shown.highest_mm():,.0f} mm: {upto}."]


def _action(curve: ErrorCurve) -> str:
    return curve.action


def _take(curve: ErrorCurve) -> str:
    return curve.take


def _mean(curve: ErrorCurve) -> float:
    known = curve.p1_mm[np.isfinite(curve.p1_mm)]
    return float(known.mean()) if len(known) else float("nan")


def thinned(values: Float64Array, most: int) -> tuple[Float64Array, float]:
    """At most ``most`` means of neighbouring values, NaN left out of a mean, and how many values each is of."""
    per = max(1, -(-len(values) // most))
    return means_of_neighbours(values, per), float(per)


def _draw_sequence(axes: Axes, name: str, curves: Mapping[str, ErrorCurve], look: Mapping[str, Look]) -> None:
    longest = 0.0
    # The best on top.
    for title, curve in reversed(list(curves.items())):
        values, per = thinned(curve.p1_mm.astype(np.float64), _MOST_POINTS)
        seconds = (np.arange(len(values)) + 0.5) * per * curve.step_s
        longest = max(longest, len(curve.p1_mm) * curve.step_s)
        axes.plot(seconds, values, color=look[title].colour, linestyle=look[title].dashes, linewidth=1.3)
    action = next(iter(curves.values())).action
    room = axes.bbox.width / axes.figure.dpi
    axes.set_title(_title(action, name, room), fontsize=_TITLE_SIZE, fontweight="normal")
    axes.set_xlim(0, longest)
    axes.set_xlabel("seconds", fontsize=9)
    axes.set_ylabel("P1 (mm)", fontsize=9)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid()
    axes.tick_params(length=0, labelsize=8.5, pad=5)


def _title(action: str, name: str, room: float) -> str:
    """As much of both as fits into ``room`` inches."""
    action = row_labels.shortened(action, _LETTERS)
    titles = (f"{action}: {row_labels.shortened(name, letters)}" for letters in range(len(name), 0, -1))
    return next((title for title in titles if row_labels.width([title], _TITLE_SIZE) <= room), action)


def _key_columns(shown: Shown) -> int:
    widest = row_labels.width(shown.curves, 8.5) + 0.6
    return max(1, min(len(shown.curves), int((_WIDTH - 0.2) / widest)))


def _write_key(canvas: sheet.Canvas, shown: Shown, look: Mapping[str, Look]) -> None:
    handles = [
        Line2D([], [], color=look[title].colour, linestyle=look[title].dashes, linewidth=1.5, label=title)
        for title in shown.curves
    ]
    canvas.figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=_key_columns(shown), fontsize=8.5,
        handlelength=2.8, borderpad=0.2, labelspacing=0.35,
    )  # fmt: skip
