"""Peak memory of a call, above what the process holds before it.

On a GPU its allocator knows. On a CPU it is the resident size, whose highest value Linux keeps (VmHWM) and forgets on
request (5 written to /proc/self/clear_refs, man 5 proc). Elsewhere it is sampled, or the process's own maximum is taken
where the call raised it. Which of them it was is recorded beside the figure.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from harness import allocator

_PROCESS = Path("/proc/self")
_MACHINE = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_FORGET_PEAK = "5"
_SAMPLING_S = 0.001


class Reader(Protocol):
    """``start`` takes the baseline, ``peak_bytes`` is the highest value since, above it; None if that is not known."""

    name: str

    def start(self) -> None: ...

    def peak_bytes(self) -> int | None: ...


def peak(call: Callable[[], Any], reader: Reader) -> int | None:
    """Bytes that a call of ``call`` takes at most at one time; it is called once before, to make what stays.

    Freed memory is given back meanwhile, and kept from then on: what the process still holds of calls before would
    serve this one unseen. Trimming alone does not do: glibc moves a thread whose allocation failed to another arena,
    whose upper end no trimming returns.
    """
    allocator.return_freed_memory()
    try:
        call()
        give_back()
        reader.start()
        call()
        found = reader.peak_bytes()
    finally:
        allocator.keep_freed_memory()
    return None if found is None else max(found, 0)


def give_back() -> None:
    """Return to the system what is free in the process, so that taking it again is seen."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # a C library other than glibc
        return


def reader_for(device: str) -> Reader:
    """The best reader that there is on this machine."""
    if device.startswith("cuda"):
        return CudaAllocator(device)
    if _writable(_PROCESS / "clear_refs"):
        return HighWaterMark()
    if (_PROCESS / "statm").exists():
        return SampledResidentSize()
    return GreatestResidentSize()


class HighWaterMark:
    """Linux: the highest resident size since it was told to forget the highest.

    The kernel counts pages for every processor apart and brings the counts together now and then, so that the
    figure is exact to about 0.2 MB for every processor.
    """

    name = "resident size, VmHWM after a reset"

    def start(self) -> None:
        """Baseline: the resident size now."""
        self._before = status_bytes("VmRSS")
        (_PROCESS / "clear_refs").write_text(_FORGET_PEAK)

    def peak_bytes(self) -> int:
        """Above the baseline."""
        return status_bytes("VmHWM") - self._before


class SampledResidentSize:
    """Linux without clear_refs: the resident size looked at every millisecond, so that a short peak may be missed."""

    name = "resident size, sampled every millisecond"

    def start(self) -> None:
        """Baseline: the resident size now."""
        self._before = self._highest = _resident_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLING_S):
            self._highest = max(self._highest, _resident_bytes())

    def peak_bytes(self) -> int:
        """Above the baseline."""
        self._done.set()
        self._thread.join()
        return max(self._highest, _resident_bytes()) - self._before


class GreatestResidentSize:
    """Elsewhere: the process's own maximum, which says something only where the call raised it."""

    name = "resident size, ru_maxrss"

    def start(self) -> None:
        """Baseline: the maximum so far."""
        self._before = _greatest_bytes()

    def peak_bytes(self) -> int | None:
        """What the maximum rose by; None where it did not rise."""
        return (_greatest_bytes() - self._before) or None


class CudaAllocator:
    """A GPU: what torch's allocator handed out at most."""

    name = "torch.cuda.max_memory_allocated"

    def __init__(self, device: str) -> None:
        self._device = device

    def start(self) -> None:
        """Baseline: what is handed out now."""
        import torch

        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        self._before = torch.cuda.memory_allocated(self._device)

    def peak_bytes(self) -> int:
        """Above the baseline."""
        import torch

        torch.cuda.synchronize(self._device)
        return int(torch.cuda.max_memory_allocated(self._device)) - self._before


def status_bytes(field: str) -> int:
    """A size of this process from /proc/self/status, in bytes."""
    for line in (_PROCESS / "status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return 1024 * int(value.split()[0])
    raise OSError(f"{_PROCESS}/status has no {field}")


def available_bytes() -> int | None:
    """What this machine, and the control group this process is in, can still give; None where neither says it."""
    found = []
    with contextlib.suppress(OSError, KeyError):
        found.append(1024 * _sizes(_MACHINE)["MemAvailable:"])
    with contextlib.suppress(OSError, ValueError):  # no control group, or one without a limit
        limit, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        found.append(limit - used + _reclaimable_bytes())
    return max(0, min(found)) if found else None


def _reclaimable_bytes() -> int:
    """Pages of files that the control group is charged for and the kernel takes back when memory is wanted."""
    try:
        return _sizes(_GROUP / "memory.stat").get("inactive_file", 0)
    except OSError:
        return 0


def _sizes(path: Path) -> dict[str, int]:
    """Of a file with a name and a number in every line."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}


def _resident_bytes() -> int:
    return int((_PROCESS / "statm").read_text().split()[1]) * resource.getpagesize()


def _greatest_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _writable(path: Path) -> bool:
    try:
        path.write_text(_FORGET_PEAK)
    except OSError:
        return False
    return True
