"""A sheet of poses to look at: what the detector found in the image, and the truth in space, a row for a sequence.

A look at it tells what figures hide: a person upside down, sides exchanged, 2D and 3D of different people. Left limbs
are blue, right ones orange, whatever the view.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from harness import atomic_file
from harness.data.checks.look import Look
from harness.data.sequence import Dataset, Sequence
from harness.data.skeleton import BONES, JOINT_COUNT, LEFT, RIGHT, ROOT
from harness.errors import BadInput
from harness.reporting.figure import style, to_png, to_svg
from harness.reporting.palette import COLOURS, INK, LINE, MUTED, PAPER

Array = NDArray[Any]

ROWS = 6
SPINE, LEFT_SIDE, RIGHT_SIDE = INK, COLOURS[0], COLOURS[1]
#: What a keypoint without any confidence keeps of its colour.
_FAINTEST = 0.12
_HEADINGS = ("the person in the image", "3D truth as the camera sees it", "3D truth from the camera's right")
_MARGIN = 0.12


def draw(dataset: Dataset, path: Path, rows: int = ROWS) -> None:
    """Write the sheet of ``rows`` sequences to ``path``: PNG, or SVG or PDF where its suffix says so.

    The same set gives the same sheet. Raises BadInput for another suffix, fewer than one row, or a set of no frame that
    can be drawn, and CannotWrite.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise BadInput(f"{path}: a sheet is written as {', '.join(_WRITERS)}")
    atomic_file.write(path, writer(sheet(dataset, rows)))


def sheet(dataset: Dataset, rows: int = ROWS) -> Figure:
    """The figure itself. Raises BadInput for fewer than one row, or a set of no frame that can be drawn."""
    if rows < 1:
        raise BadInput(f"--sequences {rows}: a sheet shows at least 1")
    looks = [Look(sequence, dataset.joints) for sequence in choose(dataset, rows)]
    looks = [look for look in looks if len(look)]
    if not looks:
        raise BadInput(f"{dataset.name}: no frame can be drawn; harness data validate says what is wrong")
    with style():
        figure = Figure(
            figsize=(11.0, 0.75 + 2.75 * len(looks)), layout=ConstrainedLayoutEngine(h_pad=0.1, hspace=0.03)
        )
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(looks), 4, squeeze=False)
        for row, look in zip(panels, looks, strict=True):
            _draw_row(row, look, len(look) // 2)
        for axes, heading in zip(panels[0, 1:], _HEADINGS, strict=True):
            axes.set_title(heading, fontsize=9, fontweight="normal", color=MUTED, pad=16)
        figure.legend(handles=_legend(), loc="outside lower center", ncols=5)
    return figure


def choose(dataset: Dataset, count: int) -> list[Sequence]:
    """Sequences of as many parts, subjects, actions and cameras as there can be; always the same ones."""
    parts = [(part, one) for part, ones in (("train", dataset.train), ("test", dataset.test)) for one in ones]
    # By digest, since names in their order are of one subject for long.
    left = sorted(((part, one) for part, one in parts if len(one)), key=lambda entry: _shuffled(entry[1].name))
    seen: Counter[tuple[str, str]] = Counter()
    chosen: list[Sequence] = []
    while left and len(chosen) < count:
        kinds = [_kinds(part, one) for part, one in left]
        best = min(range(len(left)), key=lambda index: [seen[kind] for kind in kinds[index]])
        seen.update(kinds[best])
        chosen.append(left.pop(best)[1])
    return chosen


def _shuffled(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _kinds(part: str, one: Sequence) -> list[tuple[str, str]]:
    return [("subject", one.subject), ("action", one.action), ("camera", one.camera.name), ("part", part)]


def _draw_row(row: Many[Axes], look: Look, frame: int) -> None:
    one = look.sequence
    image, person, front, side = row
    keypoints, confidence = look.keypoints[frame], np.clip(one.confidence[look.frames[frame]], 0, 1)
    truth = None if look.pixels is None else look.pixels[frame]
    for axes, width in ((image, 1.2), (person, 2.0)):
        axes.set_aspect("equal")
        axes.add_patch(Rectangle((0, 0), *map(float, one.image_size), facecolor="none", edgecolor=MUTED, linewidth=0.8))
        if truth is not None:
            _draw_bones(axes, truth, look.joints, np.ones(JOINT_COUNT), 0.6 * width, MUTED)
        _draw_bones(axes, keypoints, range(JOINT_COUNT), confidence, width)
        _draw_joints(axes, keypoints, confidence, width)
        _strip(axes)
    _frame_image(image, one.image_size)
    _frame_person(person, keypoints[confidence > 0], truth, look.joints)
    pose, unit, step = _pose(look, frame)
    _draw_view(front, pose[:, [0, 1]], -pose[:, 2], look.joints, unit, step)
    _draw_view(side, pose[:, [2, 1]], pose[:, 0], look.joints, unit, step)
    image.set_anchor("W")
    _title(image, look, frame)


def _title(axes: Axes, look: Look, frame: int) -> None:
    one = look.sequence
    axes.set_title(f"{one.subject}   {one.action}   {one.camera.name}", fontsize=10, pad=16)
    errors = np.full(1, np.nan) if look.errors_px is None else look.errors_px[frame]
    found = np.isfinite(errors)
    error = f"2D {errors[found].mean():.1f} px from the truth (mean)" if found.any() else "2D error not known"
    axes.annotate(
        f"frame {look.frames[frame]} of {len(one)}, {error}", (0, 1), (0, 5), xycoords="axes fraction",
        textcoords="offset points", color=MUTED, fontsize=8.5,
    )  # fmt: skip


def _pose(look: Look, frame: int) -> tuple[Array, str, float]:
    """(17, 3) the truth from the pelvis, its unit, and how far the lines of its grid are apart."""
    pose = look.truth[frame] - look.truth[frame, ROOT]
    factor = look.sequence.mm_per_pixel
    if factor is None:
        return pose, "mm", 500.0
    millimetres = float(factor[look.frames[frame]])
    return (pose * millimetres, "mm", 500.0) if np.isfinite(millimetres) else (pose, "px", 100.0)


def _draw_view(axes: Axes, points: Array, nearness: Array, joints: Many[int], unit: str, step: float) -> None:
    """``points`` (17, 2) to the right and down, ``nearness`` (17,) to the viewer."""
    shown = points[joints]
    middle = (shown.min(axis=0) + shown.max(axis=0)) / 2
    reach = max(1.1 * step, (1 + _MARGIN) * float(np.ptp(shown, axis=0).max()) / 2)
    axes.set_aspect("equal")
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] + reach, middle[1] - reach))
    for place, lines in zip(middle, (axes.axvline, axes.axhline), strict=True):
        first = np.ceil((place - reach) / step)
        for number in np.arange(first, (place + reach) / step):
            lines(number * step, color=LINE, linewidth=0.7, zorder=0.5)
    _draw_bones(axes, points, joints, np.ones(JOINT_COUNT), 2.0, order=nearness)
    axes.annotate(
        f"grid {step:g} {unit}", (1, 0), (-2, 3), xycoords="axes fraction", textcoords="offset points", ha="right",
        color=MUTED, fontsize=7.5, bbox={"facecolor": PAPER, "linewidth": 0, "pad": 1},
    )  # fmt: skip
    _strip(axes)


def _draw_bones(
    axes: Axes,
    points: Array,
    joints: Many[int],
    opacity: Array,
    width: float,
    colour: str | None = None,
    order: Array | None = None,
) -> None:
    """Bones between ``joints``, each as opaque as its fainter end; the nearer ones by ``order`` over the others."""
    bones = [bone for bone in BONES if {*bone} <= {*joints} and np.isfinite(points[list(bone)]).all()]
    if order is not None:
        bones.sort(key=lambda bone: float(order[list(bone)].sum()))
    colours = [to_rgba(colour or _colour(joint), _opacity(opacity[[parent, joint]].min())) for parent, joint in bones]
    lines = LineCollection([points[list(bone)] for bone in bones], colors=colours, linewidths=width, capstyle="round")
    axes.add_collection(lines, autolim=False)


def _draw_joints(axes: Axes, points: Array, opacity: Array, width: float) -> None:
    colours = [to_rgba(_colour(joint), _opacity(opacity[joint])) for joint in range(JOINT_COUNT)]
    axes.scatter(points[:, 0], points[:, 1], s=4 * width, color=colours, linewidths=0, zorder=2.1)


def _opacity(confidence: float) -> float:
    return _FAINTEST + (1 - _FAINTEST) * float(confidence)


def _colour(joint: int) -> str:
    return LEFT_SIDE if joint in LEFT else RIGHT_SIDE if joint in RIGHT else SPINE


def _frame_image(axes: Axes, size: Array) -> None:
    margin = 0.02 * float(size.max())
    axes.set(xlim=(-margin, size[0] + margin), ylim=(size[1] + margin, -margin))


def _frame_person(axes: Axes, keypoints: Array, truth: Array | None, joints: Many[int]) -> None:
    """A square about all that is known of the person."""
    points = keypoints if truth is None else np.concatenate([keypoints, truth[list(joints)]])
    points = points[np.isfinite(points).all(axis=-1)]
    if not len(points):
        return
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = max(1.0, (1 + _MARGIN) * float(np.ptp(points, axis=0).max()) / 2)
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] + reach, middle[1] - reach))


def _strip(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=LEFT_SIDE, linewidth=2.0, label="left"),
        Line2D([], [], color=RIGHT_SIDE, linewidth=2.0, label="right"),
        Line2D([], [], color=SPINE, linewidth=2.0, label="spine"),
        Line2D([], [], color=LEFT_SIDE, linewidth=2.0, alpha=_opacity(0.1), label="little confidence"),
        Line2D([], [], color=MUTED, linewidth=1.2, label="truth in the image"),
    ]


def _to_pdf(figure: Figure) -> bytes:
    file = io.BytesIO()
    with style():
        figure.savefig(file, format="pdf", metadata={"Creator": None, "Producer": None, "CreationDate": None})
    return file.getvalue()


_WRITERS: dict[str, Callable[[Figure], bytes]] = {".png": to_png, ".svg": to_svg, ".pdf": _to_pdf}
