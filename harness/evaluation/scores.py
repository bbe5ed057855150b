"""Accuracy of predictions over a test set: the ``accuracy`` block of a record.

The headline figures are means over every frame of every sequence (``avg:frame`` in the signature): each frame is
scored once, so each counts once, and the figure does not depend on how actions are named or grouped. Human3.6M's
papers take the mean of the action means instead, which weights rare actions more; it stands beside as
``p1_by_action_mean_mm``. Velocity and acceleration are differences within one sequence, never across two.

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

from harness.data.normalise import root_relative_mm
from harness.data.sequence import FloatArray, Sequence
from harness.data.skeleton import JOINT_NAMES
from harness.errors import BadInput, RunFailed
from harness.evaluation import metrics

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Errors in mm (per frame, per frame², per s² where the name says so); None where no frame has the neighbours.

    per_action   action -> p1_mm, p2_mm, frames
    per_joint    joint -> p1_mm; the pelvis is the root and 0
    per_sequence one entry a sequence: sequence, take, action, frames, p1_mm, p2_mm
    """

    p1_mm: float
    p2_mm: float
    n_mpjpe_mm: float
    mpjve_mm_per_frame: float | None
    acceleration_mm_per_frame2: float | None
    acceleration_mm_per_s2: float | None
    p1_by_action_mean_mm: float
    frames: int
    missing_truth_frames: int
    per_action: dict[str, dict[str, Any]]
    per_joint: dict[str, dict[str, float]]
    per_sequence: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers, as a record stores them."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, eq=False)
class _SequenceErrors:
    """Errors of one sequence's frames with truth: joints_mm (N, J), the rest one value a frame, pair or triple."""

    sequence: Sequence
    joints_mm: Float64Array
    p1_mm: Float64Array
    p2_mm: Float64Array
    n_mpjpe_mm: Float64Array
    velocity_mm: Float64Array
    acceleration_mm: Float64Array

    @property
    def acceleration_mm_per_s2(self) -> Float64Array:
        return self.acceleration_mm * self.sequence.fps**2


def score(predictions: List[FloatArray], sequences: List[Sequence]) -> Scores:
    """Compare ``predictions``, one (T, 17, 3) root-relative array in mm for each sequence, with the truth.

    Raises RunFailed for a prediction that is not finite (sequence and frame named) and BadInput for predictions
    that do not match the sequences, for no sequences, or for a sequence without any truth.
    """
    if not sequences or len(predictions) != len(sequences):
        raise BadInput(f"{len(predictions)} predictions for {len(sequences)} sequences; one for each is needed")
    errors = [_errors(prediction, sequence) for prediction, sequence in zip(predictions, sequences, strict=True)]
    frames = sum(len(error.p1_mm) for error in errors)
    per_action = _per_action(errors)
    return Scores(
        p1_mm=_mean(errors, lambda error: error.p1_mm),
        p2_mm=_mean(errors, lambda error: error.p2_mm),
        n_mpjpe_mm=_mean(errors, lambda error: error.n_mpjpe_mm),
        mpjve_mm_per_frame=_mean_or_none(errors, lambda error: error.velocity_mm),
        acceleration_mm_per_frame2=_mean_or_none(errors, lambda error: error.acceleration_mm),
        acceleration_mm_per_s2=_mean_or_none(errors, lambda error: error.acceleration_mm_per_s2),
        p1_by_action_mean_mm=float(np.mean([action["p1_mm"] for action in per_action.values()])),
        frames=frames,
        missing_truth_frames=sum(map(len, sequences)) - frames,
        per_action=per_action,
        per_joint=_per_joint(errors),
        per_sequence=[_sequence_entry(error) for error in errors],
    )


def has_truth(sequence: Sequence) -> NDArray[np.bool_]:
    """(T,) True where all joints of the frame have a finite true position."""
    return np.asarray(np.isfinite(sequence.poses_mm).all(axis=(1, 2)))


def _errors(prediction: FloatArray, sequence: Sequence) -> _SequenceErrors:
    present = has_truth(sequence)
    _check(prediction, sequence, present)
    pairs = present[1:] & present[:-1]
    triples = pairs[1:] & pairs[:-1]
    # Zeros stand in where truth is missing; the masks take those frames and their neighbours out again.
    target, whole_prediction = (
        np.where(present[:, None, None], poses, 0) for poses in (root_relative_mm(sequence), prediction)
    )
    known, truth = whole_prediction[present], target[present]
    joints_mm = metrics.per_joint_errors(known, truth)
    return _SequenceErrors(
        sequence,
        joints_mm=joints_mm,
        p1_mm=joints_mm.mean(axis=1),
        p2_mm=metrics.p_mpjpe(known, truth),
        n_mpjpe_mm=metrics.n_mpjpe(known, truth),
        velocity_mm=metrics.mpjve(whole_prediction, target)[pairs],
        acceleration_mm=metrics.acceleration_error(whole_prediction, target)[triples],
    )


def _check(prediction: FloatArray, sequence: Sequence, present: NDArray[np.bool_]) -> None:
    if prediction.shape != sequence.poses_mm.shape:
        raise BadInput(f"{sequence.name}: the prediction is {prediction.shape}, the truth {sequence.poses_mm.shape}")
    if not present.any():
        raise BadInput(f"{sequence.name}: no frame has finite 3D truth; leave the sequence out")
    broken = np.flatnonzero(present & ~np.isfinite(prediction).all(axis=(1, 2)))
    if broken.size:
        raise RunFailed(
            f"{sequence.name}: the prediction is not finite at frame {broken[0]} "
            f"({broken.size} of {len(sequence)} frames); nothing is scored"
        )


def _mean(errors: List[_SequenceErrors], values: Callable[[_SequenceErrors], Float64Array]) -> float:
    return float(np.concatenate([values(error) for error in errors]).mean())


def _mean_or_none(errors: List[_SequenceErrors], values: Callable[[_SequenceErrors], Float64Array]) -> float | None:
    return _mean(errors, values) if any(values(error).size for error in errors) else None


def _per_action(errors: list[_SequenceErrors]) -> dict[str, dict[str, Any]]:
    actions = sorted({error.sequence.action for error in errors})
    groups = {action: [error for error in errors if error.sequence.action == action] for action in actions}
    return {
        action: {
            "p1_mm": _mean(group, lambda error: error.p1_mm),
            "p2_mm": _mean(group, lambda error: error.p2_mm),
            "frames": sum(len(error.p1_mm) for error in group),
        }
        for action, group in groups.items()
    }


def _per_joint(errors: list[_SequenceErrors]) -> dict[str, dict[str, float]]:
    means = np.concatenate([error.joints_mm for error in errors]).mean(axis=0)  # (J,)
    return {name: {"p1_mm": float(mean)} for name, mean in zip(JOINT_NAMES, means, strict=True)}


def _sequence_entry(error: _SequenceErrors) -> dict[str, Any]:
    return {
        "sequence": error.sequence.name,
        "take": error.sequence.take,
        "action": error.sequence.action,
        "frames": len(error.p1_mm),
        "p1_mm": float(error.p1_mm.mean()),
        "p2_mm": float(error.p2_mm.mean()),
    }
