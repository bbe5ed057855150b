"""Predictions put back on their frames, flipped and decoded, with lifters whose answers are known."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.data.clips import overlap_last, sliding, whole
from harness.data.sequence import FloatArray, Sequence
from harness.data.skeleton import LEFT, RIGHT
from harness.errors import BadInput, RunFailed
from harness.evaluation.predict import flipped, predict
from tests.harness.evaluation.scenes import filmed


class Lifter(nn.Module):
    """(x, y, frame's number) -> (x, 2 y, 7): flips as a lifter should, and its frames can be told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)
        self.seen: list[int] = []

    def forward(self, clips: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.seen.append(len(clips))
        return torch.stack([clips[..., 0], 2 * clips[..., 1], torch.full_like(clips[..., 0], 7.0)], dim=-1)


class BrokenAt(nn.Module):
    """Answers NaN for the frame whose first coordinate is ``mark``."""

    def __init__(self, mark: float) -> None:
        super().__init__()
        self.mark = mark

    def forward(self, clips: Tensor) -> Tensor:
        return torch.where(clips[..., :1] == self.mark, torch.nan, clips[..., :1]).expand(*clips.shape[:3], 3)


class CentreFrame(nn.Module):
    def forward(self, clips: Tensor) -> Tensor:
        return clips[:, :1].repeat(1, 1, 1, 2)[..., :3]


def pixels(sequence: Sequence) -> FloatArray:
    return sequence.keypoints


def to_mm(output: FloatArray, sequence: Sequence) -> FloatArray:
    return output * 10


SEQUENCES = [filmed("S9/Walk/1/a", 23), filmed("S9/Walk/2/a", 5, seed=1), filmed("S11/Run/1/a", 10, seed=2)]


@pytest.mark.parametrize("frames", [1, 5, 9, 40])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_every_frame_gets_its_own_answer(frames: int, batch_size: int) -> None:
    results = predict(
        Lifter(),
        SEQUENCES,
        cutting=overlap_last(frames),
        inputs=pixels,
        decode=to_mm,
        flip=False,
        batch_size=batch_size,
    )
    for result, sequence in zip(results, SEQUENCES, strict=True):
        expected = np.concatenate([10 * sequence.keypoints * [1, 2], np.full((len(sequence), 17, 1), 70)], axis=-1)
        (run,) = result
        np.testing.assert_array_equal(run.frames, np.arange(len(sequence)))
        np.testing.assert_allclose(run.poses_mm, expected, rtol=1e-6)


def test_batches_hold_clips_of_several_sequences_and_progress_is_told() -> None:
    model, told = Lifter(), []
    predict(
        model, SEQUENCES, cutting=overlap_last(5), inputs=pixels, decode=to_mm, flip=False, batch_size=3,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert model.seen == [3, 3, 2]  # 5 + 1 + 2 clips
    assert told == [(3, 8), (6, 8), (8, 8)]


def test_whole_sequences_are_not_in_one_batch() -> None:
    model = Lifter()
    results = predict(model, SEQUENCES, cutting=whole(), inputs=pixels, decode=to_mm, flip=False)
    assert model.seen == [1, 1, 1]
    assert [len(run.frames) for (run,) in results] == [len(sequence) for sequence in SEQUENCES]
    for (run,), sequence in zip(results, SEQUENCES, strict=True):
        np.testing.assert_allclose(run.poses_mm[..., 0], 10 * sequence.keypoints[..., 0], rtol=1e-6)


def test_flip_averages_the_clip_and_its_mirror_image() -> None:
    class Lopsided(nn.Module):
        """Adds 1 to x of every joint and 6 to the right knee's y."""

        def forward(self, clips: Tensor) -> Tensor:
            output = torch.cat([clips, clips[..., :1]], dim=-1)
            output[..., 0] += 1
            output[..., 2, 1] += 6
            return output

    (sequence,) = SEQUENCES[:1]
    ((plain,),) = predict(Lopsided(), [sequence], cutting=overlap_last(9), inputs=pixels, decode=to_mm, flip=False)
    ((mean,),) = predict(Lopsided(), [sequence], cutting=overlap_last(9), inputs=pixels, decode=to_mm, flip=True)
    # The shift in x is undone by the mirror, and the knee's error is shared between the two knees.
    np.testing.assert_allclose(mean.poses_mm[:, :, 0], plain.poses_mm[:, :, 0] - 10, rtol=1e-5)
    np.testing.assert_allclose(mean.poses_mm[:, 2, 1], plain.poses_mm[:, 2, 1] - 30, rtol=1e-5)
    np.testing.assert_allclose(mean.poses_mm[:, 5, 1], plain.poses_mm[:, 5, 1] + 30, rtol=1e-5)


def test_flipping_exchanges_the_sides_and_twice_is_the_identity() -> None:
    poses = torch.randn(2, 5, 17, 3, generator=torch.Generator().manual_seed(0))
    once = flipped(poses)
    assert torch.equal(flipped(once), poses)
    assert torch.equal(once[:, :, list(LEFT), 1:], poses[:, :, list(RIGHT), 1:])
    assert torch.equal(once[:, :, [0, 7, 8, 9, 10], 0], -poses[:, :, [0, 7, 8, 9, 10], 0])


def test_training_modes_are_given_back_layer_by_layer() -> None:
    model = Lifter().train()
    model.norm.eval()
    predict(model, SEQUENCES, cutting=overlap_last(5), inputs=pixels, decode=to_mm)
    assert model.training
    assert not model.norm.training
    with pytest.raises(BadInput):
        predict(model, SEQUENCES, cutting=overlap_last(5), inputs=pixels, decode=to_mm, batch_size=0)
    assert model.training


def test_training_modes_are_given_back_after_an_error() -> None:
    model = CentreFrame().train()
    with pytest.raises(BadInput):
        predict(model, SEQUENCES, cutting=overlap_last(5), inputs=pixels, decode=to_mm)
    assert model.training


def test_an_output_of_another_shape_is_refused() -> None:
    message = r"CentreFrame returned \(8, 1, 17, 3\); the contract is \(B, 5 frames, 17, 3\) = \(8, 5, 17, 3\)"
    with pytest.raises(BadInput, match=message):
        predict(CentreFrame(), SEQUENCES, cutting=overlap_last(5), inputs=pixels, decode=to_mm)


def test_a_prediction_that_is_not_finite_names_sequence_and_frame() -> None:
    mark = float(SEQUENCES[2].keypoints[8, 4, 0])
    with pytest.raises(RunFailed, match=r"S11/Run/1/a: the prediction is not finite at frame 8 \(1 of 10 frames\)"):
        predict(BrokenAt(mark), SEQUENCES, cutting=overlap_last(5), inputs=pixels, decode=to_mm)


def test_an_input_that_is_not_finite_names_sequence_frame_and_joint() -> None:
    keypoints = SEQUENCES[1].keypoints.copy()
    keypoints[3, 13, 1] = np.nan
    broken = dataclasses.replace(SEQUENCES[1], keypoints=keypoints)
    with pytest.raises(BadInput, match=r"S9/Walk/2/a: .* frame 3, joint 13 \(left wrist\), channel 1"):
        predict(Lifter(), [SEQUENCES[0], broken], cutting=overlap_last(5), inputs=pixels, decode=to_mm)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="batch of 0"):
        predict(Lifter(), SEQUENCES, cutting=overlap_last(5), inputs=pixels, decode=to_mm, batch_size=0)


class OneFrame(Lifter):
    """``Lifter`` for one frame of the window, or for each position of a longer one."""

    def __init__(self, frames: int, position: int) -> None:
        super().__init__()
        self.frames, self.position = frames, position

    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips)[:, self.position : clips.shape[1] - (self.frames - 1 - self.position)]


@pytest.mark.parametrize("position", [0, 2, 4])
@pytest.mark.parametrize("outputs", ["position", "run"])
def test_a_lifter_of_one_frame_answers_for_every_frame(position: int, outputs: Literal["position", "run"]) -> None:
    cutting = sliding(5, position, outputs)
    results = predict(
        OneFrame(5, position), SEQUENCES, cutting=cutting, inputs=pixels, decode=to_mm, flip=True, batch_size=4
    )
    plain = predict(Lifter(), SEQUENCES, cutting=overlap_last(5), inputs=pixels, decode=to_mm, flip=True)
    for (run,), (expected,) in zip(results, plain, strict=True):
        np.testing.assert_array_equal(run.frames, expected.frames)
        np.testing.assert_array_equal(run.poses_mm, expected.poses_mm)


def test_sliding_windows_take_one_frame_of_all_that_come_out() -> None:
    class Numbering(nn.Module):
        """Every frame's answer is its place in the window."""

        def forward(self, clips: Tensor) -> Tensor:
            places = torch.arange(clips.shape[1], dtype=torch.float32)[None, :, None, None]
            return places.expand(*clips.shape[:3], 3)

    results = predict(
        Numbering(), SEQUENCES, cutting=sliding(5, 3, "all"), inputs=pixels, decode=to_mm, flip=False
    )  # fmt: skip
    assert all((run.poses_mm == 30).all() for (run,) in results)


def test_answers_in_sixteen_bits_are_averaged_in_float32() -> None:
    class Reduced(nn.Module):
        """y is 1, and 1 + 2^-7 in the mirror: the next number of bfloat16, so that their mean is none."""

        def forward(self, clips: Tensor) -> Tensor:
            mirrored = clips[:, :1, :1, :1] < 0
            y = torch.where(mirrored, 1 + 2**-7, 1.0).expand(*clips.shape[:3], 1)
            return torch.cat([clips[..., :1], y, y], dim=-1).bfloat16()

    sequence = dataclasses.replace(SEQUENCES[0], keypoints=np.abs(SEQUENCES[0].keypoints) + 1)
    ((run,),) = predict(Reduced(), [sequence], cutting=overlap_last(9), inputs=pixels, decode=to_mm, flip=True)
    np.testing.assert_allclose(run.poses_mm[..., 1], 10 * (1 + 2**-8), rtol=1e-6)
