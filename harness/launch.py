"""``--devices N``: the same command once for each device of this machine, under torchrun's agent (PyTorch elastic)."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence

from harness.errors import Interrupted, RunFailed

#: Of a process that was started here, its agent's.
_AGENT = "HARNESS_AGENT"
#: A step and a checkpoint take longer than the agent's own half minute where models are large.
_SECONDS_TO_SAVE = 120
_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


def launch(words: Sequence[str], processes: int, max_restarts: int = 0) -> int:
    """Run ``harness WORDS`` in ``processes`` processes that share the work; the exit code that they end with.

    Where one is killed or fails, the others are ended and all are started again, at most ``max_restarts`` times: they
    go on from the last checkpoint. Raises Interrupted on Ctrl-C and SIGTERM once all have saved and ended, RunFailed
    where one is killed and there is no restart left.
    """
    # Half a second, and of use here alone.
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    _silence_agent()
    os.environ[_AGENT] = str(os.getpid())
    os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = str(_SECONDS_TO_SAVE)
    config = LaunchConfig(
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
    return 0


def _silence_agent() -> None:
    """Of a failure its process has said what there is to say."""
    for name in logging.root.manager.loggerDict:
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _exit_code(error: BaseException, processes: int) -> int:
    """Of the process that failed first, which has said why; one that was killed could not."""
    rank, failure = error.get_first_failure()  # type: ignore[attr-defined]
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        raise RunFailed(
            f"process {rank} of {processes} was ended by {name}, and the others with it; the same command goes on from "
            "the last checkpoint (--max-restarts N starts again by itself)"
        ) from error
    return int(failure.exitcode)


def end_with_agent() -> None:
    """Have this process told to end (SIGTERM) when the agent that started it is gone; Linux can."""
    agent = os.environ.get(_AGENT)
    if agent is None or not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != int(agent):  # gone already
        raise Interrupted("the process that started this one is gone")
