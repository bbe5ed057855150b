"""The takes of a test set that models err most on, from the stored errors of single sequences."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.comparison.group import Entry, Group
from harness.store.schema import look_up

#: Takes that are listed.
_COUNT = 8


@dataclass(frozen=True)
class HardTake:
    """Of the models that ``judges`` chooses ``p1_mm`` is the mean, ``best_mm`` the lowest, that of the model ``best``.

    ``difficulty`` is what takes are ranked by, see the function of that name.
    """

    take: str
    action: str
    frames: int
    p1_mm: float
    best_mm: float
    best: str
    difficulty: float


def lowest_floor_mm(group: Group) -> float | None:
    """P1 of the best guess that needs no network, None where there are no floors."""
    return min((floor["p1_mm"] for floor in group.floors.values()), default=None)


def judges(entries: Sequence[Entry], floor_mm: float | None) -> list[Entry]:
    """Those of ``entries`` whose P1 is below the lowest floor; all where none is, or there are no floors.

    What is hard for a model that has not learned to lift says nothing about a take.
    """
    below = [entry for entry in entries if floor_mm is not None and (entry.p1_mm or floor_mm) < floor_mm]
    return below or list(entries)


def difficulty(errors_mm: Mapping[str, float], own_mm: Mapping[str, float]) -> float:
    """How hard something is: the mean over models of (the error on it / the model's own P1); 1 is as hard as the rest.

    By the model's title; ratios, so that no model weighs more because it errs more everywhere.
    """
    return statistics.fmean(error / own_mm[title] for title, error in errors_mm.items())


def hardest(group: Group) -> list[HardTake]:
    """The takes of the highest difficulty, all cameras together; of judges whose errors of sequences are stored."""
    takes = {entry.title: found for entry in group.scored if (found := _takes(entry))}
    chosen = judges([entry for entry in group.scored if entry.title in takes], lowest_floor_mm(group))
    by_model = {entry.title: takes[entry.title] for entry in chosen}
    own_mm = {entry.title: entry.p1_mm or 1.0 for entry in chosen}
    shared = set.intersection(*(set(found) for found in by_model.values())) if by_model else set()
    ranked = [_hard_take(take, by_model, own_mm) for take in shared]
    return sorted(ranked, key=lambda one: (-one.difficulty, one.take, one.action))[:_COUNT]


def _hard_take(
    key: tuple[str, str], by_model: Mapping[str, Mapping[tuple[str, str], tuple[float, int]]],
    own_mm: Mapping[str, float],
) -> HardTake:  # fmt: skip
    errors = {title: found[key][0] for title, found in by_model.items()}
    best = min(errors, key=lambda title: errors[title])
    frames = max(found[key][1] for found in by_model.values())
    return HardTake(*key, frames, statistics.fmean(errors.values()), errors[best], best, difficulty(errors, own_mm))


def _takes(entry: Entry) -> dict[tuple[str, str], tuple[float, int]]:
    """(take, action) -> P1 in mm over all frames, cameras and seeds, and frames of one seed."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for run in entry.runs:
        for row in look_up(run, "accuracy.per_sequence") or []:
            of_take = sums[row["take"], row.get("action") or ""]
            of_take[0] += row["p1_mm"] * row["frames"]
            of_take[1] += row["frames"]
    seeds = max(1, len(entry.runs))
    return {take: (error / frames, round(frames / seeds)) for take, (error, frames) in sums.items() if frames}
