"""Checkpoints in every wrapper, and the ways in which they do not fit.

Golden outputs are those of the authors' own code (tests/goldens/README.md), loaded under the authors' names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import baselines.motionagformer
import posemamba
from harness import models, weights
from harness.errors import BadInput
from tests.goldens import synth

GOLDENS = Path(__file__).parents[1] / "goldens"
FAMILIES: dict[str, Any] = {"posemamba": posemamba, "motionagformer": baselines.motionagformer}
NAMES = sorted(p.stem for family in FAMILIES for p in GOLDENS.glob(f"{family}-*.json"))


def build(golden: dict[str, Any]) -> torch.nn.Module:
    family = FAMILIES[golden["model"]]
    return family.build(family.official_config(golden["config"])).eval()


def official_state(golden: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in synth.checkpoint(golden).items()}


WRAPPERS: dict[str, Callable[[dict[str, torch.Tensor]], dict[str, Any]]] = {
    "bare": lambda state: state,
    "bare, module.": lambda state: {f"module.{key}": value for key, value in state.items()},
    "model_pos, module.": lambda state: {
        "epoch": 3, "lr": 1e-4, "model_pos": {f"module.{key}": value for key, value in state.items()},
        "min_loss": np.float64(37.5),
    },
    "model": lambda state: {"model": state, "epoch": 1},
    "state_dict": lambda state: {"state_dict": state},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_goldens_hold_through_the_loader(name: str, tmp_path: Path) -> None:
    golden = synth.load(GOLDENS / name)
    torch.save(WRAPPERS["model_pos, module."](official_state(golden)), tmp_path / "w.bin")
    model = build(golden)
    loaded = weights.load(model, tmp_path / "w.bin")
    assert loaded.official
    with torch.no_grad():
        output = model(torch.from_numpy(synth.input_for(golden))).numpy()
    gap = np.abs(output - synth.load_arrays(GOLDENS / name)["output"]).max()
    assert gap < golden["tolerance"]["float32"]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_wrapper_gives_the_same_model(wrapper: str, tmp_path: Path) -> None:
    golden = synth.load(GOLDENS / "posemamba-tiny")
    torch.save(WRAPPERS[wrapper](official_state(golden)), tmp_path / "w.pth.tr")
    model, plain = build(golden), build(golden)
    weights.load(model, tmp_path / "w.pth.tr")
    plain.load_state_dict(plain.official_state(official_state(golden)))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), plain.state_dict().values(), strict=True))


def test_our_own_names_are_not_called_official(tmp_path: Path) -> None:
    model = models.build("posemamba-xs", 3, 2)
    torch.save({"model": model.state_dict(), "config": {"frames": 3}}, tmp_path / "w.pt")
    loaded = weights.load(models.build("posemamba-xs", 3, 2), tmp_path / "w.pt")
    assert not loaded.official
    assert loaded.wrapper == "model"
    assert loaded.extra == {"config": {"frames": 3}}


def save_xs(tmp_path: Path, frames: int = 9, in_channels: int = 2) -> Path:
    torch.save(models.build("posemamba-xs", frames, in_channels).state_dict(), tmp_path / "w.pt")
    return tmp_path / "w.pt"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (("posemamba-xs", 27, 2), r"it was made for frames=9; add --frames 9"),
        (("posemamba-xs", 9, 3), r"it was made for in_channels=2; add --in-channels 2"),
        (("posemamba-s", 9, 2), r"keys missing.*another model or another width"),
        (("motionagformer-xs", 9, 2), r"keys missing.*unexpected.*another model"),
    ],
)
def test_what_does_not_fit_says_what_to_do(tmp_path: Path, target: tuple[str, int, int], message: str) -> None:
    model = models.build(*target)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(BadInput, match=message):
        weights.load(model, save_xs(tmp_path))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "half-loaded"


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    save_xs(tmp_path)
    with pytest.raises(BadInput, match=r"no checkpoint at .*best\.pt \(nearest: w\.pt\)\. Nothing evaluated"):
        weights.load(models.build("posemamba-xs", 9, 2), tmp_path / "best.pt")


def test_a_cut_checkpoint(tmp_path: Path) -> None:
    path = save_xs(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match="damaged or not a checkpoint"):
        weights.load(models.build("posemamba-xs", 9, 2), path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x80\x02hello" * 50, b"PK\x03\x04" + b"\0" * 99])
def test_bytes_that_are_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(BadInput, match=r"w\.pt is damaged or not a checkpoint"):
        weights.load(models.build("posemamba-xs", 9, 2), tmp_path / "w.pt")


def test_a_flipped_bit_is_found_by_the_digest_beside_it(tmp_path: Path) -> None:
    path = save_xs(tmp_path)
    path.with_name("w.pt.sha256").write_text(f"{weights.file_digest(path)}  w.pt\n")
    weights.load(models.build("posemamba-xs", 9, 2), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"w\.pt is damaged: its sha256 is"):
        weights.load(models.build("posemamba-xs", 9, 2), path)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


def test_a_malicious_pickle_is_refused_and_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Malicious()}, tmp_path / "w.pt")
    with pytest.raises(BadInput, match=r"w\.pt is refused.*system"):
        weights.load(models.build("posemamba-xs", 9, 2), tmp_path / "w.pt")
    assert not (tmp_path / "pwned").exists()


def test_a_file_without_tensors(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(BadInput, match="holds no tensors"):
        weights.load(models.build("posemamba-xs", 9, 2), tmp_path / "w.pt")
