"""Peak memory: the logic with a reader of the test's own, the readers on allocations of known size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import allocator
from harness.measurement import fresh_process, memory

MB = 1 << 20


class FakeReader:
    """The peak of what ``allocate`` was told between ``start`` and ``peak_bytes``."""

    name = "fake"

    def __init__(self) -> None:
        self.held = self.highest = self.before = 0

    def allocate(self, size: int) -> None:
        self.held += size
        self.highest = max(self.highest, self.held)

    def start(self) -> None:
        self.before = self.highest = self.held

    def peak_bytes(self) -> int | None:
        return self.highest - self.before


def test_what_the_first_call_makes_and_keeps_is_not_the_callers() -> None:
    reader, kept = FakeReader(), []

    def call() -> None:
        if not kept:
            kept.append("workspace")
            reader.allocate(1000)
        reader.allocate(70)
        reader.allocate(-70)

    assert memory.peak(call, reader) == 70


def test_never_below_nothing_and_none_where_it_is_not_known() -> None:
    reader = FakeReader()
    reader.peak_bytes = lambda: -5  # type: ignore[method-assign]
    assert memory.peak(lambda: None, reader) == 0
    reader.peak_bytes = lambda: None  # type: ignore[method-assign]
    assert memory.peak(lambda: None, reader) is None


def two_tensors(task: dict[str, Any]) -> dict[str, Any]:
    """The peak of two tensors of ``size_mb``, in a process that has held more before."""
    import torch

    getattr(allocator, task["habit"])()
    torch.ones(task["size_mb"] << 20)

    def call() -> float:
        first = torch.ones(task["size_mb"] << 18)
        second = first + 1
        del first
        return float(second.sum())

    return {"peak_bytes": memory.peak(call, getattr(memory, task["reader"])())}


def peak_of(size_mb: int, reader: str, habit: str = "return_freed_memory") -> int:
    task = {"size_mb": size_mb, "reader": reader, "habit": habit}
    peak: int = fresh_process.call(two_tensors, task, timeout_s=60, preload=["torch"])["peak_bytes"]
    return peak


@pytest.mark.skipif(not memory._writable(Path("/proc/self/clear_refs")), reason="no /proc/self/clear_refs here")
@pytest.mark.parametrize(
    ("size_mb", "habit"), [(1, "return_freed_memory"), (100, "return_freed_memory"), (24, "keep_freed_memory")]
)
def test_the_high_water_mark_sees_known_tensors(size_mb: int, habit: str) -> None:
    assert peak_of(size_mb, "HighWaterMark", habit) == pytest.approx(2 * size_mb * MB, abs=MB)


def peak_after_a_failure(task: dict[str, Any]) -> dict[str, Any]:
    """The peaks of two calls that take ``size_mb``, in a process that keeps freed memory and was once refused some."""
    import torch

    allocator.keep_freed_memory()
    small = torch.ones(2, 27, 17, 2)
    with pytest.raises(RuntimeError, match="allocate"):
        torch.empty(1 << 50)

    @torch.inference_mode()
    def call() -> torch.Tensor:
        return small[..., :1].repeat(1, 1, 1, 3) + torch.ones(task["size_mb"] << 18).sum()

    return {"peaks_bytes": [memory.peak(call, memory.HighWaterMark()) for _ in range(2)]}


@pytest.mark.skipif(not memory._writable(Path("/proc/self/clear_refs")), reason="no /proc/self/clear_refs here")
def test_the_high_water_mark_sees_a_tensor_after_an_allocation_that_failed() -> None:
    """glibc then takes memory from another arena, whose upper end no trimming returns."""
    found = fresh_process.call(peak_after_a_failure, {"size_mb": 16}, timeout_s=60, preload=["torch"])
    assert found["peaks_bytes"] == pytest.approx([16 * MB, 16 * MB], abs=MB)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
def test_sampling_sees_them_nearly() -> None:
    assert peak_of(100, "SampledResidentSize") == pytest.approx(200 * MB, rel=0.2)


def test_the_process_maximum_says_nothing_where_it_was_higher_before() -> None:
    reader = memory.GreatestResidentSize()
    bytearray(64 * MB)
    reader.start()
    assert reader.peak_bytes() is None


def test_the_best_reader_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert isinstance(memory.reader_for("cuda:0"), memory.CudaAllocator)
    monkeypatch.setattr(memory, "_PROCESS", tmp_path / "nowhere")
    assert isinstance(memory.reader_for("cpu"), memory.GreatestResidentSize)
    monkeypatch.setattr(memory, "_PROCESS", tmp_path)
    (tmp_path / "statm").write_text("1 1")
    (tmp_path / "clear_refs").mkdir()
    assert isinstance(memory.reader_for("cpu"), memory.SampledResidentSize)
    (tmp_path / "clear_refs").rmdir()
    assert isinstance(memory.reader_for("cpu"), memory.HighWaterMark)


def test_what_is_available_is_less_than_the_machine_has() -> None:
    available = memory.available_bytes()
    assert available is None or 0 < available < 1 << 50


GROUP = {
    "memory.max": "1000000\n",
    "memory.current": "700000\n",
    "memory.stat": "anon 200000\nfile 500000\ninactive_file 450000\nactive_file 50000\n",
}


@pytest.mark.parametrize(
    ("change", "available"),
    [
        ({}, 1_000_000 - 700_000 + 450_000),
        ({"memory.stat": None}, 300_000),
        ({"memory.max": "max\n"}, 4096 << 10),
        ({"memory.max": None}, 4096 << 10),
        ({"memory.max": "9000000\n"}, 4096 << 10),
    ],
)
def test_what_a_control_group_can_still_give(
    change: dict[str, str | None], available: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel drops pages of files when memory is wanted."""
    (tmp_path / "meminfo").write_text("MemTotal:  8192 kB\nMemAvailable:  4096 kB\n")
    monkeypatch.setattr(memory, "_MACHINE", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    for name, content in {**GROUP, **change}.items():
        if content is not None:
            (tmp_path / name).write_text(content)
    assert memory.available_bytes() == available


def test_where_nothing_says_what_is_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MACHINE", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.available_bytes() is None
