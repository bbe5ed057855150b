"""Times the metrics on as many frames as Human3.6M's test set has, beside the ways they are usually computed.

    python benchmarks/evaluation.py --json evaluation.json

``p_mpjpe`` is given three sets: noisy poses, the same mirrored (where the best rotation is a close call), and
degenerate ones (collinear and coincident joints), which leave the closed form for a singular value decomposition. The
other ways take turns with it: one numpy decomposition a clip of 243 frames, as published evaluations do, and frame by
frame over a part of the frames, scaled up. Errors are the largest differences from the frame-by-frame way.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evaluation import metrics

Float64Array = NDArray[np.float64]

FRAMES, JOINTS, CLIP = 566_920, 17, 243
#: Frame by frame all of them would take half a minute.
PART = 20_000


def poses(frames: int, kind: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Prediction and target, (frames, 17, 3) mm."""
    rng = np.random.default_rng(0)
    target = rng.normal(0, [150, 400, 120], (frames, JOINTS, 3)).astype(np.float32)
    prediction = target + rng.normal(0, 40, target.shape).astype(np.float32)
    if kind == "mirrored":
        prediction[..., 0] *= -1
    if kind == "degenerate":
        prediction[::2] = prediction[::2, :1] * np.linspace(0, 1, JOINTS, dtype=np.float32)[:, None]
        prediction[1::2] = prediction[1::2, :1]
    return prediction, target


def by_decomposition(prediction: Float64Array, target: Float64Array) -> Float64Array:
    """The published way: singular values of every frame's correlation, the last vector turned where it mirrors."""
    centred, truth = (array - array.mean(axis=1, keepdims=True) for array in (prediction, target))
    left, values, right = np.linalg.svd(np.matmul(truth.transpose(0, 2, 1), centred))
    rotation = np.matmul(right.transpose(0, 2, 1), left.transpose(0, 2, 1))
    sign = np.sign(np.linalg.det(rotation))
    right[:, 2] *= sign[:, None]
    values[:, 2] *= sign
    rotation = np.matmul(right.transpose(0, 2, 1), left.transpose(0, 2, 1))
    size = (centred**2).sum(axis=(1, 2))
    scale = np.divide(values.sum(axis=1), size, out=np.zeros_like(size), where=size > 0)
    aligned = scale[:, None, None] * np.matmul(centred, rotation)
    return np.asarray(np.linalg.norm(aligned - truth, axis=-1).mean(axis=1))


def in_pieces(prediction: NDArray[np.float32], target: NDArray[np.float32], length: int) -> Float64Array:
    pieces = [slice(start, start + length) for start in range(0, len(target), length)]
    wide = np.float64
    return np.concatenate([by_decomposition(prediction[p].astype(wide), target[p].astype(wide)) for p in pieces])


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measured(kind: str, rounds: int) -> dict[str, Any]:
    prediction, target = poses(FRAMES, kind)
    ways: dict[str, Callable[[], Float64Array]] = {
        "harness": lambda: metrics.p_mpjpe(prediction, target),
        "clip by clip": lambda: in_pieces(prediction, target, CLIP),
        "frame by frame": lambda: in_pieces(prediction[:PART], target[:PART], 1),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds(way) * (FRAMES / PART if name == "frame by frame" else 1))
    exact = ways["frame by frame"]()
    gap = float(np.abs(metrics.p_mpjpe(prediction[:PART], target[:PART]) - exact).max())
    return {"seconds": {name: statistics.median(values) for name, values in times.items()}, "largest_gap_mm": gap}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {kind: measured(kind, given.rounds) for kind in ("noisy", "mirrored", "degenerate")}
    print(f"P-MPJPE of {FRAMES:,} frames, {JOINTS} joints, median of {given.rounds} rounds, seconds")
    for kind, entry in found.items():
        shown = "   ".join(f"{name} {value:6.2f}" for name, value in entry["seconds"].items())
        print(f"{kind:10}  {shown}   largest difference {entry['largest_gap_mm']:.1e} mm")
    prediction, target = poses(FRAMES, "noisy")
    for metric in (metrics.mpjpe, metrics.n_mpjpe, metrics.mpjve, metrics.acceleration_error, metrics.pck, metrics.auc):
        taken = seconds(lambda metric=metric: metric(prediction, target))  # type: ignore[misc]
        print(f"{metric.__name__:20} {taken:6.2f}")
        found.setdefault("others", {})[metric.__name__] = taken
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
