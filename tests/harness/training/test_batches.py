"""Training clips against the sequences they were cut from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from harness.data.normalise import TARGET_SPACES, model_input
from harness.data.sequence import Sequence
from harness.errors import BadInput
from harness.training.batches import TrainingClips, mirror


def clips_of(sequences: list[Sequence]) -> TrainingClips:
    return TrainingClips(sequences, frames=9, in_channels=3, space=TARGET_SPACES["camera"], stride=3)


def test_every_frame_is_seen_in_an_epoch(sequences: list[Sequence]) -> None:
    clips = clips_of(sequences)
    seen = {
        tuple(row)
        for batch in clips.epoch(0, 0, 1, flip=False)
        for row in batch.inputs[..., 0, :2].reshape(-1, 2).tolist()
    }
    expected = {tuple(row) for s in sequences for row in model_input(s, 3)[:, 0, :2].tolist()}
    assert seen == expected


def test_an_epoch_goes_on_where_it_stopped(sequences: list[Sequence]) -> None:
    clips = clips_of(sequences)
    whole = [batch.inputs for batch in clips.epoch(4, 2, 3, flip=True)]
    rest = [batch.inputs for batch in clips.epoch(4, 2, 3, flip=True, skip_batches=2)]
    assert len(whole) == clips.batches_per_epoch(3)
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_epochs_and_seeds_differ(sequences: list[Sequence]) -> None:
    clips = clips_of(sequences)
    first = next(clips.epoch(0, 0, 4, flip=True)).inputs
    assert not torch.equal(first, next(clips.epoch(0, 1, 4, flip=True)).inputs)
    assert not torch.equal(first, next(clips.epoch(1, 0, 4, flip=True)).inputs)


def test_input_and_target_are_mirrored_together(sequences: list[Sequence]) -> None:
    clips = clips_of(sequences)
    plain = list(clips.epoch(0, 0, 1, flip=False))
    flipped = list(clips.epoch(0, 0, 1, flip=True))
    changed = 0
    for before, after in zip(plain, flipped, strict=True):
        if not torch.equal(before.inputs, after.inputs):
            changed += 1
            assert np.allclose(mirror(before.inputs.numpy()), after.inputs.numpy())
            assert np.allclose(mirror(before.targets.numpy()), after.targets.numpy())
    assert 0 < changed < len(plain)


def test_mirror_twice_is_nothing() -> None:
    poses = np.random.default_rng(0).normal(size=(2, 3, 17, 3)).astype(np.float32)
    assert np.array_equal(mirror(mirror(poses)), poses)


def test_a_batch_larger_than_the_set(sequences: list[Sequence]) -> None:
    clips = clips_of(sequences)
    batches = list(clips.epoch(0, 0, 1000, flip=False))
    assert [len(batch.inputs) for batch in batches] == [len(clips)]


def test_no_sequences() -> None:
    with pytest.raises(BadInput, match="no training sequences"):
        clips_of([])


@pytest.mark.parametrize("position", [0, 4, 8])
def test_a_lifter_of_one_frame_is_trained_on_every_frame(sequences: list[Sequence], position: int) -> None:
    space = TARGET_SPACES["camera"]
    clips = TrainingClips(sequences, 9, 3, space, stride=1, position=position, whole_targets=True)
    assert len(clips) == sum(map(len, sequences))
    targets = np.concatenate([space.encode(sequence) for sequence in sequences])
    inputs = np.concatenate([model_input(sequence, 3) for sequence in sequences])
    seen = set()
    for batch in clips.epoch(0, 0, 1, flip=False):
        assert batch.targets.shape == (1, 1, 17, 3)
        assert batch.whole_targets is not None
        assert torch.equal(batch.whole_targets[:, position], batch.targets[:, 0])
        (row,) = np.flatnonzero((inputs == batch.inputs[0, position].numpy()).all(axis=(1, 2)))
        np.testing.assert_array_equal(batch.targets[0, 0].numpy(), targets[row])
        seen.add(int(row))
    assert seen == set(range(len(targets)))


@pytest.mark.parametrize(("position", "expected"), [(None, [[0, 1, 2], [9, 10, 11]]), (1, [[0, 0, 1], [10, 11, 11]])])
def test_windows_that_answer_for_no_valid_frame_are_left_out(
    sequences: list[Sequence], position: int | None, expected: list[list[int]]
) -> None:
    valid = np.zeros(12, dtype=bool)
    valid[[0, 11]] = True
    masked = dataclasses.replace(sequences[0].at(np.arange(12)), valid=valid)
    clips = TrainingClips([masked], 3, 2, TARGET_SPACES["camera"], 3 if position is None else 1, position=position)
    rows = model_input(masked, 2)
    seen = [batch.inputs[0].numpy() for batch in clips.epoch(0, 0, 1, flip=False)]
    wanted = [rows[frames] for frames in expected]
    assert len(seen) == len(wanted)
    assert all(any(np.array_equal(clip, other) for other in seen) for clip in wanted)


def test_windows_stay_within_their_sequence(sequences: list[Sequence]) -> None:
    clips = TrainingClips(sequences, 9, 3, TARGET_SPACES["camera"], stride=1, position=4)
    own = [{tuple(xy) for xy in model_input(sequence, 3)[:, 0, :2].tolist()} for sequence in sequences]
    for batch in clips.epoch(0, 0, 1, flip=False):
        frames = {tuple(xy) for xy in batch.inputs[0, :, 0, :2].tolist()}
        assert any(frames <= frames_of_one for frames_of_one in own)


def test_many_to_many_lifters_have_no_second_targets(sequences: list[Sequence]) -> None:
    batch = next(clips_of(sequences).epoch(0, 0, 2, flip=False))
    assert batch.targets.shape == (2, 9, 17, 3)
    assert batch.whole_targets is None


def test_mirrored_copies_are_beside_the_plain_clips(sequences: list[Sequence]) -> None:
    space = TARGET_SPACES["camera"]
    plain = TrainingClips(sequences, 9, 3, space, stride=3)
    both = TrainingClips(sequences, 9, 3, space, stride=3, mirrored=True)
    assert len(both) == 2 * len(plain)
    wanted = [batch.inputs.numpy() for batch in plain.epoch(0, 0, 1, flip=False)]
    wanted += [mirror(clip) for clip in wanted]
    seen = [batch.inputs.numpy() for batch in both.epoch(0, 0, 1, flip=False)]
    assert sorted(clip.tobytes() for clip in seen) == sorted(clip.tobytes() for clip in wanted)
