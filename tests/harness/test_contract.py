"""The contract's check on lifters that keep it and lifters that break one line each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness import contract, models
from harness.errors import BadInput


class Good(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, clips: Tensor) -> Tensor:
        return self.layer(clips)


class CentreFrame(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips)[:, :1]


class StatedCentreFrame(CentreFrame):
    answers_for = "centre"


class Auxiliary(Good):
    auxiliary = True

    def forward(self, clips: Tensor, auxiliary: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        whole = super().forward(clips)
        return (whole, whole) if auxiliary else whole


class AuxiliaryOnlyStated(Good):
    auxiliary = True


class FewerOnlyStated(Good):
    other_frames = "fewer"

    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips + torch.zeros(1, 9, 17, 3))


class Convolving(Good):
    """Answers for each position of a longer clip than 9 frames."""

    answers_for, other_frames = "centre", "more"

    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips)[:, 4 : clips.shape[1] - 4]


class NotANumber(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips) * float("nan")


class Random(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips) + torch.rand(clips.shape)


class Mixing(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips) + clips.mean(0, keepdim=True)


class Detached(Good):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips).detach()


class Crashing(Good):
    def forward(self, clips: Tensor) -> Tensor:
        raise RuntimeError("boom")


def broken(model: nn.Module) -> set[str]:
    return {finding.name for finding in contract.check(model, "m", 9, 3) if not finding.holds}


def test_a_good_one_and_the_registered_ones_keep_it() -> None:
    assert broken(Good()) == set()
    for kind in (StatedCentreFrame, Auxiliary, Convolving):
        assert broken(kind()) == set()
    assert broken(models.build("posemamba-xs", 9, 3)) == set()
    assert broken(models.build("motionagformer-xxs", 9, 3)) == set()


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (CentreFrame, "output shape"),
        (NotANumber, "finite output"),
        (Random, "same answer twice"),
        (Mixing, "clips do not influence each other"),
        (Detached, "gradients reach the parameters"),
        (Crashing, "output shape"),
        (AuxiliaryOnlyStated, "auxiliary output"),
        (FewerOnlyStated, "other numbers of frames"),
    ],
)
def test_a_broken_line_is_found(kind: type[nn.Module], line: str) -> None:
    assert line in broken(kind())


def test_the_shape_is_spelled_out() -> None:
    message = r"m returned \(2, 1, 17, 3\); the contract is .* = \(2, 27, 17, 3\).*answers_for = 'centre'"
    with pytest.raises(BadInput, match=message):
        contract.require_output_shape(Good(), "m", torch.zeros(2, 1, 17, 3), torch.zeros(2, 27, 17, 2))
    contract.require_output_shape(StatedCentreFrame(), "m", torch.zeros(2, 1, 17, 3), torch.zeros(2, 27, 17, 2))


def test_an_unknown_word_is_named() -> None:
    model = Good()
    model.answers_for = "center"
    with pytest.raises(BadInput, match=r"answers_for is 'center'\. Did you mean: centre"):
        contract.of(model)


@pytest.mark.parametrize(
    ("stated", "frames", "windows", "name", "reads", "answers"),
    [
        (contract.Contract(), 9, "auto", "overlap-last", 9, 9),
        (contract.Contract(), 9, "sliding", "sliding-centre", 9, 9),
        (contract.Contract(other_frames="any"), 9, "whole", "whole", 50, 50),
        (contract.Contract(answers_for="centre"), 9, "auto", "sliding-centre", 9, 1),
        (contract.Contract(answers_for="last"), 9, "sliding", "sliding-last", 9, 1),
        (contract.Contract(answers_for="centre", other_frames="more"), 9, "auto", "sliding-centre", 136, 128),
    ],
)
def test_how_sequences_are_cut(
    stated: contract.Contract, frames: int, windows: str, name: str, reads: int, answers: int
) -> None:
    cutting = stated.cutting(frames, windows)
    window = next(iter(cutting.windows(50)))
    assert (cutting.name, len(window.indices), len(window.answers)) == (name, reads, answers)


def test_windows_that_a_lifter_cannot_answer_for() -> None:
    with pytest.raises(BadInput, match="answers for the last frame alone; use --windows sliding"):
        contract.Contract(answers_for="last").cutting(9, "overlap-last")
    with pytest.raises(BadInput, match=r"unknown windows 'slide'\. Did you mean: sliding"):
        contract.Contract().cutting(9, "slide")
    for stated in (contract.Contract(other_frames="fewer"), contract.Contract(answers_for="last", other_frames="any")):
        with pytest.raises(BadInput, match="lifters that take any number of frames"):
            stated.cutting(9, "whole")


class Streaming(Good):
    """Sees no later frame: the mean of all so far."""

    def forward(self, clips: Tensor) -> Tensor:
        numbers = torch.arange(1, clips.shape[1] + 1).view(-1, 1, 1)
        return super().forward(clips.cumsum(1) / numbers)

    def step(self, frame: Tensor, state: tuple[Tensor, int] | None) -> tuple[Tensor, tuple[Tensor, int]]:
        total, frames = (frame, 1) if state is None else (state[0] + frame, state[1] + 1)
        return super().forward((total / frames).unsqueeze(1))[:, 0], (total, frames)


class WrongStream(Streaming):
    """Forgets what was."""

    def step(self, frame: Tensor, state: tuple[Tensor, int] | None) -> tuple[Tensor, tuple[Tensor, int]]:
        return super().step(frame, None)


def test_a_stream_must_be_the_clip() -> None:
    assert contract.streams(Streaming())
    assert not contract.streams(Good())
    assert not contract.streams(models.build("posemamba-xs", 9, 3))
    for model, holds in ((Streaming(), True), (WrongStream(), False)):
        (found,) = [one for one in contract.check(model, "stream", 9, 3) if one.name == "a stream is the clip"]
        assert found.holds == holds


def broken_factory(frames: int, in_channels: int) -> nn.Module:
    """A model that breaks the contract, for the command line's test."""
    return CentreFrame()
