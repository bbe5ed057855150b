"""What a benchmark says: tables of peers' times with the machine beside them, as Markdown and as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.turns import Effort, Peer, Row, Tell, take_turns
from harness import allocator, atomic_file, environment
from harness.errors import CannotWrite, HarnessError, Interrupted
from harness.measurement import machine
from harness.progress import ProgressLine
from harness.quantity import MISSING
from posemamba import native


class Column(NamedTuple):
    """``cell`` shows a row; ``words`` are aligned to the left, figures to the right."""

    title: str
    cell: Callable[[Row], str]
    words: bool = False


class Derived(NamedTuple):
    """A figure made of others, such as a ratio of two medians, and the row or size it is of."""

    what: str
    where: str
    value: float


class Skipped(NamedTuple):
    """A peer without figures, and why."""

    what: str
    why: str


def _nothing_derived(rows: list[Row]) -> list[Derived]:
    return []


@dataclass
class Section:
    """One table: ``remark`` says how to read it.

    ``derive`` completes the rows in place by what needs several of them, and returns what is said below the table.
    """

    title: str
    columns: Sequence[Column]
    remark: str
    derive: Callable[[list[Row]], list[Derived]] = _nothing_derived
    rows: list[Row] = field(default_factory=list)
    derived: list[Derived] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def measure(self, peers: Sequence[Peer], effort: Effort, tell: Tell) -> None:
        """Let ``peers`` take turns; whatever ends it, what they gave until then is in the table."""
        try:
            take_turns(peers, effort, tell)
        finally:
            self.skipped += [Skipped(peer.described, peer.reason) for peer in peers if peer.reason]
            self.add([peer.row() for peer in peers if peer.samples_ms or peer.trouble])

    def add(self, rows: Sequence[Row]) -> None:
        """Further rows, and what follows from all."""
        self.rows += rows
        self.derived = self.derive(self.rows)

    def markdown(self) -> str:
        """Table, figures derived from it, and what is not in it."""
        titles = [column.title for column in self.columns]
        lines = [_line(titles), _line(["---" if column.words else "--:" for column in self.columns])]
        lines += [_line([column.cell(row) for column in self.columns]) for row in self.rows]
        figures: dict[str, list[str]] = {}
        for one in self.derived:
            figures.setdefault(one.what, []).append(f"{one.value:.3g} ({one.where})")
        derived = [f"* {what}: {', '.join(found)}" for what, found in figures.items()]
        skipped = [f"* not measured: {one.what}: {one.why}" for one in self.skipped]
        notes = "\n".join([*derived, *skipped])
        return "\n\n".join(part for part in (f"## {self.title}", self.remark, "\n".join(lines), notes) if part)

    def as_dict(self) -> Row:
        """Plain JSON."""
        notes = {name: [one._asdict() for one in getattr(self, name)] for name in ("derived", "skipped")}
        return {"title": self.title, "remark": self.remark, "rows": self.rows, **notes}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


#: Columns that every table of times has.
TIMES = (
    Column("median ms", lambda row: significant(row["median_ms"])),
    Column("95 % interval", lambda row: _interval(row)),
    Column("IQR", lambda row: percent(row["spread"])),
    Column("verdict", lambda row: row["verdict"], words=True),
)


def times(title: str, name: str) -> Column:
    """A ratio of medians."""
    return Column(title, lambda row: MISSING if row.get(name) is None else f"{row[name]:.3g}")


def significant(value: float | None) -> str:
    """Four digits of a figure, all of a large one: ``0.3617``, ``27.41``, ``12,345``."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 1000 else f"{value:#.4g}".rstrip(".")


def giga(rate: float | None) -> str:
    """Three digits of 1e9."""
    return MISSING if rate is None else f"{rate / 1e9:.3g}"


def percent(share: float | None) -> str:
    """``0.413`` is ``41 %``."""
    return MISSING if share is None else f"{100 * share:.3g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _interval(row: Mapping[str, Any]) -> str:
    if row["low_ms"] is None:
        return MISSING
    return f"{significant(row['low_ms'])} to {significant(row['high_ms'])}"


def per_second(row: Row, work: float) -> float | None:
    """The rate of so much ``work`` a call; None where there is no median."""
    return 1000 * work / row["median_ms"] if row["median_ms"] else None


def ratio(over: Row | None, under: Row | None) -> float | None:
    """Of the medians of two rows; None where one has none."""
    if not over or not under or not over["median_ms"] or not under["median_ms"]:
        return None
    return float(over["median_ms"] / under["median_ms"])


@dataclass
class Report:
    """What a benchmark found out, and on which machine."""

    benchmark: str
    effort: Effort
    environment: Row = field(default_factory=environment.capture)
    peaks: dict[int, Row] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    interrupted: bool = False

    def measure_peaks(self, threads: Sequence[int], tell: Tell) -> None:
        """The machine's highest rates on so many threads, see harness.measurement.machine; seconds for each."""
        for index, number in enumerate(threads):
            tell(index / len(threads), f"peaks of the machine on {number} threads")
            torch.set_num_threads(number)
            self.peaks[number] = machine.measure("cpu", number)

    def share(self, row: Row, work: float, name: str) -> float | None:
        """Of the peak called ``name`` (``gemm_flops_per_s``, ``exp_per_s``) that so much ``work`` a call attains."""
        peak, rate = self.peaks[row["threads"]][name], per_second(row, work)
        return rate / peak if rate and peak else None

    def markdown(self) -> str:
        """Everything that was measured, as Markdown."""
        parts = [f"# {self.benchmark}", self._machine(), *(one.markdown() for one in self.sections if one.rows)]
        if self.interrupted:
            parts.insert(1, "**Interrupted: this is what was measured until then.**")
        return "\n\n".join(parts)

    def as_dict(self) -> Row:
        """Plain JSON."""
        return {
            "benchmark": self.benchmark,
            "interrupted": self.interrupted,
            "environment": self.environment,
            "native": _kernels(),
            "peaks": list(self.peaks.values()),
            "effort": asdict(self.effort),
            "sections": [section.as_dict() for section in self.sections],
        }

    def _machine(self) -> str:
        here, commit = self.environment, self.environment["commit"]
        code = f"commit {commit['id'][:10]}{' with changes' * commit['dirty']}" if commit else "no commit"
        software = f"torch {here['packages'].get('torch')}, {code}, native kernels: {_kernels()}"
        lines = [f"{here['processor']}, {here['cores']} cores, {here['system']}", software]
        return "\n".join(f"* {line}" for line in [*lines, *map(_peak_line, self.peaks.values())])


def _peak_line(peak: Row) -> str:
    rates = (
        ("gemm_flops_per_s", "GFLOP/s of a product"),
        ("copy_bytes_per_s", "GB/s of a copy"),
        ("exp_per_s", "G exponentials/s (of torch.exp or of the scan, whichever is faster)"),
    )
    told = [f"{peak[name] / 1e9:.3g} {unit}" for name, unit in rates if peak[name]]
    return f"peak on {peak['threads']} thread{'s' * (peak['threads'] > 1)}: {', '.join(told)}"


def _kernels() -> str:
    return native.missing() or native.instruction_set()


# ---- the whole run ----


class Pieces:
    """Progress of a run over pieces of unequal weight, on one line of stderr."""

    def __init__(self, title: str, weight: float) -> None:
        self._line, self._weight, self._done = ProgressLine(title), weight, 0.0

    def piece(self, weight: float) -> Tell:
        """What the next piece is told by."""
        start, self._done = self._done, self._done + weight
        return lambda share, detail: self._line.update((start + weight * share) / self._weight, detail)

    def close(self) -> None:
        """End the line."""
        self._line.close()


def carry_out(report: Report, measure: Callable[[], None], pieces: Pieces, json_file: Path | None) -> int:
    """Run ``measure``, which fills ``report``, and print it, also after Ctrl-C or an error; returns the exit code."""
    allocator.keep_freed_memory()
    try:
        if json_file:
            _require_writable(json_file)
        return _carried_out(report, measure, pieces, json_file)
    except HarnessError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code


def _carried_out(report: Report, measure: Callable[[], None], pieces: Pieces, json_file: Path | None) -> int:
    try:
        measure()
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        pieces.close()
        if any(section.rows for section in report.sections):
            print(report.markdown(), flush=True)
            if json_file:
                atomic_file.write(json_file, (json.dumps(report.as_dict(), indent=1) + "\n").encode())
    return Interrupted.exit_code if report.interrupted else 0


def _require_writable(path: Path) -> None:
    """Now, rather than after minutes of measuring."""
    known = next(one for one in (path, *path.absolute().parents) if one.exists())
    if path.is_dir() or not os.access(known, os.W_OK) or (known != path and not known.is_dir()):
        raise CannotWrite(f"cannot write {path}; give --json another file")


def count(word: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number of at least 1")
    return int(word)
