"""Checkpoints: whole or not at all, and never damaged unnoticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from harness import weights
from harness.errors import BadInput
from harness.training import checkpoint


def test_there_and_back(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path) is None
    checkpoint.save(tmp_path, 3, {"model": {"w": torch.arange(4.0)}, "progress": {"step": 3}})
    checkpoint.save(tmp_path, 5, {"model": {"w": torch.ones(4)}, "progress": {"step": 5}})
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found["progress"] == {"step": 5}
    assert torch.equal(found["model"]["w"], torch.ones(4))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.json", "step-00000005.pt"]


@pytest.mark.parametrize("moment", range(4))
def test_a_death_at_any_replacement_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    checkpoint.save(tmp_path, 1, {"progress": {"step": 1}})
    replace, calls = os.replace, iter(range(10))

    def dying(source: str, target: str) -> None:
        number = next(calls)
        if number == moment // 2 and moment % 2 == 0:
            raise KeyboardInterrupt
        replace(source, target)
        if number == moment // 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path, 2, {"progress": {"step": 2}})
    monkeypatch.undo()
    found = checkpoint.load(tmp_path)
    assert found is not None
    assert found["progress"]["step"] == (2 if moment == 3 else 1)
    checkpoint.save(tmp_path, 3, {"progress": {"step": 3}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.json", "step-00000003.pt"]


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    checkpoint.save(tmp_path, 1, {"model": {"w": torch.zeros(1000)}})
    path = tmp_path / "step-00000001.pt"
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flip" else content[: len(content) // 2])
    with pytest.raises(BadInput, match=r"step-00000001\.pt is damaged"):
        checkpoint.load(tmp_path)


def test_a_death_between_weights_and_digest_leaves_no_contradiction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save_weights(tmp_path, {"model": {"w": torch.zeros(2)}})
    replace = os.replace

    def dying(source: Path, target: Path) -> None:
        replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save_weights(tmp_path, {"model": {"w": torch.ones(2)}})
    monkeypatch.undo()
    assert torch.equal(weights.read(tmp_path / "weights.pt")["model"]["w"], torch.ones(2))


def test_weights_have_their_digest_beside_them(tmp_path: Path) -> None:
    path, digest = checkpoint.save_weights(tmp_path, {"model": {"w": torch.zeros(2)}})
    assert (tmp_path / "weights.pt.sha256").read_text() == f"{digest}  weights.pt\n"
    assert path.is_file()
