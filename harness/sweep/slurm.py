"""Points as jobs of Slurm, in arrays, through submitit.

The store's folder and the harness are on a file system that every node sees, as the folder of submitit's own files has
to be. A job that is preempted or reaches its limit is queued again by submitit, and its training goes on from its
checkpoint.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.errors import BadInput
from harness.sweep import loss, worker
from harness.sweep.slurm_array import Array, SlurmOptions, arrays
from harness.sweep.task import Outcome, Task

#: From the end of a job until its result is seen: networked file systems show a new file late.
RESULT_S = 30.0
#: Slurm's controller may be busy or away for minutes: until then, what it did not take is not asked of it again.
REFUSED_S = 300.0
#: Between two looks at all jobs.
_LOOK_S = 1.0
#: Minutes of a job beside its point's own timeout: to load Python, to save, and to hand over what was made.
_MARGIN = 5
#: By what Slurm announces the end of a job's time to all of its processes. Submitit then queues the job again, and
#: trainings, which this signal does nothing to, end by a SIGTERM; what submitit takes by itself would kill them.
_SIGNAL, _BEFORE_S = "URG", 90
_PREEMPT = "SUBMITIT_PREEMPT_SIGNAL"
_INSTALL = "pip install 'pose-lifting-harness[slurm]'"

Ending = Literal["ended", "lost", "timeout"]
#: How Slurm says that a job ended which left no result, and what that says of its point. Whatever is not here took the
#: machine from it: NODE_FAIL, BOOT_FAIL, PREEMPTED, REVOKED. A cancelled one is not asked for again.
_STATES: dict[str, tuple[Ending, int | None]] = {
    "TIMEOUT": ("timeout", None),
    "DEADLINE": ("timeout", None),
    "OUT_OF_MEMORY": ("ended", -signal.SIGKILL),
    "FAILED": ("ended", 1),
    "CANCELLED": ("ended", 130),
}
#: How submitit says of a job that it has reached its limit once too often.
_OUT_OF_TIME = "timed-out"
#: The line of a traceback that names the error.
_ERROR = re.compile(r"^[A-Za-z_][\w.]*: .+", re.MULTILINE)

#: Runs a task where it is called.
Run = Callable[[Task], Outcome]


class _Point:
    """What a job calls. Asked for a checkpoint, when the job is to be queued again, it is itself one.

    The training has its own, in the store's folder.
    """

    def __init__(self, run: Run, task: Task) -> None:
        self.run, self.task = run, task

    def __call__(self) -> Outcome:
        return self.run(self.task)

    def checkpoint(self) -> Any:
        return importlib.import_module("submitit.helpers").DelayedSubmission(self)


class Slurm:
    """An executor on Slurm. An exclusive task has a node of its own (``sbatch --exclusive``).

    folder   for the files and logs of submitit, on a file system that all nodes see
    options  of every job
    engine   of submitit: slurm, or local or debug, which run the jobs as processes here and inside this one
    run      what is called for each task

    Raises BadInput where submitit is not installed, or there is no Slurm.
    """

    shared = True

    def __init__(self, folder: Path, options: SlurmOptions, *, engine: str = "slurm", run: Run = worker.run) -> None:
        self._submitit = _submitit()
        self._folder, self._options, self._engine, self._run = folder.absolute(), options, engine, run
        self._jobs: dict[str, tuple[Task, Any]] = {}
        self._vanished: dict[str, float] = {}  # since when a job has ended and its result is not seen
        self._brought: list[Outcome] = []  # what had ended when it was closed
        self._has_taken = False  # Slurm took jobs of this sweep, so that its options are right
        self._refused: dict[str, tuple[float, Outcome]] = {}  # until when, of what it did not take afterwards
        self._executor()

    def submit(self, tasks: Sequence[Task]) -> None:
        """One array for those that need the same.

        BadInput where sbatch refuses the first of all; later it has other reasons, and what it refuses is lost.
        """
        for array in arrays(tasks):
            executor = self._executor()
            executor.update_parameters(**self._parameters(array))
            points = [_Point(self._run, task) for task in array.tasks]
            try:
                jobs = executor.submit_array(points)
            except self._submitit.core.utils.FailedJobError as error:
                self._refuse(array.tasks, error)
                continue
            self._has_taken = True
            self._jobs |= {job.job_id: (task, job) for task, job in zip(array.tasks, jobs, strict=True)}

    def _refuse(self, tasks: Sequence[Task], error: Exception) -> None:
        said = f"Slurm refuses the points: {str(error).strip()}"
        if not self._has_taken:
            raise BadInput(f"{said}. See --slurm and --print") from error
        until = time.monotonic() + REFUSED_S
        self._refused |= {task.id: (until, Outcome(task.id, "lost", None, said)) for task in tasks}

    def wait(self, timeout_s: float) -> list[Outcome]:
        """What ended, as submitit's files and Slurm's accounting say. Once closed, what had ended until then."""
        if self._brought:
            brought, self._brought = self._brought, []
            return brought
        deadline = time.monotonic() + timeout_s
        while True:
            outcomes = [*self._ended(deadline), *self._given_back()]
            left_s = deadline - time.monotonic()
            if outcomes or not (self._jobs or self._refused) or left_s <= 0:
                return outcomes
            time.sleep(min(_LOOK_S, left_s))

    def close(self) -> None:
        """Cancel what is queued or runs: Slurm sends SIGTERM first."""
        left, self._jobs = list(self._jobs.values()), {}
        if self._engine != "debug":
            self._brought = [self._of_result(task, job) for task, job in left if job.paths.result_pickle.exists()]
        jobs = [job for _, job in left]
        if self._engine != "slurm":
            for job in jobs:
                job.cancel(check=False)
        elif jobs:
            whole = sorted({job.job_id.partition("_")[0] for job in jobs})
            subprocess.run(["scancel", *whole], check=False)

    def _executor(self) -> Any:
        try:
            return self._submitit.AutoExecutor(self._folder, cluster=self._engine)
        except RuntimeError as error:
            raise BadInput(f"--executor slurm: {error} Start it where sbatch works, or see --print") from error

    def _parameters(self, array: Array) -> dict[str, Any]:
        flags = self._options.flags(array, _MARGIN)
        return {
            "name": flags.pop("job_name"),
            "timeout_min": int(flags.pop("time")),
            "slurm_array_parallelism": self._options.at_once,
            # What sbatch is told of CPUs srun does not take over by itself.
            "slurm_srun_args": [f"--cpus-per-task={array.cores}"],
            "slurm_additional_parameters": {
                "signal": f"{_SIGNAL}@{_BEFORE_S}",
                **{name: value or True for name, value in flags.items()},
            },
            "slurm_setup": [*([self._options.setup] * bool(self._options.setup)), f"export {_PREEMPT}={_SIGNAL}"],
        }

    def _ended(self, deadline: float) -> Iterator[Outcome]:
        results = self._results() if self._engine == "slurm" else frozenset()
        for job_id, (task, job) in list(self._jobs.items()):
            if self._has_ended(job, results) and (outcome := self._outcome(task, job)) is not None:
                del self._jobs[job_id]
                if outcome.ending == "lost":
                    job.cancel(check=False)  # Slurm may have queued it again, beside the one that will be asked for
                yield outcome
                if time.monotonic() > deadline:  # the engine debug works inside done()
                    return

    def _given_back(self) -> list[Outcome]:
        """What Slurm did not take, when it is time to ask again."""
        due = [task_id for task_id, (until, _) in self._refused.items() if time.monotonic() >= until]
        return [self._refused.pop(task_id)[1] for task_id in due]

    def _results(self) -> frozenset[str]:
        """Names of the files there, as they are now: a thousand jobs are one look at the folder, and not a thousand."""
        with contextlib.suppress(OSError):  # what a networked file system remembers of a folder ends with a change
            os.chmod(self._folder, self._folder.stat().st_mode)
        return frozenset(os.listdir(self._folder))

    def _has_ended(self, job: Any, results: frozenset[str]) -> bool:
        if self._engine != "slurm":
            return bool(job.done())
        return job.paths.result_pickle.name in results or bool(job.watcher.is_done(job.job_id))

    def _outcome(self, task: Task, job: Any) -> Outcome | None:
        """None while a job has ended and its result may still come."""
        if self._engine == "debug" or job.paths.result_pickle.exists():
            return self._of_result(task, job)
        since = self._vanished.setdefault(job.job_id, time.monotonic())
        if time.monotonic() - since < RESULT_S:
            return None
        state = job.state.partition(" ")[0]  # "CANCELLED by 1000"
        ending, code = _STATES.get(state, ("lost", None))
        return Outcome(task.id, ending, code, f"job {job.job_id} ended as {job.state}; see {job.paths.stderr}")

    def _of_result(self, task: Task, job: Any) -> Outcome:
        errors = self._submitit.core.utils
        try:
            return loss.judged(job.result(), task)
        except (errors.UncompletedJobError, errors.FailedJobError) as error:
            text = str(error)
        said = _ERROR.findall(text)[-1:] or ["its job failed"]
        ending: Ending = "timeout" if _OUT_OF_TIME in said[0] else "ended"
        return Outcome(task.id, ending, 1, f"{said[0]}; see {job.paths.stderr}")


def _submitit() -> Any:
    os.environ[_PREEMPT] = _SIGNAL
    try:
        return importlib.import_module("submitit")
    except ImportError as error:
        raise BadInput(f"--executor slurm needs submitit ({error}): {_INSTALL}; --print needs nothing") from error
