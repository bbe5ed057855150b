"""From sequences to predicted poses: cut into clips, run the lifter, put its answers to their frames.

B batch, T frames, J joints, C channels. Clips of all sequences share batches. With ``flip`` the prediction is the
mean of f(x) and flip(f(flip(x))), the field's test-time augmentation: flip negates the first channel and exchanges
the left and the right joints (VideoPose3D, MotionBERT).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from collections.abc import Sequence as List
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data.clips import Cutting, Window
from harness.data.sequence import FloatArray, Sequence
from harness.data.skeleton import JOINT_COUNT, JOINT_NAMES, MIRRORED, ROOT
from harness.errors import BadInput, RunFailed
from harness.precision import Autocast
from harness.world import ALONE, World

Inputs = Callable[[Sequence], FloatArray]
Decode = Callable[[FloatArray, Sequence], NDArray[np.floating]]
Progress = Callable[[int, int], None]
#: What becomes of the predicted pelvis, see ``rooted``.
Root = Literal["zeroed", "subtracted", "kept"]
#: A clip and the number of the sequence it is cut from.
Clip = tuple[int, Window]


@dataclass(frozen=True, eq=False)
class Run:
    """Answers that belong together: ``frames`` (K,) of a sequence and their ``poses_mm`` (K, 17, 3).

    Where every frame is scored once, one run has all of a sequence's; otherwise each clip has its own, in which frames
    may come twice and may have been answered for by another clip as well.
    """

    frames: NDArray[np.intp]
    poses_mm: NDArray[np.floating]


#: What a lifter says to one clip, and the number of the sequence that it is of.
_Answer = tuple[int, Run]


def predict(
    model: nn.Module,
    sequences: List[Sequence],
    *,
    cutting: Cutting,
    inputs: Inputs,
    decode: Decode,
    flip: bool = True,
    batch_size: int = 32,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    world: World = ALONE,
) -> list[list[Run]]:
    """What ``model`` answers for the valid frames of every sequence, in millimetres, the pelvis as predicted.

    ``cutting`` says which clips ``model`` reads and which frames it answers for. ``model`` is moved to ``device``; its
    modules' training modes are as before afterwards. Whatever precision its answers come in, they are taken to float32
    before anything is done with them. ``inputs(sequence)`` is (T, 17, C), ``decode(output, frames)`` takes the model's
    (K, 17, 3) to millimetres. ``progress(done, total)`` is called after each batch with numbers of clips.

    The processes of a ``world`` take the batches in turn, each batch as a single process would have it, so that the
    answers are the same to the last bit; the first process gets all of them, the others nothing.

    Raises BadInput for an input that is not finite (sequence, frame and joint named) or an output of another shape
    than (B, K, 17, 3) with the K frames of the cutting, RunFailed for an output that is not finite (sequence and frame
    named).
    """
    if batch_size < 1:
        raise BadInput(f"a batch of {batch_size} clips cannot be run; it must be at least 1")
    if cutting.alone:
        batch_size = 1
    arrays = [_checked_input(inputs(sequence), sequence) for sequence in sequences]
    runs: list[list[Run]] = [[] for _ in sequences]
    clips = ((number, window) for number, array in enumerate(arrays) for window in cutting.windows(len(array)))
    # The others' frames are what these windows see beside their own.
    clips = ((number, window) for number, window in clips if _is_scored(window, sequences[number]))
    total = sum(cutting.count(len(array)) for array in arrays)
    done = 0
    own: list[list[_Answer]] = []
    with _evaluating(model.to(device)):
        # One window a frame would fill the memory before the first is run, so they are made as they are needed.
        for place in itertools.count():
            if not (batch := list(itertools.islice(clips, batch_size))):
                break
            done += len(batch)
            if place % world.size != world.rank:
                continue
            lifted = _lift(model, _stack(arrays, batch).to(device), len(batch[0][1].answers), flip)  # (B, K, J, 3)
            own.append(
                [
                    (number, Run(window.answers[window.scored], output[window.scored]))
                    for (number, window), output in zip(batch, lifted, strict=True)
                ]
            )
            if progress:
                progress(min(done, total), total)
    parts = world.gathered(own)
    if not world.is_first:
        return []
    for number, run in _in_turn(parts):
        runs[number].append(run)
    return [
        [_decoded(run, sequence, decode) for run in (_joined(answers) if cutting.once else answers)]
        for answers, sequence in zip(runs, sequences, strict=True)
    ]


def _in_turn(parts: List[List[List[_Answer]]]) -> Iterator[_Answer]:
    """The answers of all batches in their order: of each process's there is one, then the next of each."""
    for batches in itertools.zip_longest(*parts, fillvalue=[]):
        for batch in batches:
            yield from batch


def _is_scored(window: Window, sequence: Sequence) -> bool:
    return sequence.valid is None or bool(sequence.valid[window.answers[window.scored]].any())


def _joined(answers: list[Run]) -> list[Run]:
    """One run of all; the windows that it comes from do not overlap and are in order."""
    if not answers:
        return []
    return [Run(np.concatenate([run.frames for run in answers]), np.concatenate([run.poses_mm for run in answers]))]


def flipped(poses: Tensor) -> Tensor:
    """``poses`` (..., J, C) seen in a mirror: the first channel negated, left and right joints exchanged."""
    mirrored = poses[..., torch.as_tensor(MIRRORED, device=poses.device), :]  # a copy
    mirrored[..., 0] *= -1
    return mirrored


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        # Module by module: model.train() would wake layers that the caller had frozen.
        for module, training in modes:
            module.training = training


def _stack(arrays: list[FloatArray], batch: list[Clip]) -> Tensor:
    return torch.from_numpy(np.stack([arrays[number][window.indices] for number, window in batch]))  # (B, T, J, C)


def _lift(model: nn.Module, clips: Tensor, frames: int, flip: bool) -> FloatArray:
    output = _checked_output(model, clips, frames)
    if flip:
        output = (output + flipped(_checked_output(model, flipped(clips), frames))) / 2
    return output.cpu().numpy()


def _checked_output(model: nn.Module, clips: Tensor, frames: int) -> Tensor:
    output = model(clips)
    expected = (len(clips), frames, JOINT_COUNT, 3)
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != expected:
        lifter = model.function if isinstance(model, Autocast) else model
        raise BadInput(
            f"{type(lifter).__name__} returned {shape}; the contract is (B, {frames} frames, {JOINT_COUNT}, 3) = "
            f"{expected}. See harness check"
        )
    return output.float()


def _checked_input(array: FloatArray, sequence: Sequence) -> FloatArray:
    finite = np.isfinite(array)
    if not finite.all():
        frame, joint, channel = np.argwhere(~finite)[0]
        raise BadInput(
            f"{sequence.name}: the 2D input is not finite at frame {frame}, joint {joint} ({JOINT_NAMES[joint]}), "
            f"channel {channel}; fill the detection in or leave the sequence out"
        )
    return array


def rooted(run: Run, root: Root) -> Run:
    """The run with its predicted pelvis ``zeroed`` (set to the origin, where the training had it), ``subtracted`` from
    all joints (for lifters trained without a pelvis at the origin), or ``kept``."""
    if root == "kept":
        return run
    if root == "subtracted":
        return Run(run.frames, run.poses_mm - run.poses_mm[:, ROOT : ROOT + 1])
    poses_mm = run.poses_mm.copy()
    poses_mm[:, ROOT] = 0
    return Run(run.frames, poses_mm)


def _decoded(run: Run, sequence: Sequence, decode: Decode) -> Run:
    broken = np.flatnonzero(~np.isfinite(run.poses_mm).all(axis=(1, 2)))
    if broken.size:
        raise RunFailed(
            f"{sequence.name}: the prediction is not finite at frame {run.frames[broken[0]]} "
            f"({broken.size} of {len(run.frames)} frames); nothing is scored"
        )
    return Run(run.frames, decode(run.poses_mm.astype(np.float32), sequence.at(run.frames)))
