"""Peak memory of a forward above its weights against T, and the weights themselves as ticks at the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.complexity.growth import growths
from harness.complexity.series import Series, series
from harness.complexity.summary import Summary
from harness.quantity import tick
from harness.reporting import caption
from harness.reporting.cost_figures import curve, kinship, sheet
from harness.reporting.cost_figures.curve import Curve, Quantity, Reading
from harness.reporting.figure import style
from harness.reporting.palette import MUTED, Look

_WIDTH, _HEIGHT = 7.6, 3.9
_LOW_HEIGHT, _WIDE = 2.1, 10.6


def peak(summary: Summary) -> Reading | None:
    """Bytes above the process that holds weights and clips; 0 where what was there already sufficed."""
    return None if summary.peak_bytes is None else (float(summary.peak_bytes), None, None)


MEMORY = Quantity(
    "Memory", "Peak memory of a forward, above the weights", "bytes", peak, lambda b: f"{tick(b)}B", measured=True
)
_STREAMING = replace(MEMORY, title="Peak memory of a call for a new frame, above the weights")


def draw(summaries: Sequence[Summary]) -> dict[str, Figure]:
    """The figure by its name, of points that share conditions and machine; none where no peak was seen."""
    summaries = kinship.in_order(summaries)
    every = [one for one in series(summaries) if curve.readings(one, MEMORY)]
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
            _title(summaries[0]), _sentences(summaries, curves), width, height,
            -(-len(panels) // columns), [sheet.label_width(list(curves.values()))] * columns,
        )  # fmt: skip
        weights = {one.label: _weights(one) for one in every}
        places = [axes for row in grid for axes in row]
        for axes in places[len(panels) :]:
            axes.remove()
        for axes, (heading, members) in zip(places, panels, strict=False):
            _panel(axes, heading, members, curves, look, weights)
        # Said once, where many panels would say it over and over on top of their lines.
        curve.write_key(places[0], [curves[one.label] for one in panels[0][1]], [_KEY], where="lower right")
    return {"memory": figure}


def _panel(
    axes: Axes, heading: str, members: Sequence[Series], curves: Mapping[str, Curve], look: Mapping[str, Look],
    weights: Mapping[str, float | None],
) -> None:  # fmt: skip
    shown = [curves[one.label] for one in members]
    everyone = list(curves.values())
    quantity = _STREAMING if members[0].members[0].point.streaming else MEMORY
    curve.draw(axes, shown, look, quantity, [one for one in everyone if one not in shown])
    if heading:
        axes.set_title(heading, fontsize=9)
    curve.set_frames_axis(axes, everyone)
    # Room for the weights left of the shortest clip.
    left, right = axes.get_xlim()
    axes.set_xlim(left / (right / left) ** 0.05, right)
    curve.set_cost_axis(axes, everyone, list(weights.values()))
    for one in members:
        own = weights[one.label]
        if own is not None:
            axes.plot(
                [0, 0.035], [own] * 2, color=look[one.label].colour, linewidth=2.2, solid_capstyle="butt",
                transform=axes.get_yaxis_transform(),
            )  # fmt: skip
    curve.write_labels(axes, shown, look)


_KEY = Line2D([], [], color=MUTED, linewidth=2.2, label="weights")


def _title(summary: Summary) -> str:
    what, longer = ("new frame", "window") if summary.point.streaming else ("forward", "clip")
    return f"What memory a {what} takes as the {longer} grows longer"


def _weights(one: Series) -> float | None:
    """Bytes of parameters and buffers, the same at every T but for position embeddings: of the longest clip."""
    return next((float(member.weights_bytes) for member in reversed(one.members) if member.weights_bytes), None)


def _sentences(summaries: Sequence[Summary], curves: Mapping[str, Curve]) -> list[str]:
    call = "call for one new frame" if summaries[0].point.streaming else "forward of the whole batch"
    unseen = [summary for summary in summaries if summary.peak_bytes == 0]
    said = [
        f"Highest during a {call}, in a process that holds weights and clips already. Ticks at the left are the "
        "weights.",
        *curve.exponents_in_words(list(curves.values())),
    ]
    if unseen:
        said.append(f"No point where what the process held already sufficed (0 bytes): {caption.named(unseen)}.")
    return [*said, caption.setting(summaries), *caption.gaps(summaries)]
