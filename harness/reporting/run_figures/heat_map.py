"""A table of errors whose cells are coloured: entries against joints or actions, the figure in every cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from harness.comparison.group import Group
from harness.printable import encodable
from harness.reporting import row_labels
from harness.reporting.cost_figures import sheet
from harness.reporting.figure import style
from harness.reporting.palette import INK

#: Inches: a cell, one of many rows, what stands right of and below the table.
_CELL_WIDTH, _CELL_HEIGHT, _LOW_CELL_HEIGHT, _MARGIN = 0.41, 0.31, 0.25, 0.12
#: Colours between which those of errors lie; both ends are seen on white and on dark paper.
_SHADES = ("#e8f0f6", "#8fbfdc", "#2a86bd", "#0d3f63")
#: More columns than this stand as rows instead.
_MOST_COLUMNS = 20
#: Degrees by which the names of columns are turned, letters of theirs, and of a line of the names of rows.
_TURNED, _LETTERS, _ROW_LETTERS = 40, 44, 40
_TEXT_SIZE = 8.5


def colours() -> Colormap:
    """From light to dark with the error; the same for every figure of errors."""
    return sns.blend_palette(_SHADES, as_cmap=True)


def means_by_name(group: Group, path: str) -> pd.DataFrame:
    """One row an entry, one column a name: mean P1 over seeds in mm, of the entries that have it."""
    rows = {
        encodable(entry.title): {encodable(name): mm for name, mm in entry.p1_by_name(path).items()}
        for entry in group.scored
    }
    return pd.DataFrame.from_dict({title: row for title, row in rows.items() if row}, orient="index")


def draw(values: pd.DataFrame) -> Figure | None:
    """``values`` in mm, an entry a row; the lowest of each column is bold. None where there is nothing in it.

    Where there are many columns, they are the rows of the figure, and entries its columns.
    """
    if values.empty or values.isna().all().all():
        return None
    best = values.eq(values.min()) & (len(values) > 1)
    if len(values.columns) > _MOST_COLUMNS:
        values, best = values.T, best.T
    rows = [row_labels.wrapped(str(name), _ROW_LETTERS) for name in values.index]
    columns = [row_labels.shortened(str(name), _LETTERS) for name in values.columns]
    lowest = _CELL_HEIGHT if len(rows) <= _MOST_COLUMNS else _LOW_CELL_HEIGHT
    cell_height = max(lowest, 0.15 * max(map(row_labels.lines, rows)) + 0.04)
    left, above, right = row_labels.width(rows) + 0.15, _height_of_turned(columns), _width_of_turned(columns)
    wide, high = _CELL_WIDTH * len(columns), cell_height * len(rows)
    with style():
        canvas = sheet.Canvas.bare(left + wide + max(right, _MARGIN), above + high + _MARGIN)
        axes = canvas.axes(left, above, wide, high)
        _fill(axes, values.to_numpy(dtype=float), best.to_numpy())
        axes.xaxis.tick_top()
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=_TURNED, ha="left", rotation_mode="anchor")
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.tick_params(length=0, labelcolor=INK, labelsize=row_labels.SIZE, pad=3)
        axes.spines[:].set_visible(False)
    return canvas.figure


def _fill(axes: Axes, values: np.ndarray, best: np.ndarray) -> None:
    """Cells with their figures; one without is left open."""
    scale = Normalize(np.nanmin(values), max(np.nanmax(values), np.nanmin(values) + 1e-9))
    shades = colours()(scale(np.nan_to_num(values, nan=float(np.nanmin(values)))))
    axes.set(xlim=(0, values.shape[1]), ylim=(values.shape[0], 0))
    known = np.argwhere(np.isfinite(values))
    cells = PathCollection(
        [Path.unit_rectangle()], offsets=known[:, ::-1] + (0.03, 0.04), offset_transform=axes.transData,
        facecolors=[shades[row, column] for row, column in known], linewidths=0, clip_on=False,
    )  # fmt: skip
    # All are of one shape, which is drawn once and used again: a fraction of the bytes of as many rectangles.
    figure = axes.figure
    assert isinstance(figure, Figure)
    rows, columns = values.shape
    wide, high = axes.bbox.width / figure.dpi / columns, axes.bbox.height / figure.dpi / rows
    cells.set_transform(Affine2D().scale(0.94 * wide, -0.92 * high) + figure.dpi_scale_trans)
    axes.add_collection(cells, autolim=False)
    for row, column in known:
        axes.text(
            column + 0.5, row + 0.52, f"{values[row, column]:.0f}", ha="center", va="center", fontsize=_TEXT_SIZE,
            color=writing_on(shades[row, column]), fontweight="bold" if best[row, column] else "normal",
        )  # fmt: skip


def writing_on(colour: Sequence[float]) -> str:
    """Black or white, whichever stands out more on ``colour``."""
    # At this luminance black and white have the same contrast (WCAG 2).
    return "black" if sns.utils.relative_luminance(colour) > 0.18 else "white"


def _height_of_turned(labels: Sequence[str]) -> float:
    """Inches above the table that its turned names take."""
    turned = np.deg2rad(_TURNED)
    return float(row_labels.width(labels) * np.sin(turned) + 0.17 * np.cos(turned) + 0.08)


def _width_of_turned(labels: Sequence[str]) -> float:
    """Inches right of the table that the names at its end take."""
    ends = [
        row_labels.width([label]) * float(np.cos(np.deg2rad(_TURNED))) - _CELL_WIDTH * (len(labels) - index - 0.5)
        for index, label in enumerate(labels)
    ]
    return max(ends) + 0.08
