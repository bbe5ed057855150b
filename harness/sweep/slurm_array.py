"""What Slurm is asked for: the points of a sweep as job arrays, of those that need the same, and their options."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import BadInput
from harness.sweep.task import Task

#: As many jobs as an array may have where nobody has raised Slurm's MaxArraySize.
LARGEST = 1000
#: Jobs of one array that run at once.
AT_ONCE = 256

#: Options of sbatch that follow from the points.
_SET = (
    "array", "chdir", "cpus_per_task", "error", "exclusive", "nodes", "ntasks", "ntasks_per_node", "output", "wrap",
)  # fmt: skip
_DAYS = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")


@dataclass(frozen=True)
class SlurmOptions:
    """What the user asks of Slurm for every job.

    sbatch   by name with underscores: partition, account, mem, …; an empty value is an option that takes none
    minutes  limit of a job; None where it follows from the points' timeout
    at_once  jobs of one array that run at once
    setup    a line of shell before each job's command, such as ``module load cuda``
    """

    sbatch: Mapping[str, str] = field(default_factory=dict)
    minutes: int | None = None
    at_once: int = AT_ONCE
    setup: str = ""

    @classmethod
    def parsed(cls, pairs: Iterable[str]) -> SlurmOptions:
        """From ``KEY=VALUE`` texts. BadInput for what is none, is given twice, or follows from the points."""
        given: dict[str, str] = {}
        for pair in pairs:
            key, equals, value = pair.partition("=")
            key = key.strip().lstrip("-").replace("-", "_")
            if not equals or not key.isidentifier():
                raise BadInput(f"--slurm {pair}: expected KEY=VALUE, an option of sbatch, such as partition=gpu")
            if key in given:
                raise BadInput(f"--slurm {key} is given twice")
            given[key] = value.strip()
        _require_free(given)
        minutes = minutes_of(given.pop("time")) if "time" in given else None
        setup, at_once = given.pop("setup", ""), _count(given.pop("at_once", str(AT_ONCE)))
        return cls(given, minutes, at_once, setup)

    def minutes_for(self, array: Array, margin: int) -> int:
        """Limit of the array's jobs: the user's, else the points' timeout and ``margin`` minutes more.

        BadInput where there is neither.
        """
        if self.minutes is not None:
            return self.minutes
        if array.timeout_s is None:
            raise BadInput("Slurm wants a limit of time for each job: add --timeout MINUTES, or --slurm time=HH:MM:SS")
        return math.ceil(array.timeout_s / 60) + margin

    def flags(self, array: Array, margin: int) -> dict[str, str]:
        """Options of sbatch by name, for the jobs of ``array``, the user's among them; ``margin`` as of minutes_for."""
        flags = {"job_name": "harness", "cpus_per_task": str(array.cores)}
        asked = any(name == "gres" or name.startswith("gpus") for name in self.sbatch)
        if array.gpus and not asked:  # some sites want a kind: gres=gpu:a100:1
            flags["gpus_per_node"] = str(array.gpus)
        if array.exclusive:
            flags["exclusive"] = ""
        return {**flags, "time": str(self.minutes_for(array, margin)), **self.sbatch}


@dataclass(frozen=True)
class Array:
    """Tasks that need the same, of which each is one job of an array."""

    exclusive: bool
    cores: int
    gpus: int
    timeout_s: float | None
    tasks: tuple[Task, ...]


def arrays(tasks: Sequence[Task]) -> list[Array]:
    """``tasks`` in their order, as few arrays as they can be, none larger than LARGEST."""
    alike: dict[tuple[bool, int, int, float | None], list[Task]] = {}
    for task in tasks:
        alike.setdefault((task.exclusive, task.cores, task.gpus, task.timeout_s), []).append(task)
    return [
        Array(*needs, tuple(group[start : start + LARGEST]))
        for needs, group in alike.items()
        for start in range(0, len(group), LARGEST)
    ]


def minutes_of(text: str) -> int:
    """A limit as Slurm writes it: MINUTES, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS. BadInput for another text."""
    match = _DAYS.fullmatch(text)
    if match is None:
        raise BadInput(f"--slurm time={text}: expected MINUTES, HH:MM:SS or D-HH:MM:SS")
    days, *parts = match.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, minutes, seconds = 0, *[*numbers, 0][:2]
    total = math.ceil(((int(days or 0) * 24 + hours) * 60 + minutes) + seconds / 60)
    if total < 1:
        raise BadInput(f"--slurm time={text} leaves no time")
    return total


def _require_free(given: Iterable[str]) -> None:
    for key in given:
        if key in _SET:
            raise BadInput(f"--slurm {key} follows from the points (see --threads and [measure]); leave it out")


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise BadInput(f"--slurm at_once={text}: expected how many jobs may run at once")
    return int(text)
