"""Printed parameters and operations of the group's lifters beside what the records count, by name of the convention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from harness import published
from harness.comparison.group import Entry, Group
from harness.published import Row
from harness.quantity import tick
from harness.reporting import row_labels
from harness.reporting.cost_figures import sheet
from harness.reporting.cost_figures.matches import inference_options
from harness.reporting.cost_figures.published import ALL, MATCHED, OURS, PRODUCTS, UNITS
from harness.reporting.evidence import Evidence
from harness.reporting.figure import style
from harness.reporting.palette import INK, MUTED

CAPTION = (
    "What papers print of these models at the same T and options, beside what is there: thop, the papers' counter, "
    "sees layers alone, fvcore counts attention, einsums and scans, too, and everything is every parameter, or half of "
    "all floating-point operations. Printed figures that count a multiplication and its addition apart are halved."
)
#: Inches: the figure, a row, what stands above and below the panels, between them and right of them, and of the key.
_WIDTH, _ROW, _ABOVE, _BELOW, _BETWEEN, _RIGHT = 10.6, 0.34, 0.32, 0.86, 0.75, 0.2
_PANELS = {"parameters": "Parameters", "compute": "Multiply-accumulates of a clip"}


@dataclass(frozen=True)
class Counts:
    """``printed`` by sources, and the record's own by thop, by fvcore and of everything; None where there is none."""

    printed: tuple[float, ...]
    thop: float | None
    products: float | None
    everything: float | None

    @property
    def all(self) -> list[float]:
        return [*self.printed, *(value for value in (self.thop, self.products, self.everything) if value)]


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """A row for each lifter with a printed figure; None where no entry has one."""
    lifters = {name: counts for name, counts in map(_lifter, _distinct(group.scored)) if counts}
    if not lifters:
        return None
    names = [row_labels.wrapped(name) for name in lifters]
    left = row_labels.width(names) + 0.2
    width, height = (_WIDTH - left - _BETWEEN - _RIGHT) / 2, _ROW * len(names) + 0.1
    with style():
        canvas = sheet.Canvas.bare(_WIDTH, _ABOVE + height + _BELOW)
        for index, (metric, title) in enumerate(_PANELS.items()):
            axes = canvas.axes(left + index * (width + _BETWEEN), _ABOVE, width, height)
            _draw_panel(axes, title, [counts.get(metric) for counts in lifters.values()])
            axes.set_yticks(range(len(names)), [] if index else names)
        _write_key(canvas)
    return canvas.figure


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """One entry for each model, T and options: recipes change no count."""
    found: dict[tuple[str, int, str], Entry] = {}
    for entry in entries:
        found.setdefault((entry.model, entry.frames, str(sorted(_options(entry).items()))), entry)
    return list(found.values())


def _options(entry: Entry) -> dict[str, Any]:
    return inference_options(entry.any_run["config"])


def _lifter(entry: Entry) -> tuple[str, Mapping[str, Counts]]:
    """Its name with its T, and its counts by metric, of those that are printed."""
    rows = [
        row
        for row in published.of(entry.model)
        if row.frames == entry.frames and dict(row.options) == _options(entry)
    ]  # fmt: skip
    own = {
        "parameters": Counts(
            _printed(rows, "parameters"), _mean(entry, "params_thop"), None, _mean(entry, "params_total")
        ),
        "compute": Counts(
            _printed(rows, "compute"), _mean(entry, "macs_thop"), _mean(entry, "macs_fvcore"),
            None if (flops := _mean(entry, "flops_exact")) is None else flops / 2,
        ),
    }  # fmt: skip
    name = entry.title if f"T={entry.frames}" in entry.title else f"{entry.title}, T={entry.frames}"
    return name, {metric: counts for metric, counts in own.items() if counts.printed}


def _mean(entry: Entry, name: str) -> float | None:
    return entry.mean(f"cost.{name}")


def _printed(rows: Sequence[Row], metric: str) -> tuple[float, ...]:
    """Each value once, a multiplication and its addition counted together."""
    found = []
    for row in rows:
        figure = row.figure(metric)
        if figure is not None:
            twice = (figure.convention or "").startswith("2 x") or (
                figure.convention is None and figure.label == "FLOPs"
            )
            found.append(UNITS[figure.unit] * figure.value / (2 if twice else 1))
    return tuple(sorted(dict.fromkeys(found)))


def _draw_panel(axes: Axes, title: str, lifters: Sequence[Counts | None]) -> None:
    values = [value for counts in lifters if counts for value in counts.all]
    axes.set_xscale("log")
    if values:
        low, high = min(values), max(values)
        margin = (high / low) ** 0.06 * 1.12
        axes.set_xlim(low / margin, high * margin)
    for level, counts in enumerate(lifters):
        if counts is None:
            axes.text(
                0.02, level, "none printed", va="center", fontsize=8, color=MUTED, transform=axes.get_yaxis_transform()
            )
            continue
        axes.plot([min(counts.all), max(counts.all)], [level, level], color=MUTED, linewidth=1.1, zorder=1)
        marks = [(counts.products, PRODUCTS), (counts.everything, ALL), (counts.thop, OURS)]
        for order, (value, mark) in enumerate([*((value, MATCHED) for value in counts.printed), *marks]):
            if value:
                axes.plot(value, level, linestyle="", zorder=2 + 0.01 * order, clip_on=False, **mark)
    axes.set_ylim(len(lifters) - 0.4, -0.6)
    axes.set_title(title, fontsize=10)
    few = bool(values) and max(values) / min(values) < 100
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: tick(value))
    axes.grid(axis="x")
    axes.grid(axis="y", linewidth=0.3)
    axes.tick_params(length=0, labelsize=8.5)
    axes.tick_params(axis="y", labelcolor=INK, labelsize=row_labels.SIZE)


def _write_key(canvas: sheet.Canvas) -> None:
    key = ((MATCHED, "printed"), (OURS, "by thop"), (PRODUCTS, "by fvcore"), (ALL, "everything"))
    handles = [Line2D([], [], linestyle="", label=label, **mark) for mark, label in key]
    canvas.figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=len(handles), fontsize=8.5,
        labelcolor=MUTED, handletextpad=0.2,
    )  # fmt: skip
