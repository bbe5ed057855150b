"""Times the backends of the selective scan against each other, forward and forward with backward.

    python benchmarks/scan.py --frames 27 243 --threads 1 2 --json scan.json

The backends take turns, so that whatever else the machine does falls on all of them alike; medians are given, and
the ratio to ``reference``, which is the published recurrence as a loop over ``unbind``. D is the channels of one of
K = 4 directions, N = 16 states, L = 17 T tokens. Errors are relative to ``reference`` in float64.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from posemamba import native
from posemamba.scan import available, selective_scan

DIRECTIONS, STATES, JOINTS = 4, 16, 17
BACKENDS = ("reference", "chunked", "native")


def arguments(batch: int, channels: int, frames: int) -> list[Tensor]:
    """Random u, delta, A, B, C, D, delta_bias with the steps and rates of a freshly initialised Mamba."""
    torch.manual_seed(0)
    rows, tokens = DIRECTIONS * channels, JOINTS * frames
    shared = (batch, DIRECTIONS, STATES, tokens)
    rate = -torch.arange(1, STATES + 1).float().repeat(rows, 1)
    u, delta = torch.randn(batch, rows, tokens), torch.randn(batch, rows, tokens) - 4
    return [u, delta, rate, torch.randn(shared), torch.randn(shared), torch.ones(rows), torch.zeros(rows)]


def scan(tensors: list[Tensor], backend: str) -> Tensor:
    u, delta, A, B, C, D, delta_bias = tensors
    return selective_scan(u, delta, A, B, C, D, delta_bias, delta_softplus=True, backend=backend)


def forward(tensors: list[Tensor], backend: str) -> list[Tensor]:
    with torch.no_grad():
        return [scan(tensors, backend)]


def forward_and_backward(tensors: list[Tensor], backend: str) -> list[Tensor]:
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    y = scan(leaves, backend)
    return list(torch.autograd.grad(y, leaves, torch.ones_like(y)))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def relative_error(results: list[Tensor], references: list[Tensor]) -> float:
    pairs = zip(results, references, strict=True)
    return max(((result - right).abs().max() / right.abs().max()).item() for result, right in pairs)


def measure(
    work: Callable[[list[Tensor], str], list[Tensor]], tensors: list[Tensor], backends: list[str], rounds: int
) -> list[dict[str, Any]]:
    """One row for each backend."""
    exact = work([tensor.double() for tensor in tensors], "reference")
    errors = {backend: relative_error(work(tensors, backend), exact) for backend in backends}
    times: dict[str, list[float]] = {backend: [] for backend in backends}
    for _ in range(rounds):
        for backend in backends:
            times[backend].append(1e3 * seconds(lambda: work(tensors, backend)))  # noqa: B023 (called at once)
    medians = {backend: statistics.median(times[backend]) for backend in backends}
    elements = tensors[0].numel() * STATES
    return [
        {
            "pass": work.__name__.replace("_", " "),
            "backend": backend,
            "median_ms": medians[backend],
            "fastest_ms": min(times[backend]),
            "times_reference": medians["reference"] / medians[backend],
            "state_elements_per_s": elements / medians[backend] * 1e3,
            "relative_error": errors[backend],
        }
        for backend in backends
    ]


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| threads | B, D, T | pass | backend | median ms | fastest ms | times faster | G elements/s | error |",
        "|--:|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        figures = f"{row['median_ms']:.2f} | {row['fastest_ms']:.2f} | {row['times_reference']:.1f} | "
        figures += f"{row['state_elements_per_s'] / 1e9:.2f} | {row['relative_error']:.0e}"
        size = f"{row['batch']}, {row['channels']}, {row['frames']}"
        lines.append(f"| {row['threads']} | {size} | {row['pass']} | {row['backend']} | {figures} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[27, 81, 243], metavar="T")
    parser.add_argument("--channels", type=int, default=128, metavar="D")
    parser.add_argument("--batch", type=int, default=1, metavar="B")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], metavar="THREADS")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here, too")
    options = parser.parse_args()

    backends = [name for name in BACKENDS if not available()[name]]
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for frames in options.frames:
            tensors = arguments(options.batch, options.channels, frames)
            setting = {"threads": threads, "batch": options.batch, "channels": options.channels, "frames": frames}
            for work in (forward, forward_and_backward):
                rows += [setting | row for row in measure(work, tensors, backends, options.rounds)]
    instruction_set = None if native.missing() else native.instruction_set()
    print(f"torch {torch.__version__}, native scan: {instruction_set or native.missing()}\n\n{table(rows)}")
    if options.json:
        document = {"torch": torch.__version__, "instruction_set": instruction_set, "rows": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
