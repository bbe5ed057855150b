"""Points of one model that differ in T alone: the curve that growth and crossovers are read off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from harness.complexity import resampling
from harness.complexity.summary import Summary
from harness.measurement.point import AUTO


@dataclass(frozen=True)
class Series:
    """``members`` in order of T, each T once; ``label`` is theirs, and so is the environment."""

    label: str
    environment_key: str
    members: tuple[Summary, ...]

    @property
    def settings(self) -> tuple[object, ...]:
        """What another series must share for a fair comparison."""
        point = self.members[0].point
        return (
            self.environment_key,
            point.batch_asked,
            point.device,
            point.threads,
            point.precision,
            point.compiled,
            point.streaming,
        )

    @property
    def own_batches(self) -> bool:
        """Whether every point ran at the largest batch that fitted, which fills the memory whatever T is."""
        return self.members[0].point.batch_asked == AUTO

    @property
    def usable(self) -> tuple[Summary, ...]:
        return tuple(member for member in self.members if member.usable)

    @property
    def left_out(self) -> tuple[str, ...]:
        """``T=2187: oom: why`` for each member that no fit or comparison may use."""
        return tuple(f"T={member.point.frames}: {_complaint(member)}" for member in self.members if not member.usable)

    @cached_property
    def draws(self) -> Mapping[int, resampling.Float64Array]:
        """T -> resampled medians of one forward in ms, of each usable member that was timed."""
        return {
            member.point.frames: resampling.medians(member.rounds_ms, member.seed)
            for member in self.usable
            if member.rounds_ms
        }


def series(summaries: Iterable[Summary]) -> list[Series]:
    """In the order of ``summaries``. Of two at the same T, the usable one counts, then the newer."""
    together: dict[tuple[str, str], dict[int, Summary]] = defaultdict(dict)
    for summary in summaries:
        members = together[summary.environment_key, summary.label]
        there = members.get(summary.point.frames)
        if there is None or (there.usable, there.started) <= (summary.usable, summary.started):
            members[summary.point.frames] = summary
    return [
        Series(label, environment, tuple(members[frames] for frames in sorted(members)))
        for (environment, label), members in together.items()
    ]


def _complaint(member: Summary) -> str:
    if member.status != "ok":
        return f"{member.status}: {member.error}"
    return f"{member.verdict}: {member.reason}"
