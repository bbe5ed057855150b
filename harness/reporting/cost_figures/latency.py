"""Latency of an output frame of the entries of a group: as ``harness measure`` took it, or as each run timed itself.

One figure has durations of one source alone: those that were measured in fresh processes with nothing beside them
where at least half of the entries have them, else those that runs took of themselves at their end. Of these it has
those of one machine, with the same software, threads and precision: no front leads across machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison import latency as timing
from harness.comparison.group import Entry
from harness.complexity.summary import Summary
from harness.measurement.samples import NOISY
from harness.reporting import caption
from harness.reporting.cost_figures.matches import Matches, of_one_kind
from harness.store.schema import Record


@dataclass(frozen=True)
class Latency:
    """Milliseconds for an output frame; ``noisy`` where the verdict says so."""

    ms: float
    noisy: bool


@dataclass(frozen=True)
class Latencies:
    """``of`` has the latency of each entry that has one, by title. ``measured`` are the rows that they are from, none
    where every run has timed itself; ``sentences`` say how they came about, and why the titles of ``left_out`` have
    none.
    """

    of: Mapping[str, Latency]
    measured: Mapping[str, Summary]
    sentences: tuple[str, ...]
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Timed:
    """What the runs of an entry took of themselves, by where and how."""

    title: str
    by_setting: Mapping[str, timing.Latency]

    @classmethod
    def of(cls, entry: Entry) -> _Timed:
        runs: dict[str, list[Record]] = {}
        for run in entry.runs:
            alone = timing.of(replace(entry, runs=(run,)))
            for setting in alone.settings if alone else ():
                runs.setdefault(setting, []).append(run)
        found = {setting: timing.of(replace(entry, runs=tuple(ones))) for setting, ones in runs.items()}
        return cls(entry.title, {setting: one for setting, one in found.items() if one})

    @property
    def usable(self) -> dict[str, timing.Latency]:
        """Those with a duration."""
        return {setting: one for setting, one in self.by_setting.items() if one.ms is not None}


def latencies(entries: Sequence[Entry], summaries: Sequence[Summary]) -> Latencies:
    """Of the better source that there is."""
    matches = Matches.of(of_one_kind(summaries))
    measured = {entry.title: one for entry in entries if (one := matches.find(entry)) and one.per_frame_ms}
    timed = [found for entry in entries if (found := _Timed.of(entry)).by_setting]
    if measured and 2 * len(measured) >= sum(bool(one.usable) for one in timed):
        used = list({one.point.key(): one for one in measured.values()}.values())
        said = [f"Latency: {caption.timing(used, bands=False)} {caption.setting(used)}", *caption.verdicts(used)]
        if any(one.verdict == NOISY for one in used):
            said.append("NOISY ones are hollow.")
        of_points = {title: Latency(one.per_frame_ms or 0.0, one.verdict == NOISY) for title, one in measured.items()}
        return Latencies(of_points, measured, tuple(said))
    return _by_themselves(timed)


def _by_themselves(timed: Sequence[_Timed]) -> Latencies:
    """Of the setting in which the most entries were timed or, of several, the best entry was; ``timed`` is by rank."""
    settings = [setting for one in timed for setting in one.usable]
    if not settings:
        return Latencies({}, {}, ())
    # The first of those that are equally frequent is that of the best entry.
    chosen = max(dict.fromkeys(settings), key=settings.count)
    shown = {one.title: one.usable[chosen] for one in timed if chosen in one.usable}
    own = {title: Latency(one.ms or 0.0, one.verdict == NOISY) for title, one in shown.items()}
    elsewhere = [one for one in timed if one.usable and one.title not in own]
    invalid = [one.title for one in timed if not one.usable]
    said = [*_own_sentences(own, shown[next(iter(shown))].machine), *_elsewhere(elsewhere)]
    if invalid:
        said.append(f"Left out, since their timing is INVALID: {', '.join(invalid)}.")
    return Latencies(own, {}, tuple(said), frozenset([*invalid, *(one.title for one in elsewhere)]))


def _own_sentences(own: Mapping[str, Latency], machine: str) -> list[str]:
    said = [
        f"Latency was timed by each run itself beside other work, one clip at a time, on {machine}; a quiet machine "
        "and harness measure give better figures."
    ]
    noisy = [title for title, latency in own.items() if latency.noisy]
    if noisy:
        which = "Every latency is" if len(noisy) == len(own) else f"{', '.join(noisy)}:"
        said.append(f"{which} NOISY, and hollow (quartiles more than 10 % of the median apart).")
    return said


def _elsewhere(others: Sequence[_Timed]) -> list[str]:
    """Who was timed under other conditions alone, and under which."""
    if not others:
        return []
    where = (f"{one.title} ({' / '.join(dict.fromkeys(own.machine for own in one.usable.values()))})" for one in others)
    return [
        "Not drawn by latency, since timed on another machine or with other software, threads or precision: "
        f"{', '.join(where)}."
    ]
