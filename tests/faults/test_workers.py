"""Processes beside the command's own: training has none that may die, and where there is one its death is a result."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data.normalise import TARGET_SPACES
from harness.measurement import fresh_process, worker
from harness.training.batches import TrainingClips
from harness.training.budget import Budget
from harness.training.loop import train
from harness.training.recipes import RECIPES
from harness.training.training import Progress, Training
from tests.faults.lifters import plain
from tests.harness.training.conftest import make_sequence

CHILDREN = Path("/proc/self/task") / str(os.getpid()) / "children"


@pytest.mark.skipif(not CHILDREN.exists(), reason="the kernel does not list a process's children")
def test_clips_come_from_the_process_that_trains(tmp_path: Path) -> None:
    clips = TrainingClips([make_sequence("s/walk/0", 30, 0)], 9, 3, TARGET_SPACES["camera"], stride=3)
    seen: list[tuple[str, int]] = []

    def look(progress: Progress, share: float, loss: float) -> None:
        seen.append((CHILDREN.read_text(), len(multiprocessing.active_children())))

    before = (CHILDREN.read_text(), len(multiprocessing.active_children()))
    training = Training(RECIPES["common"], Budget(steps=3), 2, 0, tmp_path, torch.device("cpu"), report=look)
    train(plain(9, 3), clips, training)
    assert seen == [before] * 3


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_process_that_leaves_without_a_word_is_a_failure_and_no_hang(code: int) -> None:
    found = fresh_process.call(leave, {"code": code}, timeout_s=60.0, preload=worker.PRELOAD)
    assert found == {"status": "failed", "error": f"the process ended with exit code {code} and no result"}


def leave(task: dict[str, Any]) -> dict[str, Any]:
    os._exit(task["code"])
