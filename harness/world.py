"""The processes that work on one run together, each with a device of its own.

The first of them (rank 0) says what is done, reads checkpoints and writes; the others compute their share. Whatever
goes between processes beside gradients lies in main memory and goes over gloo. ``harness.placement`` says which of them
this one is, ``harness.process_group`` brings them together.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed

from harness.errors import BadInput, FirstFailed, HarnessError, Interrupted, ProcessLost, is_out_of_memory

Value = TypeVar("Value")

#: Key in the group's store of what a process that fails leaves for the others.
_TROUBLE = "trouble"


@dataclass(frozen=True)
class World:
    """Process ``rank`` of ``size``; ``local_rank`` of ``local_size`` on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def device(self, asked: str) -> torch.device:
        """This process's own of the kind that was asked for."""
        if self.is_alone or asked == "cpu":
            return torch.device(asked)
        # A scheduler may show each process nothing but its own.
        return torch.device("cuda:0" if torch.cuda.device_count() == 1 else f"cuda:{self.local_rank}")

    def threads(self, of_run: int) -> int:
        """This process's part of the threads that a run takes on one machine."""
        return max(1, of_run // self.local_size)

    def sums(self, values: Sequence[float]) -> list[float]:
        """Each of ``values`` added up over all processes, by rank: the same to the last bit in all of them."""
        if self.is_alone:
            return list(values)
        own = torch.tensor(values, dtype=torch.float64)
        parts = [torch.empty_like(own) for _ in range(self.size)]
        with self.speaking():
            torch.distributed.all_gather(parts, own)
        return [float(value) for value in torch.stack(parts).sum(dim=0)]

    def gathered(self, value: Value) -> list[Value]:
        """In the first process what every process has, by rank; nothing in the others."""
        if self.is_alone:
            return [value]
        parts: list[Any] | None = [None] * self.size if self.is_first else None
        with self.speaking():
            torch.distributed.gather_object(value, parts)
        return parts or []

    def of_all(self, value: Value) -> list[Value]:
        """What every process has, by rank, in all of them."""
        parts: list[Any] = [value] * self.size
        if not self.is_alone:
            with self.speaking():
                torch.distributed.all_gather_object(parts, value)
        return parts

    def of_first(self, compute: Callable[[], Value]) -> Value:
        """What ``compute`` gives in the first process, where alone it is called.

        Raises there what it raises, and FirstFailed in the others.
        """
        if self.is_alone:
            return compute()
        told: list[Any] = [None, False]
        if self.is_first:
            try:
                told = [compute(), True]
            except BaseException:
                with contextlib.suppress(RuntimeError):  # what is wrong is wrong here, whoever is there to hear it
                    torch.distributed.broadcast_object_list(told)
                raise
        with self.speaking():
            torch.distributed.broadcast_object_list(told)
        if not told[1]:
            raise FirstFailed("the first process ended the run")
        value: Value = told[0]
        return value

    @contextlib.contextmanager
    def speaking(self) -> Iterator[None]:
        """Raises ProcessLost where an exchange in the block failed, with what another process has left word of.

        An error of this process's own is left for the others.
        """
        try:
            yield
        except (Interrupted, FirstFailed, ProcessLost, KeyboardInterrupt):
            raise
        except Exception as error:
            if self.is_alone:
                raise
            if not _is_of_exchange(error):
                _leave_word(error)
                raise
            if word := _word_left():
                raise ProcessLost(word) from error
            why = re.sub(r"^\[[^\]]*\]\s*", "", str(error).strip()).partition("\n")[0].partition(". ")[0]
            raise ProcessLost(
                f"another process of this run is gone ({why}); the same command goes on from the last checkpoint"
            ) from error

    def require_same(self, what: str, value: str) -> None:
        """Raises BadInput unless ``value`` is the same in all processes, of which one may run on another machine."""
        if self.is_alone:
            return
        if len(set(self.of_all(value))) > 1:
            raise BadInput(f"{what} is not the same for all {self.size} processes of this run; make it so")


#: The one process of most runs.
ALONE = World()


def _leave_word(error: Exception) -> None:
    """For the others, who will notice only that this process is gone."""
    text = f"{type(error).__name__}: {error}" if not isinstance(error, HarnessError) else str(error)
    with contextlib.suppress(Exception):
        _store().set(_TROUBLE, text[:1000])


def _word_left() -> str:
    with contextlib.suppress(Exception):
        if _store().check([_TROUBLE]):
            return str(_store().get(_TROUBLE).decode())
    return ""


def _store() -> Any:
    return torch.distributed.distributed_c10d._get_default_store()


def _is_of_exchange(error: Exception) -> bool:
    if is_out_of_memory(error):
        return False
    text = str(error).lower()
    return isinstance(error, torch.distributed.DistError) or "gloo" in text or "nccl" in text
