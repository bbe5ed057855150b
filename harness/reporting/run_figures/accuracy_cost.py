"""P1 against operations, and against latency, of an output frame: what accuracy costs."""

from __future__ import annotations

from matplotlib.figure import Figure

from harness.comparison.group import Group
from harness.reporting.cost_figures import accuracy_cost, sheet
from harness.reporting.evidence import Evidence
from harness.reporting.figure import style

CAPTION = (
    "Error against cost: further down is better, further left is cheaper, and nothing is both than what lies on the "
    "dashed line; a model that is not below the best floor is never on it. The area of a bubble is the number of "
    "parameters; bars are the standard deviation over at least three seeds."
)


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """A panel for each cost that is known, with one height for one error."""
    shown = accuracy_cost.planes(group, evidence.summaries)
    if shown is None:
        return None
    with style():
        canvas = sheet.Canvas.bare(shown.width, shown.body)
        shown.draw_on(canvas)
    return canvas.figure


def notes(group: Group, evidence: Evidence) -> tuple[str, ...]:
    """How latency came about, and who is not drawn."""
    shown = accuracy_cost.planes(group, evidence.summaries)
    return shown.sentences if shown else ()
