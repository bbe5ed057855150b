"""Peak memory of a forward above its weights against T, and the weights themselves as ticks at the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.complexity.growth import growths
from harness.complexity.series import Series, series
from harness.complexity.summary import Summary
from harness.reporting import caption
from harness.reporting.cost_figures import curve, kinship, sheet
from harness.reporting.cost_figures.curve import Curve, Quantity, Reading
from harness.reporting.figure import style
from harness.reporting.palette import MUTED, Look
from harness.reporting.quantity import tick

_WIDTH, _HEIGHT = 7.6, 3.9
_LOW_HEIGHT, _WIDE = 2.1, 10.6


def peak(summary: Summary) -> Reading | None:
    """Bytes above the process that holds weights and clips."""
    return None if summary.peak_bytes is None else (float(summary.peak_bytes), None, None)


MEMORY = Quantity(
    "Memory", "Peak memory of a forward, above the weights", "bytes", peak, lambda b: f"{tick(b)}B", measured=True
)


def draw(summaries: Sequence[Summary]) -> dict[str, Figure]:
    """The figure by its name, of points that share conditions and machine; none where no memory was measured."""
    every = [one for one in series(summaries) if any(peak(member) for member in one.members)]
    if not every:
        return {}
    exponents = {growth.label: growth.exponents.get("memory") for growth in growths(summaries)}
    curves = {one.label: curve.of(one, MEMORY, exponents.get(one.label)) for one in every}
    look = kinship.looks_of(every)
    panels = kinship.panels(every)
    columns = 1 if len(panels) == 1 else 2
    width, height = (_WIDTH, _HEIGHT) if columns == 1 else (_WIDE, _LOW_HEIGHT)
    with style():
        figure, grid = sheet.page(
            "What memory a clip takes as it grows longer", _sentences(summaries), width, height,
            -(-len(panels) // columns), [sheet.label_width(list(curves.values()))] * columns,
        )  # fmt: skip
        places = [axes for row in grid for axes in row]
        for axes in places[len(panels) :]:
            axes.remove()
        for axes, (heading, members) in zip(places, panels, strict=False):
            _panel(axes, heading, members, curves, look)
    return {"memory": figure}


def _panel(
    axes: Axes, heading: str, members: Sequence[Series], curves: Mapping[str, Curve], look: Mapping[str, Look]
) -> None:
    shown = [curves[one.label] for one in members]
    everyone = list(curves.values())
    curve.draw(axes, shown, look, MEMORY, [one for one in everyone if one not in shown])
    if heading:
        axes.set_title(heading, fontsize=9)
    curve.set_frames_axis(axes, everyone)
    # Room for the weights left of the shortest clip.
    left, right = axes.get_xlim()
    axes.set_xlim(left / (right / left) ** 0.05, right)
    curve.set_cost_axis(axes, everyone, [_weights(one) for one in members])
    for one in members:
        weights = _weights(one)
        if weights is None:
            continue
        axes.plot(
            [0, 0.035], [weights] * 2, color=look[one.label].colour, linewidth=2.2, solid_capstyle="butt",
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    curve.write_key(axes, shown, [Line2D([], [], color=MUTED, linewidth=2.2, label="weights")])
    curve.write_labels(axes, shown, look)


def _weights(one: Series) -> float | None:
    """Bytes of parameters and buffers, the same at every T but for position embeddings: of the longest clip."""
    return next((float(member.weights_bytes) for member in reversed(one.members) if member.weights_bytes), None)


def _sentences(summaries: Sequence[Summary]) -> list[str]:
    return [
        "Highest during a forward, in a process that holds weights and clips already. Ticks at the left are the "
        "weights. At the end of each line, the exponent of T, fitted on log-log axes over the large-T half, with its "
        "95 % interval.",
        caption.setting(summaries),
        *caption.gaps(summaries),
    ]
