"""The processes of one run come together, over gloo and NCCL, and part."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from harness.errors import BadInput, Interrupted, RunFailed
from harness.placement import meeting_point
from harness.world import World

_JOIN_SECONDS = 600.0
#: Of an exchange: others may convert a data set meanwhile. A process that is gone is noticed by its closed connection.
_EXCHANGE_SECONDS = 24 * 3600.0
#: From a signal to the end of a process that waits for another and so cannot heed it.
_LEAVE_SECONDS = float(os.environ.get("HARNESS_LEAVE_S", "25"))


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
