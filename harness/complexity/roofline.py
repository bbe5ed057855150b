"""How near a model comes to what the machine attains, for each kind of work and as a whole.

A kind of work with F flops, of which E are exponentials or the like, and B bytes takes at least

    max(F / gemm rate, B / copy bandwidth, E / exp rate)

seconds: the roofline of Williams, Waterman and Patterson (Communications of the ACM 52(4), 2009) with a third roof.
The rates are the machine's own, measured in the same environment, so a share is of what other code attains there. The
bytes are each tensor once for each operator that reads or writes it: intensities are of unfused operators, and where a
tensor is still in cache when the next operator wants it, an operator can be faster than the copy of that much memory
and its share above 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.complexity.summary import Summary
from harness.measurement.kind import KINDS
from harness.store.schema import Record

#: Name of the whole model among the kinds.
WHOLE = "whole"
ARITHMETIC, MEMORY, EXPONENTIALS = "arithmetic", "memory", "exponentials"


@dataclass(frozen=True)
class Peaks:
    """What the machine attains in float32: flops of a product, bytes of a copy and exponentials, each a second."""

    gemm_flops_per_s: float
    copy_bytes_per_s: float
    exp_per_s: float | None

    def seconds(self, flops: float, bytes_: float, transcendentals: float) -> tuple[float, str]:
        """The least time for so much work, and which of the roofs it is bound by."""
        bounds = {
            ARITHMETIC: flops / self.gemm_flops_per_s,
            MEMORY: bytes_ / self.copy_bytes_per_s,
            EXPONENTIALS: transcendentals / self.exp_per_s if self.exp_per_s else 0.0,
        }
        bound = max(bounds, key=lambda name: bounds[name])
        return bounds[bound], bound


@dataclass(frozen=True)
class Share:
    """One kind of work of one point, or its whole forward: what it did, how fast, and what was attainable.

    ``seconds`` of a kind are of a forward whose operators were timed one by one, those of the whole the median latency.
    """

    summary: Summary
    kind: str
    flops: int
    transcendentals: int
    bytes: int
    seconds: float
    attainable_seconds: float
    bound: str

    @property
    def rate(self) -> float:
        """Flops a second."""
        return self.flops / self.seconds

    @property
    def intensity(self) -> float | None:
        """Flops a byte; None where nothing is moved."""
        return self.flops / self.bytes if self.bytes else None

    @property
    def attainable_rate(self) -> float:
        """Flops a second under the roof."""
        return self.flops / self.attainable_seconds

    @property
    def share(self) -> float:
        """Of the attainable rate: attainable time over measured time."""
        return self.attainable_seconds / self.seconds


def peaks(rows: Iterable[Record]) -> dict[tuple[str, str, int], Peaks]:
    """(environment, device, threads) -> what the machine attains; of several rows the last counts."""
    return {
        (row["environment_key"], machine["device"], machine["threads"]): Peaks(
            machine["gemm_flops_per_s"], machine["copy_bytes_per_s"], machine.get("exp_per_s")
        )
        for row in rows
        if row["pass"] == "machine" and row["status"] == "ok"
        for machine in [row["machine"]]
    }


def shares(summaries: Sequence[Summary], rows: Iterable[Record]) -> list[Share]:
    """For each usable point in float32 whose machine was measured: its kinds in the order of KINDS, then the whole.

    Other precisions have no share: the peaks are those of float32.
    """
    known = peaks(rows)
    found: list[Share] = []
    for summary in summaries:
        point = summary.point
        roof = known.get((summary.environment_key, point.device, point.threads))
        if roof and summary.usable and summary.kinds and point.precision == "fp32":
            found += _of_point(summary, summary.kinds, roof)
    return found


def _of_point(summary: Summary, kinds: Mapping[str, Mapping[str, Any]], roof: Peaks) -> list[Share]:
    parts = [(kind, kinds[kind], float(kinds[kind].get("seconds") or 0.0)) for kind in KINDS if kind in kinds]
    if summary.latency_ms:
        names = ("flops", "transcendentals", "bytes")
        whole = {name: sum(work.get(name) or 0 for _, work, _ in parts) for name in names}
        parts.append((WHOLE, whole, summary.latency_ms / 1000))
    return [
        _share(summary, kind, work, seconds, roof) for kind, work, seconds in parts if seconds and work.get("flops")
    ]


def _share(summary: Summary, kind: str, work: Mapping[str, Any], seconds: float, roof: Peaks) -> Share:
    flops, transcendentals, moved = (int(work.get(name) or 0) for name in ("flops", "transcendentals", "bytes"))
    attainable, bound = roof.seconds(flops, moved, transcendentals)
    return Share(summary, kind, flops, transcendentals, moved, seconds, attainable, bound)
