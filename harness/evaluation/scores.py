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
from harness.data.skeleton import JOINT_COUNT, JOINT_NAMES, ROOT
from harness.errors import BadInput, RunFailed
from harness.evaluation import metrics
from harness.evaluation.distribution import Distribution, distribution
from harness.evaluation.predict import Run
from harness.evaluation.protocol import PROTOCOLS, Protocol

Float64Array = NDArray[np.float64]
ALL_JOINTS = tuple(range(JOINT_COUNT))


@dataclass(frozen=True)
class Scores:
    """Errors in mm (per frame, per frame², per s² where the name says so); None where there is nothing to take it of.

    per_action   action -> p1_mm, p2_mm, frames, and with PCK its pck150_percent and auc_percent
    per_joint    joint -> p1_mm; the pelvis is the root and 0
    distribution how the errors are spread
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
    distribution: Distribution
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
        distribution=_distribution(errors, joints),
        per_action={action: _action_entry(group) for action, group in groups.items()},
        per_joint=_per_joint(averaged, joints),
        per_sequence=[_sequence_entry(error) for error in errors],
    )


def has_truth(sequence: Sequence) -> NDArray[np.bool_]:
    """(T,) True where all joints of the frame have a finite true position."""
    return np.asarray(np.isfinite(sequence.truth).all(axis=(1, 2)))


@dataclass(frozen=True, eq=False)
class _Answers:
    """All runs of a sequence, one after the other: ``run`` (N,) is the number of each answer's."""

    frames: NDArray[np.intp]
    poses_mm: NDArray[np.floating]
    run: NDArray[np.intp]

    @staticmethod
    def joined(runs: List[Run]) -> _Answers:
        numbers = np.repeat(np.arange(len(runs)), [len(run.frames) for run in runs])
        return _Answers(
            np.concatenate([run.frames for run in runs]), np.concatenate([run.poses_mm for run in runs]), numbers
        )

    def at(self, chosen: NDArray[np.intp]) -> _Answers:
        return _Answers(self.frames[chosen], self.poses_mm[chosen], self.run[chosen])

    def last_of_each(self) -> NDArray[np.intp]:
        """Of a frame that a run answers for several times the last answer, as assignment by a list of frames has it."""
        return _last_of_each(self.run, self.frames)


def _errors(runs: List[Run], sequence: Sequence, protocol: Protocol, joints: list[int]) -> _SequenceErrors:
    if not runs:
        raise BadInput(f"{sequence.name}: nothing is predicted for it")
    if protocol.frame_set == "all":
        _require_every_frame(runs, sequence)
    every = _Answers.joined(runs)
    answers = every.at(every.last_of_each()) if protocol.repeats == "frame" else every
    shown = sequence.at(answers.frames)
    valid = np.ones(len(answers.frames), dtype=bool) if shown.valid is None else shown.valid
    present = valid & has_truth(shown)
    target = true_poses_mm(shown, protocol.truth_of(sequence.space))
    _check(answers, sequence, present)
    if not present.any():
        raise BadInput(f"{sequence.name}: no frame has finite 3D truth; leave the sequence out")
    parts = _parts(answers, target, present, _weights(answers, protocol)[present], protocol, joints)
    if protocol.by_video:
        for name in ("velocity_mm", "acceleration_mm"):
            parts[name] = _weighing(parts[name], parts["p1_mm"].total)
    return _SequenceErrors(
        sequence,
        published_acceleration_mm=_published_acceleration(every, sequence, protocol),
        missing_truth_frames=int((valid & ~present).sum()),
        **parts,
    )


def _weights(answers: _Answers, protocol: Protocol) -> Float64Array:
    """(N,) 1, or a frame's share where several runs answer for it and it counts once."""
    if protocol.repeats == "each":
        return np.ones(len(answers.frames))
    return np.asarray(1.0 / np.bincount(answers.frames)[answers.frames])


def _require_every_frame(runs: List[Run], sequence: Sequence) -> None:
    answered = np.zeros(len(sequence), dtype=bool)
    for run in runs:
        answered[run.frames] = True
    missing = np.flatnonzero(~answered if sequence.valid is None else sequence.valid & ~answered)
    if missing.size:
        raise BadInput(
            f"{sequence.name}: frame {missing[0]} is not predicted ({missing.size} of {len(sequence)} frames are not)"
        )


def _parts(
    answers: _Answers,
    target: Float64Array,
    present: NDArray[np.bool_],
    weights: Float64Array,
    protocol: Protocol,
    joints: list[int],
) -> dict[str, _Weighed]:
    # Zeros stand in where nothing counts; the masks take those frames and their neighbours out again.
    whole, target = (np.where(present[:, None, None], poses, 0.0)[:, joints] for poses in (answers.poses_mm, target))
    known, truth = whole[present], target[present]
    neighbours = (np.diff(answers.frames) == 1) & (np.diff(answers.run) == 0)
    pairs = present[1:] & present[:-1] & neighbours
    triples = pairs[1:] & pairs[:-1]
    joints_mm = metrics.per_joint_errors(known, truth)
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


def _last_of_each(*columns: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places, ascending, of the last of all rows that are equal."""
    rows = np.stack(columns, axis=1)[::-1]
    _, from_the_end = np.unique(rows, axis=0, return_index=True)
    return np.sort(len(rows) - 1 - from_the_end)


def _published_acceleration(answers: _Answers, sequence: Sequence, protocol: Protocol) -> _Weighed:
    """MotionAGFormer's figure: summed by frame over the clips, divided by their number; a clip's last two have 0."""
    if protocol.name != "motionbert":
        return _Weighed(np.empty(0), np.empty(0))
    shown = sequence.at(answers.frames)
    target = np.where(has_truth(shown)[:, None, None], true_poses_mm(shown, protocol.truth_of(sequence.space)), 0.0)
    first_of_three = np.flatnonzero(answers.run[2:] == answers.run[:-2])
    error = metrics.acceleration_error(answers.poses_mm, target)[first_of_three]
    chosen = _last_of_each(answers.run[first_of_three], answers.frames[first_of_three])
    total, clips = np.zeros(len(sequence)), np.zeros(len(sequence))
    np.add.at(total, answers.frames[first_of_three][chosen], error[chosen])
    np.add.at(clips, answers.frames[answers.last_of_each()], 1)
    return _equal(total[clips > 0] / clips[clips > 0])


def _equal(values: Float64Array) -> _Weighed:
    return _Weighed(values, np.ones(len(values)))


def _weighing(part: _Weighed, total: float) -> _Weighed:
    return part if not part.values.size else _Weighed(part.values, part.weights * (total / part.total))


def _check(answers: _Answers, sequence: Sequence, present: NDArray[np.bool_]) -> None:
    expected = (len(answers.frames), JOINT_COUNT, 3)
    if answers.poses_mm.shape != expected:
        raise BadInput(f"{sequence.name}: the prediction is {answers.poses_mm.shape}, the truth {expected}")
    broken = np.flatnonzero(present & ~np.isfinite(answers.poses_mm).all(axis=(1, 2)))
    if broken.size:
        raise RunFailed(
            f"{sequence.name}: the prediction is not finite at frame {answers.frames[broken[0]]} "
            f"({broken.size} of {len(answers.frames)} frames); nothing is scored"
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


def _distribution(errors: list[_SequenceErrors], joints: tuple[int, ...]) -> Distribution:
    joints_mm = _Weighed.joined([error.joints_mm for error in errors])
    frames_mm = _Weighed.joined([error.p1_mm for error in errors])
    # The pelvis has no error of its own where it is the origin, and would flatter the others' shares.
    moving = [place for place, joint in enumerate(joints) if joint != ROOT]
    return distribution(joints_mm.values[:, moving], frames_mm.values, frames_mm.weights)


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
