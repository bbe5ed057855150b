"""P1 of every action of every entry as a table of coloured cells."""

from __future__ import annotations

from matplotlib.figure import Figure

from harness.comparison.group import Group
from harness.reporting.evidence import Evidence
from harness.reporting.run_figures import heat_map

CAPTION = (
    "P1 in mm of every action, the hardest first, mean over seeds; bold, the lowest of an action. Actions have few "
    "takes each, so that small differences in one of them say little."
)


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """The hardest action, on average over entries, first."""
    values = heat_map.means_by_name(group, "accuracy.per_action")
    return heat_map.draw(values[values.mean().sort_values(ascending=False, kind="stable").index])
