"""P1 of every joint of every entry as a table of coloured cells."""

from __future__ import annotations

from matplotlib.figure import Figure

from harness.comparison.group import Group
from harness.data.skeleton import JOINT_NAMES, ROOT
from harness.reporting.evidence import Evidence
from harness.reporting.run_figures import heat_map

CAPTION = (
    "P1 in mm of every joint, mean over seeds; bold, the lowest of a joint. The pelvis is the root and has no error."
)


def draw(group: Group, evidence: Evidence) -> Figure | None:
    """Without the root, whose error is zero by definition."""
    return heat_map.draw(
        heat_map.means_by_name(group, "accuracy.per_joint").drop(columns=JOINT_NAMES[ROOT], errors="ignore")
    )
