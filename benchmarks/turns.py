"""Peers that take turns in one process.

A sample is the mean of a block of calls that lasts 10 ms at least. In every turn each peer gives a sample, in random
order, so that whatever else the machine does falls on all of them alike: ratios hold where medians move. All samples
are of one process; what differs between processes is not in the interval of a median (``harness measure`` has it).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.measurement import samples, timing
from harness.measurement.samples import FEWEST, is_duration
from harness.measurement.timing import Clock, Protocol

Row = dict[str, Any]
#: Receives the share (0 to 1) of a piece of work that is done, and what is being done.
Tell = Callable[[float, str], None]
#: Figures beside the time from what a call returned; ``trouble`` among them makes the time worthless.
Inspect = Callable[[Any], Row]

#: Before the turns: a peer warms up, and the calls of a block are found.
_WARM_UP = Protocol(rounds=1, min_samples=1, min_seconds=0.0, warm_up_calls=5, warm_up_seconds=0.5)
#: A call as short as this is made once untimed before a block: what others left in the caches is not this peer's.
_SHORT_MS = 250.0
_CLOCK_TROUBLE = "the clock stood still or went backwards during a sample"


@dataclass(frozen=True)
class Effort:
    """``samples`` of each peer; fewer, but the 6 that an interval needs, where they would last over ``seconds``."""

    samples: int = 15
    seconds: float = 10.0

    def wanted(self, sample_ms: float) -> int:
        """How many samples a peer gives whose samples last so long."""
        return min(self.samples, max(FEWEST, int(1000 * self.seconds / sample_ms)))


@dataclass
class Peer:
    """One way to do the work on ``threads``: ``call`` does it once.

    setting     what its row begins with, and what tells it apart
    found       figures of it that are no times: those known before, and what ``inspect`` finds in the first result
    reason      why there is nothing: the call failed

    The rest is filled in as peers take turns.
    """

    setting: Row
    call: Callable[[], Any]
    inspect: Inspect
    threads: int
    found: Row = field(default_factory=dict)
    samples_ms: list[float] = field(default_factory=list)
    wanted: int = 0
    calls: int = 1
    call_ms: float = math.nan
    reason: str = ""

    @property
    def trouble(self) -> str | None:
        """Why its times are worthless, if they are."""
        return self.found.get("trouble")

    @property
    def described(self) -> str:
        """Its setting in words."""
        return ", ".join(f"{name} {value}" for name, value in self.setting.items() if value is not None)

    def run_on_its_threads(self) -> None:
        """Let torch use as many threads as are this peer's."""
        torch.set_num_threads(self.threads)

    def row(self) -> Row:
        """Everything about it; figures are None where there are none, the median of an INVALID one only for trouble."""
        found = samples.summarise([self.samples_ms]) if self.samples_ms and not self.trouble else None
        verdict, sentence = samples.judge(found, self.wanted, self.trouble)
        return {
            **self.setting,
            "median_ms": found and found.median_ms,
            "low_ms": found and found.low_ms,
            "high_ms": found and found.high_ms,
            "spread": found and found.spread,
            "verdict": verdict,
            # What follows a semicolon is advice for another command.
            "why": self.trouble or sentence.partition(";")[0],
            "samples_wanted": self.wanted,
            "calls_per_sample": self.calls,
            **self.found,
            "samples_ms": [round(sample, 6) for sample in self.samples_ms],
        }


def take_turns(
    peers: Sequence[Peer], effort: Effort, tell: Tell, *, clock: Clock = time.perf_counter, seed: int = 0
) -> None:
    """Fill in the samples of all ``peers``; one that fails has a ``reason`` instead. Ctrl-C leaves what there is."""
    for peer in peers:
        tell(0.0, f"warming up {peer.described}")
        _prepare(peer, effort, clock)
    ready = [peer for peer in peers if not peer.reason and not peer.trouble]
    turns = max((peer.wanted for peer in ready), default=0)
    whole_ms = sum(peer.wanted * peer.calls * peer.call_ms for peer in ready)
    done_ms, order = 0.0, random.Random(seed)
    for turn in range(turns):
        # A slow peer's few samples are spread over all turns.
        due = [peer for peer in ready if peer.wanted * (turn + 1) // turns > peer.wanted * turn // turns]
        for peer in order.sample(due, len(due)):
            tell(done_ms / whole_ms, peer.described)
            _sample(peer, clock)
            done_ms += peer.calls * peer.call_ms


def _prepare(peer: Peer, effort: Effort, clock: Clock) -> None:
    peer.run_on_its_threads()
    try:
        series = timing.sample(peer.call, _WARM_UP, clock=clock)
        peer.found |= peer.inspect(series.last)
    except Exception as error:  # a peer may lack anything, the others go on
        peer.reason = f"{type(error).__name__}: {error}".strip(": ")
        return
    if series.trouble:
        peer.found["trouble"] = series.trouble
        return
    peer.calls, peer.call_ms = series.calls_per_sample, series.samples_ms[-1]
    peer.wanted = effort.wanted(peer.calls * peer.call_ms)


def _sample(peer: Peer, clock: Clock) -> None:
    peer.run_on_its_threads()
    if peer.call_ms < _SHORT_MS:
        peer.call()
    start = clock()
    for _ in range(peer.calls):
        peer.call()
    sample_ms = 1000 * (clock() - start) / peer.calls
    if is_duration(sample_ms):
        peer.samples_ms.append(sample_ms)
    else:
        peer.found["trouble"] = _CLOCK_TROUBLE
