"""Rate against arithmetic intensity under the machine's own roofs: whole forwards, and each kind of work by itself."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from harness.complexity import series
from harness.complexity.roofline import WHOLE, Peaks, Share, peaks, shares
from harness.complexity.summary import Summary
from harness.errors import BadInput
from harness.measurement.kind import KINDS
from harness.quantity import prefixed, tick
from harness.reporting import caption, placement
from harness.reporting.cost_figures import kinship, sheet
from harness.reporting.figure import style
from harness.reporting.palette import MUTED, Look
from harness.store.schema import Record

#: Inches: page, panel of whole forwards, panels of kinds, what stands left of, above and below a panel, space between.
_WIDTH, _HEIGHT, _LOW_HEIGHT = 10.6, 3.9, 1.75
_LEFT, _ABOVE, _BELOW, _BETWEEN = 0.86, 0.34, 0.52, 0.45
#: Room at the right for the labels of many, of names of so many letters, and for each one more.
_LABELS, _LETTERS, _LETTER = 1.9, 18, 0.2
#: How many of them a panel has room for, and how much higher it is for each one more.
_MOST_LABELS, _LABEL_HEIGHT = 27, 0.16
_COLUMNS = 3
#: Highest over lowest end of an axis that has 2 and 5 of each decade written.
_MOST_BETWEEN = 1000


def draw(summaries: Sequence[Summary], rows: Sequence[Record], frames: int | None = None) -> dict[str, Figure]:
    """The figure by its name, of points that share conditions and machine, at T = ``frames`` or the largest in common.

    None without a point whose operators were timed on a machine whose peaks are known. Raises BadInput where no point
    was measured at ``frames``.
    """
    summaries = kinship.in_order(summaries)
    found = [share for share in shares(summaries, rows) if share.intensity]
    if not found:
        return {}
    chosen = _at(found, frames)
    point = chosen[0].summary
    roofs = peaks(rows)[point.environment_key, point.point.device, point.point.threads]
    look = kinship.looks_of(series.series(summaries))
    kinds = [kind for kind in KINDS if any(share.kind == kind for share in chosen)]
    low_rows = -(-len(kinds) // _COLUMNS)
    step = _ABOVE + _LOW_HEIGHT + _BELOW
    whole = [share for share in chosen if share.kind == WHOLE]
    crowded = len(whole) > kinship.MOST_TOGETHER
    height = _HEIGHT + _LABEL_HEIGHT * max(0, len(whole) - _MOST_LABELS)
    longest = max((len(share.summary.label) for share in whole), default=0)
    right = _LABELS + _LETTER * max(0, longest - _LETTERS) if crowded else 0.2
    with style():
        canvas = sheet.Canvas.blank(
            "How much of the machine is used", _sentences(chosen, roofs), _WIDTH,
            _ABOVE + height + _BELOW + low_rows * step,
        )  # fmt: skip
        axes = canvas.axes(_LEFT, _ABOVE, _WIDTH - _LEFT - right, height)
        _panel(axes, f"Whole forwards, {_lengths(chosen)}", whole, roofs, look, whole)
        _label(axes, whole, look, roofs, crowded)
        width = (_WIDTH - _LEFT - 0.2 - (_COLUMNS - 1) * (_BETWEEN + 0.3)) / _COLUMNS
        for index, kind in enumerate(kinds):
            row, column = divmod(index, _COLUMNS)
            below = _ABOVE + height + _BELOW + row * step + _ABOVE
            axes = canvas.axes(_LEFT + column * (width + _BETWEEN + 0.3), below, width, _LOW_HEIGHT)
            shown = [share for share in chosen if share.kind == kind]
            _panel(axes, kind.capitalize(), shown, roofs, look, chosen)
            _draw_exponentials(axes, shown, roofs)
    return {"roofline": canvas.figure}


def _at(found: Sequence[Share], frames: int | None) -> list[Share]:
    """Those at T = ``frames``; else at the largest T that all lifters have, or each at its own largest."""
    lengths: dict[str, set[int]] = {}
    for share in found:
        lengths.setdefault(share.summary.label, set()).add(share.summary.point.frames)
    common = set.intersection(*lengths.values())
    if frames is not None and not any(frames in own for own in lengths.values()):
        known = ", ".join(map(str, sorted(set().union(*lengths.values()))))
        raise BadInput(f"no operators were timed at T = {frames}; there are {known}")
    wanted = frames if frames is not None else max(common, default=None)
    return [
        share
        for share in found
        if share.summary.point.frames == (max(lengths[share.summary.label]) if wanted is None else wanted)
    ]


def _lengths(chosen: Sequence[Share]) -> str:
    lengths = {share.summary.point.frames for share in chosen}
    return f"T = {min(lengths)}" if len(lengths) == 1 else "each at the largest T it was measured at"


def _panel(
    axes: Axes, title: str, shown: Sequence[Share], roofs: Peaks, look: Mapping[str, Look], chosen: Sequence[Share]
) -> None:
    """Points with stems up to what was attainable, on axes that fit all of ``chosen``."""
    low, high = _range([*(share.intensity or 1.0 for share in chosen), _ridge(roofs)])
    rates = [share.rate for share in chosen] + [share.attainable_rate for share in chosen]
    bottom, top = _range([*rates, roofs.gemm_flops_per_s])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top)
    across = np.array([low, _ridge(roofs), high])
    axes.plot(
        across,
        np.minimum(across * roofs.copy_bytes_per_s, roofs.gemm_flops_per_s),
        color=MUTED,
        linewidth=1.4,
        zorder=1,
    )
    for share in shown:
        own = look[share.summary.label]
        at = share.intensity or 1.0
        axes.plot([at, at], [share.rate, share.attainable_rate], color=own.colour, linewidth=0.8, alpha=0.7, zorder=1.5)
        axes.plot(at, share.attainable_rate, "_", color=own.colour, markersize=7, markeredgewidth=1.2, zorder=1.6)
        axes.plot(at, share.rate, own.marker, color=own.colour, markersize=6, markeredgewidth=0, zorder=2)
    axes.set_title(title, fontsize=10)
    for axis, (least, most) in ((axes.xaxis, (low, high)), (axes.yaxis, (bottom, top))):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if most / least < _MOST_BETWEEN else (1,)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: tick(value))
    axes.set_xlabel("operations a byte", fontsize=9)
    axes.set_ylabel("operations a second", fontsize=9)
    axes.grid(which="major")
    axes.tick_params(length=0, labelsize=8.5)


def _range(values: Sequence[float]) -> tuple[float, float]:
    return min(values) / 1.8, max(values) * 1.8


def _label(axes: Axes, whole: Sequence[Share], look: Mapping[str, Look], roofs: Peaks, crowded: bool) -> None:
    """The roofs' rates, and names with the share that was reached: beside their points or, of many, in a column."""
    low, _ = axes.get_xlim()
    bottom = max(low, axes.get_ylim()[0] / roofs.copy_bytes_per_s)
    notes = [
        (
            _ridge(roofs),
            roofs.gemm_flops_per_s,
            f"matrix product {prefixed(roofs.gemm_flops_per_s)}/s",
            (0, 3),
            "left",
            "bottom",
        ),
        (
            bottom,
            bottom * roofs.copy_bytes_per_s,
            f"copy {prefixed(roofs.copy_bytes_per_s)}B/s",
            (12, -6),
            "left",
            "top",
        ),
    ]
    written = [
        axes.annotate(text, (x, y), away, textcoords="offset points", ha=across, va=up, fontsize=8, color=MUTED)
        for x, y, text, away, across, up in notes
    ]
    anchors = [
        placement.Anchor(
            share.intensity or 1.0, share.rate, f"{share.summary.label}  {100 * share.share:.0f} %",
            look[share.summary.label].writing, away=6,
        )
        for share in whole
    ]  # fmt: skip
    if crowded:
        placement.at_ends(axes, anchors)
        return
    taken = [text.get_window_extent() for text in written]
    stems = [(share.intensity or 1.0, share.rate, share.attainable_rate) for share in whole]
    slope = [(x, x * roofs.copy_bytes_per_s, x * roofs.copy_bytes_per_s) for x in np.geomspace(low, _ridge(roofs), 80)]
    taken += [placement.stem(axes, *line) for line in (*stems, *slope)]
    placement.beside(axes, anchors, taken, size=8)


def _ridge(roofs: Peaks) -> float:
    """Operations a byte from which on a product is bound by arithmetic."""
    return roofs.gemm_flops_per_s / roofs.copy_bytes_per_s


def _draw_exponentials(axes: Axes, shown: Sequence[Share], roofs: Peaks) -> None:
    """The rate of operations of this kind if their exponentials alone took time, of the median lifter."""
    rates = [
        share.flops / share.transcendentals * roofs.exp_per_s
        for share in shown
        if share.transcendentals and roofs.exp_per_s
    ]
    if rates and statistics.median(rates) < 3 * roofs.gemm_flops_per_s:
        axes.axhline(statistics.median(rates), color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        # Left and above the line lies beyond the roof, where hardly a point is.
        axes.annotate(
            "exponentials", (0, statistics.median(rates)), (3, 2), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", ha="left", va="bottom", fontsize=8, color=MUTED,
        )  # fmt: skip


def _sentences(chosen: Sequence[Share], roofs: Peaks) -> list[str]:
    summaries = list({share.summary.label: share.summary for share in chosen}.values())
    return [
        "Each point hangs below what was attainable for it (–): the machine's own rate of float32 matrix products, its "
        "copy bandwidth or, where there are many exponentials among the operations, its rate of these, whichever is "
        "the least. Beside a whole forward, the share of that which it reached. Bytes are each tensor once for each "
        "operator, of operators that are not fused: data still in cache makes a share above 100 % possible.",
        "Kinds of work were timed operator by operator, whole forwards as they are. "
        f"{caption.timing(summaries, bands=False)} {caption.setting(summaries)}",
        *caption.verdicts(summaries),
    ]
