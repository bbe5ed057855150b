"""One figure of stored classification runs: accuracy against operations, and latency against the number of points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from harness.classification.table import Entry, groups
from harness.progress import Say
from harness.quantity import tick
from harness.reporting import figure
from harness.reporting.palette import MUTED, Look, looks
from harness.store.schema import Record


def draw(records: Iterable[Record], say: Say) -> dict[str, bytes]:
    """File name -> content, SVG and PNG, of the largest group; none without a finished run.

    ``say`` gets a line about what is not in it.
    """
    found = groups(records)
    group = next((group for group in found if any(entry.runs for entry in group.entries)), None)
    if group is None:
        return {}
    left_out = [other.protocol for other in found if other is not group]
    left_out += [entry.label for entry in group.entries if entry.mean("cost.flops_exact") is None]
    if left_out:
        say(f"the figure is of {group.protocol}; not in it: {', '.join(left_out)}")
    entries = [entry for entry in group.entries if entry.runs]
    members = [(entry.label, entry.first["config"]["model"], entry.first["cost"]["params_total"]) for entry in entries]
    styles = looks(members)
    with figure.style():
        drawn = figure.blank(11.0, 3.8)
        drawn.suptitle(group.protocol, fontsize=8, color=MUTED)
        accuracy, latency = drawn.subplots(1, 2)
        for entry in entries:
            _accuracy(accuracy, entry, styles[entry.label])
            _latency(latency, entry, styles[entry.label])
        for name, floor in group.floors.items():
            accuracy.axhline(floor["overall_percent"], color=MUTED, linewidth=0.8, linestyle=":")
            accuracy.annotate(f"floor: {name}", (0.01, floor["overall_percent"]), xycoords=("axes fraction", "data"),
                              va="bottom", fontsize=7, color=MUTED)  # fmt: skip
        _label(accuracy, "operations of one cloud (FLOPs, exact)", "overall accuracy, %", "Accuracy and operations")
        _label(latency, "points of one cloud", "latency, ms", "Latency and points")
        _scale_by_factors(latency, "y")
        # Outside the axes: it names the marks of both panels.
        latency.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return {"classification.svg": figure.to_svg(drawn), "classification.png": figure.to_png(drawn)}


def _accuracy(axes: Axes, entry: Entry, look: Look) -> None:
    operations, overall = entry.mean("cost.flops_exact"), entry.mean("accuracy.overall_percent")
    if operations is None or overall is None:
        return
    axes.plot([operations], [overall], marker=look.marker, color=look.colour, linestyle="none")


def _latency(axes: Axes, entry: Entry, look: Look) -> None:
    rows = [row for row in entry.first["cost"]["by_points"] if row.get("latency_ms")]
    axes.plot([row["points"] for row in rows], [row["latency_ms"] for row in rows], label=entry.label,
              marker=look.marker, color=look.colour, linestyle=look.dashes)  # fmt: skip


def _label(axes: Axes, x: str, y: str, title: str) -> None:
    _scale_by_factors(axes, "x")
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.margins(x=0.25)


def _scale_by_factors(axes: Axes, name: Literal["x", "y"]) -> None:
    """Logarithmic, with ticks at 1, 2 and 5 of each decade."""
    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    # Where there are too few of these ticks matplotlib puts others between, which tick would round.
    axis.set_major_formatter(lambda value, _: tick(value) if value >= 1000 else f"{value:g}")
    axis.set_minor_locator(NullLocator())
