"""The tables of a store's measurements: what each point costs, how that grows with T, where two models cross, and how
near each kind of work comes to what the machine attains.

One set of tables for each environment, since figures of two machines are never mixed. Only what was measured is in
them, nothing beyond the T that it was measured at. CSV has the raw figures, the others what is worth reading of them.
"""

from __future__ import annotations

import csv as csv_format
import io
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.complexity.crossover import QUANTITIES, Crossover, crossovers
from harness.complexity.growth import Exponent, Growth, growths
from harness.complexity.roofline import ARITHMETIC, EXPONENTIALS, MEMORY, WHOLE, Share, shares
from harness.complexity.summary import Summary, summarise
from harness.errors import BadInput, suggestion
from harness.measurement.kind import KINDS
from harness.measurement.point import AUTO
from harness.measurement.samples import STABLE
from harness.quantity import MISSING, prefixed, speed
from harness.reporting.grid import Grid, Heading, wrapped
from harness.spreadsheet import inert
from harness.store.schema import Record

CONVENTION = (
    "T = frames of a clip; latency = median duration of one forward of the whole batch, all rounds pooled, with its "
    "95 % interval; frames = those that a forward answers for; memory = highest during a forward, above weights and "
    "clips; operations = flops_exact, every floating-point operation counted; batch (auto, …) = the largest that ran, "
    "and whether memory, time or a limit ended the search."
)
#: Names of the tables, in their order.
TABLES = ("points", "growth", "crossovers", "roofline")
#: Columns of the growth table: heading -> quantity.
_EXPONENTS = {
    "latency": "latency",
    "memory": "memory",
    "operations": "flops_exact",
    "of attention": "flops_exact.attention",
    "attention time": "seconds.attention",
}
#: What of a protocol (harness.measurement.timing.Protocol) a reader of durations wants to know.
_PROTOCOL = {
    "rounds": "rounds in fresh processes: {:g}",
    "warm_up_calls": "warm-up {:g} calls",
    "warm_up_seconds": "or {:g} s",
    "block_seconds": "samples of {:g} s or more",
    "min_samples": "at least {:g} a round",
    "min_seconds": "and {:g} s",
    "max_seconds": "at most {:g} s",
}
#: With more pairs of models than this, those that cross in anything are shown and the others counted.
_MOST_PAIRS = 45
_BOUNDS = {ARITHMETIC: "a", MEMORY: "m", EXPONENTIALS: "e"}


def text(rows: Iterable[Record], *, minimum: int | None = None) -> str:
    """Every table for a terminal of 120 columns. Exponents are fitted from T = ``minimum`` on, if given."""
    return "\n\n\n".join(
        "\n\n".join(["\n".join(line for said in lines for line in wrapped(said)), *(grid.to_text() for grid in grids)])
        for lines, grids in _environments(list(rows), minimum)
    )


def markdown(rows: Iterable[Record], *, minimum: int | None = None) -> str:
    """Every table as Markdown."""
    parts = [
        "\n\n".join([*lines, *(grid.to_markdown() for grid in grids)])
        for lines, grids in _environments(list(rows), minimum)
    ]
    return "\n\n".join(parts) + "\n" if parts else ""


def csv(rows: Iterable[Record], table: str = "points", *, minimum: int | None = None) -> str:
    """The raw figures of one of TABLES. Raises BadInput for another name."""
    rows = list(rows)
    summaries = summarise(rows)
    if table not in TABLES:
        raise BadInput(f"no table {table!r}. {suggestion(table, TABLES)}One of: {', '.join(TABLES)}")
    makers: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
        "points": lambda: map(_raw_point, summaries),
        "growth": lambda: (raw for one in growths(summaries, minimum=minimum) for raw in _raw_growth(one)),
        "crossovers": lambda: (_raw_crossover(one) for name in QUANTITIES for one in crossovers(summaries, name)),
        "roofline": lambda: map(_raw_share, shares(summaries, rows)),
    }
    entries = list(makers[table]())
    if not entries:
        return ""
    written = io.StringIO()
    writer = csv_format.DictWriter(written, list(entries[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: inert(value) for name, value in entry.items()} for entry in entries)
    return written.getvalue()


def _environments(rows: Sequence[Record], minimum: int | None) -> list[tuple[list[str], list[Grid]]]:
    """(lines above, tables) of each environment."""
    together: dict[str, list[Summary]] = {}
    for summary in summarise(rows):
        together.setdefault(summary.environment_key, []).append(summary)
    return [
        (
            [_environment_line(members[0]), *_protocol_lines(members), CONVENTION],
            [grid for grid in _grids(members, rows, minimum) if grid.cells],
        )
        for members in together.values()
    ]


def _grids(members: Sequence[Summary], rows: Sequence[Record], minimum: int | None) -> list[Grid]:
    return [
        _points(members),
        _growth(growths(members, minimum=minimum)),
        _crossovers({name: crossovers(members, name) for name in QUANTITIES}),
        _roofline(shares(members, rows)),
    ]


def _environment_line(summary: Summary) -> str:
    known = summary.environment
    packages = known.get("packages") or {}
    words = [
        known.get("gpu") if summary.point.device != "cpu" else None,
        known.get("processor"),
        f"{known['cores']} cores" if known.get("cores") else None,
        known.get("system"),
        f"Python {known['python']}" if known.get("python") else None,
        *(f"{name} {packages[name]}" for name in ("torch", "numpy") if packages.get(name)),
        f"harness {known['harness']}" if known.get("harness") else None,
    ]
    said = ", ".join(str(word) for word in words if word) or "unknown machine"
    return f"environment {summary.environment_key[:8]}: {said}"


def _protocol_lines(members: Sequence[Summary]) -> list[str]:
    """How it was timed; more than one line where it was not the same for all."""
    said = [
        ", ".join(words.format(value) for name, words in _PROTOCOL.items() if (value := member.protocol.get(name)))
        for member in members
        if member.rounds_ms
    ]
    return [f"protocol: {line}" for line in dict.fromkeys(filter(None, said))]


def _points(members: Sequence[Summary]) -> Grid:
    columns: list[tuple[Heading, Callable[[Summary], str]]] = [
        (Heading("model", number=False), lambda one: one.label),
        (Heading("T"), lambda one: str(one.point.frames)),
        (Heading("batch"), _batch),
        (Heading("latency", "ms"), _latency),
        (Heading("p90", "ms"), lambda one: _duration(_percentile(one, "p90"))),
        (Heading("per frame", "ms"), lambda one: _duration(_trusted(one, one.per_frame_ms))),
        (Heading("frames", "/s"), lambda one: speed(_trusted(one, one.frames_per_s))),
        (Heading("memory", "B"), lambda one: prefixed(one.peak_bytes)),
        (Heading("operations", "/frame"), lambda one: prefixed(one.flops_per_frame)),
        (Heading("energy", "J/frame"), lambda one: _plain(_joules_per_frame(one))),
        (Heading("verdict", number=False), lambda one: _verdict(one)),
    ]
    always = {"model", "T", "batch", "latency", "verdict"}
    shown = [
        (heading, cell)
        for heading, cell in columns
        if heading.name in always or any(cell(one) != MISSING for one in members)
    ]
    cells = tuple(tuple(cell(one) for _, cell in shown) for one in members)
    return Grid("Points", tuple(heading for heading, _ in shown), cells, tuple(_notes(members)))


def _notes(members: Sequence[Summary]) -> list[str]:
    """Why a point has no figures or is not STABLE, then what its rows warn of, each sentence once."""
    said: dict[str, list[Summary]] = {}
    for one in members:
        if _verdict(one) not in (STABLE, MISSING):
            why = one.error if one.status != "ok" else one.reason
            said.setdefault(f"{_verdict(one)}: {why}", []).append(one)
    for one in members:
        for warning in one.warnings:
            said.setdefault(warning, []).append(one)
    return [f"{_named(ones, len(members))}: {sentence}" for sentence, ones in said.items()]


def _named(ones: Sequence[Summary], of: int) -> str:
    if len(ones) == of > 1:
        return "every point"
    lengths: dict[str, list[str]] = {}
    for one in ones:
        lengths.setdefault(one.label, []).append(str(one.point.frames))
    return "; ".join(f"{label}, T={', '.join(frames)}" for label, frames in lengths.items())


def _growth(found: Sequence[Growth]) -> Grid:
    grown = [one for one in found if one.exponents]
    names = {
        heading: name
        for heading, name in _EXPONENTS.items()
        if name == "latency" or any(name in one.exponents for one in grown)
    }
    cells = tuple(
        (one.label, _range(_mainly(one)), *(_exponent(one, name) for name in names.values())) for one in grown
    )
    headings = (Heading("model", number=False), Heading("fitted over T"), *map(Heading, names))
    explained = (
        "± or [ ]: 95 % interval, for the noise of the clock and for not being a power law exactly; of operations, "
        "which have no noise, from the lowest to the highest slope between neighbouring T. Nothing is said of other T."
    )
    left_out = [f"{one.label}: left out: {'; '.join(one.left_out)}" for one in found if one.left_out]
    apart = [said for one in grown for said in _other_ranges(one, names)]
    return Grid("Growth: exponent of T", headings, cells, (explained, *apart, *left_out))


def _mainly(growth: Growth) -> Exponent:
    return growth.exponents.get("latency") or next(iter(growth.exponents.values()))


def _range(fit: Exponent) -> str:
    return f"{fit.frames[0]}..{fit.frames[-1]} ({fit.points})"


def _exponent(growth: Growth, name: str) -> str:
    """Marked where it was fitted over other T than the rest of its row."""
    fit = growth.exponents.get(name)
    if fit is None:
        return MISSING
    return str(fit) if fit.frames == _mainly(growth).frames else f"{fit} °"


def _other_ranges(growth: Growth, names: Mapping[str, str]) -> list[str]:
    fits = ((heading, growth.exponents.get(name)) for heading, name in names.items())
    others = [f"{heading} over {_range(fit)}" for heading, fit in fits if fit and fit.frames != _mainly(growth).frames]
    return [f"° {growth.label}: {', '.join(others)}"] if others else []


def _crossovers(found: Mapping[str, Sequence[Crossover]]) -> Grid:
    by_pair: dict[tuple[str, str], dict[str, list[Crossover]]] = {}
    for quantity, ones in found.items():
        for one in ones:
            by_pair.setdefault((one.first, one.second), {}).setdefault(quantity, []).append(one)
    shown = by_pair if len(by_pair) <= _MOST_PAIRS else dict(filter(_crosses, by_pair.items()))
    cells = []
    for (first, second), pair in shown.items():
        columns = [[_crossing(one) for one in pair.get(quantity, ())] for quantity in QUANTITIES]
        for index, row in enumerate(itertools.zip_longest(*columns, fillvalue="")):
            cells.append((f"{first} / {second}" if not index else "", *row))
    headings = (Heading("A / B", number=False), *(Heading(_title(quantity), number=False) for quantity in QUANTITIES))
    explained = (
        "B < 126 < A: B costs less below T = 126 and A above. [ ]: 95 % interval of that T, for the noise of the clock "
        "and for what the curves may do between two measured T. none in 9..729: A: A costs less at every T measured. "
        "Latency and operations are compared per output frame, since some lifters answer for one frame of a clip, "
        "others for all; memory is that of a forward."
    )
    rest = len(by_pair) - len(shown)
    more = f"{rest} further pairs cross in nothing at the T measured; compare fewer models to see which costs less."
    return Grid("Crossovers", headings, tuple(cells), (explained, more) if rest else (explained,))


def _crosses(pair: tuple[tuple[str, str], Mapping[str, Sequence[Crossover]]]) -> bool:
    return any(one.frames is not None for found in pair[1].values() for one in found)


def _title(quantity: str) -> str:
    return "operations" if quantity == "flops_exact" else quantity


def _crossing(one: Crossover) -> str:
    letters = {one.first: "A", one.second: "B", None: "neither"}
    below, above = letters[one.faster_below], letters[one.faster_above]
    if one.measured is None:
        return MISSING
    return f"{one}: {below}" if one.frames is None else f"{below} < {one} < {above}"


def _roofline(found: Sequence[Share]) -> Grid:
    by_point: dict[int, dict[str, Share]] = {}
    for share in found:
        by_point.setdefault(id(share.summary), {})[share.kind] = share
    names = [name for name in (WHOLE, *KINDS) if any(name in kinds for kinds in by_point.values())]
    cells = []
    for kinds in by_point.values():
        summary = next(iter(kinds.values())).summary
        whole = kinds.get(WHOLE)
        intensity = _plain(whole.intensity) if whole else MISSING
        cells.append((summary.label, str(summary.point.frames), summary.point.batch_asked, intensity,
                      *(_share(kinds.get(name)) for name in names)))  # fmt: skip
    headings = (Heading("model", number=False), Heading("T"), Heading("batch"), Heading("intensity", "flops/B"))
    explained = (
        "Share of the rate that this machine attains: least time for the work at the machine's own peaks, over the "
        "time it took. Bound by a: arithmetic, m: memory bandwidth, e: exponentials. Bytes are counted each tensor "
        "once per operator, as if nothing stayed in cache between operators, so a share can be above 100 %. The whole "
        "is against the median latency, a kind against a forward whose operators were timed one by one."
    )
    columns = tuple(Heading(name, "%") for name in names)
    return Grid("Roofline: share of the attainable rate", headings + columns, tuple(cells), (explained,))


def _share(share: Share | None) -> str:
    return MISSING if share is None else f"{100 * share.share:.0f} {_BOUNDS[share.bound]}"


def _batch(one: Summary) -> str:
    batch = MISSING if one.point.batch is None else str(one.point.batch)
    if one.point.batch_asked != AUTO:
        return batch
    return f"{batch} ({AUTO}, {one.largest_batch_bound})" if one.largest_batch_bound else f"{batch} ({AUTO})"


def _trusted(one: Summary, figure: float | None) -> float | None:
    """A figure of the clock, unless it must not be used."""
    return figure if one.usable else None


def _latency(one: Summary) -> str:
    if not one.usable or one.samples is None:
        return MISSING
    low, high = one.samples.low_ms, one.samples.high_ms
    interval = "" if low is None or high is None else f" [{_duration(low)}, {_duration(high)}]"
    return f"{_duration(one.samples.median_ms)}{interval}"


def _percentile(one: Summary, name: str) -> float | None:
    return one.samples.percentiles_ms.get(name) if one.samples and one.usable else None


def _joules_per_frame(one: Summary) -> float | None:
    return one.joules / one.frames_answered if one.joules is not None and one.frames_answered else None


def _verdict(one: Summary) -> str:
    return one.status if one.status != "ok" else one.verdict or MISSING


def _duration(ms: float | None) -> str:
    """Three digits, and from a hundred on all whole ones: ``0.0123``, ``5.97``, ``188``, ``1,649``."""
    return MISSING if ms is None else f"{ms:,.0f}" if ms >= 99.95 else _plain(ms)


def _plain(figure: float | None) -> str:
    """Three digits that count, never in scientific notation."""
    if figure is None:
        return MISSING
    if figure == 0:
        return "0"
    # Rounding first, so that 9.996 has as many decimals as 10.
    figure = float(f"{figure:.3g}")
    return f"{figure:.{max(0, 2 - math.floor(math.log10(abs(figure))))}f}"


def _raw_point(one: Summary) -> dict[str, Any]:
    samples = one.samples if one.usable else None
    percentiles = samples.percentiles_ms if samples else {}
    counts = one.counts or {}
    return {
        "environment": one.environment_key,
        "label": one.label,
        **{name: value for name, value in one.point.as_dict().items() if name != "options"},
        "options": " ".join(f"{name}={value}" for name, value in one.point.as_dict()["options"].items()),
        "output_frames": one.output_frames,
        "scan_backend": one.scan_backend,
        "latency_ms": samples.median_ms if samples else None,
        "latency_low_ms": samples.low_ms if samples else None,
        "latency_high_ms": samples.high_ms if samples else None,
        "lower_quartile_ms": samples.lower_quartile_ms if samples else None,
        "upper_quartile_ms": samples.upper_quartile_ms if samples else None,
        **{f"{name}_ms": percentiles.get(name) for name in ("p90", "p95", "p99")},
        "samples": samples.n if samples else None,
        "rounds": samples.rounds if samples else None,
        "per_frame_ms": _trusted(one, one.per_frame_ms),
        "clips_per_s": _trusted(one, one.clips_per_s),
        "frames_per_s": _trusted(one, one.frames_per_s),
        "peak_bytes": one.peak_bytes,
        "weights_bytes": one.weights_bytes,
        "joules_per_call": one.joules,
        **{name: counts.get(name) for name in _RAW_COUNTS},
        "flops_exact_per_frame": one.flops_per_frame,
        "verdict": one.verdict,
        "verdict_reason": one.reason,
        "status": one.status,
        "error": one.error,
        "largest_batch": one.largest_batch,
        "warnings": "; ".join(one.warnings),
    }


_RAW_COUNTS = (
    "params_total", "params_thop", "macs_thop", "macs_fvcore", "flops_torch", "flops_exact", "flops_9bldn",
    "transcendentals", "bytes",
)  # fmt: skip


def _raw_growth(growth: Growth) -> list[dict[str, Any]]:
    def raw(quantity: str, fit: Exponent) -> dict[str, Any]:
        return {
            "environment": growth.environment_key,
            "label": growth.label,
            "quantity": quantity,
            "exponent": fit.value,
            "low": fit.low,
            "high": fit.high,
            "counted": fit.counted,
            "fitted_frames": " ".join(map(str, fit.frames)),
            "left_out": "; ".join(growth.left_out),
        }

    return [raw(quantity, fit) for quantity, fit in growth.exponents.items()]


def _raw_crossover(one: Crossover) -> dict[str, Any]:
    low, high = one.low, one.high
    return {
        "environment": one.environment_key,
        "quantity": one.quantity,
        "first": one.first,
        "second": one.second,
        "measured_from": one.measured[0] if one.measured else None,
        "measured_to": one.measured[1] if one.measured else None,
        "frames": one.frames,
        # An end outside the measured range is not known, and no figure.
        "low": low if low is not None and math.isfinite(low) else None,
        "high": high if high is not None and math.isfinite(high) else None,
        "open_below": low is not None and math.isinf(low),
        "open_above": high is not None and math.isinf(high),
        "less_below": one.faster_below,
        "less_above": one.faster_above,
        "reason": one.reason,
    }


def _raw_share(share: Share) -> dict[str, Any]:
    return {
        "environment": share.summary.environment_key,
        "label": share.summary.label,
        "frames": share.summary.point.frames,
        "batch": share.summary.point.batch,
        "kind": share.kind,
        "flops": share.flops,
        "transcendentals": share.transcendentals,
        "bytes": share.bytes,
        "seconds": share.seconds,
        "flops_per_s": share.rate,
        "flops_per_byte": share.intensity,
        "attainable_flops_per_s": share.attainable_rate,
        "bound": share.bound,
        "share": share.share,
    }
