"""Every registered lifter through the whole harness, at tiny widths: trained, stopped, resumed, evaluated, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness import config, contract, models, run
from harness.config import RunConfig
from harness.measurement import inference
from harness.measurement.timing import Protocol
from harness.progress import ProgressLine
from harness.training.budget import Budget
from harness.world import ALONE

DATA = "synthetic:train_minutes=0.1,test_minutes=0.05"
FRAMES = 9


def network(name: str) -> tuple[str, str]:
    """What tells a lifter from others of its family beside sizes: its module, and the options that are no numbers."""
    settings = vars(models.preset(name)).items()
    words = [(key, value) for key, value in settings if value is None or isinstance(value, str | bool)]
    return models.entry(name).module, str(words)


#: A width at which a run takes seconds, by the module that the registry names.
TINY: dict[str, dict[str, Any]] = {
    "posemamba": {"dim": 16, "depth": 1},
    "baselines.motionagformer": {"dim": 16, "depth": 1, "representation_dim": 8, "heads": 2},
    "baselines.motionbert": {"dim": 16, "depth": 1, "representation_dim": 8, "heads": 2},
    "baselines.mixste": {"dim": 16, "depth": 1, "heads": 2},
    "baselines.stcformer": {"dim": 32, "depth": 1},
    "baselines.poseformer": {"dim": 8, "depth": 1, "heads": 2},
    "baselines.poseformerv2": {"dim": 8, "depth": 1, "heads": 2},
    "baselines.mhformer": {"dim": 16, "depth": 2, "mlp_dim": 16},
    "baselines.stridedtransformer": {"dim": 16, "depth": 1, "heads": 2},
    "baselines.pstmo": {"dim": 16, "depth": 1, "heads": 2},
    "baselines.ktpformer": {"dim": 16, "depth": 1, "heads": 2},
    "baselines.tcpformer": {"dim": 16, "depth": 1, "representation_dim": 8, "heads": 2},
    "baselines.videopose3d": {"dim": 16},
    "baselines.martinez": {"dim": 16},
    "baselines.posemagic": {"dim": 16, "depth": 1, "representation_dim": 8},
    "baselines.mamba3d_lift": {"dim": 16, "depth": 1},
    "baselines.pointabm_lift": {"dim": 16, "depth": 1, "heads": 2, "feedforward_dim": 16},
}
#: One name for each network: of those that only differ in numbers the first.
NAMES = list({network(name): name for name in reversed(models.MODELS)}.values())


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def planned(name: str, **changes: Any) -> RunConfig:
    given: dict[str, Any] = {"frames": FRAMES, "data": DATA, "batch_size": 2, "budget": Budget(steps=3), "threads": 1}
    return config.resolve(name, options=TINY.get(models.entry(name).module, {}), **{**given, **changes})


class Death(BaseException):
    """Stands for SIGKILL."""


def dying_after(steps: int) -> Callable[..., None]:
    told = []

    def update(line: ProgressLine, share: float, note: str = "") -> None:
        if note.startswith("step"):
            told.append(share)
        if len(told) == steps:
            raise Death

    return update


@pytest.mark.parametrize("name", NAMES)
def test_trained_stopped_resumed_evaluated_measured(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run.run(planned(name), tmp_path / "whole", lambda line: None)
    monkeypatch.setenv("HARNESS_SAVE_EVERY_S", "0")
    with monkeypatch.context() as patched:
        patched.setattr(ProgressLine, "update", dying_after(3))
        with pytest.raises(Death):
            run.run(planned(name), tmp_path / "broken", lambda line: None)
    resumed = run.run(planned(name), tmp_path / "broken", lambda line: None)

    assert whole["status"] == resumed["status"] == "ok"
    assert resumed["weights"]["sha256"] == whole["weights"]["sha256"]
    assert resumed["accuracy"] == whole["accuracy"]
    assert whole["accuracy"]["frames"] == whole["data"]["test_frames"]
    assert whole["cost"]["macs_fvcore"] > 0
    assert not [warning for warning in whole["warnings"] if "no formula" in warning]
    answers = models.entry(name).answers
    assert whole["cost"]["output_frames"] == (FRAMES if answers == "every" else 1)
    assert whole["signature"]["fields"]["clips"] == {"every": "overlap-last"}.get(answers, f"sliding-{answers}")


@pytest.mark.parametrize("name", [name for name in NAMES if models.entry(name).recipe])
def test_trained_by_its_authors_recipe(name: str, tmp_path: Path) -> None:
    authors = planned(name, recipe_name="published", budget=Budget(steps=2))
    prepared = run.prepare(authors, tmp_path, lambda line: None)
    before = [parameter.detach().clone() for parameter in prepared.model.parameters()]
    progress = run._train(prepared, tmp_path, ALONE)
    changed = [not torch.equal(a, b) for a, b in zip(before, prepared.model.parameters(), strict=True)]
    assert progress.step == 2
    assert sum(changed) > len(changed) / 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("in_channels", [2, 3])
def test_the_contract_holds(name: str, in_channels: int) -> None:
    model = models.build(name, FRAMES, in_channels, **TINY.get(models.entry(name).module, {}))
    findings = contract.check(model, name, FRAMES, in_channels)
    assert [finding for finding in findings if not finding.holds] == []


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_what_the_registry_lists_is_true(name: str) -> None:
    entry = models.entry(name)
    for frames in entry.frames:
        with torch.device("meta"):
            model = models.build(name, frames)
        assert model.config.frames == frames
    with torch.device("meta"):
        published = models.build(name)
    assert parameters(published) == entry.parameters
    assert published.config.frames == entry.frames[0]
    assert contract.of(published).answers_for == entry.answers


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def built_for(name: str, frames: int) -> nn.Module | None:
    """The tiny model at this T, or None where its architecture has none and the error names T."""
    base = models.configure(name, FRAMES, 2, TINY.get(models.entry(name).module, {}))
    try:
        return models._import(models.entry(name).module).build(replace(base, frames=frames)).eval()
    except ValueError as error:
        if str(frames) not in str(error):
            raise
        return None


@pytest.mark.parametrize("name", NAMES)
def test_longer_and_shorter_clips_are_built_for(name: str) -> None:
    """Any T that the architecture allows; where it does not, the error says which."""
    built = {frames: model for frames in (1, 3, 10, 27, 45) if (model := built_for(name, frames))}
    for frames, model in built.items():
        with torch.no_grad():
            assert model(torch.zeros(1, frames, 17, 2)).shape[1] == contract.of(model).output_frames(frames)
    assert {27, 45} <= set(built)
