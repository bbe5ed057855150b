"""Checkpoints that are damaged, of other data or of other code: refused by name, and never gone on with or scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.errors import BadInput
from harness.store.store import Store
from harness.training import checkpoint
from tests.faults import injections, life


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One bit in the middle, which torch loads without a word."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that was killed when its fourth step was saved."""
    results = tmp_path_factory.mktemp("killed")
    fault = {"fault": injections.kill_at_replacement, "name": "step-00000005.pt", "when": "before"}
    assert life.train(results, **fault).code is None
    return results


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_checkpoint_is_not_gone_on_with(killed: Path, damage: Callable[[Path], None]) -> None:
    (path,) = killed.rglob("step-00000004.pt")
    content = path.read_bytes()
    damage(path)
    ended = life.train(killed)
    path.write_bytes(content)
    assert (ended.code, ended.out) == (2, "")
    assert f"checkpoint {path} is damaged: its sha256 is " in ended.err
    assert "Restore it, or start the run afresh with --again" in ended.err
    record = Store(killed).latest()[0]
    assert (record["status"], "is damaged" in record["error"], "weights" in record) == ("failed", True, False)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "\x00\x00", '{"file": "step-00000004.pt"}', '{"file": 3, "sha256": ""}']
)
def test_a_damaged_pointer_is_named(tmp_path: Path, content: str) -> None:
    checkpoint.save(tmp_path, 4, {"step": 4})
    (tmp_path / checkpoint.POINTER).write_text(content)
    with pytest.raises(BadInput, match=r"checkpoint\.json is damaged: .* --again"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("part", ["model", "optimizer", "random", "progress"])
def test_a_checkpoint_of_another_version_is_said_to_be_one(killed: Path, part: str) -> None:
    (folder,) = (killed / "runs").iterdir()
    found = checkpoint.load(folder)
    assert found is not None
    other = {"layer.weights": torch.zeros(3)} if part == "model" else {"another": 1}
    checkpoint.save(folder, 4, {**found, part: other})
    ended = life.train(killed)
    checkpoint.save(folder, 4, found)
    assert ended.code == 2, ended
    assert f"the checkpoint in {folder} was made by another version of the model or the harness (" in ended.err
    assert "--again" in ended.err


@pytest.mark.parametrize("damage", [cut, flip])
def test_damaged_weights_are_never_scored(
    finished: tuple[Path, dict[str, str]], damage: Callable[[Path], None]
) -> None:
    results, weights = finished
    path = results / weights["path"]
    content = path.read_bytes()
    damage(path)
    named = ("--model", life.HERE + "plain", "--results", results)
    by_run = life.live("evaluate", "--run", Store(results).latest()[0]["id"], *named)
    by_file = life.live("evaluate", *named, "--weights", path, "--data", life.DATA, "--frames", "9")
    path.write_bytes(content)
    assert (by_run.code, by_run.out) == (by_file.code, by_file.out) == (2, "")
    assert f"{path} holds other weights than run " in by_run.err
    assert f"checkpoint {path} is damaged: its sha256 is " in by_file.err
    assert len(Store(results).records()) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """(results, the record's ``weights``) of a run."""
    results = tmp_path_factory.mktemp("finished")
    assert life.train(results).code == 0
    return results, Store(results).latest()[0]["weights"]
