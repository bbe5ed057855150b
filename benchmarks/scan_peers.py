"""Who takes part in the benchmark of the scan: its inputs, the peers, and what they should come to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks import cross_scan, instruction_set, numba_scan, published_loop
from benchmarks.report import Skipped
from benchmarks.turns import Inspect, Peer, Row
from harness.measurement.ledger import Ledger
from posemamba import native
from posemamba.scan import selective_scan

DIRECTIONS, STATES, JOINTS = 4, 16, 17
FORWARD, BOTH = "forward", "forward and backward"
UNBIND, PUBLISHED_UNBIND, PUBLISHED = "unbind", "published, unbind", "published"
CHUNKED, NUMBA = "chunked", "numba"
BY_CHANNEL, BY_TOKEN = "native, by channel", "native, by token"
CROSS, PLAIN_CROSS = "cross scan", "cross scan, plain"
NOT_FINITE = "the result is not finite"

Scan = Callable[[Sequence[Tensor]], Tensor]


class Size(NamedTuple):
    """What is scanned: (batch, K * channels, 17 frames)."""

    batch: int
    channels: int
    frames: int

    @property
    def state_elements(self) -> int:
        return self.batch * DIRECTIONS * self.channels * JOINTS * self.frames * STATES

    def __str__(self) -> str:
        return f"B, D, T = {self.batch}, {self.channels}, {self.frames}"


class Exact(NamedTuple):
    """Output and gradients in float64 for the output's gradient ``dy``."""

    dy: Tensor
    y: Tensor
    gradients: list[Tensor]


@dataclass(frozen=True)
class Contender:
    """A peer before it is timed: ``scan`` of ``inputs``; the gradient ``dy`` of its output lies in memory as it does.

    no_backward      why only its forward is timed, "" where both are
    backward_once    its backward takes so long that it is timed on the first number of threads alone
    instructions     that the native kernels use in both passes, None for the others
    """

    name: str
    scan: Scan
    inputs: Sequence[Tensor]
    dy: Tensor
    exact: Exact
    no_backward: str = ""
    backward_once: bool = False
    instructions: str | None = None

    def skips(self, name: str, threads: int, first_threads: int) -> str:
        """Why a pass is not timed on so many threads, "" where it is."""
        if name == FORWARD:
            return ""
        once = "only on the first of --threads, since it takes a minute on each"
        return self.no_backward or (once if self.backward_once and threads != first_threads else "")


# ---- what is scanned ----


def made_up(size: Size) -> list[Tensor]:
    """u, delta, A, B, C, D, delta_bias with the steps and rates of a freshly initialised Mamba."""
    torch.manual_seed(0)
    rows, tokens = DIRECTIONS * size.channels, JOINTS * size.frames
    shared = (size.batch, DIRECTIONS, STATES, tokens)
    rate = -torch.arange(1, STATES + 1).float().repeat(rows, 1)
    u, delta = torch.randn(size.batch, rows, tokens), torch.randn(size.batch, rows, tokens) - 4
    return [u, delta, rate, torch.randn(shared), torch.randn(shared), torch.ones(rows), torch.zeros(rows)]


def by_token(tensor: Tensor) -> Tensor:
    """(B, ..., L) in the memory of a contiguous (B, L, ...); what has no tokens stays."""
    return tensor.movedim(-1, 1).contiguous().movedim(1, -1) if tensor.ndim > 2 else tensor


def ours(backend: str) -> Scan:
    """One of the repository's backends."""

    def scan(inputs: Sequence[Tensor]) -> Tensor:
        u, delta, A, B, C, D, delta_bias = inputs
        return selective_scan(u, delta, A, B, C, D, delta_bias, delta_softplus=True, backend=backend)

    return scan


def exact(scan: Scan, inputs: Sequence[Tensor]) -> Exact:
    """Of ``scan`` in float64."""
    leaves = [tensor.double().requires_grad_() for tensor in inputs]
    y = scan(leaves)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return Exact(dy, y.detach(), list(torch.autograd.grad(y, leaves, dy.double())))


def work(size: Size) -> dict[str, Row]:
    """Pass -> state elements, and operations and exponentials as ``harness count`` has them."""
    found = {}
    with FakeTensorMode():
        for name, with_gradient in ((FORWARD, False), (BOTH, True)):
            leaves = [tensor.requires_grad_(with_gradient) for tensor in made_up(size)]
            with Ledger() as ledger:
                y = ours("auto")(leaves)
                if with_gradient:
                    torch.autograd.grad(y, leaves, torch.empty_like(y))
            counted = {"flops_exact": ledger.total.flops, "exponentials": ledger.total.transcendentals}
            found[name] = {"state_elements": size.state_elements, **counted}
    return found


def relative_error(results: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    """The largest difference over the largest number, of the worst tensor."""
    pairs = zip(results, right, strict=True)
    return max(((result - one).abs().max() / one.abs().max()).item() for result, one in pairs)


# ---- who takes part ----


def contenders(size: Size, loop_frames: int, quadratic_frames: int) -> tuple[list[Contender], list[Skipped]]:
    """All of one size, a native one before those with older instructions, and those that are left out.

    The definition in float64 is the loop, or ``chunked`` where T is above ``loop_frames``.
    """
    inputs, looped = made_up(size), size.frames <= loop_frames
    definition = exact(ours("reference" if looped else CHUNKED), inputs)
    found, skipped = [Contender(CHUNKED, ours(CHUNKED), inputs, definition.dy, definition)], []
    if looped:
        found += _loops(inputs, definition, size.frames, quadratic_frames)
    else:
        loops = f"{UNBIND}, {PUBLISHED_UNBIND}, {PUBLISHED}; {size}"
        skipped.append(Skipped(loops, f"T above --loop-frames {loop_frames}"))
    if reason := numba_scan.missing():
        skipped.append(Skipped(f"{NUMBA}; {size}", reason))
    else:
        found.append(_numba(inputs, definition))
    if reason := native.missing():
        skipped.append(Skipped(f"native, cross scan; {size}", reason))
    else:
        found += [*_native(inputs, definition), *_cross(size, "reference" if looped else CHUNKED)]
    return found, skipped


def _loops(inputs: list[Tensor], definition: Exact, frames: int, quadratic_frames: int) -> Iterator[Contender]:
    given = (inputs, definition.dy, definition)
    yield Contender(UNBIND, ours("reference"), *given)
    yield Contender(PUBLISHED_UNBIND, lambda tensors: published_loop.by_unbind(*tensors), *given)
    why = f"quadratic in L, ten seconds a call at T = 27; T is above --quadratic-frames {quadratic_frames}"
    slices: Scan = lambda tensors: published_loop.by_slices(*tensors)  # noqa: E731
    yield Contender(PUBLISHED, slices, *given, no_backward=why * (frames > quadratic_frames), backward_once=True)


def _numba(inputs: list[Tensor], definition: Exact) -> Contender:
    arranged = [*inputs[:3], *map(by_token, inputs[3:5]), *inputs[5:]]
    why = "the kernel here is a forward pass alone"
    scan: Scan = lambda tensors: numba_scan.selective_scan(*tensors)  # noqa: E731
    return Contender(NUMBA, scan, arranged, definition.dy, definition, no_backward=why)


def _native(inputs: list[Tensor], definition: Exact) -> Iterator[Contender]:
    scan, arranged, dy = ours("native"), [by_token(tensor) for tensor in inputs], by_token(definition.dy)
    best = native.instruction_set()
    yield Contender(BY_CHANNEL, scan, inputs, definition.dy, definition, instructions=best)
    for name in instruction_set.usable():
        yield Contender(BY_TOKEN, scan, arranged, dy, definition, instructions=name)


def _cross(size: Size, backend: str) -> Iterator[Contender]:
    inputs = cross_scan.made_up(*size, JOINTS, STATES)
    definition = exact(lambda tensors: cross_scan.plain(tensors, backend), inputs)
    plain: Scan = lambda tensors: cross_scan.plain(tensors, "native")  # noqa: E731
    best = native.instruction_set()
    yield Contender(PLAIN_CROSS, plain, inputs, definition.dy, definition, instructions=best)
    for name in instruction_set.usable():
        yield Contender(CROSS, cross_scan.fused, inputs, definition.dy, definition, instructions=name)


# ---- ready to take turns ----


def peers(size: Size, found: Sequence[Contender], threads: Sequence[int]) -> tuple[list[Peer], list[Skipped]]:
    """Every contender's passes on every number of threads, and which are left out."""
    works, bests = work(size), dict[tuple[str, str], list[Tensor]]()
    made, skipped = [], []
    for name, number, one in itertools.product((FORWARD, BOTH), threads, found):
        if why := one.skips(name, number, threads[0]):
            skipped.append(Skipped(f"{one.name}, {name}, threads {number}; {size}", why))
            continue
        setting = {"threads": number, **size._asdict(), "pass": name, "peer": one.name}
        setting["instructions"] = one.instructions
        made.append(Peer(setting, call(one, name), inspect(one, name, bests), number, dict(works[name])))
    return made, skipped


def inspect(one: Contender, name: str, bests: dict[tuple[str, str], list[Tensor]]) -> Inspect:
    """The error, and for the native kernels the difference from the first result of their name in ``bests``."""

    def found(results: list[Tensor]) -> Row:
        if not all(bool(torch.isfinite(result).all()) for result in results):
            return {"trouble": NOT_FINITE}
        right = [one.exact.y] if name == FORWARD else one.exact.gradients
        figures: Row = {"relative_error": relative_error(results, right)}
        if one.instructions:
            best = bests.setdefault((one.name, name), results)
            figures["difference_from_best"] = relative_error(results, best)
        return figures

    return found


def call(one: Contender, name: str) -> Callable[[], list[Tensor]]:
    """The pass: the output without gradients, or the gradients of all inputs."""
    leaves = [tensor.detach().requires_grad_(name == BOTH) for tensor in one.inputs]

    def forward() -> list[Tensor]:
        with torch.no_grad(), instructions():
            return [one.scan(leaves)]

    def both() -> list[Tensor]:
        with instructions():
            return list(torch.autograd.grad(one.scan(leaves), leaves, one.dy))

    def instructions() -> AbstractContextManager[None]:
        return instruction_set.using(one.instructions) if one.instructions else nullcontext()

    return forward if name == FORWARD else both
