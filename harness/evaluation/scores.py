"""Accuracy of predictions over a test set: the ``accuracy`` block of a record.

The headline figures are means by the protocol's rule (``avg`` in the signature): over every frame, so that the figure
does not depend on how actions are named or grouped, or as Human3.6M's papers have it over the means of the actions,
which weights rare ones more. The latter stands beside as ``p1_by_action_mean_mm`` in any case. Velocity and
acceleration are differences between neighbouring frames within one run of answers, never across two.

Every answer has a weight: 1, or where a protocol counts a frame once though several clips answer for it, its share.
Frames whose truth is missing (not finite) are left out and counted; a prediction that is not finite is an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence as List
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.normalise import true_poses_mm
from harness.data.sequence import Sequence
from harness.data.skeleton import JOINT_COUNT, JOINT_NAMES
from harness.errors import BadInput, RunFailed
from harness.evaluation import metrics
from harness.evaluation.predict import Run
from harness.evaluation.protocol import PROTOCOLS, Protocol

Float64Array = NDArray[np.float64]
ALL_JOINTS = tuple(range(JOINT_COUNT))


@dataclass(frozen=True)
class Scores:
    """Errors in mm (per frame, per frame², per s² where the name says so); None where there is nothing to take it of.

    per_action   action -> p1_mm, p2_mm, frames, and with PCK its pck150_percent and auc_percent
    per_joint    joint -> p1_mm; the pelvis is the root and 0
    per_sequence one entry a sequence: sequence, take, action, frames, p1_mm, p2_mm
    acceleration_motionagformer_mm_per_frame2  as published by MotionAGFormer: the mean over the frames of every clip,
                 of which the last two have none and count as 0
    """

    p1_mm: float
    p2_mm: float
    n_mpjpe_mm: float
    mpjve_mm_per_frame: float | None
    acceleration_mm_per_frame2: float | None
    acceleration_mm_per_s2: float | None
    acceleration_motionagformer_mm_per_frame2: float | None
    p1_by_action_mean_mm: float
    pck150_percent: float | None
    auc_percent: float | None
    frames: int
    missing_truth_frames: int
    per_action: dict[str, dict[str, Any]]
    per_joint: dict[str, dict[str, float]]
    per_sequence: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers, as a record stores them."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, eq=False)
class _Weighed:
    """Values (N, ...) with the weight (N,) of each."""

    values: Float64Array
    weights: Float64Array

    @staticmethod
    def joined(parts: List[_Weighed]) -> _Weighed:
        return _Weighed(
            np.concatenate([part.values for part in parts]), np.concatenate([part.weights for part in parts])
        )

    @property
    def total(self) -> float:
        return float(self.weights.sum())

    def mean(self) -> Float64Array:
        return np.asarray(np.tensordot(self.weights, self.values, axes=1) / self.total)


@dataclass(frozen=True, eq=False)
class _SequenceErrors:
    """Errors of one sequence: joints_mm (N, J), the rest one value an answer, pair or triple of answers."""

    sequence: Sequence
    joints_mm: _Weighed
    p1_mm: _Weighed
    p2_mm: _Weighed
    n_mpjpe_mm: _Weighed
    velocity_mm: _Weighed
    acceleration_mm: _Weighed
    published_acceleration_mm: _Weighed
    pck150: _Weighed
    auc: _Weighed
    missing_truth_frames: int

    @property
    def acceleration_mm_per_s2(self) -> _Weighed:
        return _Weighed(self.acceleration_mm.values * self.sequence.fps**2, self.acceleration_mm.weights)

    @property
    def frames(self) -> int:
        return round(self.p1_mm.total)


Values = Callable[[_SequenceErrors], _Weighed]


def score(
    predictions: List[List[Run]],
    sequences: List[Sequence],
    protocol: Protocol = PROTOCOLS["all"],
    joints: tuple[int, ...] = ALL_JOINTS,
) -> Scores:
    """Compare ``predictions``, the runs of answers for each sequence, with the truth by the rules of ``protocol``.

    ``joints`` are those that count, of the 17. Raises RunFailed for a prediction that is not finite (sequence and frame
    named) and BadInput for predictions that do not match the sequences, for no sequences, or for one without any truth.
    """
    if not sequences or len(predictions) != len(sequences):
        raise BadInput(f"{len(predictions)} predictions for {len(sequences)} sequences; one for each is needed")
    errors = [
        _errors(runs, sequence, protocol, list(joints)) for runs, sequence in zip(predictions, sequences, strict=True)
    ]
    groups = _by_action(errors)
    averaged = list(groups.values()) if protocol.average == "action" else [errors]
    return Scores(
        p1_mm=_mean(averaged, lambda error: error.p1_mm),
        p2_mm=_mean(averaged, lambda error: error.p2_mm),
        n_mpjpe_mm=_mean(averaged, lambda error: error.n_mpjpe_mm),
        mpjve_mm_per_frame=_mean_or_none(averaged, lambda error: error.velocity_mm),
        acceleration_mm_per_frame2=_mean_or_none(averaged, lambda error: error.acceleration_mm),
        acceleration_mm_per_s2=_mean_or_none(averaged, lambda error: error.acceleration_mm_per_s2),
        acceleration_motionagformer_mm_per_frame2=_mean_or_none(
            averaged, lambda error: error.published_acceleration_mm
        ),
        p1_by_action_mean_mm=_mean(list(groups.values()), lambda error: error.p1_mm),
        pck150_percent=_mean_or_none(averaged, lambda error: error.pck150),
        auc_percent=_mean_or_none(averaged, lambda error: error.auc),
        frames=sum(error.frames for error in errors),
        missing_truth_frames=sum(error.missing_truth_frames for error in errors),
        per_action={action: _action_entry(group) for action, group in groups.items()},
        per_joint=_per_joint(averaged, joints),
        per_sequence=[_sequence_entry(error) for error in errors],
    )


def has_truth(sequence: Sequence) -> NDArray[np.bool_]:
    """(T,) True where all joints of the frame have a finite true position."""
    return np.asarray(np.isfinite(sequence.truth).all(axis=(1, 2)))


def _errors(runs: List[Run], sequence: Sequence, protocol: Protocol, joints: list[int]) -> _SequenceErrors:
    if not runs:
        raise BadInput(f"{sequence.name}: nothing is predicted for it")
    if protocol.frame_set == "all":
        _require_every_frame(runs, sequence)
    kept = [_last_answers(run) if protocol.repeats == "frame" else run for run in runs]
    clips = np.zeros(len(sequence))
    for run in kept:
        np.add.at(clips, run.frames, 1.0)
    share = 1.0 / np.maximum(clips, 1.0) if protocol.repeats == "frame" else np.ones(len(sequence))
    parts = [_run_errors(run, sequence, share, protocol, joints) for run in kept]
    joined = {name: _Weighed.joined([part[name] for part in parts]) for name in parts[0]}
    if not joined["p1_mm"].values.size:
        raise BadInput(f"{sequence.name}: no frame has finite 3D truth; leave the sequence out")
    if protocol.by_video:
        for name in ("velocity_mm", "acceleration_mm"):
            joined[name] = _weighing(joined[name], joined["p1_mm"].total)
    missing = sum(int((~has_truth(sequence.at(run.frames)) & _is_valid(sequence, run)).sum()) for run in kept)
    return _SequenceErrors(
        sequence,
        published_acceleration_mm=_published_acceleration(runs, sequence, protocol),
        missing_truth_frames=missing,
        **joined,
    )


def _require_every_frame(runs: List[Run], sequence: Sequence) -> None:
    answered = np.zeros(len(sequence), dtype=bool)
    for run in runs:
        answered[run.frames] = True
    missing = np.flatnonzero(~answered if sequence.valid is None else sequence.valid & ~answered)
    if missing.size:
        raise BadInput(
            f"{sequence.name}: frame {missing[0]} is not predicted ({missing.size} of {len(sequence)} frames are not)"
        )


def _run_errors(
    run: Run, sequence: Sequence, share: Float64Array, protocol: Protocol, joints: list[int]
) -> dict[str, _Weighed]:
    target, present = _truth(run, sequence, protocol)
    _check(run, sequence, present)
    # Zeros stand in where nothing counts; the masks take those frames and their neighbours out again.
    whole, target = (np.where(present[:, None, None], poses, 0.0)[:, joints] for poses in (run.poses_mm, target))
    known, truth = whole[present], target[present]
    pairs = present[1:] & present[:-1] & (np.diff(run.frames) == 1)
    triples = pairs[1:] & pairs[:-1]
    joints_mm = metrics.per_joint_errors(known, truth)
    weights = share[run.frames[present]]
    pck_joints = [joints.index(joint) for joint in protocol.pck_joints]
    nothing = _Weighed(np.empty(0), np.empty(0))
    measured, known_truth = known[:, pck_joints], truth[:, pck_joints]
    return {
        "joints_mm": _Weighed(joints_mm, weights),
        "p1_mm": _Weighed(joints_mm.mean(axis=1), weights),
        "p2_mm": _Weighed(metrics.p_mpjpe(known, truth), weights),
        "n_mpjpe_mm": _Weighed(metrics.n_mpjpe(known, truth), weights),
        "velocity_mm": _equal(metrics.mpjve(whole, target)[pairs]),
        "acceleration_mm": _equal(metrics.acceleration_error(whole, target)[triples]),
        "pck150": _Weighed(metrics.pck(measured, known_truth), weights) if pck_joints else nothing,
        "auc": _Weighed(metrics.auc(measured, known_truth), weights) if pck_joints else nothing,
    }


def _truth(run: Run, sequence: Sequence, protocol: Protocol) -> tuple[Float64Array, NDArray[np.bool_]]:
    """True poses (K, 17, 3) of the run's frames, and which of them (K,) count."""
    frames = sequence.at(run.frames)
    target = true_poses_mm(frames, protocol.truth_of(sequence.space))
    return target, has_truth(frames) & _is_valid(sequence, run)


def _is_valid(sequence: Sequence, run: Run) -> NDArray[np.bool_]:
    return np.ones(len(run.frames), dtype=bool) if sequence.valid is None else sequence.valid[run.frames]


def _last_answers(run: Run) -> Run:
    """Of a frame that the run answers for several times, the last answer, as assignment by a list of frames has it."""
    chosen = _last_of_each(run.frames)
    return run if len(chosen) == len(run.frames) else Run(run.frames[chosen], run.poses_mm[chosen])


def _last_of_each(frames: NDArray[np.intp]) -> NDArray[np.intp]:
    _, from_the_end = np.unique(frames[::-1], return_index=True)
    return np.sort(len(frames) - 1 - from_the_end)


def _published_acceleration(runs: List[Run], sequence: Sequence, protocol: Protocol) -> _Weighed:
    """MotionAGFormer's figure: summed by frame over the clips, divided by their number; a clip's last two have 0."""
    if protocol.name != "motionbert":
        return _Weighed(np.empty(0), np.empty(0))
    total, clips = np.zeros(len(sequence)), np.zeros(len(sequence))
    for run in runs:
        target, present = _truth(run, sequence, protocol)
        if len(run.frames) > 2 and present.all():
            error = metrics.acceleration_error(run.poses_mm, target)
            chosen = _last_of_each(run.frames[:-2])
            total[run.frames[:-2][chosen]] += error[chosen]
        clips[np.unique(run.frames)] += 1
    return _equal(total[clips > 0] / clips[clips > 0])


def _equal(values: Float64Array) -> _Weighed:
    return _Weighed(values, np.ones(len(values)))


def _weighing(part: _Weighed, total: float) -> _Weighed:
    return part if not part.values.size else _Weighed(part.values, part.weights * (total / part.total))


def _check(run: Run, sequence: Sequence, present: NDArray[np.bool_]) -> None:
    if run.poses_mm.shape != (len(run.frames), JOINT_COUNT, 3):
        expected = (len(run.frames), JOINT_COUNT, 3)
        raise BadInput(f"{sequence.name}: the prediction is {run.poses_mm.shape}, the truth {expected}")
    broken = np.flatnonzero(present & ~np.isfinite(run.poses_mm).all(axis=(1, 2)))
    if broken.size:
        raise RunFailed(
            f"{sequence.name}: the prediction is not finite at frame {run.frames[broken[0]]} "
            f"({broken.size} of {len(run.frames)} frames); nothing is scored"
        )


def _by_action(errors: list[_SequenceErrors]) -> dict[str, list[_SequenceErrors]]:
    actions = sorted({error.sequence.action for error in errors})
    return {action: [error for error in errors if error.sequence.action == action] for action in actions}


def _mean(groups: List[List[_SequenceErrors]], values: Values) -> float:
    return float(np.mean([_Weighed.joined([values(error) for error in group]).mean() for group in groups]))


def _mean_or_none(groups: List[List[_SequenceErrors]], values: Values) -> float | None:
    """Groups in which no frame has the neighbours are left out."""
    filled = [group for group in groups if any(values(error).values.size for error in group)]
    return _mean(filled, values) if filled else None


def _action_entry(group: list[_SequenceErrors]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "p1_mm": _mean([group], lambda error: error.p1_mm),
        "p2_mm": _mean([group], lambda error: error.p2_mm),
        "frames": sum(error.frames for error in group),
    }
    if group[0].pck150.values.size:
        entry["pck150_percent"] = _mean([group], lambda error: error.pck150)
        entry["auc_percent"] = _mean([group], lambda error: error.auc)
    return entry


def _per_joint(groups: List[List[_SequenceErrors]], joints: tuple[int, ...]) -> dict[str, dict[str, float]]:
    means = np.mean([_Weighed.joined([error.joints_mm for error in group]).mean() for group in groups], axis=0)  # (J,)
    return {JOINT_NAMES[joint]: {"p1_mm": float(mean)} for joint, mean in zip(joints, means, strict=True)}


def _sequence_entry(error: _SequenceErrors) -> dict[str, Any]:
    return {
        "sequence": error.sequence.name,
        "take": error.sequence.take,
        "action": error.sequence.action,
        "frames": error.frames,
        "p1_mm": float(error.p1_mm.mean()),
        "p2_mm": float(error.p2_mm.mean()),
    }
