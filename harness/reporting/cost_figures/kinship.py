"""Lifters by what they are, for figures of so many that one panel cannot hold them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.complexity.series import Series
from harness.complexity.summary import Summary
from harness.models import MODELS
from harness.reporting.palette import Look, looks
from harness.store.schema import look_up

#: Lines in one panel that a reader can still tell apart.
MOST_TOGETHER = 8
OTHERS = "lifters that are not registered"
_ANSWERS = {
    "every": "every frame",
    "centre": "one frame",
    "last": "one frame",
}


def kinship(model: str) -> str:
    """Kind of network, and for which frames it answers: ``transformer, every frame``."""
    entry = MODELS.get(model)
    return f"{entry.kind}, {_ANSWERS[entry.answers]}" if entry else OTHERS


def in_order(summaries: Sequence[Summary]) -> list[Summary]:
    """In the registry's order of models whatever order they were measured in, those that it does not know last."""
    order = {name: place for place, name in enumerate(MODELS)}
    return sorted(summaries, key=lambda summary: order.get(summary.point.model, len(order)))


def looks_of(series: Sequence[Series]) -> dict[str, Look]:
    """Label -> how it is drawn; the more parameters, the darker in its family."""
    return looks([(one.label, one.members[0].point.model, _parameters(one)) for one in series])


def _parameters(one: Series) -> float:
    return max((float(look_up(member.counts or {}, "params_total") or 0) for member in one.members), default=0.0)


def answers_for_one_frame(summary: Summary) -> bool:
    """Whether a forward of a longer clip answers for a single frame of it."""
    return summary.output_frames == 1 and summary.point.frames > 1 and not summary.point.streaming


def panels(series: Sequence[Series]) -> list[tuple[str, list[Series]]]:
    """(heading, members) of each panel: one without heading for a few, else one for each kinship."""
    if len(series) <= MOST_TOGETHER:
        return [("", list(series))]
    found: dict[str, list[Series]] = {}
    for name in [*(kinship(model) for model in MODELS), OTHERS]:
        members = [one for one in series if kinship(one.members[0].point.model) == name]
        if members:
            found[name] = members
    return [(name, part) for name, members in found.items() for part in _parts(members)]


def _parts(members: list[Series]) -> list[list[Series]]:
    """At most MOST_TOGETHER each, as equal as can be."""
    count = -(-len(members) // MOST_TOGETHER)
    return [members[index * len(members) // count : (index + 1) * len(members) // count] for index in range(count)]
