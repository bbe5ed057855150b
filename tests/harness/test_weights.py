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
from harness import checkpoint_file, models, weights
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
        (
            ("posemamba-xs", 27, 2),
            r"0 keys missing, 0 unexpected, 1 wrong shape; .*: temporal_position \(1, 9, 48\) against",
        ),
        (("posemamba-xs", 9, 3), r"the file's against the model's: joint_embedding.weight \(48, 2\) against \(48, 3\)"),
        (("posemamba-s", 9, 2), r"228 keys missing, 0 unexpected, .*; missing: spatial_blocks.4.* and 225 more"),
        (
            ("motionagformer-xs", 9, 2),
            r"keys missing.*unexpected: spatial_position, temporal_position, .* and \d+ more",
        ),
    ],
)
def test_what_does_not_fit_says_where(tmp_path: Path, target: tuple[str, int, int], message: str) -> None:
    model = models.build(*target)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(weights.DoesNotFit, match=message) as raised:
        weights.load(model, save_xs(tmp_path))
    assert raised.value.entries.keys() == models.build("posemamba-xs", 9, 2).state_dict().keys()
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


def small() -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4))


def load_small(content: Any, tmp_path: Path) -> weights.Loaded:
    torch.save(content, tmp_path / "w.pth")
    return weights.load(small(), tmp_path / "w.pth")


def test_counters_of_thop_are_left_out_and_told(tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in small().state_dict().items()}
    counters = {
        f"{place}{kind}": torch.zeros(1) for place in ("", "module.0.") for kind in checkpoint_file.THOP_COUNTERS
    }
    loaded = load_small({**state, **counters}, tmp_path)
    assert loaded.notes == (
        "thop's counters, no weights, are left out (4): total_ops, total_params, module.0.total_ops and 1 more",
    )


def test_batch_counts_of_before_pytorch_041_are_filled_and_told(tmp_path: Path) -> None:
    state = {key: value for key, value in small().state_dict().items() if not checkpoint_file.is_batch_count(key)}
    assert len(state) == 6
    (note,) = load_small(state, tmp_path).notes
    assert note.startswith("1 of num_batches_tracked are not in the file")


@pytest.mark.parametrize("absent", ["0.bias", "1.running_mean"])
def test_nothing_else_may_be_missing(absent: str, tmp_path: Path) -> None:
    state = {key: value for key, value in small().state_dict().items() if key != absent}
    with pytest.raises(weights.DoesNotFit, match=f"1 keys missing, 0 unexpected, 0 wrong shape; missing: {absent}$"):
        load_small(state, tmp_path)


@pytest.mark.parametrize("surplus", ["0.total_flops", "2.weight", "head.total_ops.weight"])
def test_nothing_else_may_be_surplus(surplus: str, tmp_path: Path) -> None:
    with pytest.raises(weights.DoesNotFit, match=f"0 keys missing, 1 unexpected, 0 wrong shape; unexpected: {surplus}"):
        load_small({**small().state_dict(), surplus: torch.zeros(1)}, tmp_path)


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_is_no_tensor_among_the_weights_is_refused(wrapped: bool, tmp_path: Path) -> None:
    state = {**small().state_dict(), "version": 3}
    with pytest.raises(BadInput, match=r"holds more than tensors( under 'model')?: version \(int\)"):
        load_small({"model": state} if wrapped else state, tmp_path)


def test_weights_under_a_key_of_their_own(tmp_path: Path) -> None:
    state = small().state_dict()
    assert load_small({"net": state, "epoch": 3, "history": {"loss": [1.0]}}, tmp_path).wrapper == "net"
    assert load_small({"model": {"name": "x"}, "state_dict": state}, tmp_path).wrapper == "state_dict"


def test_weights_under_two_keys_of_their_own_are_not_chosen_between(tmp_path: Path) -> None:
    state = small().state_dict()
    with pytest.raises(BadInput, match=r"holds several sets of weights: net, ema; keep one of them, under 'model'"):
        load_small({"net": state, "ema": state}, tmp_path)


def test_a_second_network_is_told(tmp_path: Path) -> None:
    state = small().state_dict()
    loaded = load_small({"model_pos": state, "model_traj": state}, tmp_path)
    assert loaded.wrapper == "model_pos"
    assert loaded.notes == ("model_traj, another set of 7 weights in the file, is not used",)


@pytest.mark.parametrize("key", ["model", "net"])
def test_figures_are_no_second_network(key: str, tmp_path: Path) -> None:
    loaded = load_small({key: small().state_dict(), "metrics": {"acc": torch.tensor(91.8)}}, tmp_path)
    assert (loaded.wrapper, loaded.notes) == (key, ())


def test_prefixes_of_several_wrappings(tmp_path: Path) -> None:
    assert not load_small({f"module._orig_mod.{key}": v for key, v in small().state_dict().items()}, tmp_path).notes


def test_absent_checkpoints_are_suggested_by_any_usual_ending(tmp_path: Path) -> None:
    names = ("best_epoch.bin", "best.pth", "best.pth.tr", "ckpt_best.pth.tar", "w.model", "last.PT")
    for name in (*names, "train.log", "best.json"):
        (tmp_path / name).touch()
    with pytest.raises(BadInput, match=r"no checkpoint at .*best_epoc\.bin \(nearest: best_epoch\.bin, ") as raised:
        weights.load(small(), tmp_path / "best_epoc.bin")
    assert all(name in str(raised.value) for name in names)
    assert "train.log" not in str(raised.value)
    with pytest.raises(BadInput, match=r"is a folder \(nearest: .*best\.pth.*\)\. Name a file\. Nothing evaluated"):
        weights.load(small(), tmp_path)
    with pytest.raises(BadInput, match=r"no checkpoint at .*x\.pt: there is no folder .*nowhere\."):
        weights.load(small(), tmp_path / "nowhere" / "x.pt")


def test_bytes_that_are_no_checkpoint_are_shown(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(BadInput, match=r"not a checkpoint \(.*it begins with b'version https://git-lfs"):
        weights.load(small(), tmp_path / "w.pth")


def test_a_model_whose_translation_needs_other_entries(tmp_path: Path) -> None:
    class Demanding(torch.nn.Linear):
        def official_state(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"weight": state["w"], "bias": state["b"]}

    torch.save({"w": torch.ones(1, 1), "b": torch.ones(1)}, tmp_path / "w.pth")
    assert weights.load(Demanding(1, 1), tmp_path / "w.pth").official
    torch.save({"w": torch.ones(1, 1)}, tmp_path / "w.pth")
    with pytest.raises(weights.DoesNotFit, match="missing: weight, bias; unexpected: w"):
        weights.load(Demanding(1, 1), tmp_path / "w.pth")
