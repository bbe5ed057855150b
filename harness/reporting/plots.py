"""The figures of a group of runs that may be ranked against each other, in the order of the page.

Colours are distinct for colour-blind readers; markers, dashes, hatches and direct labels carry the same information, so
that a figure survives printing in grey. The same records give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.comparison.group import Group
from harness.reporting.evidence import Evidence
from harness.reporting.run_figures import (
    accuracy,
    accuracy_cost,
    distribution,
    growth,
    learning_curves,
    over_time,
    per_action,
    per_joint,
    published,
    skeletons,
)


def _nothing(group: Group, evidence: Evidence) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Plot:
    """A figure by name: what it shows and how to read it, and how it is drawn.

    ``draw`` gives None where the runs have nothing for it. ``notes`` are the sentences that depend on the runs.
    """

    name: str
    caption: str
    draw: Callable[[Group, Evidence], Figure | None]
    notes: Callable[[Group, Evidence], Sequence[str]] = _nothing


PLOTS = (
    Plot("accuracy-cost", accuracy_cost.CAPTION, accuracy_cost.draw, accuracy_cost.notes),
    Plot("accuracy", accuracy.CAPTION, accuracy.draw),
    Plot("per-action", per_action.CAPTION, per_action.draw),
    Plot("skeleton", skeletons.CAPTION, skeletons.draw),
    Plot("per-joint", per_joint.CAPTION, per_joint.draw),
    Plot("error-over-time", over_time.CAPTION, over_time.draw, over_time.notes),
    Plot("distribution", distribution.CAPTION, distribution.draw, distribution.notes),
    Plot("learning-curves", learning_curves.CAPTION, learning_curves.draw, learning_curves.notes),
    Plot("growth", growth.CAPTION, growth.draw, growth.notes),
    Plot("published", published.CAPTION, published.draw),
)
