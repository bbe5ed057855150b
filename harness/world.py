"""The processes that work on one run together, each with a device of its own: torchrun's, Slurm's, or one alone.

The first of them (rank 0) says what is done, reads checkpoints and writes; the others compute their share. Whatever
goes between processes beside gradients lies in main memory and goes over gloo.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from harness.errors import (
    BadInput,
    FirstFailed,
    HarnessError,
    Interrupted,
    ProcessLost,
    RunFailed,
    is_out_of_memory,
)

Value = TypeVar("Value")

#: Of Slurm's jobs, whose steps do not say where to meet.
_FIRST_PORT, _PORTS = 20000, 20000
_JOIN_SECONDS = 600.0
#: Of an exchange: others may convert a data set meanwhile. A process that is gone is noticed by its closed connection.
_EXCHANGE_SECONDS = 24 * 3600.0
#: From a signal to the end of a process that waits for another and so cannot heed it.
_LEAVE_SECONDS = float(os.environ.get("HARNESS_LEAVE_S", "25"))
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


def here(environment: Mapping[str, str] = os.environ) -> World:
    """This process's place, as torchrun or a step of Slurm's srun says it in the environment; else alone.

    Raises BadInput where the numbers make no sense.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return _world(environment, names)
    # Of the step: the script of a job with many tasks is one process, and has SLURM_NTASKS as well.
    if environment.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        here, of_node = "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE"
        counted = {**environment, of_node: _tasks_here(environment)}
        return _world(counted, ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", here, of_node))
    return ALONE


def _world(environment: Mapping[str, str], names: tuple[str, str, str, str]) -> World:
    try:
        rank, size = (int(environment[name]) for name in names[:2])
        local_rank, local_size = int(environment[names[2]]), int(environment[names[3]])
    except (KeyError, ValueError) as error:
        raise BadInput(f"{', '.join(names)} in the environment name no process ({error}); unset them") from error
    if not (0 <= rank < size and 0 <= local_rank < local_size <= size):
        raise BadInput(f"{names[0]}={rank} {names[1]}={size} {names[2]}={local_rank} in the environment make no sense")
    return World(rank, size, local_rank, local_size)


def _tasks_here(environment: Mapping[str, str]) -> str:
    """Of Slurm's list of tasks a node, such as ``4(x2),3``, that of this node."""
    counts: list[str] = []
    for part in environment.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        if found := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip()):
            counts += [found[1]] * int(found[2] or 1)
    node = int(environment.get("SLURM_NODEID", "0") or 0)
    return counts[node] if node < len(counts) else environment["SLURM_STEP_NUM_TASKS"]


def meeting_point(environment: Mapping[str, str] = os.environ) -> str:
    """``HOST:PORT`` at which the processes meet: torchrun's, else the first node of Slurm's step, and a port by job."""
    if "MASTER_ADDR" in environment and "MASTER_PORT" in environment:
        return f"{environment['MASTER_ADDR']}:{environment['MASTER_PORT']}"
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or "localhost"
    # Two steps of a job may run at once.
    step = f"{environment.get('SLURM_JOB_ID', '')}.{environment.get('SLURM_STEP_ID', '')}"
    return f"{first_node(nodes)}:{_FIRST_PORT + zlib.crc32(step.encode()) % _PORTS}"


def first_node(nodes: str) -> str:
    """Of a list as Slurm writes it: ``gpu[003-005,9],login`` is ``gpu003``."""
    first = re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", nodes)  # the commas in brackets go first
    return first.partition(",")[0]


@contextlib.contextmanager
def joined(world: World, device: str) -> Iterator[World]:
    """The processes meet, and stay together while the block lasts; ``device`` is ``cpu`` or ``cuda``.

    A process that is told to end while it waits for another ends after a while, unheard.
    Raises BadInput where two of them would have the same GPU, RunFailed where the others do not come.
    """
    if world.is_alone or torch.distributed.is_initialized():
        yield world
        return
    own = world.device(device)
    if own.type == "cuda":
        if own.index >= (there := torch.cuda.device_count()):
            raise BadInput(f"{world.local_size} processes and {there} GPUs on this machine; ask for as many --devices")
        torch.cuda.set_device(own)
    _leave_if_unheard()
    _meet(world, own)
    _require_own_gpus(world, own)
    yield world
    # After an error it would wait for those that will not come.
    torch.distributed.destroy_process_group()


def _require_own_gpus(world: World, device: torch.device) -> None:
    if device.type != "cuda":
        return
    mine = f"{socket.gethostname()} {torch.cuda.get_device_properties(device).uuid}"
    taken = world.of_all(mine)
    if len(set(taken)) < len(taken):
        raise BadInput(f"{len(taken)} processes and {len(set(taken))} GPUs for them; start one process for each GPU")


def _leave_if_unheard() -> None:
    """Python's handlers run between two of its steps; in a wait for another process there is none."""
    if threading.current_thread() is not threading.main_thread():
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(heard, 1)[0] not in (signal.SIGINT, signal.SIGTERM):
            pass
        time.sleep(_LEAVE_SECONDS)
        os._exit(Interrupted.exit_code)

    threading.Thread(target=watch, daemon=True).start()


def _meet(world: World, device: torch.device) -> None:
    at = meeting_point()
    where = "env://" if "TORCHELASTIC_RUN_ID" in os.environ else f"tcp://{at}"
    limit = timedelta(seconds=_JOIN_SECONDS)
    try:
        store, _, _ = next(rendezvous(where, world.rank, world.size, timeout=limit))
        # torchrun's store outlives a restart, and has the addresses of those that are gone.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
            store=PrefixStore(f"attempt-{attempt}", store),
            rank=world.rank,
            world_size=world.size,
            timeout=timedelta(seconds=_EXCHANGE_SECONDS),
        )
    except (RuntimeError, ValueError) as error:
        raise RunFailed(
            f"process {world.rank} of {world.size} waited at {at} for the others, which did not come: {error}. Start "
            "all of them, or unset RANK and WORLD_SIZE for a run of one process"
        ) from error


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
