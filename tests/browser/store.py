"""A store as it lies there after a large comparison: ten models with three seeds each, a run that failed, one that ran
out of memory, and what is kept of sequences. Made up, like a real one in shape and size, and the same every time."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.skeleton import JOINT_COUNT, PARENTS
from harness.reporting import command
from harness.store import traces as trace_file
from harness.store.store import Store
from harness.traces import ErrorCurve, Excerpt, Reason, Traces
from tests.harness.reporting import records

Array = NDArray[np.float64]

SEEDS = 3
POSES, FPS = 100, 12.5
#: Ends a script element wherever it is not escaped.
HOSTILE = "</script><script>alert(1)</script>"
HOSTILE_MODEL = "my_package.lifters:<img src=x onerror=alert(2)>&amp;"
#: Model -> whose figures it has, and by what factors its error and its cost differ from them.
MODELS: dict[str, tuple[str, float, float]] = {
    "posemamba-s": ("posemamba-s", 1.0, 1.0),
    "posemamba-xs": ("posemamba-xs", 1.0, 1.0),
    "posemamba-causal-xs": ("posemamba-xs", 1.08, 1.02),
    "posemagic-xs": ("posemamba-xs", 1.05, 1.6),
    "mamba3d-lift-xs": ("posemamba-s", 0.985, 0.6),
    "dilated-convolution": ("dilated-convolution", 1.0, 1.0),
    "motionagformer-xs": ("motionagformer-xs", 1.0, 1.0),
    "mixste": ("motionagformer-s", 0.99, 4.1),
    "dstformer-lite": ("dstformer-lite", 1.0, 1.0),
    HOSTILE_MODEL: ("dstformer-lite", 1.4, 0.1),
}
#: (action, sequence, seconds from its beginning, how deep the person bends): the first two are of every model.
_EXCERPTS: tuple[tuple[Reason, str, str, float, float], ...] = (
    ("unusual", "sit", f"s7/sit-1@{HOSTILE}", 3.2, 0.9),
    ("unusual", "dance", "s8/dance-4@camera2", 11.0, 0.5),
    ("worst", "jump", "s7/jump-3@camera1", 0.0, 0.3),
    ("worst", "reach", "s8/reach-2@camera0", 7.44, 0.15),
)
#: Of a person who stands, from the parent joint in mm: right, down, away.
_OFFSETS = (
    (0, 0, 0), (-130, 0, 0), (0, 440, 0), (0, 430, 0), (130, 0, 0), (0, 440, 0), (0, 430, 0),
    (0, -230, 0), (0, -250, 0), (0, -110, 0), (0, -120, 0), (150, 20, 0), (20, 280, 0), (0, 250, 0),
    (-150, 20, 0), (-20, 280, 0), (0, 250, 0),
)  # fmt: skip
#: Joint -> how far its bone swings, in radians, and when within a step.
_SWINGS = {
    2: (0.55, 0.0), 3: (0.35, 0.9), 5: (0.55, 0.5), 6: (0.35, 1.4), 12: (0.7, 0.0), 13: (0.6, 0.2), 15: (0.7, 0.5),
    16: (0.6, 0.7), 9: (0.1, 0.3), 10: (0.2, 0.1),
}  # fmt: skip


def fill_with(folder: Path, excerpts: Sequence[Excerpt]) -> None:
    """A run of one model with these excerpts, in ``folder``, which exists."""
    run = records.record("posemamba-xs")
    path = folder / trace_file.FILE_NAME
    curves = tuple(
        ErrorCurve(name, take_of(name), "stand", 0.1, np.ones(30, np.float32))
        for name in dict.fromkeys(excerpt.sequence for excerpt in excerpts)
    )
    run["traces"] = {"path": path.name, "sha256": trace_file.save(path, Traces(curves, tuple(excerpts)))}
    Store(folder).append(run)


def fill(folder: Path) -> None:
    """Write records.jsonl and the traces beside it into ``folder``, which exists."""
    store = Store(folder)
    for number, model in enumerate(MODELS):
        for seed in range(SEEDS):
            run = _record(model, seed)
            path = folder / "runs" / f"{number}-{seed}" / trace_file.FILE_NAME
            digest = trace_file.save(path, _traces(run, number, seed))
            run["traces"] = {"path": path.relative_to(folder).as_posix(), "sha256": digest}
            store.append(run)
    store.append(records.failed("motionagformer-s", 0, error=f"the loss is not finite at step 412 {HOSTILE}"))
    store.append(records.failed("dstformer-lite", 7, "oom", "out of memory: tried to allocate 1.2 GiB"))


def _record(model: str, seed: int) -> dict[str, Any]:
    source, error_factor, cost_factor = MODELS[model]
    run = records.record(source, seed)
    run["config"]["model"] = model
    run["id"] = f"run-{list(MODELS).index(model)}-{run['id']}"
    run["config_hash"] = command.digest(run["config"])
    accuracy, cost = run["accuracy"], run["cost"]
    rng = random.Random(f"{model} {seed}")
    for figures in (*accuracy["per_joint"].values(), *accuracy["per_sequence"]):
        wobble = rng.lognormvariate(0, 0.02)
        for name in {"p1_mm", "p2_mm"} & figures.keys():
            figures[name] *= error_factor * wobble
    _average(accuracy)
    cost["params_total"] = round(cost["params_total"] * cost_factor)
    cost["macs_fvcore_per_frame"] *= cost_factor
    cost["per_frame"] = {"flops_exact": 2.1 * cost["macs_fvcore_per_frame"]}
    cost["inference"]["call_ms"] *= cost_factor
    cost["inference"] |= {"low_ms": 0.99 * cost["inference"]["call_ms"], "high_ms": 1.01 * cost["inference"]["call_ms"]}
    accuracy["distribution"] = _distribution(accuracy["p1_mm"])
    return run


def _average(accuracy: dict[str, Any]) -> None:
    """The whole and every action as the mean of their sequences, as it is in a real record."""
    parts = {action: [row for row in accuracy["per_sequence"] if row["action"] == action] for action in records.ACTIONS}
    for figures, rows in (
        (accuracy, accuracy["per_sequence"]),
        *((accuracy["per_action"][action], rows) for action, rows in parts.items()),
    ):
        for name in ("p1_mm", "p2_mm"):
            figures[name] = sum(row[name] * row["frames"] for row in rows) / sum(row["frames"] for row in rows)


def _distribution(p1_mm: float) -> dict[str, Any]:
    """As a gamma distribution of that mean would have it."""
    middles = 2.5 + 5 * np.arange(101)
    joints, frames = (middles ** (shape - 1) * np.exp(-middles * shape / p1_mm) for shape in (1.8, 4.5))
    return {
        "bin_mm": 5.0,
        "joint_share": (joints / joints.sum()).tolist(),
        "frame_share": (frames / frames.sum()).tolist(),
        "frame_median_mm": 0.92 * p1_mm,
        "frame_p90_mm": 1.7 * p1_mm,
        "frame_p99_mm": 2.6 * p1_mm,
        "frame_max_mm": 4.4 * p1_mm,
    }


def _traces(run: dict[str, Any], number: int, seed: int) -> Traces:
    rng = np.random.default_rng([number, seed])
    rows = run["accuracy"]["per_sequence"]
    # A sequence that the curves do not know cannot have an excerpt, so the hostile one is among them.
    named = {name: (action, take_of(name)) for _, action, name, _, _ in _EXCERPTS}
    named |= {row["sequence"]: (row["action"], row["take"]) for row in rows[::4]}
    p1_mm = run["accuracy"]["p1_mm"]
    curves = tuple(ErrorCurve(name, take, action, 0.1, _course(p1_mm, rng)) for name, (action, take) in named.items())
    return Traces(curves, tuple(_excerpt(one, p1_mm, rng) for one in _EXCERPTS))


def take_of(sequence: str) -> str:
    return sequence.partition("@")[0]


def _course(p1_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    slow = np.convolve(rng.normal(size=300), np.ones(25) / 5, mode="same")
    course = (p1_mm * np.exp(0.3 * slow)).astype(np.float32)
    course[-7:] = np.nan
    return course


def _excerpt(one: tuple[Reason, str, str, float, float], p1_mm: float, rng: np.random.Generator) -> Excerpt:
    reason, action, sequence, start_s, bend = one
    truth = _motion(bend)
    # Extremities err most, and errors change slowly.
    drift = np.cumsum(rng.normal(size=truth.shape), axis=0) / math.sqrt(POSES)
    factors = np.asarray(records.JOINT_FACTORS)[:, np.newaxis]
    prediction = truth + 0.55 * p1_mm * factors * (drift + rng.normal(size=(1, JOINT_COUNT, 3)))
    poses = (pose.astype(np.float32) for pose in (truth, prediction))
    return Excerpt(sequence, take_of(sequence), action, reason, start_s, FPS, *poses)


def _motion(bend: float) -> Array:
    """(POSES, 17, 3) mm of somebody who walks on the spot, seen from the front and above, and bends."""
    poses = np.zeros((POSES, JOINT_COUNT, 3))
    time = np.arange(POSES) / FPS
    stoop = bend * (0.5 - 0.5 * np.cos(2 * np.pi * time / time[-1]))
    for joint in range(1, JOINT_COUNT):
        reach, phase = _SWINGS.get(joint, (0.0, 0.0))
        angle = reach * np.sin(2 * np.pi * (0.9 * time + phase)) + (stoop if joint in (7, 8, 9, 10, 2, 5) else 0.0)
        if joint in (2, 5):
            angle = angle - 2 * stoop
        poses[:, joint] = poses[:, PARENTS[joint]] + _tilted(np.array(_OFFSETS[joint], dtype=float), angle)
    return _seen_from_above(poses)


def _tilted(offset: Array, angle: Array) -> Array:
    """(K, 3) the offset turned about the axis that points right."""
    _, down, away = offset
    right = np.full_like(angle, offset[0])
    turned = down * np.cos(angle) - away * np.sin(angle), down * np.sin(angle) + away * np.cos(angle)
    return np.stack([right, *turned], axis=-1)


def _seen_from_above(poses: Array) -> Array:
    tilt = math.radians(8)
    right, down, away = np.moveaxis(poses, -1, 0)
    return np.stack(
        [right, down * math.cos(tilt) - away * math.sin(tilt), down * math.sin(tilt) + away * math.cos(tilt)], axis=-1
    )
