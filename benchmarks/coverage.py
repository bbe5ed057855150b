"""How often the intervals over takes hold the truth, in worlds whose truth is known.

    python -m benchmarks.coverage [--worlds 600] [--records results/motion-cpu-2026-11-26/records.jsonl]

Every world draws takes and their errors anew; an interval is right as often as it says if its share of worlds in which
it holds the mean that they were drawn with is its confidence. ``recorded`` draws takes, with replacement, from the
differences of two lifters that are stored: the spread and the length of real takes. ``growing`` has errors that grow
with the length of a take, whose lengths differ much: what the intervals are worst at.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.comparison import sequence_errors
from harness.comparison.group import group
from harness.errors import BadInput
from harness.evaluation.statistics import mean_interval
from harness.store.store import Store

Array = NDArray[np.float64]
#: Errors (takes,) in mm and frames (takes,) of one world.
World = tuple[Array, Array]
CONFIDENCES = (0.90, 0.95)
RESAMPLES = 1000


def equal(rng: np.random.Generator, takes: int) -> World:
    """Normal errors, takes of one length."""
    return rng.normal(60, 10, takes), np.full(takes, 300.0)


def unequal(rng: np.random.Generator, takes: int) -> World:
    """Log-normal lengths as of recorded motion, errors that do not depend on them."""
    return rng.normal(60, 10, takes), np.ceil(rng.lognormal(5.5, 0.75, takes))


def growing(rng: np.random.Generator, takes: int) -> World:
    """Log-normal lengths that differ by more, errors of 20 mm for every e-fold of the length."""
    lengths = rng.lognormal(5.5, 1.0, takes)
    return 60 + 20 * (np.log(lengths) - 5.5) + rng.normal(0, 10, takes), np.ceil(lengths)


def truth_mm(world: Callable[[np.random.Generator, int], World]) -> float:
    """The mean over frames of very many takes."""
    errors, frames = world(np.random.default_rng(0), 4_000_000)
    return float(np.average(errors, weights=frames))


def coverage(worlds: Iterator[World], mean_mm: float) -> tuple[list[float], int]:
    """For each of CONFIDENCES the share of ``worlds`` whose interval holds ``mean_mm``, and how many there were."""
    held = [0] * len(CONFIDENCES)
    count = 0
    for errors, frames in worlds:
        count += 1
        for place, confidence in enumerate(CONFIDENCES):
            found = mean_interval(
                errors, np.arange(len(errors)), frames, resamples=RESAMPLES, confidence=confidence, seed=count % 7
            )
            held[place] += found.low_mm <= mean_mm <= found.high_mm
    return [share / count for share in held], count


def recorded(path: Path) -> list[World]:
    """Differences of every two configurations of a store by take, all cameras together, and its frames."""
    (members, *_) = group(Store(path.parent).latest())
    found = []
    for one, other in combinations(members.scored, 2):
        try:
            own, theirs = sequence_errors.of(one), sequence_errors.of(other)
        except BadInput:
            continue
        _, take_of = np.unique(np.asarray(own.takes), return_inverse=True)
        frames = np.bincount(take_of, weights=own.frames)
        found.append((np.bincount(take_of, weights=own.frames * (own.p1_mm - theirs.p1_mm)) / frames, frames))
    return found


def _redrawn(rng: np.random.Generator, world: World, worlds: int) -> Iterator[World]:
    errors, frames = world
    for _ in range(worlds):
        chosen = rng.integers(0, len(errors), len(errors))
        yield errors[chosen], frames[chosen]


def main(worlds: int, records: Path) -> None:
    """Prints a table: what was drawn, takes, worlds, and the share of worlds at each confidence."""
    print(f"{'takes drawn':34} {'takes':>5} {'worlds':>6}  " + "  ".join(f"{one:.0%} interval" for one in CONFIDENCES))
    for draw in (equal, unequal, growing):
        for takes in (16, 77):
            rng = np.random.default_rng(takes)
            found = coverage((draw(rng, takes) for _ in range(worlds)), truth_mm(draw))
            _say(draw.__name__, takes, *found)
    rng = np.random.default_rng(1)
    pairs = recorded(records)
    shares = [
        coverage(_redrawn(rng, world, worlds), float(np.average(world[0], weights=world[1])))[0] for world in pairs
    ]
    for name, chosen in (("lowest", np.min), ("median", np.median), ("highest", np.max)):
        _say(f"recorded, {name} of {len(pairs)} pairs", len(pairs[0][0]), chosen(shares, axis=0), worlds)


def _say(name: str, takes: int, shares: Iterable[float], worlds: int) -> None:
    print(f"{name:34} {takes:5} {worlds:6}  " + "  ".join(f"{100 * share:10.1f} %" for share in shares))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=600)
    parser.add_argument("--records", type=Path, default=Path("results/motion-cpu-2026-11-26/records.jsonl"))
    given = parser.parse_args()
    main(given.worlds, given.records)
