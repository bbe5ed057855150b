"""What a sweep costs beside its points: a thousand that do nothing, through the conductor and each engine.

    python -m benchmarks.sweep_overhead --json build/bench-sweep.json

conductor       an executor that has every outcome at once: submitting, storing and looking up alone
local           a process of the harness for each point, which starts Python, says its help, and ends
ray             a task of a Ray cluster of this machine, which brings back a record and does nothing
ray-process     the same as ``local`` in tasks of that cluster
submitit-debug  jobs of submitit inside this process, which write their outcome and are read again
submitit-local  jobs of submitit as processes here, all at once, as many as there are points: give fewer

Where points bring a record, it is as long as a real one. ``slot`` is how long a slot is taken for one point: all of the
time, times the slots, over the points. It must stay below 5 % of a point of one minute, which is 3 s, or the exit code
is 1.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import functools
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import environment
from harness.config import RunConfig
from harness.store.record import RUNS
from harness.store.store import Store
from harness.sweep import worker
from harness.sweep.conductor import Conductor, Rules
from harness.sweep.executor import Executor
from harness.sweep.local import Local
from harness.sweep.point import Point
from harness.sweep.ray_cluster import RayCluster
from harness.sweep.slurm import Slurm
from harness.sweep.slurm_array import SlurmOptions
from harness.sweep.task import Outcome, Task
from harness.training.budget import Budget

POINTS = 1000
#: Of a point of one minute.
MOST_S = 0.05 * 60
#: Of one; Slurm wants a limit.
TIMEOUT_S = 600.0
#: A real record, for its length.
RECORD_OF = Path(__file__).resolve().parent.parent / "results" / "motion-cpu-2026-11-26"
#: Starts Python and the command line, and asks nothing of a model.
HELP = ("run", "--model", "none", "--help")

Run = Callable[[Task], Outcome]


class AtOnce:
    """An executor that has worked on everything before it is asked."""

    shared = False

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tasks: deque[Task] = deque()

    def submit(self, tasks: Sequence[Task]) -> None:
        self._tasks.extend(tasks)

    def wait(self, timeout_s: float) -> list[Outcome]:
        """One at a time: so the conductor has most to do."""
        return [self._run(self._tasks.popleft())] if self._tasks else []

    def close(self) -> None:
        self._tasks.clear()


@dataclass(frozen=True)
class Engine:
    """How to start it in a folder, how many points it works on at once, and whether they are processes."""

    start: Callable[[Path, Run, int], Executor]
    slots: int
    processes: bool = False


@dataclass(frozen=True)
class Overhead:
    """Of ``points``: seconds to start the engine, from then to the end of all, and of a slot for each point."""

    engine: str
    points: int
    slots: int
    start_s: float
    all_s: float
    slot_s: float


def engines() -> dict[str, Engine]:
    """Those that can be had here, by name."""
    cores = environment.usable_cores() or 1
    return {
        "conductor": Engine(lambda folder, run, slots: AtOnce(run), 1),
        "local": Engine(lambda folder, run, slots: Local(slots, at_once=slots), cores, processes=True),
        "ray": Engine(lambda folder, run, slots: RayCluster("local", _tell, run=run), cores),
        "ray-process": Engine(lambda folder, run, slots: RayCluster("local", _tell, run=run), cores, processes=True),
        "submitit-debug": Engine(lambda folder, run, slots: _submitit(folder, run, "debug"), 1),
        "submitit-local": Engine(lambda folder, run, slots: _submitit(folder, run, "local"), cores),
    }


def nothing(record: dict[str, Any], task: Task) -> Outcome:
    """A point that brings a record and has done nothing for it."""
    own = {**record, "id": task.id}
    # Of a shared folder the process would have stored it itself.
    if task.results is not None:
        Store(Path(task.results)).append(own)
    records = {RUNS.file_name: [own]} if task.results is None else {}
    return Outcome(task.id, "ended", 0, records=records)


def measure(name: str, engine: Engine, count: int) -> Overhead:
    """A sweep of ``count`` points in an empty folder. Raises RuntimeError unless every one of them is finished."""
    points = [_point(number, engine.processes) for number in range(count)]
    run: Run = worker.run if engine.processes else functools.partial(nothing, _record())
    with tempfile.TemporaryDirectory(prefix="harness-sweep-overhead-") as folder:
        results = Path(folder)
        started = time.monotonic()
        executor = engine.start(results / "engine", run, engine.slots)
        start_s = time.monotonic() - started
        rules = Rules(retries=0, timeout_s=TIMEOUT_S)
        conductor = Conductor(points, executor, results, _tell, rules=rules, at_once=engine.slots)
        found = conductor.conduct()
        all_s = time.monotonic() - started - start_s
        if found.failed or len(found.finished) != count:
            raise RuntimeError(f"{name}: {len(found.finished)} of {count} points finished; {found.failed}")
    return Overhead(name, count, engine.slots, start_s, all_s, all_s * engine.slots / count)


def _point(number: int, process: bool) -> Point:
    if process:
        return Point(f"nothing-{number}", HELP)
    config = RunConfig("posemamba-xs", seed=number, budget=Budget(steps=1))
    return Point(config.run_id(), ("run", "--model", "posemamba-xs"), config=config)


def _record() -> dict[str, Any]:
    found = Store(RECORD_OF).latest()
    return copy.deepcopy(next(record for record in found if record["status"] == "ok" and record.get("training")))


def _submitit(folder: Path, run: Run, engine: str) -> Slurm:
    folder.mkdir()
    return Slurm(folder, SlurmOptions.parsed(()), engine=engine, run=run)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each engine; the exit code is 1 where one is above the limit."""
    known = engines()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [name for name in known if name != "submitit-local"]
    parser.add_argument("--engines", nargs="+", choices=list(known), default=usual)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    print(f"{'engine':<15} {'points':>6} {'slots':>5} {'start':>8} {'all':>9} {'slot':>9} {'of a minute':>12}")
    found = []
    for name in args.engines:
        one = measure(name, known[name], args.points)
        found.append(one)
        print(
            f"{one.engine:<15} {one.points:>6} {one.slots:>5} {one.start_s:>6.1f} s {one.all_s:>7.1f} s "
            f"{1000 * one.slot_s:>6.0f} ms {one.slot_s / 60:>12.2%}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(list(map(dataclasses.asdict, found)), indent=1) + "\n")
    return int(any(one.slot_s > MOST_S for one in found))


if __name__ == "__main__":
    sys.exit(main())
