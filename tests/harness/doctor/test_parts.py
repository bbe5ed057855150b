"""Each part of a machine made to fail: the check has to see it, say what is lost, and know whether it is needed."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from harness import atomic_file, environment
from harness.doctor import checkout, clock, compiler, disk, gpu, meters, packages, processor, scan
from harness.doctor.check import Broken, Need, finding_of
from harness.doctor.examination import CHECKS
from harness.doctor.finding import Finding
from harness.measurement import counts, energy, memory
from posemamba import native, native_block
from posemamba import scan as scans

built = pytest.mark.skipif(bool(native.missing()), reason=native.missing())
OPTIONAL = [check.name for check in packages.CHECKS if check.need is Need.NEVER]
Monkeypatch = pytest.MonkeyPatch


def found(name: str, results: Path = Path()) -> Finding:
    (check,) = [check for check in CHECKS if check.name == name]
    return finding_of(check, results)


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_absent_package_is_named_with_the_command_that_installs_it(name: str, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    finding = found(name)
    assert (finding.state, finding.remedy, finding.stops) == ("missing", f"pip install {name}", False)


def test_a_needed_package_that_is_absent_stops(monkeypatch: Monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    finding = found("jinja2")
    assert (finding.state, finding.remedy, finding.stops) == ("missing", "pip install jinja2", True)


def test_a_package_that_lacks_a_part_of_itself_is_broken_and_not_absent(monkeypatch: Monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", ModuleType("pyarrow"))
    finding = found("pyarrow")
    assert (finding.state, finding.remedy) == ("broken", "pip install --force-reinstall pyarrow")
    assert "pyarrow" in finding.found


def test_a_package_that_computes_wrongly_is_broken(monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(np.linalg, "solve", lambda matrix, right: right)
    assert (found("numpy").state, found("numpy").stops) == ("broken", True)


def off_by(difference: float, backend: str) -> Callable[..., Any]:
    """The scan, with ``backend`` wrong by ``difference`` times the number of torch's threads."""
    true = scans.selective_scan

    def selective_scan(*tensors: Any, **given: Any) -> Any:
        y = true(*tensors, **given)
        return y + difference * torch.get_num_threads() if given["backend"] == backend else y

    return selective_scan


@pytest.mark.parametrize("backend", ["reference", "chunked", pytest.param("native", marks=built)])
def test_a_scan_that_is_wrong_stops(backend: str, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(scans, "selective_scan", off_by(0.1, backend))
    finding = found(backend)
    assert (finding.state, finding.stops) == ("broken", True)
    assert "it differs from" in finding.found


@built
def test_a_scan_that_depends_on_the_threads_stops(monkeypatch: Monkeypatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(scans, "selective_scan", off_by(1e-5, "native"))
    finding = found("native")
    assert (finding.found, finding.stops) == ("its result depends on the number of threads", True)
    assert torch.get_num_threads() == before


@built
def test_a_block_kernel_that_is_wrong_stops(monkeypatch: Monkeypatch) -> None:
    true = native_block.run
    monkeypatch.setattr(native_block, "run", lambda *given: true(*given) * 1.01)
    assert (found("lifter").state, found("lifter").stops) == ("broken", True)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("the native scan was not built; install a compiler", "missing"),
        ("the native scan was built from another version of the source; build it", "broken"),
    ],
)
def test_without_the_native_scan_the_harness_runs(reason: str, state: str, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(scans, "available", lambda: {"native": reason})
    finding = found("native")
    assert (finding.state, finding.found, finding.stops) == (state, reason.partition(";")[0], False)
    assert "build_ext --inplace" in finding.remedy


@pytest.mark.parametrize(
    ("reason", "state"),
    [("the package mamba-ssm is not installed; get it", "missing"), ("mamba-ssm does not import (symbol)", "broken")],
)
def test_without_mamba_ssm_the_harness_runs(reason: str, state: str, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(scans, "available", lambda: {"mamba-ssm": reason})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    finding = found("mamba-ssm")
    assert (finding.state, finding.stops) == (state, False)
    assert "mamba-ssm causal-conv1d" in finding.remedy
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert found("mamba-ssm").found == "it needs a CUDA GPU, and PyTorch sees none"


def test_a_compiler_is_looked_for_and_tried(monkeypatch: Monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "false")
    refusing = found("C++ compiler")
    assert (refusing.state, refusing.found) == ("broken", "false compiles nothing: it says nothing")
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    absent = found("C++ compiler")
    assert (absent.state, absent.stops) == ("missing", False)
    assert absent.remedy.startswith("apt-get install g++")


@pytest.fixture
def no_gpu(monkeypatch: Monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu, "DEVICES", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_torch_cannot_use_is_seen_and_left_aside(tmp_path: Path, monkeypatch: Monkeypatch) -> None:
    assert found("GPU").state == "missing"
    (tmp_path / "nvidia0").touch()
    for version, said, remedy in ((None, "built without CUDA", "pip install"), ("12.6", "cannot use", "nvidia-smi")):
        monkeypatch.setattr(torch.version, "cuda", version)
        finding = found("GPU")
        assert (finding.state, finding.stops) == ("broken", False)
        assert said in finding.found
        assert finding.remedy.startswith(remedy)


def test_a_gpu_that_fails_at_work_stops(monkeypatch: Monkeypatch) -> None:
    card = SimpleNamespace(name="a card", total_memory=8 << 30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: torch.zeros_like(tensor))
    finding = found("GPU")
    assert finding.stops
    assert finding.found.startswith("a card, 8 GiB")
    assert "differs from the processor's" in finding.found


def test_threads_that_take_turns(monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(environment, "usable_cores", lambda: 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    finding = found("threads")
    assert finding.found == "4 threads on 1 usable core: they take turns"
    assert finding.remedy == "export OMP_NUM_THREADS=1"


@pytest.mark.parametrize(("busy", "said"), [(0.1, "quiet"), (1.9, "busy: a speed measured now")])
def test_a_busy_machine_is_told(busy: float, said: str, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(environment, "usable_cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (busy, 0.0, 0.0))
    assert said in processor.load(Path())


def test_git(tmp_path: Path, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    assert (found("git").state, found("git").found) == ("missing", f"{tmp_path} is an installed copy and no clone")
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(environment, "capture", lambda: {"commit": None})
    assert found("git").remedy == f"git config --global --add safe.directory {tmp_path}"
    monkeypatch.setattr(environment, "capture", lambda: {"commit": {"id": "0123456789abcdef", "dirty": True}})
    assert found("git").found == "commit 0123456789ab, with changes"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (found("git").state, found("git").found) == ("missing", "git is not on the PATH")


def test_operations_that_are_counted_wrongly_stop(monkeypatch: Monkeypatch) -> None:
    true = counts.count
    monkeypatch.setattr(counts, "count", lambda *given, **more: {**true(*given, **more), "macs_fvcore": 919})
    finding = found("operations")
    assert (finding.found, finding.stops) == ("macs_fvcore is 919, not 918", True)


@pytest.mark.parametrize(("seen", "state"), [(32 << 20, "broken"), (None, "missing"), (66 << 20, "ok")])
def test_memory_that_is_read_wrongly_is_told(seen: int | None, state: str, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(memory, "peak", lambda call, reader: seen)
    assert found("peak memory").state == state
    assert found("peak memory").stops == (state == "broken")


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: Monkeypatch) -> Path:
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    for file, content in (("name", "package-0"), ("energy_uj", "1000000"), ("max_energy_range_uj", "9000000")):
        (zone / file).write_text(content)
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    monkeypatch.setattr(energy.meter_for, "__defaults__", (tmp_path,))
    return zone / "energy_uj"


def test_an_energy_counter_has_to_rise(counter: Path, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(meters, "_work", lambda: None)
    assert found("energy of the processor").found == "RAPL energy of the processor packages stands still"
    monkeypatch.setattr(meters, "_work", lambda: counter.write_text("3500000"))
    assert found("energy of the processor").found.endswith("counted 2.5 J")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    finding = found("energy of the processor")
    assert (finding.state, finding.stops) == ("broken", False)
    assert finding.remedy.startswith(f"sudo chmod a+r {counter.parents[1]}")


def test_a_gpu_without_a_meter(monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert found("energy of the GPU").remedy == "pip install nvidia-ml-py"
    joules = iter((1.0, 1.0, 3.5))
    counter = SimpleNamespace(name="NVML", joules=lambda: next(joules))
    monkeypatch.setattr(energy.Nvml, "of", lambda device: counter)
    monkeypatch.setattr(meters, "_work_of_gpu", lambda: None)
    assert found("energy of the GPU").found == "NVML: counted 2.5 J"


def ticking(*readings: float) -> Callable[[], float]:
    given = iter(readings)
    return lambda: next(given, readings[-1])


def test_clocks_that_are_coarse_or_go_backwards(monkeypatch: Monkeypatch) -> None:
    clocks = SimpleNamespace(perf_counter=ticking(0.0, 0.0, 0.015, 0.03), monotonic=None, process_time=ticking(1.0))
    monkeypatch.setattr(clock, "time", clocks)
    assert found("resolution").found.startswith("it moves in steps of 0.015 s")
    clocks.perf_counter = ticking(5.0)
    assert found("resolution").stops
    clocks.monotonic = ticking(1.0, 2.0, 1.5, 3.0, 2.5)
    finding = found("forwards")
    assert finding.found == "time.monotonic went backwards 2 times in 100,000 readings"
    assert finding.stops


class Slept:
    """A clock that runs at ``rate`` of the time that is slept."""

    def __init__(self, rate: float = 1.0) -> None:
        self.rate, self.now_s = rate, 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += self.rate * seconds


@pytest.mark.parametrize(
    ("rates", "trouble"), [((1.0, 1.0), ""), ((1.0, 1.1), "of the same time"), ((0.9, 0.9), "of a sleep of 200 ms")]
)
def test_clocks_that_disagree(rates: tuple[float, ...], trouble: str) -> None:
    clocks = tuple(map(Slept, rates))

    def sleep(seconds: float) -> None:
        for one in clocks:
            one.sleep(seconds)

    if trouble:
        with pytest.raises(Broken, match=trouble):
            clock.agreed(clocks, sleep)
    else:
        assert "200.0, 200.0 ms" in clock.agreed(clocks, sleep)


def test_a_results_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for results, said in (
        (tmp_path / "file", "is not a folder"),
        (tmp_path / "link", "does not exist"),
        (tmp_path / "a folder" / "results", "does not exist"),
    ):
        finding = found("room", results)
        assert finding.stops
        assert said in finding.found
    assert finding.remedy == f"mkdir -p '{tmp_path / 'a folder'}'"


def test_a_results_folder_that_is_made_later(tmp_path: Path) -> None:
    assert found("room", tmp_path / "results").found.startswith(
        f"{tmp_path / 'results'} does not exist yet; {tmp_path}"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_stops_and_a_slow_one_does_not(tmp_path: Path, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(disk, "LEAST_FREE_BYTES", 1 << 70)
    assert (found("room", tmp_path).state, found("room", tmp_path).stops) == ("broken", True)
    monkeypatch.setattr(disk, "SLOWEST_BYTES_PER_S", 1 << 70)
    assert (found("write speed", tmp_path).state, found("write speed", tmp_path).stops) == ("broken", False)


def refuse(*given: Any, **more: Any) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("name", [check.name for check in disk.CHECKS])
def test_a_disk_that_refuses(name: str, tmp_path: Path, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(disk.tempfile, "TemporaryDirectory", refuse)
    finding = found(name, tmp_path)
    assert (finding.state, finding.found) == ("broken", f"{tmp_path}: Permission denied")
    assert finding.remedy == f"df -h {tmp_path}; ls -ld {tmp_path}"


def test_a_file_that_is_rewritten_in_place_is_seen(tmp_path: Path, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(atomic_file, "write", lambda path, content: path.write_bytes(content))
    assert found("atomic rename", tmp_path).stops


def test_a_file_system_that_appends_at_an_old_end_is_seen(tmp_path: Path, monkeypatch: Monkeypatch) -> None:
    opened = os.open
    monkeypatch.setattr(
        disk.os, "open", lambda path, flags, *mode, **at: opened(path, flags & ~os.O_APPEND, *mode, **at)
    )
    finding = found("append", tmp_path)
    assert finding.stops
    assert finding.found == r"of three lines appended in turn there is b'2\n3\n'"


def test_a_file_system_without_locks_is_seen(tmp_path: Path, monkeypatch: Monkeypatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
    finding = found("lock", tmp_path)
    assert finding.stops
    assert "two runs could write to one folder" in finding.found


def test_the_tolerance_of_the_scan_is_above_its_rounding() -> None:
    assert float(scan.chunked(Path()).rpartition(" ")[2]) < scan.TOLERANCE / 10


def test_the_compiler_is_the_one_that_was_asked_for(monkeypatch: Monkeypatch) -> None:
    monkeypatch.setenv("CXX", "true --with words")
    assert compiler.command() == ["true", "--with", "words"]
