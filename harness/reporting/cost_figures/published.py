"""Printed MACs and parameters of published lifters beside what the same lifters have when everything is counted.

The rows are those of ``harness.reproduction.Comparison.as_dict``: one for each figure of each source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from harness.quantity import prefixed
from harness.reporting import placement
from harness.reporting.cost_figures import sheet
from harness.reporting.figure import style
from harness.reporting.palette import COLOURS, INK, MUTED, PAPER
from harness.store.schema import Record

#: What a row must have.
NEEDED = {
    "model", "frames", "options", "metric", "unit", "printed", "counted_by", "ours", "verdict", "why", "everything",
    "flops_exact", "source",
}  # fmt: skip
#: The command that makes the table.
MADE_BY = "harness compare published"
#: The units of ``harness.published``.
UNITS = {"G": 1e9, "M": 1e6}
#: The largest share of everything that the axis shows; what was printed by mistake may be larger.
_HIGHEST = 1.18
#: The metrics that are drawn; what is printed per output frame follows from the rest.
_TITLES = {"compute": "Multiply-accumulates of a clip", "parameters": "Parameters"}
#: The verdict of harness.reproduction, which needs torch.
NOT_MATCHED = "not matched"
#: Inches: page, one lifter, what stands above and below the panels, between them, and right of them for ratios.
_WIDTH, _STEP, _ABOVE, _BELOW, _BETWEEN, _RATIO = 10.6, 0.2, 0.62, 0.55, 0.25, 0.5
_BLUE, _VERMILION, _GREEN, _, _ORANGE = COLOURS[:5]


@dataclass(frozen=True)
class Figures:
    """Of one metric of one lifter, in operations or parameters: what sources print, and our counts.

    ``printed`` has each value with whether ours has its digits. ``ours`` are our counts under the sources' conventions.
    ``all_products`` is fvcore's count, ``everything`` every parameter, or half of all operations.
    """

    printed: tuple[tuple[float, bool], ...] = ()
    ours: tuple[float, ...] = ()
    all_products: float | None = None
    everything: float | None = None

    def added(self, row: Record) -> Figures:
        """With what one more row says."""
        # A multiplication and its addition count once in this figure, whatever the source calls its column.
        once = UNITS[row["unit"]] / (2 if row["counted_by"].startswith("2 x") else 1)
        unit = UNITS[row["unit"]]
        is_size = row["metric"] == "parameters"
        return Figures(
            printed=(*self.printed, (once * row["printed"], row["verdict"] != NOT_MATCHED)),
            ours=tuple(dict.fromkeys((*self.ours, once * row["ours"]))),
            all_products=None if is_size else unit * row["everything"],
            everything=unit * (row["everything"] if is_size else row["flops_exact"] / 2),
        )


def draw(rows: Sequence[Record]) -> dict[str, Figure]:
    """The figure by its name; none where no row has a printed figure that is drawn."""
    lifters = _lifters(rows)
    if not lifters:
        return {}
    names = max(placement.text_width(name, 8.5) for name in lifters) / 72 + 0.2
    height = _STEP * len(lifters) + 0.1
    width = (_WIDTH - names - _BETWEEN - len(_TITLES) * _RATIO) / len(_TITLES)
    with style():
        canvas = sheet.Canvas.blank(
            "What is printed, and what there is", _sentences(rows), _WIDTH, _ABOVE + height + _BELOW
        )
        for index, metric in enumerate(_TITLES):
            axes = canvas.axes(names + index * (width + _RATIO + _BETWEEN), _ABOVE, width, height)
            _draw_panel(axes, metric, [figures[metric] for figures in lifters.values()])
            axes.set_yticks(range(len(lifters)), [] if index else list(lifters), fontsize=8.5, color=INK)
        _write_key(canvas)
    return {"published": canvas.figure}


def _lifters(rows: Sequence[Record]) -> dict[str, dict[str, Figures]]:
    """Name -> metric -> figures: models and their options in the order in which the rows first name them, then T."""
    drawn = sorted((row for row in rows if row["metric"] in _TITLES), key=lambda row: row["metric"] != "compute")
    models = list(dict.fromkeys(row["model"] for row in drawn))
    variants = list(dict.fromkeys(map(_variant, drawn)))
    found: dict[str, dict[str, Figures]] = {}
    for row in sorted(
        drawn, key=lambda row: (models.index(row["model"]), variants.index(_variant(row)), row["frames"])
    ):
        figures = found.setdefault(_name(row), dict.fromkeys(_TITLES, Figures()))
        figures[row["metric"]] = figures[row["metric"]].added(row)
    return found


def _variant(row: Record) -> tuple[str, str]:
    return row["model"], row.get("options") or ""


def _name(row: Record) -> str:
    options = ", ".join(word.replace("=", " ").replace("_", " ") for word in (row.get("options") or "").split())
    return f"{row['model']}{f' ({options})' if options else ''}, T = {row['frames']}"


def _draw_panel(axes: Axes, metric: str, lifters: Sequence[Figures]) -> None:
    """Every figure as a share of everything, whose absolute value stands at the right."""
    for level, lifter in enumerate(lifters):
        whole = lifter.everything
        if not whole:
            axes.text(0.02, level, "none printed", va="center", fontsize=8, color=MUTED)
            continue
        shares = [ours / whole for ours in lifter.ours]
        axes.plot([min(shares), 1], [level, level], color=MUTED, linewidth=1.2, zorder=1)
        marks = [(lifter.all_products, PRODUCTS), (whole, ALL), *((ours, OURS) for ours in lifter.ours)]
        marks += [(value, MATCHED if matched else _UNMATCHED) for value, matched in lifter.printed]
        for order, (value, marker) in enumerate(marks):
            if value:
                _draw_mark(axes, value / whole, level, {**marker, "zorder": 2 + 0.01 * order})
        axes.annotate(
            prefixed(whole), (1, level), (6, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            va="center", fontsize=8, color=MUTED,
        )  # fmt: skip
    axes.set_xlim(0, _HIGHEST)
    axes.set_ylim(len(lifters) - 0.4, -0.6)
    axes.set_title(_TITLES[metric], fontsize=10)
    axes.set_xlabel("share of everything", fontsize=9)
    axes.xaxis.set_major_locator(FixedLocator((0, 0.25, 0.5, 0.75, 1)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.grid(axis="x")
    axes.grid(axis="y", linewidth=0.3)
    axes.tick_params(length=0, labelsize=8.5)


def _draw_mark(axes: Axes, share: float, level: int, marker: Mapping[str, Any]) -> None:
    """The mark, or at the edge an arrow in its colour where it lies far outside."""
    if share > _HIGHEST:
        axes.plot(_HIGHEST * 0.985, level, linestyle="", **{**marker, "marker": ">"})
    else:
        axes.plot(share, level, linestyle="", clip_on=False, **marker)


#: Marks: ours by the sources' convention, by fvcore, everything, and what is printed.
OURS: dict[str, Any] = {"marker": "|", "color": INK, "markersize": 9, "markeredgewidth": 1.6}
PRODUCTS: dict[str, Any] = {"marker": "^", "color": _GREEN, "markersize": 5, "markeredgewidth": 0}
ALL: dict[str, Any] = {"marker": "s", "color": _ORANGE, "markersize": 5, "markeredgewidth": 0}
MATCHED: dict[str, Any] = {"marker": "o", "color": _BLUE, "markersize": 5.2, "markeredgewidth": 0}
_UNMATCHED: dict[str, Any] = {
    "marker": "o", "markerfacecolor": PAPER, "markeredgecolor": _VERMILION, "markersize": 5.2, "markeredgewidth": 1.2,
}  # fmt: skip
_KEY = (
    (MATCHED, "printed, reproduced to the digit"),
    (_UNMATCHED, "printed, not reproduced"),
    (OURS, "ours by the same convention"),
    (PRODUCTS, "products, scans and norms (fvcore)"),
    (ALL, "everything, at the right in figures"),
)


def _write_key(canvas: sheet.Canvas) -> None:
    handles = [Line2D([], [], linestyle="", label=label, **marker) for marker, label in _KEY]
    high = canvas.figure.get_size_inches()[1]
    canvas.figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.005, canvas.top / high + 0.02 / high), ncols=len(handles),
        fontsize=8, handletextpad=0.2, columnspacing=1.2, borderpad=0,
    )  # fmt: skip


def _sentences(rows: Sequence[Record]) -> list[str]:
    drawn = [row for row in rows if row["metric"] in _TITLES]
    others = list(dict.fromkeys(f"{_name(row)} [{row['source']}]" for row in drawn if row["verdict"] == NOT_MATCHED))
    matched = sum(row["verdict"] != NOT_MATCHED for row in drawn)
    said = [
        f"{matched} of {len(drawn)} printed figures are reproduced to their last digit by the counter that their "
        "source used, thop of one version or another for most. It sees layers alone: no attention product, no "
        "selective scan, no parameter held outside a layer. Everything is every parameter, and half of all "
        "floating-point operations. Figures that count a multiplication and its addition apart are halved; arrows lie "
        "further right.",
    ]
    if others:
        said.append(f"Not reproduced, the reasons are in the table of {MADE_BY}: {'; '.join(others)}.")
    return said
