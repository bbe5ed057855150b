"""Errors of an entry, sequence by sequence, as the statistics want them: mean over seeds, weights by the protocol."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.comparison.group import Entry
from harness.errors import BadInput
from harness.evaluation.signature import Signature
from harness.store.schema import Record, look_up

Float64Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SequenceErrors:
    """S sequences in order of their names.

    names, takes, actions   of each, S strings
    frames                  (S,) frames scored
    weights                 (S,) share of each in P1; the weighted mean of ``p1_mm`` is P1
    p1_mm                   (S,) mean over the seeds
    """

    names: tuple[str, ...]
    takes: tuple[str, ...]
    actions: tuple[str, ...]
    frames: Float64Array
    weights: Float64Array
    p1_mm: Float64Array

    def of_action(self, action: str) -> SequenceErrors:
        """Those of one action; within it a frame counts as much as any other."""
        chosen = [index for index, name in enumerate(self.actions) if name == action]
        names, takes, actions = (
            tuple(every[index] for index in chosen) for every in (self.names, self.takes, self.actions)
        )
        frames = self.frames[chosen]
        return SequenceErrors(names, takes, actions, frames, frames / frames.sum(), self.p1_mm[chosen])

    def mean_mm(self) -> float:
        return float((self.weights * self.p1_mm).sum() / self.weights.sum())


def of(entry: Entry) -> SequenceErrors:
    """The errors of ``entry``. Raises BadInput where they are not stored or its seeds have not the same sequences."""
    per_run = [look_up(run, "accuracy.per_sequence") or [] for run in entry.runs]
    if not all(per_run):
        raise BadInput("errors of single sequences are not stored")
    errors: dict[tuple[str, str, str, float], list[float]] = defaultdict(list)
    for sequences in per_run:
        for row in sequences:
            key = (row["sequence"], row["take"], row.get("action") or "", float(row["frames"]))
            errors[key].append(float(row["p1_mm"]))
    if any(len(values) != len(per_run) for values in errors.values()):
        raise BadInput("its seeds were not scored on the same sequences")
    keys = sorted(errors)
    names, takes, actions, frames = zip(*keys, strict=True)
    counts = np.asarray(frames, dtype=np.float64)
    p1_mm = np.asarray([np.mean(errors[key]) for key in keys], dtype=np.float64)
    return SequenceErrors(names, takes, actions, counts, _weights(entry.any_run, actions, counts), p1_mm)


def _weights(run: Record, actions: tuple[str, ...], frames: Float64Array) -> Float64Array:
    """By frames; where the protocol takes the mean of the actions' means, an action's frames share one vote."""
    if Signature.parse(run["signature"]["long"]).average != "action":
        return frames / frames.sum()
    distinct, action_of = np.unique(np.asarray(actions), return_inverse=True)
    of_action = np.bincount(action_of, weights=frames)
    return np.asarray(frames / of_action[action_of] / len(distinct))
