"""P1 of every joint on a drawn body: one body an entry, the colours on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.comparison.group import Group
from harness.data.skeleton import BONES, JOINT_NAMES, ROOT
from harness.reporting import row_labels
from harness.reporting.cost_figures import sheet
from harness.reporting.evidence import Evidence
from harness.reporting.figure import style
from harness.reporting.palette import INK, MUTED, PAPER
from harness.reporting.run_figures import heat_map

CAPTION = (
    "P1 in mm of every joint where it is on the body, mean over seeds, on one scale for all; the worst joint of each "
    "model has its figure. The person faces the reader, so that the right hand (R) is at the left; the pelvis is the "
    "root and has no error."
)
#: A person standing at ease, seen from the front: to the right of the page and up, in heights from the ankles to the
#: top of the head, from the pelvis.
POSE: Mapping[str, tuple[float, float]] = {
    "pelvis": (0.0, 0.0), "spine": (0.0, 0.145), "thorax": (0.0, 0.285), "neck": (0.0, 0.355), "head": (0.0, 0.455),
    "right hip": (-0.075, -0.01), "right knee": (-0.09, -0.275), "right ankle": (-0.105, -0.535),
    "left hip": (0.075, -0.01), "left knee": (0.09, -0.275), "left ankle": (0.105, -0.535),
    "right shoulder": (-0.115, 0.27), "right elbow": (-0.185, 0.105), "right wrist": (-0.22, -0.055),
    "left shoulder": (0.115, 0.27), "left elbow": (0.185, 0.105), "left wrist": (0.22, -0.055),
}  # fmt: skip
#: Inches: the panel of a body, the scale below all, and its bar.
_WIDTH, _HEIGHT, _BELOW, _BAR_WIDTH, _BAR_HEIGHT = 1.5, 2.3, 0.62, 2.6, 0.1
#: Bodies in a row, letters of a line of a title and lines of it, steps of the scale's bar.
_COLUMNS, _LETTERS, _LINES, _STEPS = 6, 21, 3, 24
_LIMITS = {"xlim": (-0.36, 0.36), "ylim": (-0.64, 0.52)}
_TITLE_SIZE = 8.5


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """The best entry first; a joint without a figure is open."""
    errors = {title: joints for title, joints in _errors(group).items() if np.isfinite(list(joints.values())).any()}
    if not errors:
        return None
    known = [value for joints in errors.values() for value in joints.values() if np.isfinite(value)]
    scale = Normalize(min(known), max(max(known), min(known) + 1e-9))
    rows = -(-len(errors) // _COLUMNS)
    columns = -(-len(errors) // rows)
    titles = {title: _title(title) for title in errors}
    above = 0.15 * max(map(row_labels.lines, titles.values())) + 0.12
    width = max(columns * _WIDTH, _BAR_WIDTH + 0.8)
    with style():
        canvas = sheet.Canvas.bare(width, rows * (above + _HEIGHT) + _BELOW)
        first = (width - columns * _WIDTH) / 2
        for index, (title, joints) in enumerate(errors.items()):
            row, column = divmod(index, columns)
            axes = canvas.axes(
                first + column * _WIDTH, row * (above + _HEIGHT) + above, _WIDTH, _HEIGHT
            )  # fmt: skip
            _draw_body(axes, joints, scale)
            axes.set_title(titles[title], fontsize=_TITLE_SIZE, loc="center", fontweight="normal", pad=4)
        _draw_scale(canvas, scale, (width - _BAR_WIDTH) / 2, rows * (above + _HEIGHT) + 0.1)
    return canvas.figure


def _errors(group: Group) -> dict[str, dict[str, float]]:
    """Title -> joint -> mm, without the root."""
    values = heat_map.means_by_name(group, "accuracy.per_joint").drop(columns=JOINT_NAMES[ROOT], errors="ignore")
    return {
        str(title): {
            name: float(row[name]) if name in row else np.nan for name in JOINT_NAMES if name != JOINT_NAMES[ROOT]
        }
        for title, row in values.iterrows()
    }


def _title(title: str) -> str:
    lines = row_labels.wrapped(title, _LETTERS).split("\n")
    return "\n".join([*lines[: _LINES - 1], row_labels.shortened(" ".join(lines[_LINES - 1 :]), _LETTERS)]).rstrip()


def _draw_body(axes: Axes, joints: Mapping[str, float], scale: Normalize) -> None:
    places = np.array([POSE[name] for name in JOINT_NAMES])
    bones = [places[list(bone)] for bone in BONES]
    axes.add_collection(LineCollection(bones, colors=MUTED, linewidths=1.6, capstyle="round", zorder=1))
    shades = heat_map.colours()
    axes.plot(*POSE[JOINT_NAMES[ROOT]], "o", markersize=4, color=MUTED, markeredgewidth=0, zorder=2)
    worst = max(joints, key=lambda name: -np.inf if np.isnan(joints[name]) else joints[name])
    at = np.array([POSE[name] for name in joints])
    axes.scatter(
        at[:, 0], at[:, 1], s=90, zorder=3, clip_on=False,
        facecolors=[shades(scale(error)) if np.isfinite(error) else PAPER for error in joints.values()],
        edgecolors=[INK if name == worst else MUTED for name in joints],
        linewidths=[1.8 if name == worst else 0.8 for name in joints],
    )  # fmt: skip
    _write_worst(axes, worst, joints[worst])
    for side, x in (("R", -0.19), ("L", 0.19)):
        axes.text(x, -0.6, side, ha="center", va="center", fontsize=8.5, color=MUTED)
    axes.set(aspect="equal", xticks=[], yticks=[], **_LIMITS)
    axes.spines[:].set_visible(False)


def _write_worst(axes: Axes, name: str, error: float) -> None:
    """The figure beside its joint where no bone is: on the outer side, and below a wrist."""
    x, y = POSE[name]
    shift, across, along = ((0, -8), "center", "top")
    if abs(x) < 0.01:
        shift, across, along = ((9, 0), "left", "center")
    elif abs(x) < 0.2:
        shift, across, along = ((9 if x > 0 else -9, 0), "left" if x > 0 else "right", "center")
    axes.annotate(
        f"{error:.0f}", (x, y), shift, textcoords="offset points", ha=across, va=along, fontsize=9, fontweight="bold"
    )


def _draw_scale(canvas: sheet.Canvas, scale: Normalize, left: float, below: float) -> None:
    low, high = float(scale.vmin or 0.0), float(scale.vmax or 0.0)
    axes = canvas.axes(left, below, _BAR_WIDTH, _BAR_HEIGHT)
    edges = np.linspace(low, high, _STEPS + 1)
    shades = heat_map.colours()
    for start, end in pairwise(edges):
        axes.barh(0, 1.02 * (end - start), left=start, height=1, color=shades(scale((start + end) / 2)), linewidth=0)
    axes.set(xlim=(low, high), ylim=(-0.5, 0.5), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(length=0, labelsize=8.5)
    axes.set_xlabel("P1 of a joint (mm)", fontsize=8.5)
    axes.spines[:].set_visible(False)
