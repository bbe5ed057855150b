"""What a finished lifter is worth and what it costs: the entries of a record that any weights can have."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness import contract, models
from harness.config import RunConfig
from harness.data.clips import Cutting, padded_sequences
from harness.data.normalise import TargetSpace, model_input
from harness.data.sequence import Dataset, Sequence, digest
from harness.data.skeleton import JOINT_COUNT, ROOT
from harness.errors import BadInput, RunFailed, is_out_of_memory
from harness.evaluation import floors, predict, scores
from harness.evaluation.predict import Run
from harness.evaluation.protocol import Protocol, protocol
from harness.evaluation.scores import Scores
from harness.evaluation.signature import Signature
from harness.evaluation.traces import traces
from harness.measurement import counts, inference
from harness.precision import FLOAT32, in_precision
from harness.progress import ProgressLine, Say
from harness.traces import Traces
from harness.world import ALONE, World

#: Test subjects named one by one in a signature; beyond that their number stands there.
_NAMED_SUBJECTS = 12
#: A predicted pelvis that is further from the origin on average was not trained to be there.
_FAR_ROOT_MM = 100.0


@dataclass(frozen=True)
class Assessment:
    """``entries`` of the record: ``signature``, ``accuracy``, ``floors``, ``beats_floors``, ``cost``, ``warnings``."""

    entries: dict[str, Any]
    traces: Traces


def assess(
    model: nn.Module, dataset: Dataset, config: RunConfig, space: TargetSpace, say: Say, world: World = ALONE
) -> Assessment:
    """Score ``model`` on the test sequences by the config's protocol, beside the floors, and count what it costs.

    The other processes of a ``world`` ``assist`` meanwhile, and are not needed any more then.
    Raises RunFailed for a prediction that is not a number, naming model, sequence and frame.
    """
    rules = protocol(config.protocol)
    test = rules.scored(dataset.test, config.frames)
    predictions = _predict(model, test, config, space, world)
    padded = _padding(test, config)
    for line in padded:
        say(f"{config.model}: {line}")
    warnings = [*dataset.notes, *padded, *_root_doubts(predictions, config, rules)]
    if rules.blocked and not any(sequence.take in rules.blocked for sequence in dataset.test):
        warnings.append(f"protocol {rules.name} leaves out {', '.join(rules.blocked)}; no test video is called so")
    root: predict.Root = "kept" if rules.root == "kept" else "subtracted" if config.root == "subtracted" else "zeroed"
    predictions = [[predict.rooted(run, root) for run in runs] for runs in predictions]
    scored = scores.score(predictions, test, rules, dataset.joints)
    frames = [[run.frames for run in runs] for runs in predictions]
    beside = floors.score(dataset.train, test, frames, rules, dataset.joints) if dataset.train else {}
    unbeaten = [name for name, floor in beside.items() if not scored.p1_mm < floor["p1_mm"]]
    cost, doubts = _cost(model, config)
    warnings += doubts
    if unbeaten:
        warnings.append(f"{scored.p1_mm:.1f} mm does not beat {', '.join(unbeaten)}: it has not learned to lift")
        say(f"{config.model}: {warnings[-1]}")
    signature = _signature(dataset, test, config, space, scored, cutting(model, config).name)
    entries = {
        "signature": {"long": signature.long(), "short": signature.short(), "fields": signature.fields()},
        "accuracy": scored.as_dict(),
        "floors": beside,
        "beats_floors": not unbeaten if beside else None,
        "cost": cost,
        "warnings": warnings,
    }
    return Assessment(entries, traces(predictions, test, rules, dataset.joints))


def assist(model: nn.Module, dataset: Dataset, config: RunConfig, space: TargetSpace, world: World) -> None:
    """Predict this process's part of what the first one assesses. Raises what that raises of a prediction."""
    _predict(model, protocol(config.protocol).scored(dataset.test, config.frames), config, space, world)


def cutting(model: nn.Module, config: RunConfig) -> Cutting:
    """How test sequences are cut for ``model``: by its contract, as far as the protocol leaves that open.

    Raises BadInput where model, windows and protocol do not go together.
    """
    stated, rules = contract.of(model), protocol(config.protocol)
    if rules.clips is None:
        return stated.cutting(config.frames, config.windows)
    if rules.clips == "sliding":
        if config.windows in ("overlap-last", "whole"):
            raise BadInput(f"protocol {rules.name} has one window a frame; leave --windows out")
        return stated.cutting(config.frames, "sliding")
    if config.windows != "auto":
        raise BadInput(f"protocol {rules.name} says itself how clips are cut; leave --windows out")
    if stated.answers_for != "every":
        raise BadInput(
            f"{config.model} answers for the {stated.answers_for} frame of a clip alone; protocol {rules.name} scores"
            " every frame of its clips. Use --protocol all or videopose3d"
        )
    return rules.clips(config.frames)


def require_fitting(dataset: Dataset, config: RunConfig, space: TargetSpace) -> None:
    """Raises BadInput, before anything is computed, where data, protocol and the lifter's space do not go together.

    Or where the keypoints that are to be scored cannot be in their images: a training would be for nothing.
    """
    rules = protocol(config.protocol)
    for sequence in rules.scored(dataset.test, config.frames):
        model_input(sequence, config.in_channels)
    if rules.truth_of(dataset.space) == "image" and space.name == "camera":
        why = f"protocol {rules.name} measures" if rules.truth == "image" else f"{config.data} has its truth"
        raise BadInput(
            f"{why} in the image (2.5-D), but this lifter's answers are in camera space: train it with --space image,"
            " or use other data or another protocol"
        )
    if config.root == "subtracted" and rules.root == "kept":
        raise BadInput(f"protocol {rules.name} scores the pelvis as predicted; leave --root out or use --protocol all")
    if config.xy == "input" and space.name == "camera":
        raise BadInput("--xy input needs answers in the image; train with --space image or --recipe published")
    if not set(rules.pck_joints) <= set(dataset.joints):
        raise BadInput(
            f"protocol {rules.name} scores joints whose truth {config.data} does not have; use --protocol all"
        )
    if any(sequence.mm_per_pixel is not None and np.isnan(sequence.mm_per_pixel).any() for sequence in dataset.test):
        raise BadInput(
            f"{config.data}: the test sequences cannot be scored in millimetres: how many a pixel has is not known."
            " It is in the big pickle (2.5d_factor); put it beside"
        )


def require_precision(model: nn.Module, config: RunConfig) -> None:
    """Raises BadInput, from one forward of a copy, where ``model`` cannot be run in the config's precision."""
    if config.precision == FLOAT32:
        return
    example = torch.zeros(1, config.frames, JOINT_COUNT, config.in_channels, device=config.device)
    tried = in_precision(copy.deepcopy(model).to(config.device).eval(), config.precision, config.device)
    try:
        with torch.inference_mode():
            output = tried(example)
    except (RuntimeError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        why = str(error).strip().partition("\n")[0]
        raise BadInput(
            f"--precision {config.precision}: {config.model} cannot be run in it on {config.device} ({why}); use"
            f" --precision {FLOAT32}"
        ) from error
    contract.require_output_shape(model, config.model, output, example)


def describe(dataset: Dataset, spec: str) -> dict[str, Any]:
    """The record's ``data`` entry: names, sizes, and digests that prove what was trained and tested on."""
    return {
        "spec": spec,
        "name": dataset.name,
        "detector": dataset.detector,
        "digest_train": digest(dataset.train),
        "digest_test": digest(dataset.test),
        "train_sequences": len(dataset.train),
        "test_sequences": len(dataset.test),
        "train_frames": sum(map(len, dataset.train)),
        "test_frames": sum(map(len, dataset.test)),
        "notes": list(dataset.notes),
    }


def _predict(
    model: nn.Module, test: list[Sequence], config: RunConfig, space: TargetSpace, world: World
) -> list[list[Run]]:
    line = ProgressLine(f"evaluating {config.model}")

    def decode(output: NDArray[np.float32], frames: Sequence) -> NDArray[np.float64]:
        if config.xy == "input":
            xy = model_input(frames, in_channels=2)
            output = np.concatenate([xy - xy[:, ROOT : ROOT + 1], output[..., 2:]], axis=-1)
        return space.decode(output, frames)

    try:
        return predict.predict(
            in_precision(model, config.precision, config.device),
            test,
            cutting=cutting(model, config),
            inputs=lambda sequence: model_input(sequence, config.in_channels),
            decode=decode,
            flip=config.flip_test,
            device=config.device,
            progress=(lambda done, total: line.update(done / total)) if world.is_first else None,
            world=world,
        )
    except RunFailed as error:
        raise RunFailed(f"{config.model}: {error}") from error
    finally:
        line.close()


def _padding(test: list[Sequence], config: RunConfig) -> list[str]:
    short = [sequence for sequence in test if len(sequence) < config.frames]
    if not short:
        return []
    first = min(short, key=len)
    return [
        f"{len(short)} of {len(test)} test sequences are shorter than T = {config.frames} and filled up to it, such as "
        f"{first.name} with {len(first)} frames; what is filled up is not scored"
    ]


def _root_doubts(predictions: list[list[Run]], config: RunConfig, rules: Protocol) -> list[str]:
    if config.root == "subtracted" or rules.root == "kept":
        return []
    roots_mm = np.concatenate([run.poses_mm[:, ROOT] for runs in predictions for run in runs])
    distance_mm = float(np.linalg.norm(roots_mm, axis=-1).mean())
    if distance_mm <= _FAR_ROOT_MM:
        return []
    return [
        f"the predicted pelvis is {distance_mm:.0f} mm from the origin on average, where it is set to: weights that"
        " were not trained relative to the pelvis need --root subtracted"
    ]


def _signature(
    dataset: Dataset, test: list[Sequence], config: RunConfig, space: TargetSpace, scored: Scores, clips: str
) -> Signature:
    rules = protocol(config.protocol)
    subjects = tuple(sorted({sequence.subject for sequence in test}))
    masked = rules.frame_set == "all" and any(sequence.valid is not None for sequence in test)
    return Signature(
        protocol=rules.name,
        data=dataset.name,
        detector=dataset.detector,
        test=subjects if len(subjects) <= _NAMED_SUBJECTS else (f"{len(subjects)} subjects",),
        window=config.frames,
        frame_set="valid" if masked else rules.frame_set,
        scored_frames=scored.frames,
        clips=clips,
        blocked=len(dataset.test) - len(test),
        average=rules.average,
        joints=dataset.joints_name,
        root="0:kept" if rules.root == "kept" else "0:subtracted" if config.root == "subtracted" else "0",
        flip=config.flip_test,
        space=space.name,
        truth=rules.truth_of(dataset.space),
        xy=config.xy,
        padded_sequences=padded_sequences(map(len, test), config.frames),
        padding="resample" if clips == "split" else "edge",
        missing_truth_frames=scored.missing_truth_frames,
        precision=config.precision,
    )


def _cost(model: nn.Module, config: RunConfig) -> tuple[dict[str, Any], list[str]]:
    """The record's ``cost`` entry, and sentences about what in it is in doubt."""
    # The other processes of this run, which had their part of them, have left.
    torch.set_num_threads(config.threads)
    counted = counts.count(model, config.frames, config.in_channels)
    called = in_precision(model, config.precision, config.device)
    speed = inference.measure(called, config.frames, config.in_channels)
    doubts = [f"no formula for the operations of {name}" for name in counts.without_formula(counted)]
    if speed.verdict != "STABLE":
        doubts.append(f"inference speed is {speed.verdict}: {speed.reason}")
    return {
        **counted,
        "macs_fvcore_per_frame": counted["per_frame"]["macs_fvcore"],
        "scan_backend": models.scan_backend(model, config.device),
        "inference": speed.as_dict(),
        "inference_frames_per_s": speed.frames_per_s,
        "peak_memory_bytes": inference.peak_memory_bytes(called, config.frames, config.in_channels),
        "threads": torch.get_num_threads(),
    }, doubts
