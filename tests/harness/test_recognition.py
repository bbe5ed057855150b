"""What the error says when a checkpoint is of another model, T, width, depth or number of input channels."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import checkpoint_file, models, recognition, weights
from tests.goldens import synth

GOLDENS = Path(__file__).parents[1] / "goldens"
#: The first preset of every family.
FAMILIES = list({entry.module: name for name, entry in reversed(models.MODELS.items())}.values())


def state_of(name: str, **changes: Any) -> dict[str, Tensor]:
    """Names and shapes of the registered model with other options, without storage."""
    with torch.device("meta"):
        config = dataclasses.replace(models.preset(name), **changes)
        return importlib.import_module(models.MODELS[name].module).build(config).state_dict()


def shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in state.items()}


def advice(state: dict[str, Tensor], asked: str, **options: Any) -> str:
    return recognition.advice(state, asked, dataclasses.replace(models.preset(asked), **options))


def require_followed(text: str, state: Mapping[str, Tensor]) -> None:
    """The model that the advice names first takes ``state``."""
    name, *words = text.removeprefix("it fits --model ").split(" or ")[0].split()
    given = list(zip(words[::2], words[1::2], strict=True))
    clip = {flag[2:].replace("-", "_"): int(value) for flag, value in given if flag != "-o"}
    config = models.configure(name, **clip, overrides=dict(pair.split("=") for flag, pair in given if flag == "-o"))
    with torch.device("meta"):
        model = importlib.import_module(models.MODELS[name].module).build(config)
    own = {key: shape for key, shape in shapes(model.state_dict()).items() if not checkpoint_file.is_batch_count(key)}
    given_shapes = shapes(checkpoint_file.translate(model, state))
    assert own == {key: shape for key, shape in given_shapes.items() if not checkpoint_file.is_batch_count(key)}


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_recognised_by_another(name: str) -> None:
    asked = "posemamba-xs" if name != "posemamba" else "motionagformer-xxs"
    state = state_of(name)
    require_followed(advice(state, asked), state)


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_is_recognised_at_another_clip(name: str) -> None:
    """Asked for the same model; where T or the channels leave no trace in the weights, the checkpoint fits anyway."""
    preset = models.preset(name)
    other = next(frames for frames in (81, 27) if frames != preset.frames)
    for change in ({"frames": other}, {"in_channels": 5 - preset.in_channels}):
        state = state_of(name, **change)
        if shapes(state) != shapes(state_of(name)):
            (option, value), flag = next(iter(change.items())), "--" + next(iter(change)).replace("_", "-")
            assert advice(state, name) == f"it was made for {option}={value}; add {flag} {value}"


#: The goldens of lifters; mamba3d's is a classifier's.
OF_LIFTERS = [path for path in sorted(GOLDENS.glob("*-tiny.json")) if path.stem != "mamba3d-tiny"]


@pytest.mark.parametrize("path", OF_LIFTERS, ids=lambda path: path.stem)
def test_authors_checkpoints_of_any_size_are_recognised(path: Path) -> None:
    golden = synth.load(path)
    state = {name: torch.from_numpy(value) for name, value in synth.checkpoint(golden).items()}
    asked = "posemamba-xs" if golden["model"] != "posemamba" else "motionagformer-xxs"
    text = advice(state, asked)
    require_followed(text.replace(" (not the skeleton of the data here)", ""), state)


@pytest.mark.parametrize(
    ("made", "asked", "expected"),
    [
        (("posemamba-xs", {"frames": 9}), "posemamba-xs", "it was made for frames=9; add --frames 9"),
        (("posemamba-xs", {"depth": 6}), "posemamba-xs", "it was made for depth=6; add -o depth=6"),
        (("posemamba-xs", {"dim": 32, "in_channels": 3, "frames": 9}), "posemamba-xs",
         "it was made for frames=9 and in_channels=3 and dim=32; add --frames 9 --in-channels 3 -o dim=32"),
        (("posemamba-s", {}), "posemamba-b", "it fits --model posemamba"),
        (("posemamba-b", {"frames": 81}), "posemamba-s",
         "it fits --model posemamba-b --frames 81"),
        (("posemamba-b", {"in_channels": 3}), "posemamba-b", "it was made for in_channels=3; add --in-channels 3"),
        (("posemamba-b", {"frames": 81}), "motionagformer-xxs",
         "it fits --model posemamba-b --frames 81 --in-channels 2"),
        (("motionagformer-xs", {}), "motionagformer-s", "it fits --model motionagformer-xs --frames 27"),
        (("mhformer", {"depth": 4, "generation_depth": 2}), "mhformer",
         "it was made for depth=4 and generation_depth=2; add -o depth=4 -o generation_depth=2"),
        (("motionagformer-xxs", {"in_channels": 2}), "posemamba-xs",
         "it fits --model motionagformer-xxs --in-channels 2 --frames 27"),
    ],
)  # fmt: skip
def test_what_is_advised(made: tuple[str, dict[str, Any]], asked: str, expected: str) -> None:
    name, changes = made
    assert advice(state_of(name, **changes), asked) == expected


def test_options_that_were_given_wrongly_are_set_right() -> None:
    assert advice(state_of("posemamba-xs"), "posemamba-xs", dim=32) == "it was made for dim=48; add -o dim=48"


def test_what_no_registered_model_is() -> None:
    assert advice({"a": torch.zeros(3)}, "posemamba-xs") == (
        "no registered model has such names. Name the model it belongs to, and its options"
    )
    state = {**state_of("posemamba-xs"), "another": torch.zeros(3)}
    assert advice(state, "motionagformer-xxs").startswith(
        "no registered model has these names and shapes; the nearest is posemamba"
    )


def test_a_third_partys_model_is_told_which_registered_one_fits() -> None:
    text = recognition.advice(state_of("posemamba-xs"), "package.module:attribute", None)
    assert text == "it fits --model posemamba-xs"


def test_the_error_of_a_load_ends_with_the_advice(tmp_path: Path) -> None:
    torch.save(models.build("posemamba-xs", 9, 2).state_dict(), tmp_path / "w.pt")
    message = r"does not fit: .*shapes, .*: temporal_position .*: it was made for frames=9; add --frames 9$"
    with pytest.raises(weights.DoesNotFit, match=message):
        weights.load(models.build("posemamba-xs", 27, 2), tmp_path / "w.pt")
    assert not weights.load(models.build("posemamba-xs", 9, 2), tmp_path / "w.pt").official


def test_the_registered_name_of_a_model() -> None:
    assert recognition.name_of(models.build("videopose3d-causal", 9, 2)) == "videopose3d-causal"
    assert recognition.name_of(torch.nn.Linear(1, 1)) is None
