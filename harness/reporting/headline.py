"""The answer of a group of runs in two sentences: which model is best, at which cost, and whether that is certain."""

from __future__ import annotations

from collections.abc import Sequence

from harness.comparison import operations
from harness.comparison.group import SEEDS_FOR_SPREAD, Entry, Group
from harness.quantity import NO_BREAK, prefixed, probability, with_spread
from harness.reporting.neighbours import Neighbours


def headline(group: Group, neighbours: Sequence[Neighbours]) -> str:
    """``neighbours`` are those of the group, the best two first."""
    if not group.scored:
        return "No run of this group finished."
    best = group.scored[0]
    said = f"{best.title} has the lowest error: P1 {with_spread(best.p1_mm, best.p1_sd_mm)}{NO_BREAK}mm"
    if len(best.runs) < SEEDS_FOR_SPREAD:
        said += f" ({_seeds(len(best.runs))})"
    return " ".join(filter(None, (f"{said}{_against_floors(best, group)}", _certainty(neighbours))))


def _against_floors(best: Entry, group: Group) -> str:
    floors = [floor["p1_mm"] for floor in group.floors.values()]
    cost = _cost(best)
    if not floors or best.p1_mm is None:
        return f"{cost}."
    lowest = min(floors)
    if best.p1_mm >= lowest:
        return f". The best floor, {lowest:.1f} mm, is no higher: nothing here has learned to lift."
    return f"{cost}, {lowest - best.p1_mm:.1f}{NO_BREAK}mm below what can be had without a network."


def _cost(best: Entry) -> str:
    for path, counted in operations.CONVENTIONS.items():
        if count := best.mean(path):
            return f" at {prefixed(count)} {counted} a frame"
    return ""


def _certainty(neighbours: Sequence[Neighbours]) -> str:
    """Whether the second is really worse."""
    if not neighbours:
        return ""
    first, second = neighbours[0], neighbours[0].worse
    if first.p_value is None:
        return f"Whether it is better than {second.title} cannot be tested: {first.obstacle}."
    p = f"p{NO_BREAK}{probability(first.p_value)}"
    worth_mm = f"{first.worth_having_mm:g}{NO_BREAK}mm"
    worth = f"{worth_mm} is worth having"
    if not first.is_significant:
        cost = operations.of(second, first.better)
        apart = f"It cannot be told apart from {second.title} ({first.lead}, {p}; {worth})"
        return f"{apart}{f', which takes {cost.times}' if cost else ''}."
    size = f"less than the {worth_mm} worth having" if first.is_small else worth
    lead = f"Its lead over {second.title}, {first.lead}, is significant"
    if first.seeds.may_reverse:
        return f"{lead} over the takes ({p}; {size}), {first.seeds.warning()}."
    few = _few_seeds(first)
    return f"{lead} over the takes; {few} ({p}; {size})." if few else f"{lead} ({p}; {size})."


def _few_seeds(pair: Neighbours) -> str:
    """How many seeds there are of each, where they are too few to say what another training would change."""
    own, other = len(pair.better.runs), len(pair.worse.runs)
    if min(own, other) >= SEEDS_FOR_SPREAD:
        return ""
    return f"{_seeds(own)} of each" if own == other else f"{_seeds(own)} of its own, {_seeds(other)} of the other"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
