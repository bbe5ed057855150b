"""Records like those of real runs, made up: figures of a plausible size, nothing measured."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Sequence
from typing import Any

from harness.data.skeleton import JOINT_NAMES

ACTIONS = ("basketball", "dance", "jump", "reach", "run", "sit", "stairs", "walk")
TAKES_PER_ACTION = 6
CAMERAS = 4
FLOORS = {
    "mean_pose": {"p1_mm": 231.2, "p2_mm": 188.0},
    "zero_depth": {"p1_mm": 157.4, "p2_mm": 109.8},
    "linear": {"p1_mm": 115.3, "p2_mm": 78.1},
}
#: name -> P1 in mm, parameters, MACs a frame at T = 27, frames a second of training and of inference.
MODELS: dict[str, tuple[float, int, float, float, float]] = {
    "posemamba-s": (61.8, 1_470_211, 30.4e6, 212.0, 690.0),
    "posemamba-xs": (66.1, 167_235, 4.6e6, 1180.0, 2710.0),
    "dilated-convolution": (63.4, 2_204_819, 3.2e6, 3890.0, 21400.0),
    "motionagformer-xs": (72.4, 2_241_531, 40.5e6, 148.0, 510.0),
    "motionagformer-s": (70.9, 4_817_119, 82.1e6, 61.0, 260.0),
    "dstformer-lite": (75.0, 16_001_549, 270.6e6, 31.0, 96.0),
}
#: How much harder than the mean joint each joint is: extremities err most.
JOINT_FACTORS = (0.0, 0.45, 1.0, 1.45, 0.45, 1.02, 1.5, 0.55, 0.7, 0.9, 1.05, 0.85, 1.25, 1.75, 0.86, 1.3, 1.85)
ENVIRONMENT = {
    "harness": "0.1.0",
    "commit": {"id": "0f3a9c1d5b7e2468ace013579bdf02468ace1357", "dirty": False},
    "python": "3.11.2",
    "system": "Linux-6.1-x86_64",
    "processor": "AMD EPYC 9R14",
    "cores": 2,
    "threads": 2,
    "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
    "deterministic_algorithms": True,
    "float32_matmul_precision": "highest",
}
RECIPE = {"name": "common", "learning_rate": 2e-3, "weight_decay": 0.01, "schedule": "cosine"}


def record(model: str = "posemamba-xs", seed: int = 0, *, frames: int = 27, detector: str = "sh") -> dict[str, Any]:
    """A finished run of one of ``MODELS``; the figures are a function of the arguments alone."""
    p1_mm, params, macs_per_frame, train_speed, inference_speed = MODELS[model]
    rng = random.Random(f"{model}-{seed}-{frames}-{detector}")
    p1_mm *= (27 / frames) ** 0.05 * (1 if detector == "sh" else 0.62) * (1 + 0.008 * rng.gauss(0, 1))
    accuracy = _accuracy(p1_mm, random.Random(f"takes-{model}-{seed}"))
    signature = _signature(frames, detector, accuracy["frames"])
    return {
        "schema": 1,
        "id": f"{model}-t{frames}-s{seed}-{rng.randrange(16**8):08x}",
        "status": "ok",
        "config": _config(model, seed, frames, detector),
        "config_hash": f"{rng.randrange(16**64):064x}",
        "seed": seed,
        "started": f"2026-03-0{1 + seed}T08:00:00+00:00",
        "finished": f"2026-03-0{1 + seed}T08:18:41+00:00",
        "environment": copy.deepcopy(ENVIRONMENT),
        "data": {
            "spec": "motion:../shared/motion",
            "name": "motion",
            "detector": detector,
            "digest_train": "a1" * 32,
            "digest_test": ("b2" if detector == "sh" else "c3") * 32,
            "train_sequences": 1204,
            "test_sequences": len(accuracy["per_sequence"]),
            "train_frames": 418_312,
            "test_frames": accuracy["frames"],
            "notes": [],
        },
        "weights": {"path": f"results/runs/{model}-s{seed}/weights.pt", "sha256": f"{rng.randrange(16**64):064x}"},
        "signature": signature,
        "accuracy": accuracy,
        "floors": copy.deepcopy(FLOORS),
        "beats_floors": p1_mm < min(floor["p1_mm"] for floor in FLOORS.values()),
        "cost": _cost(model, params, macs_per_frame, train_speed, inference_speed, frames),
        "training": _training(p1_mm, train_speed, frames, rng),
        "warnings": [],
    }


def failed(
    model: str = "motionagformer-s", seed: int = 0, status: str = "failed", error: str = "", **kwargs: Any
) -> dict[str, Any]:
    """A run that ended before it was scored: it has neither accuracy nor signature, only what was planned."""
    whole = record(model, seed, **kwargs)
    kept = ("schema", "id", "config", "config_hash", "seed", "started", "finished", "environment", "data", "warnings")
    return {
        **{name: whole[name] for name in kept},
        "status": status,
        "error": error or "the loss is not finite at step 412 (learning rate 2.0e-03)",
    }


def typical() -> list[dict[str, Any]]:
    """A store as it looks after a comparison: four models with three seeds, one with a single seed, one that failed."""
    models = ("posemamba-s", "posemamba-xs", "dilated-convolution", "motionagformer-xs")
    runs = [record(model, seed) for seed in range(3) for model in models]
    runs.append(record("motionagformer-s", 0))
    runs.append(failed("motionagformer-s", 1))
    runs.append(failed("dstformer-lite", 0, "oom", "out of memory: tried to allocate 1.2 GiB"))
    runs[-3]["warnings"].append("inference speed is NOISY: interquartile range is 14.2 % of the median")
    runs[-3]["cost"]["inference"]["verdict"] = "NOISY"
    return runs


def untrained(model: str = "motionagformer-xs", seed: int = 0) -> dict[str, Any]:
    """A run that did not beat the floors."""
    run = record(model, seed)
    run["accuracy"] = _accuracy(148.3, random.Random(0))
    run["beats_floors"] = False
    return run


def reduced(model: str = "posemamba-xs", seed: int = 0) -> dict[str, Any]:
    """A run that was scored and timed in bf16."""
    run = record(model, seed)
    run["id"] += "-bf16"
    run["config"]["precision"] = "bf16"
    run["signature"]["fields"] = {**run["signature"]["fields"], "precision": "bf16"}
    run["signature"]["long"] = run["signature"]["long"].replace("|v:1", "|precision:bf16|v:1")
    return run


def two_protocols() -> list[dict[str, Any]]:
    """The typical store and, beside it, two models on other clips and on perfect detections."""
    longer = [record(model, 0, frames=81) for model in ("posemamba-s", "motionagformer-s")]
    return typical() + longer + [record("posemamba-s", 0, detector="gt")]


def _accuracy(p1_mm: float, rng: random.Random) -> dict[str, Any]:
    sequences = _sequences(p1_mm, rng)
    scale = p1_mm / _mean(sequences)
    for sequence in sequences:
        sequence["p1_mm"] *= scale
        sequence["p2_mm"] *= scale
    p2_mm = 0.755 * p1_mm
    mean_factor = sum(JOINT_FACTORS) / len(JOINT_FACTORS)
    return {
        "p1_mm": p1_mm,
        "p2_mm": p2_mm,
        "n_mpjpe_mm": 0.95 * p1_mm,
        "mpjve_mm_per_frame": 0.118 * p1_mm,
        "acceleration_mm_per_frame2": 0.072 * p1_mm,
        "acceleration_mm_per_s2": 0.072 * p1_mm * 2500,
        "p1_by_action_mean_mm": sum(_action(action, sequences)["p1_mm"] for action in ACTIONS) / len(ACTIONS),
        "frames": sum(sequence["frames"] for sequence in sequences),
        "missing_truth_frames": 0,
        "per_action": {action: _action(action, sequences) for action in ACTIONS},
        "per_joint": {
            joint: {"p1_mm": p1_mm * factor / mean_factor}
            for joint, factor in zip(JOINT_NAMES, JOINT_FACTORS, strict=True)
        },
        "per_sequence": sequences,
    }


def _sequences(p1_mm: float, rng: random.Random) -> list[dict[str, Any]]:
    difficulty = random.Random("difficulty of the takes")
    sequences = []
    for action in ACTIONS:
        of_action = difficulty.uniform(0.75, 1.3)
        for index in range(TAKES_PER_ACTION):
            take, of_take = f"s{7 + index % 2}/{action}-{index + 1}", difficulty.lognormvariate(0, 0.12)
            frames = difficulty.randrange(300, 1500)
            noise = rng.lognormvariate(0, 0.05)
            for camera in range(CAMERAS):
                error_mm = p1_mm * of_action * of_take * noise * rng.lognormvariate(0, 0.02)
                sequences.append(
                    {
                        "sequence": f"{take}@camera{camera}",
                        "take": take,
                        "action": action,
                        "frames": frames,
                        "p1_mm": error_mm,
                        "p2_mm": 0.755 * error_mm,
                    }
                )
    return sequences


def _mean(sequences: Sequence[dict[str, Any]], measure: str = "p1_mm") -> float:
    frames = sum(sequence["frames"] for sequence in sequences)
    return sum(sequence[measure] * sequence["frames"] for sequence in sequences) / frames


def _action(action: str, sequences: Sequence[dict[str, Any]]) -> dict[str, Any]:
    of_action = [sequence for sequence in sequences if sequence["action"] == action]
    return {
        "p1_mm": _mean(of_action),
        "p2_mm": _mean(of_action, "p2_mm"),
        "frames": sum(sequence["frames"] for sequence in of_action),
    }


def _signature(frames: int, detector: str, scored: int) -> dict[str, Any]:
    fields = {
        "data": "motion", "2d": detector, "test": "S7,S8", "T": frames, "frames": f"all:{scored}",
        "clips": "overlap-last", "avg": "frame", "joints": 17, "root": 0, "align": "none", "flip": "yes",
        "unit": "mm", "space": "camera", "v": 1,
    }  # fmt: skip
    long = "MPJPE|" + "|".join(f"{name}:{value}" for name, value in fields.items())
    return {"long": long, "short": f"MPJPE|d:motion|2d:{detector}|T:{frames}|v:1", "fields": fields}


def _config(model: str, seed: int, frames: int, detector: str) -> dict[str, Any]:
    return {
        "model": model,
        "options": {},
        "frames": frames,
        "in_channels": 3,
        "data": "motion:../shared/motion",
        "detector": detector,
        "data_seed": 0,
        "recipe": "common",
        "budget": {"epochs": None, "steps": None, "seconds": 1020.0},
        "batch_size": 8,
        "learning_rate": 2e-3,
        "seed": seed,
        "flip_test": True,
        "device": "cpu",
        "threads": 2,
    }


def _cost(
    model: str, params: int, macs_per_frame: float, train_speed: float, inference_speed: float, frames: int
) -> dict[str, Any]:
    macs = round(macs_per_frame * frames)
    scan = macs // 4 if model.startswith("posemamba") else 0
    attention = macs // 6 if "former" in model else 0
    by_operator = {"linear": macs - scan - attention, "scan": scan, "attention": attention}
    return {
        "params_total": params,
        "macs_fvcore": macs,
        "macs_fvcore_per_frame": macs / frames,
        "by_operator": {"macs_fvcore": {name: count for name, count in by_operator.items() if count}},
        "uncounted": {"macs_fvcore": {"add (elementwise)": 122, "gelu (elementwise)": 20}},
        "flops_9bldn": 3 * scan,
        "frames": frames,
        "output_frames": frames,
        "in_channels": 3,
        "scan_backend": "native" if scan else None,
        "threads": 2,
        "train_frames_per_s": train_speed,
        "inference_frames_per_s": inference_speed,
        "inference": {
            "frames_per_s": inference_speed,
            "quartiles_frames_per_s": [0.98 * inference_speed, 1.015 * inference_speed],
            "call_ms": 1000 * frames / inference_speed,
            "samples": 52,
            "calls_per_sample": 1,
            "seconds": 3.01,
            "verdict": "STABLE",
            "reason": "interquartile range is 3.5 % of the median",
        },
    }


def _training(p1_mm: float, train_speed: float, frames: int, rng: random.Random) -> dict[str, Any]:
    seconds, points = 1020.0, 200
    steps = round(seconds * train_speed / (8 * frames))
    curve = []
    for point in range(1, points + 1):
        share = point / points
        falling = 0.24 * math.exp(-5 * share) + p1_mm / 1000 * (1.3 - 0.3 * share)
        curve.append(
            {
                "step": max(point, round(steps * share)),
                "seconds": round(seconds * share, 2),
                "loss": 1.55 * falling * rng.lognormvariate(0, 0.02),
                "learning_rate": 1e-3 * (1 + math.cos(math.pi * share)),
            }
        )
    return {
        "recipe": copy.deepcopy(RECIPE),
        "steps": steps,
        "epochs": 2.7,
        "seconds": seconds,
        "batch_size": 8,
        "frames_per_s": train_speed,
        "model_selection": "last step",
        "curve": curve,
    }
