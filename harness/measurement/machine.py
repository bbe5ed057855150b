"""What this machine attains at its best: the roof under which every model's rates stand (Williams and others,
Roofline, 2009)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch

from harness.measurement import timing
from harness.measurement.memory import available_bytes
from harness.measurement.timing import Clock, Protocol
from posemamba.scan import selective_scan

#: The best sample counts, so a few of them do.
PROTOCOL = Protocol(
    rounds=1, min_samples=5, min_seconds=0.2, max_seconds=1.5, warm_up_calls=2, warm_up_seconds=0.5, block_seconds=0.005
)
#: Edges of square matrices.
_CPU_EDGES, _GPU_EDGES = (512, 1024, 2048), (2048, 4096, 8192)
#: Beyond the last cache of large servers; less where memory is short.
_COPIED_BYTES = 512 << 20
#: Two arrays of 256 KiB a thread: in the second cache, and long enough for torch to use every thread.
_EXPONENTIALS = 1 << 16
#: K, D, N, L of a scan whose tokens fit the second cache.
_SCAN = (4, 128, 16, 1024)
_FLOAT_BYTES = 4


def measure(
    device: str, threads: int, clock: Clock = time.perf_counter, protocol: Protocol = PROTOCOL
) -> dict[str, Any]:
    """The ``machine`` entry of a row: highest rates of products, copies and exponentials, all in float32.

    A copy's bytes are those read and those written. Exponentials are those of torch.exp or, where it takes more of them
    in a second, of the selective scan, whose other work runs beside them: a roof must not lie below what is reached.
    Takes a few seconds; a rate is None where the clock does not work.
    """

    def rate(work: float, call: Callable[[], Any]) -> float | None:
        return _rate(work, call, device, clock, protocol)

    edges = _GPU_EDGES if device.startswith("cuda") else _CPU_EDGES
    with torch.inference_mode():
        products = [rate(2.0 * edge**3, _product(edge, device)) for edge in edges]
        copied = _copied_elements()
        exponentials = _EXPONENTIALS * (threads if device == "cpu" else 1 << 8)
        taken = [
            rate(float(exponentials), _exponential(exponentials, device)),
            rate(float(math.prod(_SCAN)), _scan(device)),
        ]
        return {
            "threads": threads,
            "device": device,
            "gemm_flops_per_s": _highest(products),
            "copy_bytes_per_s": rate(2.0 * _FLOAT_BYTES * copied, _copy(copied, device)),
            "exp_per_s": _highest(taken),
        }


def _highest(rates: list[float | None]) -> float | None:
    return max((found for found in rates if found), default=None)


def product_rate(device: str) -> float:
    """Operations a second of one matrix product, in a fraction of a second: for an estimate."""
    edge = _CPU_EDGES[0]
    with torch.inference_mode():
        return _rate(2.0 * edge**3, _product(edge, device), device, time.perf_counter, PROTOCOL) or math.nan


def _rate(work: float, call: Callable[[], Any], device: str, clock: Clock, protocol: Protocol) -> float | None:
    series = timing.sample(call, protocol, clock=clock, synchronise=timing.synchroniser(device))
    return 1000 * work / min(series.samples_ms) if series.samples_ms else None


def _copied_elements() -> int:
    available = available_bytes()
    return min(_COPIED_BYTES, available // 8 if available else _COPIED_BYTES) // _FLOAT_BYTES


def _product(edge: int, device: str) -> Callable[[], Any]:
    left, right = (torch.full((edge, edge), 0.5, device=device) for _ in range(2))
    out = torch.empty(edge, edge, device=device)
    return lambda: torch.mm(left, right, out=out)


def _copy(elements: int, device: str) -> Callable[[], Any]:
    source, target = torch.zeros(elements, device=device), torch.zeros(elements, device=device)
    return lambda: target.copy_(source)


def _exponential(elements: int, device: str) -> Callable[[], Any]:
    numbers = torch.linspace(-4, 0, elements, device=device)
    out = torch.empty_like(numbers)
    return lambda: torch.exp(numbers, out=out)


def _scan(device: str) -> Callable[[], Any]:
    groups, channels, states, tokens = _SCAN
    u = torch.full((1, groups * channels, tokens), 0.5, device=device)
    mixing = torch.full((1, groups, states, tokens), 0.5, device=device)
    decay = torch.full((groups * channels, states), -1.0, device=device)
    return lambda: selective_scan(u, u, decay, mixing, mixing)
