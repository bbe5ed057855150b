"""Which process of a run this is, by what torchrun or Slurm's srun says in the environment, and where they all meet."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping

from harness.errors import BadInput
from harness.world import ALONE, World

#: Of Slurm's jobs, whose steps do not say where to meet.
_FIRST_PORT, _PORTS = 20000, 20000


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
