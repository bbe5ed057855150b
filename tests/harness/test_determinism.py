"""One configuration and one seed, twice: the same bits. And what cannot keep that promise is in the record."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import config, determinism, run
from harness.store.store import Store
from harness.training.budget import Budget

ROOT = Path(__file__).parents[2]
DATA = "synthetic:train_minutes=0.2,test_minutes=0.1"
RUN = (
    *("run", "--model", "posemamba-xs", "-o", "dim=16", "-o", "depth=1", "-o", "drop_path=0.3", "--data", DATA),
    *("--frames", "9", "--batch-size", "2", "--threads", "1", "--steps", "6", "--seed", "3"),
)
#: The harness command with the short timing of ``whole_runs``.
COMMAND = """
from harness.measurement import inference
from harness.measurement.timing import Protocol
inference.PROTOCOL = Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1)
from harness.cli import main
main()
"""
#: Fields of a record that are of the moment it was made in: times, speeds, what else the machine did.
OF_THE_MOMENT = (
    "started",
    "finished",
    "training.seconds",
    "training.core_seconds",
    "training.frames_per_s",
    "training.curve.*.seconds",
    "cost.inference.",
    "cost.inference_frames_per_s",
    "cost.train_frames_per_s",
    "cost.peak_memory_bytes",
)

pytestmark = pytest.mark.usefixtures("whole_runs")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no container, with its path; the places of a list are all called ``*`` there."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if entries is None:
        yield path, value
        return
    for key, entry in entries:
        step = "*" if isinstance(value, list) else str(key)
        yield from leaves(entry, f"{path}.{step}" if path else step)


def lasting(record: dict[str, Any]) -> list[tuple[str, Any]]:
    """What has to be equal."""
    # Sentences about a noisy clock and a busy machine are of the moment too.
    of_speed = [text for text in record["warnings"] if text.startswith(("inference speed is", "training computed"))]
    kept = {**record, "warnings": [text for text in record["warnings"] if text not in of_speed]}
    return [(path, value) for path, value in leaves(kept) if not path.startswith(OF_THE_MOMENT)]


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Results folders of one run made by two processes that differ in what must not matter."""
    folders, processes = [], []
    for hash_seed, zone in (("1", "UTC"), ("4242", "Asia/Kathmandu")):
        working = tmp_path_factory.mktemp(f"working in {zone.replace('/', ' ')}")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed, "TZ": zone}
        command = [sys.executable, "-c", COMMAND, *RUN, "--results", "results"]
        processes.append(
            subprocess.Popen(command, cwd=working, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        )
        folders.append(working / "results")
    for process in processes:
        _, messages = process.communicate(timeout=600)
        assert process.returncode == 0, messages.decode()
    return folders


def test_two_processes_make_the_same_weights_bit_by_bit(twice: list[Path]) -> None:
    records = [Store(folder).latest()[0] for folder in twice]
    first, second = (
        torch.load(folder / record["weights"]["path"], weights_only=True)["model"]
        for folder, record in zip(twice, records, strict=True)
    )
    assert list(first) == list(second)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert records[0]["weights"] == records[1]["weights"]


def test_two_processes_make_the_same_record_but_for_the_time_it_took(twice: list[Path]) -> None:
    first, second = (Store(folder).latest()[0] for folder in twice)
    assert lasting(first) == lasting(second)
    paths = [path for path, _ in lasting(first)]
    for path in ("accuracy.p1_mm", "training.curve.*.loss", "data.digest_test", "traces.sha256", "signature.long"):
        assert path in paths
    # What is left out is there, and is left out because it does differ.
    assert list(leaves(first)) != list(leaves(second))


def test_a_difference_would_be_seen(twice: list[Path]) -> None:
    record = Store(twice[0]).latest()[0]
    other = json.loads(json.dumps(record))
    other["accuracy"]["p1_mm"] += 1e-9
    assert lasting(record) != lasting(other)
    other = {**record, "warnings": [*record["warnings"], "a sentence"]}
    assert lasting(record) != lasting(other)


class Scattering(nn.Module):
    """A lifter with an operator that torch has no deterministic form of, on a processor either."""

    def __init__(self, frames: int, in_channels: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_channels, 3)

    def forward(self, clips: Tensor) -> Tensor:
        shift = torch.zeros(3).put_(torch.tensor([0]), torch.tensor([0.1]))
        return self.layer(clips) + shift


def test_what_is_not_deterministic_is_in_the_record_of_the_run(tmp_path: Path) -> None:
    records = []
    for seed in (0, 1):
        planned = config.resolve(
            f"{__name__}:Scattering", data=DATA, frames=9, budget=Budget(steps=2), threads=1, batch_size=2, seed=seed
        )
        records.append(run.run(planned, tmp_path, lambda line: None))
    for record in records:
        assert record["warnings"].count("not deterministic here, so that a repetition may differ: put_") == 1


def scatter_and_warn() -> list[str]:
    """What is noted of an operator that is called three times, beside a warning of another kind."""
    with determinism.doubts_noted() as doubts:
        for _ in range(3):
            torch.zeros(2).put_(torch.tensor([0]), torch.tensor([1.0]))
        warnings.warn("something else", stacklevel=1)
    return doubts


def test_torch_names_the_operator_each_time_and_other_warnings_pass() -> None:
    determinism.prefer_deterministic()
    for _ in range(2):
        with pytest.warns(UserWarning, match="something else"):
            doubts = scatter_and_warn()
        assert doubts == ["not deterministic here, so that a repetition may differ: put_"]


#: As torch 2.13 and the scan say it on a GPU.
ON_A_GPU = {
    "cumsum_cuda_kernel does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms("
    "True, warn_only=True)'. You can file an issue": "cumsum_cuda_kernel",
    "mamba-ssm's backward pass does not have a deterministic implementation; use another": "mamba-ssm's backward pass",
    "Memory Efficient attention defaults to a non-deterministic algorithm. To explicitly enable determinism call": (
        "Memory Efficient attention defaults to a non-deterministic algorithm"
    ),
}


def test_sentences_of_a_gpu() -> None:
    with determinism.doubts_noted() as doubts:
        for text in (*ON_A_GPU, *ON_A_GPU):
            warnings.warn(text, stacklevel=1)
    names = "; ".join(sorted(ON_A_GPU.values()))
    assert doubts == [f"not deterministic here, so that a repetition may differ: {names}"]


def test_what_fails_is_noted_too_and_nothing_is_said_of_nothing() -> None:
    always = torch.is_warn_always_enabled()
    with contextlib.suppress(ValueError), determinism.doubts_noted() as doubts:
        warnings.warn(next(iter(ON_A_GPU)), stacklevel=1)
        raise ValueError
    assert doubts == ["not deterministic here, so that a repetition may differ: cumsum_cuda_kernel"]
    with determinism.doubts_noted() as doubts:
        pass
    assert doubts == []
    assert torch.is_warn_always_enabled() == always


def test_cublas_gets_a_workspace_of_fixed_size_unless_the_user_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(determinism.CUBLAS_WORKSPACE, ":16:8")
    determinism.prefer_deterministic()
    assert os.environ[determinism.CUBLAS_WORKSPACE] == ":16:8"
    monkeypatch.delenv(determinism.CUBLAS_WORKSPACE)
    determinism.prefer_deterministic()
    assert os.environ[determinism.CUBLAS_WORKSPACE] == ":4096:8"
    assert torch.is_deterministic_algorithms_warn_only_enabled()
