"""What a lifter says of itself, and what it must do to be measured here.

The contract: ``(B, T, J, C) -> (B, K, J, 3)``, finite, the same answer twice in eval mode, every clip for itself,
gradients for its parameters. K is T, or 1 for a lifter that answers for one frame of the clip. One that sees no later
frame may have ``step``, which takes a stream frame by frame (see ``streams``). What differs from the
default ``Contract`` a lifter states as attributes of its ``config``, or of the module where it has no config.
``harness check --model package.module:attribute`` prints the findings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from harness.data.clips import Cutting, overlap_last, sliding, whole
from harness.data.skeleton import JOINT_COUNT
from harness.errors import BadInput, suggestion

#: How far a stream may be from the clip, see ``stream_gap``.
STREAM_TOLERANCE = 1e-5
WINDOWS = ("auto", "overlap-last", "sliding", "whole")


@dataclass(frozen=True)
class Contract:
    """How a lifter is used; the harness does the rest.

    answers_for        ``every`` frame of the clip, or the ``centre`` or ``last`` one alone: K = T or K = 1
    other_frames       which clips other than the T it was built for one set of weights takes: ``none``, ``fewer``
                       frames, ``any`` number, or ``more`` (valid convolutions: one answer for each position)
    auxiliary          whether ``model(clips, auxiliary=True)`` gives the poses (B, T, J, 3) of all frames as a second
                       output, which takes part in the training loss
    target_space       space of the authors' training, see harness.data.normalise
    published_scoring  the frames that the authors score: ``every``, or the ``centre`` though every frame comes out
    published_root     whether the authors set the predicted pelvis to the true one (``zeroed``) or not (``predicted``)
    """

    answers_for: str = "every"
    other_frames: str = "none"
    auxiliary: bool = False
    target_space: str = "camera"
    published_scoring: str = "every"
    published_root: str = "zeroed"

    def __post_init__(self) -> None:
        for name, known in _WORDS.items():
            if (word := getattr(self, name)) not in known:
                raise BadInput(f"{name} is {word!r}. {suggestion(str(word), known)}One of: {', '.join(known)}")

    def position(self, frames: int) -> int | None:
        """Of the one frame among ``frames`` that it answers for; None where it answers for all of them."""
        return {"every": None, "centre": (frames - 1) // 2, "last": frames - 1}[self.answers_for]

    def output_frames(self, frames: int) -> int:
        """K for a clip of the ``frames`` frames it was built for."""
        return frames if self.answers_for == "every" else 1

    def cutting(self, frames: int, windows: str = "auto") -> Cutting:
        """How sequences are cut for it. ``windows`` is ``auto``, ``overlap-last``, ``sliding`` (one window a frame),
        or ``whole`` (each sequence one clip).

        Raises BadInput for another word, and for windows that it cannot answer for.
        """
        if windows not in WINDOWS:
            raise BadInput(f"unknown windows {windows!r}. {suggestion(windows, WINDOWS)}One of: {', '.join(WINDOWS)}")
        position = self.position(frames)
        if windows == "whole":
            if self.other_frames != "any" or position is not None:
                raise BadInput(
                    f"--windows whole is for lifters that take any number of frames; this one: {self.other_frames}"
                )
            return whole()
        if position is None:
            return sliding(frames, (frames - 1) // 2, "all") if windows == "sliding" else overlap_last(frames)
        if windows == "overlap-last":
            raise BadInput(f"this lifter answers for the {self.answers_for} frame alone; use --windows sliding")
        outputs: Literal["run", "position"] = "run" if self.other_frames == "more" else "position"
        return sliding(frames, position, outputs, f"sliding-{self.answers_for}")


_WORDS = {
    "answers_for": ("every", "centre", "last"),
    "other_frames": ("none", "fewer", "any", "more"),
    "target_space": ("camera", "image"),
    "published_scoring": ("every", "centre"),
    "published_root": ("zeroed", "predicted"),
}


def of(lifter: object) -> Contract:
    """The contract that a model, or its config, states. Raises BadInput for a word that is none of the contract's."""
    config = getattr(lifter, "config", None)
    stated = {
        field.name: getattr(holder, field.name)
        for field in dataclasses.fields(Contract)
        for holder in (config, lifter)
        if hasattr(holder, field.name)
    }
    return Contract(**stated)


def streams(lifter: object) -> bool:
    """Whether it takes frames one by one: ``step(frame (B, J, C), state) -> (pose (B, J, 3), state)``.

    The state is None before the first frame. A lifter of which only some sizes stream says so by ``is_causal`` of its
    config.
    """
    has_step = callable(getattr(type(lifter), "step", None))  # a method, no tensor or layer of that name
    return has_step and getattr(getattr(lifter, "config", None), "is_causal", True)


@dataclass(frozen=True)
class Finding:
    """One line of the contract: what was checked, whether it holds, and what was seen."""

    name: str
    holds: bool
    detail: str


def require_output_shape(model: nn.Module, name: str, output: object, clips: Tensor) -> Tensor:
    """``output`` as a tensor of the contract's shape for ``clips`` (B, T, J, C). Raises BadInput otherwise."""
    stated = of(model)
    batch, frames, joints, _ = clips.shape
    expected = (batch, stated.output_frames(frames), joints, 3)
    words = f"(B, {'T' if stated.answers_for == 'every' else '1'}, {JOINT_COUNT}, 3) = {expected}"
    if not isinstance(output, Tensor):
        raise BadInput(f"{name} returned {type(output).__name__}; the contract is one tensor {words}")
    if tuple(output.shape) != expected:
        one_frame = tuple(output.shape) == (batch, 1, joints, 3)
        remedy = "If it answers for one frame, give it the attribute answers_for = 'centre' or 'last'. " * one_frame
        raise BadInput(f"{name} returned {tuple(output.shape)}; the contract is {words}. {remedy}See harness check")
    return output


def check(model: nn.Module, name: str, frames: int, in_channels: int) -> list[Finding]:
    """Every line of the contract for ``model``; an exception inside it is a finding, not a crash."""
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(2, frames, JOINT_COUNT, in_channels, generator=generator) * 0.5
    lines: list[tuple[str, Callable[[], tuple[bool, str]]]] = [
        ("output shape", lambda: _shape(model, name, clips)),
        ("finite output", lambda: _finite(model, clips)),
        ("same answer twice", lambda: _repeatable(model, clips)),
        ("clips do not influence each other", lambda: _independent(model, clips)),
        ("gradients reach the parameters", lambda: _trainable(model, clips)),
        ("auxiliary output", lambda: _auxiliary(model, clips)),
        ("other numbers of frames", lambda: _other_frames(model, clips)),
        ("state can be saved and loaded", lambda: _reloadable(model)),
    ]
    if streams(model):
        lines.append(("a stream is the clip", lambda: _streams(model, clips)))
    model.eval()
    return [_finding(line, look) for line, look in lines]


def _finding(line: str, look: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        holds, detail = look()
    except Exception as error:  # a third party's code may raise anything, and that is what is being found out
        return Finding(line, False, f"{type(error).__name__}: {error}")
    return Finding(line, holds, detail)


def _shape(model: nn.Module, name: str, clips: Tensor) -> tuple[bool, str]:
    with torch.no_grad():
        return True, str(tuple(require_output_shape(model, name, model(clips), clips).shape))


def _finite(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    with torch.no_grad():
        wrong = int((~torch.isfinite(model(clips))).sum())
    return wrong == 0, f"{wrong} values are not finite"


def _repeatable(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    with torch.no_grad():
        gap = float((model(clips) - model(clips)).abs().max())
    return gap == 0, f"two calls differ by at most {gap:.1e}"


def _independent(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    with torch.no_grad():
        gap = float((model(clips)[:1] - model(clips[:1])).abs().max())
    return gap < 1e-4, f"a clip alone and in a batch differ by at most {gap:.1e}"


def _trainable(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    model.train()
    try:
        model(clips).square().mean().backward()
    finally:
        model.eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    reached = sum(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in parameters)
    model.zero_grad(set_to_none=True)
    return reached > 0, f"{reached} of {len(parameters)} parameter tensors get a finite gradient"


def _auxiliary(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    if not of(model).auxiliary:
        return True, "none stated"
    with torch.no_grad():
        output, whole = model(clips, auxiliary=True)
        same = torch.equal(output, model(clips))
    return same and whole.shape == (*clips.shape[:3], 3), f"{tuple(whole.shape)} beside {tuple(output.shape)}"


def _other_frames(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    """Whether the clips that it says it takes really pass."""
    stated, frames = of(model), clips.shape[1]
    lengths: dict[str, list[int]] = {
        "none": [],
        "fewer": [frames - 1],
        "any": [frames - 1, frames + 1],
        "more": [frames + 1],
    }
    run = stated.other_frames == "more"
    tried = {length: 2 if run else stated.output_frames(length) for length in lengths[stated.other_frames] if length}
    with torch.no_grad():
        came = {length: model(clips[:, torch.arange(length) % frames]).shape[1] for length in tried}
    seen = ", ".join(f"{length} frames give {answers}" for length, answers in came.items())
    return came == tried, f"{stated.other_frames} stated; {seen or 'nothing to try'}"


def stream_gap(model: nn.Module, clips: Tensor) -> float:
    """How far its stream of ``clips`` (B, T, J, C), frame by frame, is from its answer to them as clips.

    The largest difference, over the largest answer where that is above 1; for a model that streams, in eval mode.
    """
    poses: list[Tensor] = []
    state: object = None
    with torch.no_grad():
        for frame in clips.unbind(1):
            pose, state = model.step(frame, state)  # type: ignore[operator]
            poses.append(pose)
        whole = model(clips)
    return float((torch.stack(poses, dim=1) - whole).abs().max()) / max(1.0, float(whole.abs().max()))


def _streams(model: nn.Module, clips: Tensor) -> tuple[bool, str]:
    gap = stream_gap(model, clips)
    return gap < STREAM_TOLERANCE, f"frame by frame and as a clip differ by at most {gap:.1e}"


def _reloadable(model: nn.Module) -> tuple[bool, str]:
    state = model.state_dict()
    model.load_state_dict(state)
    return bool(state), f"{len(state)} entries"
