"""A lifter that takes a stream frame by frame, and the same by a whole window for every frame."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks import lifter
from benchmarks.lifter import NOT_FINITE, Form
from benchmarks.turns import Peer, Row
from harness import allocator, contract
from harness.data.skeleton import JOINT_COUNT
from harness.errors import BadInput
from harness.measurement import memory
from harness.measurement.fresh_process import Result, Task

STEP, WINDOW = "step", "window for every frame"
#: How often a long stream is looked at; the first part of it warms up.
LOOKS = 100
#: Frames over which a stream is compared with the clip before anything is timed.
_COMPARED = 27


def build(model: str, frames: int) -> nn.Module:
    """``model`` in evaluation, weights by chance. Raises BadInput where it has no stream, or another than its clip."""
    built = lifter.build(Form(model), frames).eval()
    if not contract.streams(built):
        raise BadInput(f"{model} takes no stream: it reads later frames, or has no step; see harness show {model}")
    gap = contract.stream_gap(built, lifter.clips(model, 1, min(frames, _COMPARED)))
    if not gap < contract.STREAM_TOLERANCE:
        raise BadInput(f"{model} gives other poses as a stream than for the clip, by {gap:.0e}; see harness check")
    return built


def peers(model: str, frames: int, threads: int) -> Iterator[Peer]:
    """A step of the stream, and a forward of ``frames``, which is what a frame costs without one."""
    built, clip = build(model, frames), lifter.clips(model, 1, frames)
    ways: dict[str, Callable[[], Tensor]] = {STEP: Stream(built, clip), WINDOW: lambda: built(clip)[:, -1]}
    for name, call in ways.items():
        setting = {"threads": threads, "frames": frames, "model": model, "way": name}
        yield Peer(setting, torch.inference_mode()(call), _finite, threads)


def window(model: str, frames: int, threads: int) -> Peer:
    """A forward of ``frames`` of a lifter without a stream: of the last of them, or of all if it sees the future."""
    built, clip = lifter.build(Form(model), frames).eval(), lifter.clips(model, 1, frames)
    setting = {"threads": threads, "frames": frames, "model": model, "way": WINDOW}
    return Peer(setting, torch.inference_mode()(lambda: built(clip)), _finite, threads)


class Stream:
    """The clip's frames again and again, one a call."""

    def __init__(self, model: nn.Module, clip: Tensor) -> None:
        self._model, self._frames, self._next = model, clip.unbind(1), 0
        self._state: object = None

    def __call__(self) -> Tensor:
        """(B, J, 3)"""
        pose, self._state = self._model.step(self._frames[self._next], self._state)  # type: ignore[operator]
        self._next = (self._next + 1) % len(self._frames)
        return pose


def _finite(output: Tensor) -> Row:
    return {} if bool(torch.isfinite(output).all()) else {"trouble": NOT_FINITE}


def long(task: Task) -> Result:
    """``row`` of a stream of ``frames`` frames of lifter ``model`` by ``threads``: time and memory as it goes on.

    early_ms, late_ms    of a frame, in the second hundredth of the stream and in the last
    growth_bytes         resident size at the end above that after the second hundredth
    state_bytes          what the state holds, the same throughout, or this fails
    """
    torch.set_num_threads(task["threads"])
    allocator.keep_freed_memory()
    model = build(task["model"], task["frames"])
    draw = torch.Generator().manual_seed(0)
    frame = 0.5 * torch.randn(1, JOINT_COUNT, model.config.in_channels, generator=draw)  # type: ignore[union-attr]
    looked_ms: list[float] = []
    resident: list[int] = []
    sizes: set[int] = set()
    state, each = None, max(1, task["frames"] // LOOKS)
    with torch.inference_mode():
        for _ in range(LOOKS):
            start = time.perf_counter()
            for _ in range(each):
                # Another frame each time; in a range, or the numbers would become denormal or infinite.
                frame = (1.7 * frame + 0.1).sin()
                pose, state = model.step(frame, state)  # type: ignore[operator]
            looked_ms.append(1000 * (time.perf_counter() - start) / each)
            sizes.add(state_bytes(state))
            resident.append(memory.status_bytes("VmRSS"))
    if len(sizes) > 1 or not bool(torch.isfinite(pose).all()):
        return {"status": "failed", "error": f"{NOT_FINITE} or the state grows: {sorted(sizes)} bytes"}
    return {
        "status": "ok",
        "row": {
            "model": task["model"],
            "threads": task["threads"],
            "frames": each * LOOKS,
            "early_ms": looked_ms[1],
            "late_ms": looked_ms[-1],
            "growth_bytes": resident[-1] - resident[1],
            "state_bytes": sizes.pop(),
            "resident_bytes": resident,
            "looked_ms": looked_ms,
        },
    }


def state_bytes(state: object) -> int:
    """Of the memory behind all tensors that a state holds."""
    return sum({storage.data_ptr(): storage.nbytes() for storage in _storages(state)}.values())


def _storages(held: object) -> Iterator[torch.UntypedStorage]:
    if isinstance(held, Tensor):
        yield held.untyped_storage()
    elif isinstance(held, tuple | list):
        for part in held:
            yield from _storages(part)
    elif dataclasses.is_dataclass(held):
        yield from _storages(list(vars(held).values()))
