"""Protocols, spaces and data that go together, and those that do not and say so before anything is computed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import assessment, config
from harness.assessment import assess, cutting, require_fitting, require_precision
from harness.config import RunConfig
from harness.data.normalise import TARGET_SPACES
from harness.data.sequence import Dataset, Sequence
from harness.errors import BadInput
from harness.measurement import inference
from harness.measurement.timing import Protocol
from tests.harness.evaluation.scenes import filmed

CAMERA_SET = Dataset(
    "walks", "gt", (filmed("S1/Walk/1/a", 40),), (filmed("S9/Walk/1/a", 23, seed=1), filmed("S9/Eat/1/a", 31, seed=2))
)


def in_image(sequence: Sequence, factor: float) -> Sequence:
    truth = np.concatenate([sequence.keypoints, np.zeros((len(sequence), 17, 1))], axis=-1)
    return dataclasses.replace(sequence, truth=truth, mm_per_pixel=np.full(len(sequence), factor))


IMAGE_SET = dataclasses.replace(
    CAMERA_SET,
    train=tuple(in_image(sequence, np.nan) for sequence in CAMERA_SET.train),
    test=tuple(in_image(sequence, 4.0) for sequence in CAMERA_SET.test),
)


class Flat(nn.Module):
    """Says that every joint is where it is seen, at no depth, and the pelvis ``aside`` of its place."""

    def __init__(self, aside: float = 0.0) -> None:
        super().__init__()
        self.aside = nn.Parameter(torch.tensor(aside))

    def forward(self, clips: Tensor) -> Tensor:
        xy = clips[..., :2] - clips[:, :, :1, :2] + self.aside
        return torch.cat([xy, torch.zeros_like(xy[..., :1])], dim=-1)


class Centre(Flat):
    answers_for = "centre"

    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips)[:, clips.shape[1] // 2 :][:, :1]


COST = assessment._cost


@pytest.fixture(autouse=True)
def _no_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessment, "_cost", lambda model, config: ({}, []))


def assessed(dataset: Dataset, model: nn.Module, space: str = "image", **given: Any) -> dict[str, Any]:
    chosen = RunConfig("made:up", frames=9, **given)
    require_fitting(dataset, chosen, TARGET_SPACES[space])
    return assess(model, dataset, chosen, TARGET_SPACES[space], lambda line: None).entries


def test_truth_in_the_image_is_scored_there_and_said() -> None:
    result = assessed(IMAGE_SET, Flat())
    assert result["accuracy"]["p1_mm"] == pytest.approx(0, abs=1e-3)
    assert result["signature"]["fields"]["truth"] == "image"
    assert result["signature"]["fields"]["space"] == "image"
    assert result["floors"]["zero_depth"]["p1_mm"] == pytest.approx(0, abs=1e-3)
    assert result["floors"]["mean_pose"]["p1_mm"] > result["floors"]["linear"]["p1_mm"] > 1


def test_motionbert_drops_tails_and_says_so() -> None:
    result = assessed(CAMERA_SET, Flat(), protocol="motionbert")
    assert result["accuracy"]["frames"] == 18 + 27
    long = "MPJPE|protocol:motionbert|data:walks|2d:gt|test:S9|T:9|frames:split:45|clips:split|avg:action|joints:17"
    assert result["signature"]["long"] == f"{long}|root:0|align:none|flip:yes|unit:mm|space:image|truth:image|v:1"
    actions = [entry["p1_mm"] for entry in result["accuracy"]["per_action"].values()]
    assert result["accuracy"]["p1_mm"] == pytest.approx(np.mean(actions))


@pytest.mark.parametrize("protocol", ["videopose3d", "all"])
@pytest.mark.parametrize("model", [Flat(), Centre()])
def test_every_frame_is_scored_whatever_the_lifter_answers_for(protocol: str, model: nn.Module) -> None:
    result = assessed(CAMERA_SET, model, protocol=protocol)
    assert result["accuracy"]["frames"] == 54
    sliding = protocol == "videopose3d" or isinstance(model, Centre)
    assert result["signature"]["fields"]["clips"] == ("sliding-centre" if sliding else "overlap-last")


def test_a_kept_pelvis_counts() -> None:
    aligned, kept = (assessed(CAMERA_SET, Flat(0.01), protocol=name) for name in ("all", "mixste"))
    assert aligned["accuracy"]["per_joint"]["pelvis"]["p1_mm"] == 0
    assert kept["accuracy"]["per_joint"]["pelvis"]["p1_mm"] > 0
    assert kept["signature"]["fields"]["root"] == "0:kept"


def test_a_pelvis_far_from_the_origin_is_doubted_and_can_be_subtracted() -> None:
    zeroed = assessed(IMAGE_SET, Flat(0.3), flip_test=False)
    subtracted = assessed(IMAGE_SET, Flat(0.3), flip_test=False, root="subtracted")
    assert any("need --root subtracted" in warning for warning in zeroed["warnings"])
    assert not any("--root" in warning for warning in subtracted["warnings"])
    assert subtracted["accuracy"]["p1_mm"] == pytest.approx(0, abs=1e-2)
    assert zeroed["accuracy"]["p1_mm"] > 100


def test_x_and_y_of_the_input_replace_the_predicted_ones() -> None:
    class Nowhere(Flat):
        def forward(self, clips: Tensor) -> Tensor:
            return super().forward(clips) * torch.tensor([0.0, 0.0, 1.0])

    predicted = assessed(IMAGE_SET, Nowhere())
    replaced = assessed(IMAGE_SET, Nowhere(), xy="input", detector="gt")
    assert predicted["accuracy"]["p1_mm"] > 10
    assert replaced["accuracy"]["p1_mm"] == pytest.approx(0, abs=1e-2)
    assert "|xy:input|" in replaced["signature"]["long"]
    with pytest.raises(BadInput, match="--xy input needs answers in the image"):
        assessed(CAMERA_SET, Nowhere(), "camera", xy="input", detector="gt")


def test_frames_that_the_owners_do_not_score() -> None:
    masked = [dataclasses.replace(sequence, valid=np.arange(len(sequence)) % 3 == 0) for sequence in CAMERA_SET.test]
    result = assessed(dataclasses.replace(CAMERA_SET, test=tuple(masked)), Flat(), protocol="3dhp")
    assert result["signature"]["fields"]["frames"] == "valid:19"
    assert result["accuracy"]["pck150_percent"] is not None


def test_many_subjects_are_counted_in_the_signature() -> None:
    crowd = tuple(filmed(f"P{number}/Walk/1/a", 9, seed=number) for number in range(13))
    result = assessed(dataclasses.replace(CAMERA_SET, test=crowd), Flat())
    assert result["signature"]["fields"]["test"] == "13 subjects"


@pytest.mark.parametrize(
    ("dataset", "given", "space", "problem"),
    [
        (IMAGE_SET, {}, "camera", "has its truth in the image"),
        (CAMERA_SET, {"protocol": "motionbert"}, "camera", "protocol motionbert measures in the image"),
        (dataclasses.replace(CAMERA_SET, joints=(1, 2, 3)), {"protocol": "3dhp"}, "camera", "use --protocol all"),
        (dataclasses.replace(IMAGE_SET, test=IMAGE_SET.train), {}, "image", "put it beside"),
    ],
)
def test_what_does_not_go_together(dataset: Dataset, given: dict[str, Any], space: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        require_fitting(dataset, RunConfig("made:up", frames=9, **given), TARGET_SPACES[space])


@pytest.mark.parametrize(
    ("model", "given", "problem"),
    [
        (Centre(), {"protocol": "motionbert"}, "answers for the centre frame of a clip alone"),
        (Flat(), {"protocol": "motionbert", "windows": "sliding"}, "leave --windows out"),
        (Flat(), {"protocol": "videopose3d", "windows": "overlap-last"}, "leave --windows out"),
    ],
)
def test_clips_that_the_lifter_cannot_answer_for(model: nn.Module, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        cutting(model, RunConfig("made:up", frames=9, **given))


def test_words_are_checked_when_a_run_is_resolved(tmp_path: Path) -> None:
    for given, problem in (
        ({"protocol_name": "mixst"}, "unknown protocol 'mixst'. Did you mean: mixste"),
        ({"xy": "inputs"}, "--xy inputs: Did you mean: input"),
        ({"xy": "input"}, "add --detector gt"),
        ({"space": "pixels"}, "--space pixels"),
        ({"root": "gone"}, "--root gone"),
    ):
        with pytest.raises(BadInput, match=problem):
            config.resolve("posemamba-xs", **given)  # type: ignore[arg-type]
    assert config.resolve("posemamba-xs").detector == "sh"
    assert config.resolve("posemamba-xs").protocol == "all"


class Watched(Flat):
    """Notes the type that its forwards are autocast to, None where they are not."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.seen: set[torch.dtype | None] = set()

    def forward(self, clips: Tensor) -> Tensor:
        self.seen.add(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None)
        return super().forward(clips) + self.layer(clips).float()


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_lifter_is_scored_in_the_precision_that_was_asked_for(precision: str, dtype: torch.dtype | None) -> None:
    model = Watched()
    result = assessed(CAMERA_SET, model, precision=precision)
    assert model.seen == {dtype}
    assert result["signature"]["fields"].get("precision", "fp32") == precision
    assert ("precision" in result["signature"]["long"]) is (precision != "fp32")
    plain = assessed(CAMERA_SET, model)
    assert (result["accuracy"]["p1_mm"] == plain["accuracy"]["p1_mm"]) is (precision == "fp32")
    assert result["accuracy"]["p1_mm"] == pytest.approx(plain["accuracy"]["p1_mm"], rel=0.01)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", None), ("bf16", torch.bfloat16)])
def test_a_lifter_is_timed_in_the_precision_that_it_was_scored_in(
    precision: str, dtype: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    seen: list[set[torch.dtype | None]] = []
    for name in ("measure", "peak_memory_bytes"):
        plainly = getattr(inference, name)

        def watched(model: nn.Module, *shape: int, plainly: Any = plainly) -> Any:
            lifter.seen.clear()
            found = plainly(model, *shape)
            seen.append(set(lifter.seen))
            return found

        monkeypatch.setattr(inference, name, watched)
    lifter = Watched()
    cost, _ = COST(lifter, RunConfig("made:up", frames=9, precision=precision))
    assert cost["inference"]["samples"] >= 6
    # No peak where the machine does not tell it, and then no forward.
    assert seen in ([{dtype}, {dtype}], [{dtype}, set()])


def test_a_precision_that_a_lifter_cannot_do_is_refused_before_it_is_scored() -> None:
    class Refusing(Flat):
        def forward(self, clips: Tensor) -> Tensor:
            if torch.is_autocast_enabled("cpu"):
                raise RuntimeError(self.why)
            return super().forward(clips)

        why = "\"cdist\" not implemented for 'BFloat16'\nand more"

    model = Refusing().train()
    require_precision(model, RunConfig("made:up", frames=9))
    message = (
        r"--precision bf16: made:up cannot be run in it on cpu \(.cdist. not .* 'BFloat16'\); use --precision fp32"
    )
    with pytest.raises(BadInput, match=message):
        require_precision(model, RunConfig("made:up", frames=9, precision="bf16"))
    assert model.training
    model.why = "out of memory"
    with pytest.raises(RuntimeError, match="out of memory"):
        require_precision(model, RunConfig("made:up", frames=9, precision="bf16"))


def test_a_lifter_that_breaks_the_contract_is_named_in_any_precision() -> None:
    class Short(Flat):
        def forward(self, clips: Tensor) -> Tensor:
            return super().forward(clips)[:, :2]

    with pytest.raises(BadInput, match=r"made:up returned \(1, 2, 17, 3\); the contract is"):
        require_precision(Short(), RunConfig("made:up", frames=9, precision="bf16"))
