"""What is kept of single sequences (``harness.traces``), and how it is chosen.

Two stretches are the test set's most unusual ones, chosen from the truth alone: they are the same for every lifter and
show them on the same poses. Two more are of the takes that this lifter is worst at, those two aside: no two are of
one take.
"""

from __future__ import annotations

from collections.abc import Sequence as List

import numpy as np
from numpy.typing import NDArray

from harness.data.normalise import true_poses_mm
from harness.data.sequence import Sequence
from harness.data.skeleton import JOINT_COUNT
from harness.evaluation import metrics
from harness.evaluation.predict import Run
from harness.evaluation.protocol import Protocol
from harness.traces import ErrorCurve, Excerpt, Reason, Traces, means_of_neighbours

Float64Array = NDArray[np.float64]

#: A value of an error curve is the mean of about so many seconds.
CURVE_STEP_S = 0.1
#: Stretches of each reason, and how they are sampled: at least so many poses a second, at most so many in all.
EXCERPTS = 2
EXCERPT_FPS = 12.0
EXCERPT_POSES = 100


def traces(
    predictions: List[List[Run]], sequences: List[Sequence], protocol: Protocol, joints: tuple[int, ...]
) -> Traces:
    """Of ``predictions``, the runs of answers for each sequence as they are scored; a frame's last answer counts."""
    truth = [_truth(sequence, protocol) for sequence in sequences]
    answered = [_answered(runs, len(sequence)) for runs, sequence in zip(predictions, sequences, strict=True)]
    errors = [_errors(poses, target, joints) for poses, target in zip(answered, truth, strict=True)]
    unusual = _unusual(truth)
    chosen = _chosen(sequences, unusual, taken=())
    taken = tuple(sequences[index].take for index in chosen)
    worst = _chosen(sequences, errors, taken)
    kinds: tuple[tuple[Reason, list[int], list[Float64Array]], ...] = (
        ("unusual", chosen, unusual),
        ("worst", worst, errors),
    )
    return Traces(
        curves=tuple(_curve(sequence, error) for sequence, error in zip(sequences, errors, strict=True)),
        excerpts=tuple(
            _excerpt(sequences[index], reason, by[index], truth[index], answered[index])
            for reason, indices, by in kinds
            for index in indices
        ),
    )


def _truth(sequence: Sequence, protocol: Protocol) -> Float64Array:
    """(T, 17, 3) relative to the pelvis, mm; NaN in frames that are not scored or have no truth."""
    known = np.isfinite(sequence.truth).all(axis=(1, 2))
    if sequence.valid is not None:
        known &= sequence.valid
    poses = np.full(sequence.truth.shape, np.nan)
    if known.any():
        poses[known] = true_poses_mm(sequence.at(known), protocol.truth_of(sequence.space))
    return poses


def _answered(runs: List[Run], length: int) -> Float64Array:
    """(T, 17, 3) mm, NaN in frames that nothing answers for."""
    poses = np.full((length, JOINT_COUNT, 3), np.nan)
    for run in runs:
        poses[run.frames] = run.poses_mm
    return poses


def _errors(poses: Float64Array, truth: Float64Array, joints: tuple[int, ...]) -> Float64Array:
    """(T,) P1 of every frame, mm, NaN where there is none."""
    known = np.isfinite(poses).all(axis=(1, 2)) & np.isfinite(truth).all(axis=(1, 2))
    errors = np.full(len(poses), np.nan)
    errors[known] = metrics.mpjpe(poses[known][:, joints], truth[known][:, joints])
    return errors


def _unusual(truth: list[Float64Array]) -> list[Float64Array]:
    """(T,) of every sequence: mean distance of the joints from the mean pose of all, mm."""
    frames = np.concatenate(truth)
    mean = frames[np.isfinite(frames).all(axis=(1, 2))].mean(axis=0)
    return [np.linalg.norm(poses - mean, axis=-1).mean(axis=-1) for poses in truth]


def _chosen(sequences: List[Sequence], values: list[Float64Array], taken: tuple[str, ...]) -> list[int]:
    """The sequences with the highest means, of different takes and none of ``taken``."""
    means = [float(np.nanmean(value)) if np.isfinite(value).any() else -np.inf for value in values]
    takes = set(taken)
    chosen: list[int] = []
    for index in sorted(range(len(sequences)), key=lambda index: (-means[index], sequences[index].name)):
        if len(chosen) < EXCERPTS and sequences[index].take not in takes and means[index] > -np.inf:
            takes.add(sequences[index].take)
            chosen.append(index)
    return chosen


def _curve(sequence: Sequence, errors: Float64Array) -> ErrorCurve:
    frames = max(1, round(sequence.fps * CURVE_STEP_S))
    means = means_of_neighbours(errors, frames)
    return ErrorCurve(sequence.name, sequence.take, sequence.action, frames / sequence.fps, means.astype(np.float32))


def _excerpt(
    sequence: Sequence, reason: Reason, values: Float64Array, truth: Float64Array, poses: Float64Array
) -> Excerpt:
    """The stretch with the highest sum of ``values`` (T,)."""
    step = max(1, int(sequence.fps / EXCERPT_FPS))
    length = min(len(values), step * EXCERPT_POSES)
    sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values))])
    start = int(np.argmax(sums[length:] - sums[: len(sums) - length]))
    shown = slice(start, start + length, step)
    return Excerpt(
        sequence=sequence.name,
        take=sequence.take,
        action=sequence.action,
        reason=reason,
        start_s=start / sequence.fps,
        fps=sequence.fps / step,
        truth_mm=truth[shown].astype(np.float32),
        prediction_mm=poses[shown].astype(np.float32),
    )
