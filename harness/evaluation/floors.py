"""What needs no network: three predictions that a trained lifter has to beat before its figure means anything.

zero_depth  the detections, moved to camera space at the TRUE depth of the root, all joints at the root's depth.
            It is given what no lifter has, so it measures how much of the pose lies in depth. Lens distortion is
            not undone (a few pixels at the image's border).
mean_pose   the mean root-relative pose of the training frames, whatever is seen.
linear      least squares from one frame's 34 normalised coordinates (``model_input`` with two channels, the pelvis's
            included: its place in the image tells a little of the viewing angle) to the 51 root-relative ones.
            Adding the confidences gained nothing.

Where the truth is measured in the image (2.5-D), they are fitted there and decoded as a lifter's answers are. The fits
pass once over the training sequences and add up moments, so all frames are used in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as List
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.normalise import TARGET_SPACES, TargetSpace, mm_per_pixel, model_input
from harness.data.sequence import Sequence, Truth
from harness.data.skeleton import JOINT_COUNT, ROOT
from harness.errors import BadInput
from harness.evaluation import scores
from harness.evaluation.predict import Run
from harness.evaluation.protocol import Protocol

Float64Array = NDArray[np.float64]

#: Added to the mean squares of the features (of the order of 0.1): enough to keep the equations solvable.
RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Floors:
    """What was learnt from training data, in the units of ``space``: ``mean_pose`` (17, 3), ``linear`` (1 + 34, 51)."""

    space: TargetSpace
    mean_pose: Float64Array
    linear: NDArray[np.floating]

    def predict(self, sequence: Sequence) -> dict[str, Float64Array]:
        """Name -> (T, 17, 3) root-relative poses, mm."""
        mean_pose = np.broadcast_to(self.mean_pose, (len(sequence), JOINT_COUNT, 3))
        linear = (_features(sequence) @ self.linear).reshape(-1, JOINT_COUNT, 3)  # (T, J, 3)
        poses = {
            "zero_depth": _zero_depth(sequence, self.space.name),
            "mean_pose": self.space.decode(mean_pose, sequence),
            "linear": self.space.decode(linear, sequence),
        }
        return {name: pose - pose[:, ROOT : ROOT + 1] for name, pose in poses.items()}


def fit(train: Iterable[Sequence], truth: Truth = "camera") -> Floors:
    """Floors of the training sequences; frames without truth are left out. Raises BadInput where none is left."""
    space = TARGET_SPACES[truth]
    squares = np.zeros((1 + JOINT_COUNT * 2, 1 + JOINT_COUNT * 2))
    products = np.zeros((1 + JOINT_COUNT * 2, JOINT_COUNT * 3))
    frames = 0
    for sequence in map(_with_truth, train):
        features = _features(sequence)  # (T, 1 + 34)
        squares += features.T @ features
        products += features.T @ space.encode(sequence).reshape(len(sequence), -1).astype(np.float64)
        frames += len(sequence)
    if not frames:
        raise BadInput("no training frame has 3D truth; the floors cannot be fitted")
    weights = np.linalg.solve(squares + RIDGE * frames * np.eye(len(squares)), products)
    # The first feature is 1, so its products are the sums of the poses.
    return Floors(space, mean_pose=(products[0] / frames).reshape(JOINT_COUNT, 3), linear=weights)


def score(
    train: Iterable[Sequence],
    test: List[Sequence],
    frames: List[List[NDArray[np.intp]]],
    protocol: Protocol,
    joints: tuple[int, ...],
) -> dict[str, dict[str, float]]:
    """Name -> ``p1_mm`` and ``p2_mm``, by ``harness.evaluation.scores`` on the very frames that a lifter answered for.

    ``frames`` has for each test sequence those of its runs. Raises BadInput where no training frame has truth.
    """
    floors = fit(train, protocol.truth_of(test[0].space))
    predictions = [floors.predict(sequence) for sequence in test]
    results = {}
    for name in ("zero_depth", "mean_pose", "linear"):
        runs = [
            [Run(indices, prediction[name][indices]) for indices in of_sequence]
            for prediction, of_sequence in zip(predictions, frames, strict=True)
        ]
        result = scores.score(runs, test, protocol, joints)
        results[name] = {"p1_mm": result.p1_mm, "p2_mm": result.p2_mm}
    return results


def _with_truth(sequence: Sequence) -> Sequence:
    present = scores.has_truth(sequence)
    return sequence if present.all() else sequence.at(present)


def _zero_depth(sequence: Sequence, truth: Truth) -> Float64Array:
    # All joints at one depth: the principal point drops out of the differences.
    offsets = (sequence.keypoints - sequence.keypoints[:, ROOT : ROOT + 1]).astype(np.float64)  # (T, J, 2)
    if truth == "image":
        at_root_depth = offsets * mm_per_pixel(sequence)[:, None, None]
    else:
        at_root_depth = offsets / sequence.focal * sequence.poses_mm[:, ROOT, None, 2:]
    return np.concatenate([at_root_depth, np.zeros_like(at_root_depth[..., :1])], axis=-1)  # (T, J, 3)


def _features(sequence: Sequence) -> Float64Array:
    coordinates = model_input(sequence, in_channels=2).reshape(len(sequence), -1)  # (T, 34)
    return np.concatenate([np.ones((len(sequence), 1)), coordinates], axis=1, dtype=np.float64)  # (T, 1 + 34)
