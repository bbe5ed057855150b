"""How errors are spread: the share of frames by their P1, and the share of joints that are nearer than a threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.comparison.group import Entry, Group
from harness.reporting.cost_figures import sheet
from harness.reporting.evidence import Evidence
from harness.reporting.figure import style
from harness.reporting.look import MOST_LINES, looks_of
from harness.reporting.palette import Look
from harness.reporting.run_figures import key_table

CAPTION = (
    "Left, how many frames have which P1: a long tail to the right is rare bad frames, which a mean hides. Right, the "
    "share of joints, the pelvis left out, within a distance of the truth: PCK is that within 150 mm, and AUC its mean "
    "over the thresholds 0, 5, … 150 mm."
)
#: Inches: the figure, its panels, what stands around and between them.
_WIDTH, _HEIGHT, _LEFT, _ABOVE, _BELOW, _BETWEEN = 10.6, 3.2, 0.62, 0.36, 0.55, 0.7
#: Thresholds reach so far, mm.
_REACH_MM = 150.0
#: The axis of frames ends where so many of each entry's are, rounded up to so many mm.
_SHOWN_SHARE, _ROUNDED_MM = 0.995, 50.0
_COLUMNS = ("PCK %", "AUC %")

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Of one entry, means over seeds: share of its frames, and of its joint errors, in bins of ``bin_mm``.

    The last bin of both holds everything beyond the others.
    """

    bin_mm: float
    frames: Float64Array
    joints: Float64Array

    @property
    def thresholds_mm(self) -> Float64Array:
        """0, 5, … 150."""
        return np.arange(0.0, _REACH_MM + self.bin_mm / 2, self.bin_mm)

    @property
    def within(self) -> Float64Array:
        """Share of joint errors below each of ``thresholds_mm``."""
        return np.concatenate([[0.0], np.cumsum(self.joints)])[: len(self.thresholds_mm)]


def spread_of(entry: Entry) -> Spread | None:
    """None where no run of the entry has kept its distribution."""
    kept = [
        one for one in entry.values("accuracy.distribution") if one.get("frame_share") and one.get("joint_share")
    ]  # fmt: skip
    kept = [one for one in kept if one["bin_mm"] == kept[0]["bin_mm"]]
    if not kept:
        return None
    frames, joints = (np.mean([one[name] for one in kept], axis=0) for name in ("frame_share", "joint_share"))
    return Spread(float(kept[0]["bin_mm"]), frames, joints)


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """Two panels; names stand at the ends of the right one's lines."""
    spreads = _drawn(_spreads(group))
    if not spreads:
        return None
    titles = sorted(spreads, key=lambda title: -float(spreads[title].within[-1]))
    height = max(_HEIGHT, key_table.height(titles, len(_COLUMNS)) - _ABOVE)
    panel = (_WIDTH - _LEFT - 2 * _BETWEEN - key_table.width(titles, len(_COLUMNS))) / 2
    with style():
        canvas = sheet.Canvas.bare(_WIDTH, _ABOVE + height + _BELOW)
        look = looks_of(group.scored)
        _draw_frames(canvas.axes(_LEFT, _ABOVE, panel, height), spreads, look)
        _draw_joints(canvas.axes(_LEFT + panel + _BETWEEN, _ABOVE, panel, height), spreads, look)
        figures = {title: _figures(spreads[title]) for title in titles}
        key_table.draw(canvas, _LEFT + 2 * (panel + _BETWEEN) - 0.35, _ABOVE - 0.2, look, figures, _COLUMNS)
    return canvas.figure


def notes(group: Group, evidence: Evidence) -> Sequence[str]:
    """What lies beyond the axis, who is left out of many, and of whom nothing is known."""
    known = _spreads(group)
    spreads = _drawn(known)
    if not spreads:
        return ()
    last = _last_mm(list(spreads.values()))
    beyond = max(float(spread.frames[round(last / spread.bin_mm) :].sum()) for spread in spreads.values())
    missing = [entry.title for entry in group.scored if entry.title not in known]
    said = [f"Beyond {last:g} mm, where the left axis ends, lie {100 * beyond:.1f} % of a model's frames at most."]
    if len(known) > len(spreads):
        said.append(f"The best {len(spreads)} by P1 of {len(known)} that kept how their errors are spread.")
    return [*said, f"Nothing kept of {', '.join(missing)}."] if missing else said


def _spreads(group: Group) -> dict[str, Spread]:
    """By title, the best first."""
    return {entry.title: spread for entry in group.scored if (spread := spread_of(entry))}


def _drawn(spreads: Mapping[str, Spread]) -> dict[str, Spread]:
    return dict(islice(spreads.items(), MOST_LINES))


def _figures(spread: Spread) -> tuple[str, str]:
    return f"{100 * spread.within[-1]:.1f}", f"{100 * spread.within.mean():.1f}"


def _last_mm(spreads: Sequence[Spread]) -> float:
    """Where the axis of frames ends."""
    ends = [one.bin_mm * (int(np.searchsorted(np.cumsum(one.frames), _SHOWN_SHARE)) + 1) for one in spreads]
    open_from = min((len(one.frames) - 1) * one.bin_mm for one in spreads)
    return min(_ROUNDED_MM * math.ceil(max(ends) / _ROUNDED_MM), open_from)


def _draw_frames(axes: Axes, spreads: Mapping[str, Spread], look: Mapping[str, Look]) -> None:
    last = _last_mm(list(spreads.values()))
    for title, spread in spreads.items():
        shown = round(last / spread.bin_mm)
        middles = spread.bin_mm * (np.arange(shown) + 0.5)
        axes.plot(
            middles, 100 * spread.frames[:shown], color=look[title].colour, linestyle=look[title].dashes, linewidth=1.4
        )
    bin_mm = next(iter(spreads.values())).bin_mm
    _set_axes(axes, "Frames", "P1 of a frame (mm)", f"frames, % in {bin_mm:g} mm")
    axes.set(xlim=(0, last), ylim=(0, None))


def _draw_joints(axes: Axes, spreads: Mapping[str, Spread], look: Mapping[str, Look]) -> None:
    for title, spread in spreads.items():
        axes.plot(
            spread.thresholds_mm, 100 * spread.within, color=look[title].colour, linestyle=look[title].dashes,
            linewidth=1.4,
        )  # fmt: skip
    _set_axes(axes, "Joints", "threshold (mm)", "joints within it (%)")
    axes.set(xlim=(0, _REACH_MM), ylim=(0, 100), xticks=range(0, 151, 30))


def _set_axes(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(across, fontsize=9)
    axes.set_ylabel(up, fontsize=9)
    axes.grid()
    axes.tick_params(length=0, labelsize=8.5)
