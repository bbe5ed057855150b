"""What the page's viewer shows: excerpts of the test set as every model predicts them, compact enough for one page.

A pose is 51 whole numbers of 16 bits, as in the file of traces (``harness.store.traces``), in base64. A truth that
several models share is stored once.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from harness.comparison.group import Group
from harness.data.skeleton import BONES, JOINT_COUNT, LEFT, RIGHT
from harness.reporting.evidence import Evidence
from harness.store import traces as trace_file
from harness.traces import Excerpt

#: Why an excerpt was chosen, as the page says it.
REASONS: Mapping[str, str] = {
    "unusual": "Among the most unusual poses of the test set, chosen from the truth alone: the same for every model.",
    "worst": "One of the two takes that this run is worst at of those that are not among the most unusual; another "
    "model's may be others.",
}
_SHORT_REASONS: Mapping[str, str] = {"unusual": "unusual poses", "worst": "worst of the other takes"}
#: Which colour a joint, and the bone that leads to it, are drawn in.
SIDES = tuple("left" if joint in LEFT else "right" if joint in RIGHT else "ink" for joint in range(JOINT_COUNT))


@dataclass(frozen=True)
class Shown:
    """Excerpts of one entry: those of ``seed``, the first of which traces were kept."""

    title: str
    seed: int | None
    excerpts: tuple[Excerpt, ...]


@dataclass(frozen=True)
class Viewer:
    """Excerpts of a group's entries in their ranking; there is at least one."""

    shown: tuple[Shown, ...]

    @cached_property
    def data(self) -> Markup:
        """JSON for a script element: no markup of a name can end it."""
        text = json.dumps(self._content(), separators=(",", ":"))
        return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))

    def _content(self) -> dict[str, Any]:
        truths: dict[str, dict[str, Any]] = {}
        models = []
        for one in self.shown:
            excerpts = []
            for excerpt in one.excerpts:
                truth = _stored(excerpt.truth_mm)
                truths.setdefault(truth["values"], truth)
                excerpts.append({
                    "label": label(excerpt),
                    "sequence": excerpt.sequence,
                    "why": f"{REASONS[excerpt.reason]} {_stretch(excerpt)}",
                    "fps": excerpt.fps,
                    "truth": list(truths).index(truth["values"]),
                    "prediction": _stored(excerpt.prediction_mm),
                })  # fmt: skip
            models.append({"label": one.title, "seed": one.seed, "excerpts": excerpts})
        return {"bones": BONES, "sides": SIDES, "truths": list(truths.values()), "models": models}


def viewer(group: Group, evidence: Evidence) -> Viewer | None:
    """None where no run of the group kept traces."""
    found = (_shown(entry.title, entry.runs, evidence) for entry in group.scored)
    shown = tuple(one for one in found if one is not None)
    return Viewer(shown) if shown else None


def label(excerpt: Excerpt) -> str:
    """Which stretch of which sequence, and why it was chosen, in one line."""
    return f"{excerpt.action}: {excerpt.sequence}, from {excerpt.start_s:.1f} s ({_SHORT_REASONS[excerpt.reason]})"


def frame_errors_mm(excerpt: Excerpt) -> NDArray[np.float64]:
    """(K,) mean distance of the joints in every frame; NaN where the truth or the prediction has none."""
    distances = np.linalg.norm(excerpt.prediction_mm.astype(float) - excerpt.truth_mm, axis=-1)
    return np.asarray(distances.mean(axis=-1))


def _shown(title: str, runs: Iterable[Mapping[str, Any]], evidence: Evidence) -> Shown | None:
    for run in runs:
        traces = evidence.traces(dict(run))
        if traces is not None and traces.excerpts:
            return Shown(title, run.get("seed"), traces.excerpts)
    return None


def _stretch(excerpt: Excerpt) -> str:
    length_s = len(excerpt.truth_mm) / excerpt.fps
    return f"{length_s:.1f} s from {excerpt.start_s:.1f} s on, {excerpt.fps:.3g} poses a second."


def _stored(poses_mm: NDArray[np.float32]) -> dict[str, Any]:
    """(K, 17, 3) as the page holds it."""
    step_mm = trace_file.unit_of(poses_mm)
    whole = trace_file.whole(poses_mm, step_mm).astype("<i2")
    return {"step_mm": step_mm, "values": base64.b64encode(whole.tobytes()).decode()}
