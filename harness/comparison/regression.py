"""Whether a change made a model worse: its runs before (base) and after (new), for the checks of a developer.

finishing   worse where a seed that finished in the base does not in the new runs; unfinished in both is unchanged
accuracy    of the seeds that both have. Worse where the paired difference, new minus base, is at least the difference
            worth having, its interval over takes lies above zero, its p-value is below 0.05 after Holm's correction
            over all configurations that are checked together, and, with three seeds or more on both sides, it is more
            than the seeds alone may make of it (``SeedSpread``). Cannot be told of other seeds, unless there are three
            or more of both, and from fewer takes than can ever give such a p-value
speed       worse where the whole interval of the latency lies above the base's and the median is slower by more than a
            tolerated share: the stored intervals are of single processes, and two processes of the same code differ by
            a few percent more than those say. Judged only between STABLE timings of one machine, software, number of
            threads and precision
operations, parameters    what grew is said, and is no regression
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison import latency, operations, pair
from harness.comparison.group import SEEDS_FOR_SPREAD, Entry, Group, group
from harness.comparison.latency import Latency
from harness.comparison.seed_spread import SeedSpread
from harness.comparison.significance import SIGNIFICANCE, fewest_takes
from harness.errors import BadInput
from harness.evaluation import statistics
from harness.evaluation.statistics import Comparison
from harness.measurement.samples import STABLE
from harness.quantity import change, prefixed, probability, three_digits, whole_numbers
from harness.store.schema import Record, look_up

TOLERATED_SLOWDOWN_PERCENT = 5.0
#: Counts that differ by less than this share are one count, summed in another order.
_SAME_COUNT = 1e-9

#: How a check can end.
WORSE, NOT_WORSE, BETTER, UNCHANGED, NOT_JUDGED, SAID = (
    "worse", "not worse", "better", "unchanged", "not judged", "no failure",
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """From which P1 difference in mm and which slowdown in percent on something counts as worse.

    With ``require_speed`` a speed that cannot be judged is as bad as an accuracy that cannot.
    """

    worth_having_mm: float = 0.0
    tolerated_slowdown_percent: float = TOLERATED_SLOWDOWN_PERCENT
    require_speed: bool = False


@dataclass(frozen=True)
class Check:
    """One figure before and after: what was found, in words, and how it ends; ``why`` in short it was not judged."""

    configuration: str
    what: str
    finding: str
    ending: str
    why: str = ""


@dataclass(frozen=True)
class Regression:
    """All ``checks``, and the titles of configurations that only one side has."""

    checks: tuple[Check, ...]
    only_base: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    require_speed: bool = False

    @property
    def worse(self) -> list[Check]:
        return [check for check in self.checks if check.ending == WORSE]

    @property
    def unjudged(self) -> list[Check]:
        """What could not be compared and had to be: speed only where it is required, since it often is another
        machine's.
        """
        required = {"accuracy", "speed"} if self.require_speed else {"accuracy"}
        return [check for check in self.checks if check.ending == NOT_JUDGED and check.what in required]

    @property
    def untimed(self) -> list[Check]:
        """Speeds that could not be judged."""
        return [check for check in self.checks if check.ending == NOT_JUDGED and check.what == "speed"]

    @property
    def exit_code(self) -> int:
        """1 where something got worse, else 2 where nothing or not everything could be compared, else 0."""
        if self.worse:
            return 1
        return 2 if self.unjudged or not self.checks else 0


@dataclass(frozen=True)
class _Pairing:
    """One configuration before and after, under one protocol on one test set unless nothing else was found."""

    name: str
    base: Entry
    new: Entry


def of_entries(base: Entry, new: Entry, limits: Limits) -> Regression:
    """Two configurations, or runs, of one store."""
    name = new.title if base.title == new.title else f"{base.title} -> {new.title}"
    return Regression(tuple(_checks([_Pairing(name, base, new)], limits)), require_speed=limits.require_speed)


def of_stores(base: Sequence[Record], new: Sequence[Record], limits: Limits) -> Regression:
    """Every configuration that both stores have, equal in every choice but the seeds, once for each protocol and test
    set that it was scored under in both.
    """
    before, after = _by_place(base), _by_place(new)
    pairings = [_Pairing(before[place][0], before[place][1], after[place][1]) for place in before if place in after]
    left, right = _without(before, after), _without(after, before)
    paired = {place[0] for place in before if place in after}
    for place, other in list(_leftover_pairs(left, right, paired)):
        (name, old), (_, young) = left.pop(place), right.pop(other)
        pairings.append(_Pairing(name, old, young))
    return Regression(
        tuple(_checks(pairings, limits)),
        only_base=tuple(name for name, _ in left.values()),
        only_new=tuple(name for name, _ in right.values()),
        require_speed=limits.require_speed,
    )


#: Configuration, protocol and digest of the test set; both are empty where nothing was scored to tell them by.
_Place = tuple[str, str, str]
_Placed = dict[_Place, tuple[str, Entry]]


def _by_place(records: Sequence[Record]) -> _Placed:
    """Entries of a store with their names; one configuration is several where it was scored on several test sets."""
    return {
        (entry.configuration, members.protocol or "", members.test_set): (_name(entry, members), entry)
        for members in group(records)
        for entry in members.entries
    }


def _name(entry: Entry, members: Group) -> str:
    apart = ", ".join(f"{field} {value}" for field, value in members.differs.items())
    return f"{entry.title} [{apart}]" if apart else entry.title


def _without(placed: Mapping[_Place, tuple[str, Entry]], others: Iterable[_Place]) -> _Placed:
    return {place: found for place, found in placed.items() if place not in others}


def _leftover_pairs(
    left: Mapping[_Place, tuple[str, Entry]], right: Mapping[_Place, tuple[str, Entry]], paired: set[str]
) -> Iterator[tuple[_Place, _Place]]:
    """Entries of one configuration that have no counterpart in the same place.

    One that did not finish may lie in another place, since it was not scored. Of a configuration that nothing else was
    paired of, any two go on, so that it is said why they cannot be compared.
    """
    taken: set[_Place] = set()
    for place, (_, old) in left.items():
        candidates = [other for other in right if other[0] == place[0] and other not in taken]
        unscored = [other for other in candidates if _may_be_same_place(old, right[other][1])]
        chosen = unscored or ([] if place[0] in paired else candidates)
        if chosen:
            taken.add(chosen[0])
            paired = paired | {place[0]}
            yield place, chosen[0]


def _may_be_same_place(old: Entry, young: Entry) -> bool:
    """Whether one of both never finished, and what is known of their test sets agrees."""
    if old.runs and young.runs:
        return False
    digests = {digest for entry in (old, young) if (digest := look_up(entry.any_run, "data.digest_test"))}
    return len(digests) < 2


def _obstacle(base: Entry, new: Entry) -> str:
    try:
        pair.require_comparable(base, new)
    except BadInput as error:
        return str(error)
    return ""


def _checks(pairings: Sequence[_Pairing], limits: Limits) -> Iterator[Check]:
    accuracies = _accuracies([one for one in pairings if one.base.runs and one.new.runs], limits)
    for one in pairings:
        yield from _finishing(one)
        if one.base.runs and one.new.runs:
            yield next(accuracies)
            yield _speed(one.name, one.base, one.new, limits)
            yield from _growth(one.name, one.base, one.new)


def _finishing(one: _Pairing) -> Iterator[Check]:
    """What becomes of each seed that did not finish on one of both sides, or on neither."""
    before, after = _endings(one.base), _endings(one.new)
    shared = [seed for seed in before if seed in after]
    lost = [seed for seed in shared if after[seed] and not before[seed]]
    won = [seed for seed in shared if before[seed] and not after[seed]]
    still = [seed for seed in shared if before[seed] and after[seed]]
    if one.base.runs and not one.new.runs and not lost:
        lost = list(after)
    for seeds, said, endings, ending in (
        (lost, "finished before and not now", after, WORSE),
        (won, "finished now and not before", before, BETTER),
        (still, "finished neither before nor now", after, UNCHANGED),
    ):
        if seeds:
            reasons = "; ".join(dict.fromkeys(endings[seed] for seed in seeds))
            yield Check(one.name, "finishing", f"{_seeds(seeds)} {said}: {reasons}", ending)
    if not shared and not one.base.runs:
        # Other seeds: nothing was finished before, so nothing got lost.
        found = f"the base was not scored: {next(iter(before.values()))}"
        yield Check(one.name, "finishing", found, BETTER if one.new.runs else UNCHANGED)


def _endings(entry: Entry) -> dict[int | None, str]:
    """Seed -> why it did not finish, nothing where it did."""
    unfinished = {gap.get("seed"): f"{gap['status']}: {gap.get('error')}" for gap in entry.gaps}
    return unfinished | {run.get("seed"): "" for run in entry.runs}


def _seeds(seeds: Sequence[int | None]) -> str:
    known = sorted(seed for seed in seeds if seed is not None)
    return f"seed{'s' * (len(known) > 1)} {whole_numbers(known)}" if known else "a run without seed"


def _accuracies(pairings: Sequence[_Pairing], limits: Limits) -> Iterator[Check]:
    """One check each, in their order: all p-values are corrected together."""
    judged = [_compared(one) for one in pairings]
    takes = [found.difference.takes for found in judged if isinstance(found, Comparison)]
    fewest = fewest_takes(takes)
    is_tested = [
        isinstance(found, Comparison) and fewest is not None and found.difference.takes >= fewest for found in judged
    ]
    raw = [
        found.p_value
        for found, tested in zip(judged, is_tested, strict=True)
        if isinstance(found, Comparison) and tested
    ]
    p_values = iter(statistics.holm(raw).tolist())
    for one, found, tested in zip(pairings, judged, is_tested, strict=True):
        if isinstance(found, Check):
            yield found
        else:
            yield _accuracy(_of_shared_seeds(one), found, next(p_values) if tested else None, len(raw), limits)


def _compared(one: _Pairing) -> Comparison | Check:
    """New minus base, of the seeds that both have; a check that is not judged where nothing can be told."""
    obstacle = _obstacle(one.base, one.new)
    shared = _of_shared_seeds(one)
    if not obstacle and shared is one and _has_other_seeds(one) and not _has_spread(one):
        obstacle = (
            f"cannot be told: other seeds ({_seeds(one.base.seeds)} -> {_seeds(one.new.seeds)}); run the same ones, or "
            f"{SEEDS_FOR_SPREAD} of each"
        )
    comparison, untested = (None, obstacle) if obstacle else pair.tested(shared.new, shared.base)
    return comparison or Check(one.name, "accuracy", untested, NOT_JUDGED)


def _of_shared_seeds(one: _Pairing) -> _Pairing:
    """The pairing with nothing but the seeds that finished on both sides, as it is where there is none."""
    shared = {run.get("seed") for run in one.base.runs} & {run.get("seed") for run in one.new.runs}
    if not shared:
        return one
    base, new = (
        replace(entry, runs=tuple(run for run in entry.runs if run.get("seed") in shared))
        for entry in (one.base, one.new)
    )
    return _Pairing(one.name, base, new)


def _has_other_seeds(one: _Pairing) -> bool:
    return not {run.get("seed") for run in one.base.runs} & {run.get("seed") for run in one.new.runs}


def _has_spread(one: _Pairing) -> bool:
    return min(len(one.base.runs), len(one.new.runs)) >= SEEDS_FOR_SPREAD


def _accuracy(one: _Pairing, comparison: Comparison, p_value: float | None, tests: int, limits: Limits) -> Check:
    gap = comparison.difference
    if gap.mean_mm == gap.low_mm == gap.high_mm == 0:
        found = f"P1 {one.new.p1_mm:.2f} mm, the same in all {gap.takes} takes, {_compared_seeds(one)}"
        return Check(one.name, "accuracy", found, UNCHANGED)
    chance = "" if p_value is None else f", p {probability(p_value)}"
    found = (
        f"P1 {one.base.p1_mm:.2f} -> {one.new.p1_mm:.2f} mm, {change(gap.mean_mm, 2)} mm [{change(gap.low_mm, 2)}, "
        f"{change(gap.high_mm, 2)}]{chance}, {gap.takes} takes, {_compared_seeds(one)}"
    )
    if p_value is None:
        return Check(one.name, "accuracy", f"{found}; too few takes to tell", NOT_JUDGED)
    if tests > 1:
        found += f"; p by Holm over {tests} configurations"
    return _judged_accuracy(one, comparison, p_value, found, limits)


def _judged_accuracy(one: _Pairing, comparison: Comparison, p_value: float, found: str, limits: Limits) -> Check:
    gap, seeds = comparison.difference, SeedSpread.of(one.new, one.base)
    if not _has_spread(one):
        found += f"; fewer than {SEEDS_FOR_SPREAD} seeds: the noise of training is no part of the interval"
    if gap.low_mm <= 0 <= gap.high_mm or p_value >= SIGNIFICANCE:
        return Check(one.name, "accuracy", found, NOT_WORSE)
    if seeds.may_reverse:
        return Check(one.name, "accuracy", f"{found}; {seeds.warning()}", NOT_WORSE)
    if gap.mean_mm < 0:
        return Check(one.name, "accuracy", found, BETTER)
    if gap.mean_mm < limits.worth_having_mm:
        return Check(
            one.name, "accuracy", f"{found}; less than the {limits.worth_having_mm:g} mm worth having", NOT_WORSE
        )
    return Check(one.name, "accuracy", found, WORSE)


def _compared_seeds(one: _Pairing) -> str:
    if one.base.seeds == one.new.seeds:
        return _seeds(one.base.seeds)
    return f"{_seeds(one.base.seeds)} -> {_seeds(one.new.seeds)}"


def _speed(name: str, base: Entry, new: Entry, limits: Limits) -> Check:
    before, after = latency.of(base), latency.of(new)
    if before is None or after is None:
        where = "base" if before is None else "new runs"
        return Check(name, "speed", f"not timed in the {where}", NOT_JUDGED, f"not timed in the {where}")
    if not before.was_timed_like(after):
        unlike = "not timed alike (machine, software, threads, precision)"
        return Check(name, "speed", f"{unlike}: {before.machine} -> {after.machine}", NOT_JUDGED, "not timed alike")
    if {before.verdict, after.verdict} != {STABLE}:
        doubtful = " and ".join(sorted({before.verdict, after.verdict} - {STABLE}))
        found = f"{_range(before)} -> {_range(after)}; measure again with --again"
        return Check(name, "speed", found, NOT_JUDGED, f"{doubtful} timings")
    return _judged_speed(name, before, after, limits)


def _judged_speed(name: str, before: Latency, after: Latency, limits: Limits) -> Check:
    found = f"{_range(before)} -> {_range(after)}"
    if before.ms is None or after.ms is None or before.high_ms is None or after.low_ms is None:
        early = "an early record has no interval of it"
        return Check(name, "speed", f"{found}; {early}", NOT_JUDGED, early)
    percent = 100 * (after.ms / before.ms - 1)
    found = f"{found}, {change(percent)} %"
    slower = after.low_ms > before.high_ms
    if slower and percent <= limits.tolerated_slowdown_percent:
        tolerated = f"{limits.tolerated_slowdown_percent:g} % are tolerated between processes"
        return Check(name, "speed", f"{found}; {tolerated}", NOT_WORSE)
    faster = after.high_ms is not None and before.low_ms is not None and after.high_ms < before.low_ms
    return Check(name, "speed", found, WORSE if slower else BETTER if faster else NOT_WORSE)


def _range(timed: Latency) -> str:
    ends = "" if timed.low_ms is None else f" [{three_digits(timed.low_ms)}, {three_digits(timed.high_ms)}]"
    verdict = "" if timed.verdict == STABLE else f" {timed.verdict}"
    return f"{three_digits(timed.ms)}{ends}{verdict} ms a frame"


def _growth(name: str, base: Entry, new: Entry) -> Iterator[Check]:
    counted = operations.of(new, base)
    if counted and counted.ratio > 1 + _SAME_COUNT:
        rise = f"{prefixed(counted.second)} -> {prefixed(counted.first)} a frame, {_rise(counted.ratio)}"
        yield Check(name, counted.counted, f"grew: {rise}", SAID)
    own, other = (max(entry.values("cost.params_total"), default=None) for entry in (new, base))
    if own and other and own > other:
        yield Check(name, "parameters", f"grew: {other:,} -> {own:,}, {_rise(own / other)}", SAID)


def _rise(ratio: float) -> str:
    """``"+50 %"``, to three digits, so that no rise reads as none."""
    return f"+{100 * (ratio - 1):.3g} %"
