from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.data import load, source
from harness.data.sequence import Dataset, digest
from harness.errors import BadInput
from harness.evaluation.protocol import protocol
from tests.harness.data.figures import save, shared_motion, standing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "own_train.npz", {"A/Walk/1": standing(30), "B/Run/1": standing(20)})
    save(tmp_path / "own_test.npz", {"C/Walk/1": standing(10, 0.9), "C/Jump/1": standing(10, 0.9)})
    return tmp_path


@pytest.mark.parametrize("kind", list(source.KINDS))
def test_every_loader_is_there(kind: str) -> None:
    loader = source._loader(kind)
    assert callable(loader.load)
    assert callable(loader.detectors)
    assert source.KINDS[kind].form.startswith(kind)
    assert protocol(source.published_protocol(f"{kind}:x"))


def test_detectors_are_those_of_the_data(folder: Path) -> None:
    assert source.detectors(f"motion:{folder}") == ("sh", "gt", "cpn", "wild")
    assert source.resolve_detector("synthetic") == "sh"
    assert source.detectors("3dhp:nowhere") == ("gt",)


def test_test_actions_that_training_lacks_are_noted(folder: Path) -> None:
    dataset = load(f"motion:{folder}")
    assert "test actions that do not occur in training: Jump" in dataset.notes
    assert dataset.detector == "sh"


def test_a_missing_part_is_noted(folder: Path) -> None:
    (folder / "own_train.npz").unlink()
    dataset = load(f"motion:{folder}")
    assert "no training sequences" in dataset.notes
    assert not any("occur in training" in note for note in dataset.notes)


@pytest.mark.parametrize("detector", ["gt", "sh", "cpn", "wild"])
def test_the_same_call_gives_the_same_data(folder: Path, detector: str) -> None:
    one, other = (load(f"motion:{folder}", detector=detector, seed=2) for _ in range(2))
    assert digest(one.train + one.test) == digest(other.train + other.test)
    assert digest(one.train) != digest(load(f"motion:{folder}", detector="sh", seed=3).train)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("motoin:x", r"unknown data 'motoin:x'. Did you mean: motion\? There are: motion:PATH, synthetic"),
        ("h36:x", r"unknown data 'h36:x'. Did you mean: h36m"),
        ("", "There are: motion:PATH"),
    ],
)
def test_an_unknown_kind(spec: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load(spec)


def test_a_bare_path_is_told_how_to_be_written(folder: Path) -> None:
    with pytest.raises(BadInput, match=f"For files: motion:{folder}"):
        load(str(folder))


def test_wrong_detector_and_seed(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"unknown detector 'cnp'. Did you mean: cpn"):
        load(f"motion:{folder}", detector="cnp")
    with pytest.raises(BadInput, match="data seed -1"):
        load(f"motion:{folder}", seed=-1)


def test_a_loader_that_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def detectors(self, argument: str) -> tuple[str, ...]:
            return ("gt",)

        def load(self, argument: str, **_: object) -> Dataset:
            return Dataset("empty", "gt", (), ())

    monkeypatch.setattr(source, "_loader", lambda kind: Empty())
    with pytest.raises(BadInput, match="motion:x: holds no sequence"):
        load("motion:x")


def test_data_needs_no_torch() -> None:
    code = "import sys, harness.data, harness.data.motion, harness.data.rig; sys.exit('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_real_set_comes_as_described(tmp_path: Path) -> None:
    dataset = load(f"motion:{shared_motion()}/hdm05_test.npz", cache=tmp_path)
    again = load(f"motion:{shared_motion()}/hdm05_test.npz", cache=tmp_path)
    assert {sequence.subject for sequence in dataset.test} == {"HDM_tr"}
    assert digest(dataset.test) == digest(again.test)
    depths = np.concatenate([sequence.poses_mm[:, 0, 2] for sequence in dataset.test])
    assert 1500 < depths.min() < depths.max() < 9000
