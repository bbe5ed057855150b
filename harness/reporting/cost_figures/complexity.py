"""Latency and operations of a clip against T, with fitted exponents: how the cost of lifting grows with the clip.

Four panels: what is measured, what is counted when everything is, the part of it where a quadratic term can be, and
the count that papers print, which has no part that is not linear in T.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.complexity.growth import Exponent, fit_operations, growths
from harness.complexity.series import Series, series
from harness.complexity.summary import Summary
from harness.quantity import tick
from harness.reporting import caption
from harness.reporting.cost_figures import curve, kinship, sheet
from harness.reporting.cost_figures.curve import Curve, Quantity, Reading
from harness.reporting.figure import style
from harness.reporting.palette import MUTED, Look
from harness.store.schema import look_up

_WIDTH = 10.6
_PANEL_HEIGHT = 2.6
#: With a row for each kinship, panels may be lower: there are fewer lines in each.
_LOW_PANEL_HEIGHT = 1.75
#: Panels side by side.
_COLUMNS = 2
_QUADRATIC = ("attention", "scan")


def latency(summary: Summary) -> Reading | None:
    """Milliseconds a clip, with the 95 % interval of the median."""
    if summary.samples is None or not summary.point.batch:
        return None
    samples, batch = summary.samples, summary.point.batch
    low_ms = None if samples.low_ms is None else samples.low_ms / batch
    high_ms = None if samples.high_ms is None else samples.high_ms / batch
    return samples.median_ms / batch, low_ms, high_ms


def _count(path: str, summary: Summary) -> Reading | None:
    found = look_up(summary.counts or {}, path)
    return None if found is None else (float(found), None, None)


def _quadratic(summary: Summary) -> Reading | None:
    by_kind = look_up(summary.counts or {}, "by_kind.flops_exact")
    return None if by_kind is None else (float(sum(by_kind.get(kind) or 0 for kind in _QUADRATIC)), None, None)


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


LATENCY = Quantity("Latency", "Latency of a clip", "ms", latency, _milliseconds, measured=True, timed=True)
OPERATIONS = Quantity(
    "Operations", "Operations of a clip", "floating-point operations", functools.partial(_count, "flops_exact"), tick
)
QUADRATIC = Quantity(
    "Attention and scan", "Operations of attention and scan alone", "floating-point operations", _quadratic, tick
)
PUBLISHED = Quantity(
    "MACs by thop", "MACs of a clip as papers count them (thop)", "multiply-accumulates",
    functools.partial(_count, "macs_thop"), tick,
)  # fmt: skip
QUANTITIES = (LATENCY, OPERATIONS, QUADRATIC, PUBLISHED)
#: Titles where a call lifts one new frame: counts are of a forward of the window all the same.
_STREAMING_TITLES = {
    LATENCY.name: "Latency of a new frame",
    OPERATIONS.name: "Operations of the whole window",
    QUADRATIC.name: "Attention and scan of the whole window",
    PUBLISHED.name: "MACs of the whole window (thop)",
}


def draw(summaries: Sequence[Summary]) -> dict[str, Figure]:
    """Figures by name, of points that share conditions and machine; none where none of the points has a figure.

    Up to eight lifters share four panels. More have a row of panels for each kinship, two quantities a figure.
    """
    summaries = kinship.in_order(summaries)
    quantities = _quantities(summaries)
    every = [one for one in series(summaries) if any(curve.readings(one, quantity) for quantity in quantities)]
    if not every:
        return {}
    curves = curves_of(every, quantities)
    shown = [quantity for quantity in quantities if any(one.points for one in curves[quantity.name].values())]
    look = kinship.looks_of(every)
    title, sentences = _title(summaries), _sentences(summaries, every, curves)
    if len(every) <= kinship.MOST_TOGETHER:
        labels = [one.label for one in every]
        rows = [Row("", labels, shown[first : first + _COLUMNS]) for first in range(0, len(shown), _COLUMNS)]
        return {"complexity": _page(title, rows, curves, look, sentences, _PANEL_HEIGHT)}
    pages = [shown[first : first + _COLUMNS] for first in range(0, len(shown), _COLUMNS)]
    return {
        name: _page(
            title, [Row(heading, [one.label for one in members], page) for heading, members in kinship.panels(every)],
            curves, look, sentences, _LOW_PANEL_HEIGHT,
        )
        for name, page in zip(("complexity", "complexity-terms"), pages, strict=False)
    }  # fmt: skip


def _quantities(summaries: Sequence[Summary]) -> tuple[Quantity, ...]:
    if not _is_streaming(summaries):
        return QUANTITIES
    return tuple(replace(quantity, title=_STREAMING_TITLES[quantity.name]) for quantity in QUANTITIES)


def _is_streaming(summaries: Sequence[Summary]) -> bool:
    return any(summary.point.streaming for summary in summaries)


def _title(summaries: Sequence[Summary]) -> str:
    if _is_streaming(summaries):
        return "What a new frame costs as the window grows longer"
    return "What a clip costs as it grows longer"


@dataclass(frozen=True)
class Row:
    """One row of panels: which lifters, and a quantity for each panel."""

    heading: str
    labels: Sequence[str]
    quantities: Sequence[Quantity]


def _page(
    title: str, rows: Sequence[Row], curves: Mapping[str, Mapping[str, Curve]], look: Mapping[str, Look],
    sentences: Sequence[str], height: float,
) -> Figure:  # fmt: skip
    columns = [
        [row.quantities[column].name for row in rows if column < len(row.quantities)] for column in range(_COLUMNS)
    ]
    labels = [sheet.label_width([one for name in names for one in curves[name].values()]) for names in columns if names]
    with style():
        figure, grid = sheet.page(title, sentences, _WIDTH, height, len(rows), labels)
        for row, panels in zip(rows, grid, strict=True):
            for axes in panels[len(row.quantities) :]:
                axes.remove()
            for quantity, axes in zip(row.quantities, panels, strict=False):
                everyone = list(curves[quantity.name].values())
                shown = [one for one in everyone if one.label in row.labels and (one.points or one.missing)]
                panel(axes, quantity, shown, everyone, look, row.heading)
                curve.write_labels(axes, shown, look)
    return figure


def panel(
    axes: Axes, quantity: Quantity, shown: Sequence[Curve], everyone: Sequence[Curve], look: Mapping[str, Look],
    heading: str,
) -> None:  # fmt: skip
    """One quantity of ``shown``, the others faint behind them, on axes that fit everyone."""
    others = [one for one in everyone if one not in shown]
    curve.draw(axes, shown, look, quantity, others)
    if heading:
        axes.set_title(f"{quantity.name}: {heading}", fontsize=8.5)
    if not shown:
        axes.text(0.5, 0.06, "these have none", ha="center", fontsize=8, color=MUTED, transform=axes.transAxes)
    curve.set_frames_axis(axes, everyone)
    curve.set_cost_axis(axes, everyone)
    curve.write_key(axes, shown)


def _sentences(
    summaries: Sequence[Summary], every: Sequence[Series], curves: Mapping[str, Mapping[str, Curve]]
) -> list[str]:
    one_frame = [one.label for one in every if kinship.answers_for_one_frame(one.members[-1])]
    said = [
        "Operations count everything, transcendental functions too; thop's count has no attention product, softmax or "
        "scan in it: by it a lifter whose layers are the same at every T is linear in T."
    ]
    if _is_streaming(summaries):
        said.append(
            "A call lifts one new frame. Operations are those of a forward of all T frames, which is what a lifter "
            "without a state of its own goes through for it; one that keeps a state needs less."
        )
    said += curve.exponents_in_words([one for ones in curves.values() for one in ones.values()])
    if one_frame:
        said.append(f"Answering for one frame of the clip only: {', '.join(one_frame)}.")
    return [
        *said,
        f"{caption.timing(summaries)} {caption.setting(summaries)}",
        *caption.verdicts(summaries),
        *caption.gaps(summaries),
    ]


def curves_of(every: Sequence[Series], quantities: Sequence[Quantity]) -> dict[str, dict[str, Curve]]:
    """Name of the quantity -> label -> curve."""
    exponents = {growth.label: growth.exponents for growth in growths([m for one in every for m in one.members])}
    return {
        quantity.name: {
            one.label: curve.of(
                one, quantity, _exponent(one, quantity, exponents.get(one.label, {})), extrapolate=quantity.timed
            )
            for one in every
        }
        for quantity in quantities
    }


def _exponent(one: Series, quantity: Quantity, known: Mapping[str, Exponent]) -> Exponent | None:
    if quantity.timed:
        return known.get("latency")
    counted = {frames: count for frames, (count, _, _) in curve.readings(one, quantity).items()}
    return fit_operations(list(counted), list(counted.values()))
