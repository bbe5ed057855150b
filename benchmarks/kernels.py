"""Where a GPU's time goes in a lifter's forward: how many kernels there are, and the ones that take most of it.

    python -m benchmarks.kernels posemamba-b --frames 243 --scan-backend mamba-ssm
    python -m benchmarks.kernels mixste --frames 243

By the clock: the median of five forwards, each waited for. On the GPU: what the kernels of one forward take together,
by torch.profiler (CUPTI); the difference is time in which the GPU waits for its next kernel. Needs a CUDA GPU.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from harness import models

_FORWARDS, _SHOWN, _NAME = 5, 15, 100


def clocked_ms(call: Callable[[], None]) -> float:
    """Milliseconds, the median of some calls after a first one."""
    call()
    taken = []
    for _ in range(_FORWARDS):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def kernels(call: Callable[[], None]) -> list[tuple[float, int, str]]:
    """(milliseconds, calls, name) of each kernel, what takes most first."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        call()
    found = [event for event in profiled.key_averages() if str(event.device_type).endswith("CUDA")]
    return sorted(((event.self_device_time_total / 1000, event.count, event.key) for event in found), reverse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--frames", type=int, default=243)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--scan-backend")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no CUDA device on this machine")
    options = {} if given.scan_backend is None else {"scan_backend": given.scan_backend}
    model = models.build(given.model, given.frames, None, **options).cuda().eval()
    clips = torch.randn(given.batch, given.frames, 17, models.preset(given.model).in_channels, device="cuda")

    def call() -> None:
        with torch.inference_mode():
            model(clips)
        torch.cuda.synchronize()

    clock_ms, found = clocked_ms(call), kernels(call)
    total_ms = sum(ms for ms, _, _ in found)
    print(
        f"{given.model} T={given.frames} B={given.batch}: {clock_ms:.2f} ms by the clock, {total_ms:.2f} ms on the GPU "
        f"in {sum(count for _, count, _ in found)} kernels"
    )
    for ms, count, name in found[:_SHOWN]:
        print(f"{100 * ms / total_ms:5.1f} %  {ms:9.3f} ms  {count:7d}  {name[:_NAME]}")


if __name__ == "__main__":
    main()
