"""What is done to one point in its fresh process. ``run`` turns a task into a part of a measurement row."""

from __future__ import annotations

import contextlib
import functools
import math
import resource
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness import allocator, contract, models
from harness.data.skeleton import JOINT_COUNT
from harness.errors import BadInput, is_out_of_memory
from harness.measurement import counts, energy, ledger, machine, memory, samples, timing
from harness.measurement.fresh_process import Result, Task, failure
from harness.measurement.point import Point
from harness.measurement.timing import Protocol
from harness.precision import FLOAT32, in_precision

#: What a server of fresh processes imports beforehand; none of it computes anything.
PRELOAD = (
    "torch",
    "harness.measurement.worker",
    *sorted({entry.module for entry in models.MODELS.values()}),
)
#: In float32 the timed forward may differ from the first one by this much, over the output's root mean square.
MOST_DIFFERENCE = 1e-3
#: Forwards whose operators are timed one by one: so many, or fewer where they take so long.
_KIND_FORWARDS, _KIND_SECONDS = 7, 1.0

Call = Callable[[], Tensor]


class Unsupported(Exception):
    """The model, or this machine, cannot do what the point asks."""


def run(task: Task) -> Result:
    """One pass over one point.

    A task has ``pass`` (one of ``harness.store.measurement.PASSES``, or ``probe``: a single forward), ``point`` as in
    a row, ``seed`` of weights and clips, ``memory_limit_bytes`` (None: what is available now), and for a timing
    ``protocol`` as stored. Returns the row's ``status``, ``error``, ``warnings``, and what the pass found out.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("default", category)
        result = _finished(task)
    said = [str(warning.message).strip() for warning in caught]
    return {**result, "warnings": list(dict.fromkeys([*result.get("warnings", []), *said]))}


def _finished(task: Task) -> Result:
    try:
        _limit_memory(task)
        return {"status": "ok", **_PASSES[task["pass"]](task)}
    except Unsupported as error:
        return {"status": "unsupported", "error": str(error)}
    except Exception as error:  # a third party's model may raise anything
        if _is_missing_kernel(error):
            return {"status": "unsupported", "error": str(error).strip().splitlines()[0]}
        return failure(error)


def _is_missing_kernel(error: Exception) -> bool:
    """torch has no such operator for this precision or device, or torch.compile no compiler."""
    return (
        isinstance(error, NotImplementedError)
        or "not implemented for" in str(error)
        or type(error).__name__ in ("InvalidCxxCompiler", "CppCompileError")
    )


def _limit_memory(task: Task) -> None:
    """Let an allocation beyond the limit fail here, rather than the system kill what it likes.

    The limit is on data beyond what the process has now. Not on a GPU, whose driver reserves addresses without end.
    """
    point, limit = task["point"], task.get("memory_limit_bytes") or memory.available_bytes()
    if point["device"] != "cpu" or limit is None:
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (memory.status_bytes("VmData") + limit, hard))


@dataclass(frozen=True)
class Lifter:
    """A model ready to be called: ``call`` as the point asks, ``plainly`` in float32 and not compiled.

    ``stepping``: what takes the frames where a call is a step of the model's own and goes on from the one before.
    """

    model: nn.Module
    clips: Tensor
    call: Call
    plainly: Call
    output_frames: int
    stepping: _Stepping | None

    @property
    def weights_bytes(self) -> int:
        """Parameters and buffers."""
        kept = [*self.model.parameters(), *self.model.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)


def _prepare(task: Task) -> tuple[Point, Lifter]:
    point = Point.from_row(task)
    torch.set_num_threads(point.threads)
    torch.manual_seed(task["seed"])
    model = _built(point)
    generator = torch.Generator().manual_seed(task["seed"])
    batch = point.batch or 1
    clips = 0.5 * torch.randn(batch, point.frames, JOINT_COUNT, point.in_channels, generator=generator)  # (B, T, J, C)
    clips = clips.to(point.device)
    output_frames = 1 if point.streaming else contract.of(model).output_frames(point.frames)
    function = _streamed(point, model) if point.streaming else model
    stepping = function if isinstance(function, _Stepping) else None
    called = _compile(function) if point.compiled and stepping is None else function
    return point, Lifter(
        model=model,
        clips=clips,
        call=functools.partial(in_precision(called, point.precision, point.device), clips),
        plainly=lambda: function(clips),
        output_frames=output_frames,
        stepping=stepping,
    )


def _built(point: Point) -> nn.Module:
    try:
        model = models.build(point.model, point.frames, point.in_channels, **point.options)
        models.scan_backend(model, point.device)
    except (BadInput, ValueError) as error:
        raise Unsupported(str(error)) from error
    return model.eval().to(point.device)


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch._inductor.config as inductor

    inductor.compile_threads = 1  # otherwise processes that would be there beside what is timed, and after it
    compiled: Callable[..., Any] = torch.compile(function)
    return compiled


def _streamed(point: Point, model: nn.Module) -> Callable[[Tensor], Tensor]:
    """One new frame: the model's own ``step(frame, state) -> (pose, state)``, or a forward of the window up to it.

    frame (B, J, C), pose (B, J, 3); the state is None before the first frame.
    """
    if contract.streams(model):
        # The step alone: which frame it is for must not become a part of what is compiled.
        step: Any = model.step
        return _Stepping(_compile(step) if point.compiled else step)
    answers_for = contract.of(model).answers_for
    if answers_for != "last":
        frames = {"every": "every frame", "centre": "the centre frame"}[answers_for]
        raise Unsupported(
            f"{point.model} answers for {frames} of a clip, and so needs frames that have not come yet; streaming is "
            "for lifters that answer for the last frame, or have a step method"
        )
    return lambda clips: model(torch.cat((clips[:, 1:], clips[:, :1]), dim=1))  # the window moves on by a frame


class _Stepping:
    """Goes through the clip again and again, a frame a call, and keeps the model's state."""

    def __init__(self, step: Callable[[Tensor, Any], tuple[Tensor, Any]]) -> None:
        self._step = step
        self.begin()

    def begin(self) -> None:
        """A new stream, from the clip's first frame on."""
        self._state, self._next = None, 0

    def __call__(self, clips: Tensor) -> Tensor:
        pose, self._state = self._step(clips[:, self._next], self._state)
        self._next = (self._next + 1) % clips.shape[1]
        return pose[:, None]  # (B, 1, J, 3)


def _probe(task: Task) -> Result:
    """One forward and its duration: whether the batch fits. Of a compiled model, not the one that compiles it."""
    point, lifter = _prepare(task)
    synchronise = timing.synchroniser(point.device)
    with torch.inference_mode():
        if point.compiled:
            _compiled(lifter, synchronise)
        start = time.perf_counter()
        lifter.call()
        synchronise()
        return {"seconds": time.perf_counter() - start}


def _cost(task: Task) -> Result:
    """Counts, peak memory and time by kind; the model is timed last, with caches and buffers as they then are."""
    point, lifter = _prepare(task)
    reader = memory.reader_for(point.device)
    doubts: list[str] = []
    with torch.inference_mode():
        peak_bytes = memory.peak(lifter.call, reader)
        output = lifter.call()
        if not point.streaming:
            contract.require_output_shape(lifter.model, point.model, output, lifter.clips)
        kinds = None if point.compiled or point.streaming else _attempted("time by kind", doubts, _kinds, point, lifter)
    return {
        "counts": _attempted("counts", doubts, _counts, point, lifter),
        "kinds": kinds,
        "memory": {"peak_bytes": peak_bytes, "weights_bytes": lifter.weights_bytes, "reader": reader.name},
        "output_frames": lifter.output_frames,
        "scan_backend": models.scan_backend(lifter.model, point.device),
        "warnings": doubts,
    }


def _attempted(what: str, doubts: list[str], find: Callable[[Point, Lifter], Any], point: Point, lifter: Lifter) -> Any:
    """A model that cannot be counted can still be timed: the figure is absent, and it is said why."""
    try:
        return find(point, lifter)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        doubts.append(f"no {what}: {type(error).__name__}: {error}")
        return None


def _counts(point: Point, lifter: Lifter) -> dict[str, Any]:
    return counts.count(lifter.model, point.frames, point.in_channels)


def _kinds(point: Point, lifter: Lifter) -> dict[str, dict[str, Any]]:
    """Of the forward of median duration among a few: while its operators are timed one by one, a forward is slower."""
    model, synchronise = in_precision(lifter.model, point.precision, point.device), timing.synchroniser(point.device)
    forwards: list[ledger.Ledger] = []
    while len(forwards) < _KIND_FORWARDS and sum(one.total.seconds for one in forwards) < _KIND_SECONDS:
        forwards.append(ledger.timed(model, lifter.clips, clock=time.perf_counter, synchronise=synchronise))
    median = sorted(forwards, key=lambda one: one.total.seconds)[(len(forwards) - 1) // 2]
    fields = ("calls", "seconds", "flops", "transcendentals", "bytes")
    return {kind: {field: getattr(total, field) for field in fields} for kind, total in median.by_kind().items()}


def _timing(task: Task) -> Result:
    """The samples of one round. None are kept of an output that is wrong: no figure may mislead."""
    allocator.keep_freed_memory()
    point, lifter = _prepare(task)
    protocol, meter = Protocol(**task["protocol"]), energy.meter_for(point.device)
    synchronise = timing.synchroniser(point.device)
    with torch.inference_mode():
        compile_s = _compiled(lifter, synchronise) if point.compiled else None
        difference = _stepped(lifter, lifter.stepping) if lifter.stepping else None
        series = timing.sample(lifter.call, protocol, synchronise=synchronise, joules=meter.joules if meter else None)
        if series.trouble is None and not lifter.stepping:
            plain = point.precision == FLOAT32 and not point.compiled
            difference = _difference(series.last, series.first if plain else lifter.plainly())
    trouble = series.trouble or _output_trouble(point, series.last, difference)
    verdict, reason = _verdict(series, protocol, trouble)
    return {
        "timing": {
            "samples_ms": [] if trouble else list(series.samples_ms),
            "calls_per_sample": series.calls_per_sample,
            "warm_up_calls": series.warm_up_calls,
            "seconds": series.seconds,
            "compile_s": compile_s,
            "verdict": verdict,
            "reason": reason,
        },
        "energy": {"joules_per_call": series.joules_per_call, "meter": meter.name if meter else None},
        "output_frames": lifter.output_frames,
        "output_difference": difference if difference is not None and math.isfinite(difference) else None,
        "scan_backend": models.scan_backend(lifter.model, point.device),
    }


def _compiled(lifter: Lifter, synchronise: timing.Synchronise) -> float:
    start = time.perf_counter()
    lifter.call()
    synchronise()
    return time.perf_counter() - start


def _stepped(lifter: Lifter, stepping: _Stepping) -> float:
    """Steps through the whole clip against the forward of it."""
    stepping.begin()
    poses = [lifter.call() for _ in range(lifter.clips.shape[1])]
    return _difference(poses[-1], lifter.model(lifter.clips)[:, -1:])


def _difference(output: Tensor, reference: Tensor) -> float:
    """The largest, over the reference's root mean square."""
    scale = float(reference.float().square().mean().sqrt())
    return float((output.float() - reference.float()).abs().max()) / (scale or 1.0)


def _output_trouble(point: Point, output: Tensor, difference: float | None) -> str | None:
    if not bool(torch.isfinite(output).all()):
        return "the model's output is not finite"
    if point.precision == FLOAT32 and difference is not None and not difference <= MOST_DIFFERENCE:
        return f"the timed output is {difference:.1e} off the one that the model gives by itself"
    return None


def _verdict(series: timing.Series, protocol: Protocol, trouble: str | None) -> tuple[str, str]:
    found = samples.summarise([series.samples_ms]) if series.samples_ms else None
    return samples.judge(found, protocol.min_samples, trouble)


def _machine(task: Task) -> Result:
    point = task["point"]
    torch.set_num_threads(point["threads"])
    return {"machine": machine.measure(point["device"], point["threads"])}


_PASSES: Mapping[str, Callable[[Task], Result]] = {
    "cost": _cost,
    "timing": _timing,
    "probe": _probe,
    "machine": _machine,
}
