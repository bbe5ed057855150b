"""``harness sweep --dry-run``: how much there is to do, where the time goes, and when it would end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput
from harness.progress import ProgressLine, Say, clock_text, warnings_said
from harness.store.measurement import MEASUREMENTS
from harness.store.store import Store
from harness.sweep import finished, history, makespan
from harness.sweep.estimate import SOURCES, CostModel, Estimate
from harness.sweep.makespan import Schedule
from harness.sweep.point import Point
from harness.sweep.workload import Counted, Workloads, is_third_party

#: How many points, or models, are named one by one.
_NAMED = 5
#: Where it is not known how many points are worked on at once.
_SLOTS = (8, 64, 512)
#: The executor whose points are all on this machine, where a measurement stops everything else.
_LOCAL = "local"


@dataclass(frozen=True)
class Forecast:
    """Of points that are still to be done.

    estimates  point -> estimate
    in_order   of the points with a known duration on the slots, as they are listed; measurements at the end where
               they stop everything else
    sorted     the same, the longest first
    """

    estimates: dict[str, Estimate]
    in_order: Schedule
    sorted: Schedule


def say_plan(
    points: Sequence[Point],
    executor: str,
    slots: int | None,
    results: Path,
    say: Say,
    *,
    skipped: Collection[str] | None = None,
    workloads: Workloads | None = None,
    product_rate: Callable[[str], float | None] | None = None,
) -> list[Forecast]:
    """Say line by line what the sweep would do on ``slots`` points at once; nothing is run, or stored in ``results``.

    Returns the forecast; where it is not known how many there are (None), those for 8, 64 and 512 at once.
    ``executor`` is its name, ``skipped`` are the ids of points that are finished (None: as harness.sweep.finished has
    them). ``workloads`` and ``product_rate`` (operations a second, of a device) are for tests. Raises BadInput for a
    store or data that cannot be read.
    """
    if skipped is None:
        skipped = finished.finished(points, results, say, elsewhere=executor != _LOCAL)
    open_points = [point for point in points if point.id not in skipped]
    costs = _cost_model(executor, results, workloads or Counted(None, say), product_rate, say)
    estimates = _estimates(open_points, costs, results, say)
    known = [point for point in open_points if estimates[point.id].seconds is not None]
    forecasts = [
        _scheduled(known, estimates, number, executor == _LOCAL) for number in (_SLOTS if slots is None else (slots,))
    ]
    _say_amount(points, open_points, estimates, say)
    if known:
        _say_where(known, estimates, say)
    _say_grounds(open_points, estimates, costs, say)
    if known:
        _say_end(known, forecasts, executor, say)
    say("nothing was run or stored")
    return forecasts


def longest_first(
    points: Sequence[Point],
    executor: str,
    results: Path,
    say: Say,
    *,
    workloads: Workloads | None = None,
    product_rate: Callable[[str], float | None] | None = None,
) -> list[Point]:
    """``points`` by their durations, the longest first; those of unknown duration may be the longest.

    The arguments are those of ``say_plan``, and so is what is raised.
    """
    counted = workloads or Counted(results / "cache", say)  # which the points to come will want as well
    estimates = _estimates(points, _cost_model(executor, results, counted, product_rate, say), results, say)
    unknown = [point for point in points if estimates[point.id].seconds is None]
    known = [point for point in points if estimates[point.id].seconds is not None]
    return [*unknown, *sorted(known, key=lambda point: -_seconds(estimates[point.id]))]


# ---- estimating ----


def _cost_model(
    executor: str, results: Path, workloads: Workloads, product_rate: Callable[[str], float | None] | None, say: Say
) -> CostModel:
    with warnings_said(say):
        records, rows = Store(results).latest(), Store(results, MEASUREMENTS).latest()
    return CostModel(
        records,
        rows,
        workloads,
        product_rate or _product_rate,
        _this_machine() if executor == _LOCAL else (),
    )


def _product_rate(device: str) -> float | None:
    from harness.measurement import machine

    return machine.product_rate(device) if _is_here(device) else None


def _is_here(device: str) -> bool:
    """Whether this machine has it: the points may be of others."""
    import torch

    return device == "cpu" or torch.cuda.is_available()


def _this_machine() -> list[str]:
    from harness import environment

    captured = environment.capture()
    return [history.machine_of(captured, device) for device in ("cpu", "cuda")]


def _estimates(points: Sequence[Point], costs: CostModel, results: Path, say: Say) -> dict[str, Estimate]:
    line = ProgressLine("estimating")
    found = {}
    try:
        for number, point in enumerate(points):
            line.update(number / len(points), point.id)
            config = point.config
            found[point.id] = (
                _measurement(point, results) if config is None else costs.of_run(config, point.cores // config.threads)
            )
    finally:
        line.close()
    return found


def _measurement(point: Point, results: Path) -> Estimate:
    from harness.measurement import plan

    if point.request is None:
        raise BadInput(f"{point.id} is neither a run nor a measurement")
    if is_third_party(point.model) or not _is_here(point.request.device):
        return Estimate(0.0, None, "unknown")
    planned = plan.plan(point.request, results, lambda line: None)
    return Estimate(0.0, None, "unknown") if planned.unknown else Estimate(0.0, planned.seconds, "survey")


# ---- scheduling ----


def _scheduled(known: Sequence[Point], estimates: dict[str, Estimate], slots: int, measured_last: bool) -> Forecast:
    alone = [point for point in known if measured_last and point.exclusive]
    beside = [point for point in known if not (measured_last and point.exclusive)]
    durations_s, widths = (
        [_seconds(estimates[point.id]) for point in beside],
        [_width(point, slots) for point in beside],
    )
    alone_s = [_seconds(estimates[point.id]) for point in alone]
    return Forecast(
        estimates,
        _then(makespan.in_order(durations_s, slots, widths=widths), alone_s),
        _then(makespan.longest_first(durations_s, slots, widths=widths), alone_s),
    )


def _width(point: Point, slots: int) -> int:
    """A slot is a GPU where the point has some, else room for one point. The local executor gives what there is."""
    return min(max(1, point.gpus), slots)


def _then(schedule: Schedule, alone_s: Sequence[float]) -> Schedule:
    """With points after it that have all slots, one after the other."""
    together_s = sum(alone_s)
    return Schedule(
        schedule.slots,
        schedule.makespan_s + together_s,
        schedule.work_s + schedule.slots * together_s,
        max([schedule.longest_s, *alone_s]),
    )


def _seconds(estimate: Estimate) -> float:
    return estimate.seconds or 0.0


# ---- saying ----


def _say_amount(points: Sequence[Point], open_points: Sequence[Point], found: Mapping[str, Estimate], say: Say) -> None:
    measurements = sum(point.exclusive for point in points)
    kinds = [_counted(len(points) - measurements, "run")] * (len(points) > measurements)
    kinds += [_counted(measurements, "measurement")] * (measurements > 0)
    say(f"{' and '.join(kinds)}, {len(points) - len(open_points)} finished, {len(open_points)} to do")
    estimates = [estimate for estimate in found.values() if estimate.seconds is not None]
    if not estimates:
        return
    training_s, rest_s = (
        sum(getattr(estimate, name) or 0.0 for estimate in estimates) for name in ("training_s", "rest_s")
    )
    unknown = len(open_points) - len(estimates)
    without = f", without {_counted(unknown, 'point')} of unknown duration" if unknown else ""
    say(f"  time        {_hours(training_s + rest_s)} of device time{without}")
    say(f"              {_hours(training_s)} of training, {_hours(rest_s)} of evaluation, loading and measurement")


def _say_where(known: Sequence[Point], estimates: dict[str, Estimate], say: Say) -> None:
    _say_parts("by model", [(point.model, _seconds(estimates[point.id])) for point in known], say)
    _say_parts("by T", [(_frames(point), _seconds(estimates[point.id])) for point in known], say)
    longest = sorted(known, key=lambda point: -_seconds(estimates[point.id]))[:_NAMED]
    for index, point in enumerate(longest):
        start = f"  {'longest' if index == 0 else '':<12}"
        say(f"{start}{point.id}: {clock_text(_seconds(estimates[point.id]))}")


def _say_parts(heading: str, spent: Sequence[tuple[str, float]], say: Say) -> None:
    """Of (part, seconds) of each point the sums, the largest first."""
    parts_s: dict[str, list[float]] = defaultdict(list)
    for part, seconds in spent:
        parts_s[part].append(seconds)
    total_s = sum(seconds for _, seconds in spent) or 1.0
    for index, (part, each_s) in enumerate(sorted(parts_s.items(), key=lambda item: -sum(item[1]))):
        start = f"  {heading if index == 0 else '':<12}"
        say(f"{start}{part}: {_hours(sum(each_s))}, {sum(each_s) / total_s:.0%}, {_counted(len(each_s), 'point')}")


def _frames(point: Point) -> str:
    if point.config is not None:
        return str(point.config.frames)
    return "measured" if point.request is None else " ".join(map(str, point.request.frames))


def _say_grounds(open_points: Sequence[Point], estimates: dict[str, Estimate], costs: CostModel, say: Say) -> None:
    by_source = Counter(estimates[point.id].source for point in open_points)
    for index, source in enumerate(source for source in SOURCES if by_source[source]):
        start = f"  {'known from' if index == 0 else '':<12}"
        say(f"{start}{SOURCES[source]}: {_counted(by_source[source], 'point')}")
    if any(point.config is not None and point.cores > point.config.threads for point in open_points):
        say("              where no run of several devices was seen, they are taken to be as many times as fast")
    if machines := costs.machines():
        say(f"  {'timed on':<12}{', '.join(machines)}; elsewhere it takes another time")
    if unknown := [point.id for point in open_points if estimates[point.id].seconds is None]:
        say(f"  {'unknown':<12}{_some(unknown)}")


def _say_end(known: Sequence[Point], forecasts: Sequence[Forecast], executor: str, say: Say) -> None:
    for index, forecast in enumerate(forecasts):
        listed, best = forecast.in_order, forecast.sorted
        say(
            f"  {'end' if index == 0 else '':<12}after {_hours(listed.makespan_s)} on {_counted(listed.slots, 'slot')} "
            f"of {executor}, which are busy {listed.utilisation:.0%} of the time"
        )
        say(
            f"              {_hours(best.makespan_s)} with the longest first (--longest-first), no order: less than "
            f"{_hours(listed.bound_s)}"
        )
    useful = forecasts[0].in_order.useful_slots
    say(f"              beyond {_counted(useful, 'slot')} the longest point decides")
    if any(point.exclusive for point in known):
        where = "at the end, one at a time" if executor == _LOCAL else "a slot each, though each takes a whole node"
        say(f"              measurements are counted {where}")


def _some(names: Iterable[str]) -> str:
    named = list(names)
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _hours(seconds: float) -> str:
    """In the unit that it is best read in: ``45 s``, ``12.5 minutes``, ``3.2 hours``, ``310 hours``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.1f} minutes"
    hours = seconds / 3600
    return f"{hours:.1f} hours" if hours < 99.5 else f"{hours:,.0f} hours"
