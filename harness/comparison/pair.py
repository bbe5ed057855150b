"""Two entries set against each other: which errs less, by how much, how sure that is, and at what cost.

Everything is paired by take with the errors averaged over seeds first (``harness.evaluation.statistics``), and
conditional on the test subjects. What another training seed would change is apart from it: ``SeedSpread``.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.comparison import sequence_errors
from harness.comparison.group import Entry
from harness.comparison.seed_spread import SeedSpread
from harness.comparison.sequence_errors import SequenceErrors
from harness.comparison.significance import fewest_takes
from harness.errors import BadInput
from harness.evaluation import statistics
from harness.evaluation.signature import Signature
from harness.evaluation.statistics import FEWEST_TAKES, Comparison, Interval
from harness.store.schema import look_up

#: A P1 that the sequences' errors miss by more than this share is another figure than theirs.
_SAME_P1 = 1e-3


@dataclass(frozen=True)
class ActionDifference:
    """P1 of both entries on one action, in mm.

    ``comparison`` is None with fewer than ``FEWEST_TAKES`` takes. ``p_value`` is corrected over the tested actions, and
    None for those with too few takes to come out of a test (``fewest_takes``), whose interval is all there is.
    """

    action: str
    takes: int
    p1_a_mm: float
    p1_b_mm: float
    comparison: Comparison | None
    p_value: float | None

    @property
    def difference_mm(self) -> float:
        return self.p1_a_mm - self.p1_b_mm


@dataclass(frozen=True)
class Pair:
    """``a`` against ``b``; ``comparison`` is of a minus b, None where ``obstacle`` says why there is none."""

    a: Entry
    b: Entry
    interval_a: Interval | None
    interval_b: Interval | None
    comparison: Comparison | None
    obstacle: str
    actions: tuple[ActionDifference, ...]
    seeds: SeedSpread


def compare(a: Entry, b: Entry) -> Pair:
    """Two entries that were scored. Raises BadInput, naming what differs, where their figures may not be ranked."""
    require_comparable(a, b)
    comparison, obstacle = tested(a, b)
    return Pair(
        a,
        b,
        interval_a=interval(a)[0],
        interval_b=interval(b)[0],
        comparison=comparison,
        obstacle=obstacle,
        actions=tuple(_by_action(a, b)),
        seeds=SeedSpread.of(a, b),
    )


def require_comparable(a: Entry, b: Entry) -> None:
    """Raises BadInput naming the fields of the protocol, or the test set, in which the entries differ."""
    for entry in (a, b):
        if not entry.runs:
            gap = entry.any_run
            raise BadInput(f"{entry.title} has no accuracy to compare: {gap['status']}: {gap.get('error')}")
    own, other = (Signature.parse(entry.any_run["signature"]["long"]) for entry in (a, b))
    fields = own.difference(other)
    if fields:
        listed = "; ".join(f"{key} {_field(own, key)} against {_field(other, key)}" for key in fields)
        raise BadInput(
            f"{a.title} and {b.title} were scored under different protocols, which nothing compares: {listed}. "
            "Score both under one protocol: harness evaluate --run"
        )
    digests = [str(look_up(entry.any_run, "data.digest_test")) for entry in (a, b)]
    if digests[0] != digests[1]:
        raise BadInput(
            f"{a.title} and {b.title} were scored on different test sets (digests {digests[0][:12]} and "
            f"{digests[1][:12]}). Score both on the same data: harness evaluate --run"
        )
    names, others = map(_sequence_names, (a, b))
    if names and others and not names & others:
        raise BadInput(f"{a.title} and {b.title} have no sequence in common: nothing is paired")


def _sequence_names(entry: Entry) -> set[str]:
    return {row["sequence"] for run in entry.runs for row in look_up(run, "accuracy.per_sequence") or []}


def interval(entry: Entry) -> tuple[Interval | None, str]:
    """P1 with its interval over takes, or None and why there is none."""
    try:
        errors = sequence_errors.of(entry)
        found = statistics.mean_interval(errors.p1_mm, errors.takes, errors.weights)
        _require_those_of_p1(entry, errors)
    except BadInput as error:
        return None, str(error)
    return found, ""


def tested(a: Entry, b: Entry) -> tuple[Comparison | None, str]:
    """The paired difference a minus b, or None and why there is none: where either has no interval, for one."""
    try:
        own, other = _paired(a, b)
        found = statistics.compare(own.p1_mm, other.p1_mm, own.takes, own.weights)
        _require_those_of_p1(a, own)
        _require_those_of_p1(b, other)
    except BadInput as error:
        return None, str(error)
    return found, ""


def _require_those_of_p1(entry: Entry, errors: SequenceErrors) -> None:
    """Raises BadInput where the errors of single sequences are those of another figure."""
    mean_mm = errors.mean_mm()
    if entry.p1_mm is None or abs(mean_mm - entry.p1_mm) > _SAME_P1 * entry.p1_mm:
        raise BadInput(f"the errors of its sequences have the mean {mean_mm:.1f} mm, which is not its P1")


def _paired(a: Entry, b: Entry) -> tuple[SequenceErrors, SequenceErrors]:
    own, other = sequence_errors.of(a), sequence_errors.of(b)
    if (own.names, own.takes) != (other.names, other.takes) or (own.frames != other.frames).any():
        raise BadInput("they were not scored on the same sequences")
    return own, other


def _by_action(a: Entry, b: Entry) -> list[ActionDifference]:
    try:
        own, other = _paired(a, b)
        _require_those_of_p1(a, own)
        _require_those_of_p1(b, other)
    except BadInput:
        return []
    parts = [(own.of_action(action), other.of_action(action)) for action in sorted(set(own.actions))]
    compared = [
        statistics.compare(mine.p1_mm, theirs.p1_mm, mine.takes, mine.weights)
        if len(set(mine.takes)) >= FEWEST_TAKES
        else None
        for mine, theirs in parts
    ]
    fewest = fewest_takes([found.difference.takes for found in compared if found])
    is_tested = [found is not None and fewest is not None and found.difference.takes >= fewest for found in compared]
    p_values = [found.p_value for found, tested in zip(compared, is_tested, strict=True) if found and tested]
    adjusted = iter(statistics.holm(p_values).tolist())
    return [
        ActionDifference(
            action=mine.actions[0],
            takes=len(set(mine.takes)),
            p1_a_mm=mine.mean_mm(),
            p1_b_mm=theirs.mean_mm(),
            comparison=found,
            p_value=next(adjusted) if tested else None,
        )
        for (mine, theirs), found, tested in zip(parts, compared, is_tested, strict=True)
    ]


def _field(signature: Signature, key: str) -> str:
    return signature.fields().get(key, "(as usual)")
