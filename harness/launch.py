"""``--devices N``: the same command once for each device of this machine, under torchrun's agent (PyTorch elastic)."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Sequence
from typing import Any

from harness.errors import Interrupted, RunFailed

#: Of a process that was started here, its agent's.
_AGENT = "HARNESS_AGENT"
_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


def launch(words: Sequence[str], processes: int, max_restarts: int = 0) -> int:
    """Run ``harness WORDS`` in ``processes`` processes that share the work; the exit code that they end with.

    Where one is killed or fails, the others are ended and all are started again, at most ``max_restarts`` times: they
    go on from the last checkpoint. Raises Interrupted on Ctrl-C and SIGTERM once all have saved and ended, RunFailed
    where one is killed and there is no restart left.
    """
    # Half a second, and of use here alone.
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    _silence_agent()
    os.environ[_AGENT] = str(os.getpid())
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # for the processes: of a lost one it warns by a stack trace
    logs = tempfile.mkdtemp(prefix="harness-devices-")  # the agent makes it where it is not told to
    config = LaunchConfig(
        logs_specs=DefaultLogsSpecs(log_dir=logs),
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=max_restarts,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "harness", *words)
    except SignalException as error:
        raise Interrupted(
            f"stopped by {signal.Signals(error.sigval).name}; the same command goes on from the last checkpoint"
        ) from error
    except ChildFailedError as error:
        return _exit_code(error, processes)
    finally:
        del os.environ[_AGENT]
        shutil.rmtree(logs, ignore_errors=True)
    return 0


def _silence_agent() -> None:
    """Of a failure its process has said what there is to say."""
    for name in logging.root.manager.loggerDict:
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _exit_code(error: BaseException, processes: int) -> int:
    """The first process's where it failed, which has said why, else that of one that did.

    Raises RunFailed where one was killed: it could not say so. The others are ended by SIGTERM then.
    """
    failures: dict[int, Any] = error.failures  # type: ignore[attr-defined]
    ended_by = {rank: -failure.exitcode for rank, failure in failures.items() if failure.exitcode < 0}
    killed = next((rank for rank, number in ended_by.items() if number != signal.SIGTERM), None)
    if killed is None and len(ended_by) == len(failures):
        killed = min(ended_by)
    if killed is not None:
        name = signal.Signals(ended_by[killed]).name
        raise RunFailed(
            f"process {killed} of {processes} was ended by {name}, and the others with it; the same command goes on "
            "from the last checkpoint (--max-restarts N starts again by itself)"
        ) from error
    return int(min((rank, failure.exitcode) for rank, failure in failures.items() if failure.exitcode > 0)[1])


def end_with_agent() -> None:
    """Have this process told to end (SIGTERM) when the agent that started it is gone; Linux can."""
    agent = os.environ.get(_AGENT)
    if agent is None or not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != int(agent):  # gone already
        raise Interrupted("the process that started this one is gone")
