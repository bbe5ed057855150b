"""The selective scan beside its peers, forward and forward with backward, all of one size in one interleaved run.

    python -m benchmarks.scan --frames 27 81 243 --threads 1 2 --json scan.json

D is the channels of one of K = 4 directions, N = 16 states, L = 17 T tokens. The peers:

    unbind              our ``reference`` backend: the recurrence as a loop over ``unbind``
    published, unbind   the published recurrence (decays and inputs of all tokens first), tokens by ``unbind``
    published           the same with slices, as published; its backward pass is quadratic in L
    chunked, numba      pure PyTorch in stretches; numba, where it is installed
    native              our kernel, its arguments channel by channel (as mamba-ssm has them) or token by token, by the
                        best instructions of this processor and by older ones
    cross scan          the four scans of a plane, their orders, limbs and sum: by one kernel, or plain (sequences made
                        by PyTorch, native scan); more work than the scans alone, for the same state elements

A state element is one (b, k, d, l, n); both passes are divided by their number once. Operations and exponentials are
those that ``harness count`` gives to the scan: for each state element 7 with 1 exponential forward, 26 with 2 forward
and backward, which makes the decays a second time. What a peer does beyond that does not raise its share.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import scan_peers
from benchmarks.report import (
    TIMES,
    Column,
    Derived,
    Pieces,
    Report,
    Section,
    carry_out,
    count,
    giga,
    per_second,
    percent,
    ratio,
    times,
)
from benchmarks.scan_peers import PUBLISHED_UNBIND, UNBIND, Size
from benchmarks.turns import Effort, Row
from harness.environment import usable_cores
from harness.quantity import MISSING
from posemamba import native

#: Rows by what tells them apart.
Table = dict[tuple[object, ...], Row]

# ---- the table ----

REMARK = (
    "Ratios are of medians at the same size, pass and threads, taken in turns. Shares are of exponentials in their "
    "peak and of all operations in a product's; errors are relative to float64, of the output or of the worst gradient."
)
COLUMNS = (
    Column("threads", lambda row: str(row["threads"])),
    Column("B, D, T", lambda row: f"{row['batch']}, {row['channels']}, {row['frames']}", words=True),
    Column("pass", lambda row: row["pass"], words=True),
    Column("peer", lambda row: _named(row), words=True),
    *TIMES,
    times("× unbind", "times_unbind"),
    times("× published, unbind", "times_published_unbind"),
    Column("G state elements/s", lambda row: giga(row["state_elements_per_s"])),
    Column("of exp peak", lambda row: percent(row["share_of_exp_peak"])),
    Column("of product peak", lambda row: percent(row["share_of_gemm_peak"])),
    Column("error", lambda row: f"{row['relative_error']:.0e}" if "relative_error" in row else MISSING),
)


def _named(row: Row) -> str:
    return f"{row['peer']}, {row['instructions']}" if row["instructions"] else row["peer"]


def section(report: Report) -> Section:
    """The empty table."""

    def derive(rows: list[Row]) -> list[Derived]:
        table = {_key(row): row for row in rows}
        for row in rows:
            row |= {
                "times_unbind": ratio(table.get(_key(row, peer=UNBIND, instructions=None)), row),
                "times_published_unbind": ratio(table.get(_key(row, peer=PUBLISHED_UNBIND, instructions=None)), row),
                "state_elements_per_s": per_second(row, row["state_elements"]),
                "share_of_exp_peak": report.share(row, row["exponentials"], "exp_per_s"),
                "share_of_gemm_peak": report.share(row, row["flops_exact"], "gemm_flops_per_s"),
            }
        return [*_of_threads(rows, table), *_of_instructions(rows, table)]

    return Section("Selective scan", COLUMNS, REMARK, derive)


def _key(row: Row, **others: object) -> tuple[object, ...]:
    """What tells rows apart, with ``others`` in its place."""
    names = ("threads", "batch", "channels", "frames", "pass", "peer", "instructions")
    return tuple({**row, **others}[name] for name in names)


def _of_threads(rows: Sequence[Row], table: Table) -> Iterator[Derived]:
    """Several threads over one, of the native kernels by the best instructions."""
    for row in rows:
        factor = ratio(table.get(_key(row, threads=1)), row)
        if row["threads"] > 1 and row["instructions"] == native.instruction_set() and factor:
            what = f"speed of {row['threads']} threads over 1, {_named(row)}, {row['pass']}"
            yield Derived(what, f"T = {row['frames']}", factor)


def _of_instructions(rows: Sequence[Row], table: Table) -> Iterator[Derived]:
    """Older instructions over the best: how much longer, and what comes out differently."""
    apart: dict[str, float] = {}
    for row in rows:
        best = table.get(_key(row, instructions=native.instruction_set())) if row["instructions"] else None
        factor = ratio(row, best)
        if best is None or best is row or factor is None:
            continue
        sets = f"{row['instructions']} over {best['instructions']}"
        apart[sets] = max(apart.get(sets, 0.0), row["difference_from_best"])
        where = f"T = {row['frames']}, {row['threads']} thread{'s' * (row['threads'] > 1)}"
        yield Derived(f"time of {sets}, {row['peer']}, {row['pass']}", where, factor)
    for sets, difference in apart.items():
        yield Derived(f"difference of {sets}", "relative, the largest of all", difference)


# ---- the command ----


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    given = _parser().parse_args(words)
    report = Report("Selective scan beside its peers", Effort(given.samples, given.seconds))
    table = section(report)
    report.sections.append(table)
    pieces = Pieces("scan", _PEAKS_WEIGHT + sum(given.frames))

    def measure() -> None:
        report.measure_peaks(given.threads, pieces.piece(_PEAKS_WEIGHT))
        for frames in given.frames:
            tell = pieces.piece(frames)
            size = Size(given.batch, given.channels, frames)
            tell(0.0, f"float64, {size}")
            found, missing = scan_peers.contenders(size, given.loop_frames, given.quadratic_frames)
            ready, skipped = scan_peers.peers(size, found, given.threads)
            table.skipped += [*missing, *skipped]
            table.measure(ready, report.effort, tell)

    return carry_out(report, measure, pieces, given.json)


#: Of measuring the machine, beside the frames of a size.
_PEAKS_WEIGHT = 20


def _parser() -> argparse.ArgumentParser:
    effort = Effort()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--frames", type=count, nargs="+", default=[27, 81, 243], metavar="T")
    add("--channels", type=count, default=128, metavar="D")
    add("--batch", type=count, default=1, metavar="B")
    add(
        "--threads",
        type=int,
        nargs="+",
        default=sorted({1, usable_cores() or 1}),
        metavar="N",
        help="default: 1 and all",
    )
    add("--loop-frames", type=int, default=243, metavar="T", help="the loops only up to this T (default: %(default)s)")
    add("--quadratic-frames", type=int, default=27, metavar="T",
        help="backward of the published loop only up to this T (default: %(default)s)")  # fmt: skip
    add("--samples", type=count, default=effort.samples, help="of each peer (default: %(default)s)")
    add("--seconds", type=float, default=effort.seconds,
        help="fewer samples, but six, of a peer that would take longer (default: %(default)s)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write all figures here, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
