"""Two entries set against each other, for the terminal and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from harness.comparison import latency, operations
from harness.comparison.group import SEEDS_FOR_SPREAD, Entry
from harness.comparison.pair import ActionDifference, Pair
from harness.comparison.significance import MARKS_IN_WORDS, SIGNIFICANCE, marks
from harness.evaluation.signature import Signature
from harness.evaluation.statistics import CONFIDENCE, FEWEST_TAKES, Comparison, Interval
from harness.measurement.samples import STABLE
from harness.quantity import (
    MISSING,
    NO_BREAK,
    change,
    decimal,
    prefixed,
    probability,
    three_digits,
    with_spread,
)
from harness.reporting.grid import Grid, Heading, wrapped
from harness.reporting.neighbours import Neighbours
from harness.store.schema import look_up

_TEST = f"{CONFIDENCE:.0%} test"
_ENTRIES = (
    Heading("", number=False), Heading("seeds"), Heading("P1", "mm"), Heading(_TEST, "mm"), Heading("params"),
    Heading("ops", "/frame"), Heading("latency", "ms/f"),
)  # fmt: skip
_ACTIONS = (
    Heading("action", number=False), Heading("takes"), Heading("A", "mm"), Heading("B", "mm"), Heading("A − B", "mm"),
    Heading(_TEST, "mm"), Heading("p", "Holm"), Heading("", number=False),
)  # fmt: skip


def text(pair: Pair, worth_having_mm: float) -> str:
    """For a terminal of 120 columns: the protocol, both, the difference, its cost, the seeds, and action by action."""
    parts = [
        "\n".join(line.replace("| ", "|") for line in wrapped(_protocol(pair).replace("|", "| "))),
        Grid("", _ENTRIES, (_row("A", pair.a, pair.interval_a), _row("B", pair.b, pair.interval_b))).to_text(),
        *("\n".join(wrapped(said)).replace(NO_BREAK, " ") for said in _sentences(pair, worth_having_mm)),
        *_by_action(pair),
    ]
    return "\n\n".join(parts)


def as_json(pair: Pair, worth_having_mm: float) -> str:
    """The same figures for a program; the difference is A minus B."""
    counted = operations.of(pair.a, pair.b)
    content = {
        "protocol": _protocol(pair),
        "test_set": look_up(pair.a.any_run, "data.digest_test"),
        "a": _figures(pair.a, pair.interval_a),
        "b": _figures(pair.b, pair.interval_b),
        "difference": _difference(pair.comparison),
        "untested": pair.obstacle or None,
        "worth_having_mm": worth_having_mm,
        "seeds_standard_error_mm": pair.seeds.standard_error_mm,
        "seeds_margin_mm": pair.seeds.margin_mm,
        "seeds_may_reverse": None if pair.seeds.margin_mm is None else pair.seeds.may_reverse,
        "operations_ratio": counted.ratio if counted else None,
        "operations_counted": counted.counted if counted else None,
        "latency_ratio": _latency_ratio(pair),
        "actions": [
            {
                "action": one.action,
                "takes": one.takes,
                "p1_a_mm": one.p1_a_mm,
                "p1_b_mm": one.p1_b_mm,
                "difference_mm": one.difference_mm,
                "interval": asdict(one.comparison.difference) if one.comparison else None,
                "p_value": one.comparison.p_value if one.comparison and one.p_value is not None else None,
                "p_value_holm": one.p_value,
            }
            for one in pair.actions
        ],
    }
    return json.dumps(content, indent=2)


def _protocol(pair: Pair) -> str:
    return Signature.parse(pair.a.any_run["signature"]["long"]).group()


def _row(letter: str, entry: Entry, interval: Interval | None) -> tuple[str, ...]:
    timed = latency.of(entry)
    verdict = f" {timed.verdict}" if timed and timed.verdict != STABLE else ""
    return (
        f"{letter}: {entry.title}",
        " ".join(map(str, entry.seeds)) or str(len(entry.runs)),
        with_spread(entry.p1_mm, entry.p1_sd_mm),
        f"[{decimal(interval.low_mm)}, {decimal(interval.high_mm)}]" if interval else MISSING,
        prefixed(next(iter(entry.values("cost.params_total")), None)),
        prefixed(entry.mean("cost.per_frame.flops_exact")),
        f"{three_digits(timed.ms if timed else None)}{verdict}",
    )


def _sentences(pair: Pair, worth_having_mm: float) -> list[str]:
    return [
        _who_is_better(pair, worth_having_mm),
        *_worth_having(pair, worth_having_mm),
        _latencies(pair),
        _seeds(pair),
    ]


def _who_is_better(pair: Pair, worth_having_mm: float) -> str:
    comparison = pair.comparison
    if comparison is None:
        return f"The difference cannot be tested: {pair.obstacle}."
    said = (
        Neighbours(pair.a, pair.b, comparison, comparison.p_value, pair.seeds, "", worth_having_mm)
        if comparison.difference.mean_mm <= 0
        else Neighbours(pair.b, pair.a, comparison.swapped(), comparison.p_value, pair.seeds, "", worth_having_mm)
    ).sentence()
    gap = comparison.difference
    return (
        f"{said} In brackets the {gap.confidence:.0%} interval over {gap.takes} takes, conditional on the test "
        "subjects; p by sign flips of takes."
    )


def _worth_having(pair: Pair, worth_having_mm: float) -> list[str]:
    if pair.comparison is None:
        return []
    gap = pair.comparison.difference
    nearest = 0.0 if gap.low_mm <= 0 <= gap.high_mm else min(abs(gap.low_mm), abs(gap.high_mm))
    farthest = max(abs(gap.low_mm), abs(gap.high_mm))
    where = (
        "lies beyond it" if nearest >= worth_having_mm
        else "lies within it: whichever is better, it is by less" if farthest < worth_having_mm
        else "reaches to both sides of it"
    )  # fmt: skip
    return [f"Smallest difference worth having: {worth_having_mm:g} mm; the interval {where}."]


def _latencies(pair: Pair) -> str:
    own, other = latency.of(pair.a), latency.of(pair.b)
    if own is None or other is None or own.ms is None or other.ms is None:
        return "Latency: not timed for both."
    if not own.was_timed_like(other):
        return f"Latency: cannot be compared; A was timed on {own.machine}, B on {other.machine}."
    doubt = "" if {own.verdict, other.verdict} == {STABLE} else ", of NOISY timings: not to be relied on"
    ratio = own.ms / other.ms
    times = "about as long" if 0.95 < ratio < 1.05 else f"{ratio:.2g} times as long"
    return f"Latency: A takes {times} for a frame as B ({own.machine}{doubt})."


def _latency_ratio(pair: Pair) -> float | None:
    own, other = latency.of(pair.a), latency.of(pair.b)
    if own is None or other is None or not own.ms or not other.ms or not own.was_timed_like(other):
        return None
    return own.ms / other.ms


def _seeds(pair: Pair) -> str:
    error = pair.seeds.standard_error_mm
    if error is None:
        return (
            f"Seeds: fewer than {SEEDS_FOR_SPREAD} of one, so what another training would change is not known; the "
            "interval above does not hold it."
        )
    return (
        "Seeds: apart from the interval above, other training seeds move the difference of "
        f"{change(pair.seeds.difference_mm)} mm (A − B) with a standard error of {error:.1f} mm "
        f"(A: {_listed(pair.seeds.p1_a_mm)}; B: {_listed(pair.seeds.p1_b_mm)} mm)."
    )


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(decimal(value) for value in values)


def _by_action(pair: Pair) -> list[str]:
    if not pair.actions:
        return []
    tested = sum(one.p_value is not None for one in pair.actions)
    untested = [one.action for one in pair.actions if one.comparison is not None and one.p_value is None]
    few = [one.action for one in pair.actions if one.comparison is None]
    notes = []
    if tested:
        corrected = f"p is corrected by Holm for {tested} action{'s' * (tested > 1)}; {MARKS_IN_WORDS}"
        notes.append(f"{corrected}; of these trainings, whatever other seeds may change")
    if untested:
        notes.append(
            f"too few takes for a test, which could not come out below {SIGNIFICANCE:g} after the correction for all "
            f"that have as many: {', '.join(untested)}"
        )
    if few:
        notes.append(f"fewer than {FEWEST_TAKES} takes are too few for an interval or a test: {', '.join(few)}")
    rows = tuple(_action_row(one) for one in sorted(pair.actions, key=lambda one: (one.difference_mm, one.action)))
    return [Grid("By action", _ACTIONS, rows, tuple(notes)).to_text()]


def _action_row(one: ActionDifference) -> tuple[str, ...]:
    gap = one.comparison.difference if one.comparison else None
    chance = MISSING if gap else ""
    if one.p_value is not None:
        chance = probability(one.p_value).removeprefix(f"={NO_BREAK}").replace(NO_BREAK, " ")
    return (
        one.action,
        str(one.takes),
        decimal(one.p1_a_mm),
        decimal(one.p1_b_mm),
        change(one.difference_mm),
        f"[{change(gap.low_mm)}, {change(gap.high_mm)}]" if gap else "too few takes",
        chance,
        "" if one.p_value is None else marks(one.p_value),
    )


def _figures(entry: Entry, interval: Interval | None) -> dict[str, Any]:
    timed = latency.of(entry)
    return {
        "name": entry.title,
        "runs": [run["id"] for run in entry.runs],
        "seeds": list(entry.seeds),
        "p1_mm": entry.p1_mm,
        "p1_sd_mm": entry.p1_sd_mm,
        "p1_by_seed_mm": entry.values("accuracy.p1_mm"),
        "interval": asdict(interval) if interval else None,
        "params_total": next(iter(entry.values("cost.params_total")), None),
        "flops_exact_per_frame": entry.mean("cost.per_frame.flops_exact"),
        "macs_fvcore_per_frame": entry.mean("cost.macs_fvcore_per_frame"),
        "latency_ms_per_frame": timed.ms if timed else None,
        "latency_low_ms_per_frame": timed.low_ms if timed else None,
        "latency_high_ms_per_frame": timed.high_ms if timed else None,
        "latency_verdict": timed.verdict if timed else None,
        "machine": timed.machine if timed else None,
    }


def _difference(comparison: Comparison | None) -> dict[str, Any] | None:
    return {**asdict(comparison.difference), "p_value": comparison.p_value} if comparison else None
