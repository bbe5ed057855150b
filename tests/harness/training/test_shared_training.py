"""Two processes train to the weights of one, whatever the network has in it.

Rounding differs: a sum over a batch is made of two sums. In float64 that is some 1e-16 of a gradient. AdamW divides by
the gradient's size, so that of one which is zero but for rounding (of a bias before a batch norm) it makes steps of
1e-9 and less. A mistake in what is added up, in a mask or in a mean shows at 1e-4 and more.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.world import ALONE
from tests.harness.training.shared_training import CASES, trained

ROOT = Path(__file__).resolve().parents[3]
TOLERANCE = 1e-7
LOCAL = [{"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"} for rank in range(2)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.harness.training.shared_training", str(folder)]
    processes = [
        subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, **meeting, "RANK": str(rank), **LOCAL[rank]}, stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=240)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return folder


def loaded(shared: Path, name: str, rank: int) -> dict[str, Any]:
    result: dict[str, Any] = torch.load(shared / f"{list(CASES).index(name)}-{rank}.pt", weights_only=True)
    return result


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_to_the_weights_of_one(name: str, shared: Path, tmp_path: Path) -> None:
    alone, first, second = trained(CASES[name], tmp_path / "alone", ALONE), *(loaded(shared, name, r) for r in (0, 1))
    for key, value in alone["model"].items():
        assert torch.equal(first["model"][key], second["model"][key]), f"the processes part at {key}"
        found = first["model"][key]
        assert torch.allclose(found, value, rtol=TOLERANCE, atol=TOLERANCE), f"{key}: {(found - value).abs().max()}"
    assert first["losses"] == pytest.approx(alone["losses"], rel=TOLERANCE)
    assert first["losses"] == second["losses"]
    assert torch.equal(first["drawn"], alone["drawn"]), "the random states part"
    assert torch.equal(second["drawn"], alone["drawn"])
