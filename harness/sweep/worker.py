"""A task on the machine where this runs: ``harness WORDS --results FOLDER`` in a process group of its own.

However the process ends, an Outcome says it; and it ends, by SIGTERM first, after its timeout and with the process that
started it, even if that is killed. A scratch folder goes with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

from harness import atomic_file
from harness.errors import ERRORS_TO
from harness.store.measurement import MEASUREMENTS
from harness.store.record import RUNS
from harness.store.store import Store
from harness.sweep.task import Outcome, Task

#: From SIGTERM to SIGKILL: for a step of training to be finished and a checkpoint to be saved.
GRACE_S = 45.0
#: Between two looks at a process.
_LOOK_S = 0.05
#: Of its log, what an Outcome quotes.
_LINES, _TAIL_BYTES = 3, 8192
#: In a run's folder, what serves only whoever trains there.
_OF_TRAINING = re.compile(r"lock|again\.json|checkpoint\.json|step-\d+\.pt|.*" + re.escape(atomic_file.PART))
#: Of torchrun's processes and Slurm's steps.
_OF_GROUP = re.compile(
    r"RANK|WORLD_SIZE|LOCAL_RANK|LOCAL_WORLD_SIZE|GROUP_.*|ROLE_.*|MASTER_ADDR|MASTER_PORT|TORCHELASTIC_.*|SLURM_PROCID"
    r"|SLURM_LOCALID|SLURM_STEP_.*"
)
#: Waits for the end of its input, which comes when the process that holds the other end is gone.
_GUARD = 'read -r _; kill -s TERM -- "-$1"; sleep "$2"; kill -s KILL -- "-$1"; [ -z "$3" ] || rm -rf -- "$3"'


def run(task: Task, shown: bool = False) -> Outcome:
    """Run ``task`` to its end; where this is interrupted, its process is, too. ``shown``: see Running."""
    running = Running(task, shown=shown)
    try:
        while (outcome := running.poll()) is None:
            time.sleep(_LOOK_S)
        return outcome
    except BaseException:
        running.stop()
        raise


def log_path(results: Path, task_id: str) -> Path:
    """Where everything that the process of a task prints is kept."""
    return results / "sweeps" / f"{task_id}.log"


class Running:
    """A task at work. ``environment`` is set for its process beside what this one has.

    ``shown``: it talks to this process's stderr, and its results and last error go to its log; else everything does.
    Raises OSError where the process cannot be started, or its folder not be written.
    """

    def __init__(self, task: Task, environment: Mapping[str, str] | None = None, shown: bool = False) -> None:
        self._shown = shown
        self.task = task
        self._scratch = Path(tempfile.mkdtemp(prefix="harness-sweep-")) if task.results is None else None
        self._folder = self._scratch or Path(str(task.results))
        self._log = log_path(self._folder, task.id)
        self._started = time.monotonic()
        self._timed_out = False
        self._kill_at: float | None = None
        try:
            if self._scratch is not None:
                _share_cache(self._scratch)
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                self._process = self._start(log, environment or {})
            self._guard, self._held = _guard(self._process.pid, self._scratch)
        except BaseException:
            self.kill()
            raise

    def _start(self, log: BinaryIO, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        words = [*self.task.words, "--results", str(self._folder)]
        log.write(f"$ harness {' '.join(words)}\n".encode(errors="replace"))
        log.flush()
        self._said_from = log.tell()
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=None if self._shown else subprocess.STDOUT,
            env={**_by_itself(), **environment, **({ERRORS_TO: str(self._log)} if self._shown else {})},
            start_new_session=True,
        )

    def poll(self) -> Outcome | None:
        """The outcome once it has ended. Its timeout is seen to here, so that this must be called now and then."""
        if self._has_ended():
            return self._outcome()
        now = time.monotonic()
        if self.task.timeout_s is not None and now - self._started >= self.task.timeout_s and self._kill_at is None:
            self._timed_out = True
            self.terminate()
        if self._kill_at is not None and now >= self._kill_at:
            self._signal(signal.SIGKILL)
        return None

    def terminate(self) -> None:
        """SIGTERM, and what is left after the grace gets SIGKILL."""
        if self._kill_at is None:
            self._signal(signal.SIGTERM)
            self._kill_at = time.monotonic() + GRACE_S

    def stop(self) -> Outcome:
        """End it if it has not ended, wait until it has, and say how. An interruption meanwhile ends it at once."""
        self.terminate()
        try:
            while (outcome := self.poll()) is None:
                time.sleep(_LOOK_S)
        except BaseException:
            self.kill()
            raise
        return outcome

    def kill(self) -> None:
        """End it at once if it has not ended, and forget what it did."""
        if hasattr(self, "_process"):
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._clear()

    def _has_ended(self) -> bool:
        """Without waiting for it, so that the number stays its own, and its group's, until its group was seen to."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._was_waited_for() or os.waitid(os.P_PID, self._process.pid, flags) is not None

    def _was_waited_for(self) -> bool:
        """Then its number may be another's."""
        return self._process.returncode is not None

    def _signal(self, number: int) -> None:
        if not self._was_waited_for():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _outcome(self) -> Outcome:
        self._signal(signal.SIGKILL)  # whatever it left; its number is not given anew before the next line
        code = self._process.wait()
        ending: Literal["ended", "timeout"] = "timeout" if self._timed_out and code != 0 else "ended"
        records, files = ({}, {}) if self._scratch is None else (_records(self._scratch), _files(self._scratch))
        outcome = Outcome(
            task_id=self.task.id,
            ending=ending,
            exit_code=code,
            reason=self._last_words(),
            seconds=time.monotonic() - self._started,
            host=socket.gethostname(),
            records=records,
            files=files,
        )
        self._clear()
        return outcome

    def _last_words(self) -> str:
        try:
            with self._log.open("rb") as log:
                log.seek(max(self._said_from, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except OSError:  # somebody has removed it
            return ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        said = [index for index, line in enumerate(lines) if line.startswith("harness: ")]
        return "; ".join(lines[said[-1] :] if said else lines[-_LINES:]).removeprefix("harness: ")

    def _clear(self) -> None:
        if hasattr(self, "_guard"):
            self._guard.kill()
            self._guard.wait()
            self._held.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def _by_itself() -> dict[str, str]:
    """The environment without what would make a process one of those that an engine was started as."""
    return {name: value for name, value in os.environ.items() if not _OF_GROUP.fullmatch(name)}


def _guard(group: int, scratch: Path | None) -> tuple[subprocess.Popen[bytes], BinaryIO]:
    """A process that ends ``group`` and removes ``scratch`` when this one is gone, and what it must be closed with."""
    theirs, ours = os.pipe()  # neither is inherited unless passed on
    held = os.fdopen(ours, "wb")
    try:
        words = ["/bin/sh", "-c", _GUARD, "harness-sweep-guard", str(group), f"{GRACE_S:.0f}", str(scratch or "")]
        silent = subprocess.DEVNULL
        return subprocess.Popen(words, stdin=theirs, stdout=silent, stderr=silent, start_new_session=True), held
    except BaseException:
        held.close()
        raise
    finally:
        os.close(theirs)


def _share_cache(scratch: Path) -> None:
    """What is dear to make of data is kept on the machine for the tasks to come, where the place is one's own."""
    kept = Path(tempfile.gettempdir()) / f"harness-cache-{os.getuid()}"
    with contextlib.suppress(OSError):
        kept.mkdir(mode=0o700, exist_ok=True)
        found = kept.lstat()
        if found.st_uid == os.getuid() and kept.is_dir() and not kept.is_symlink() and not found.st_mode & 0o022:
            (scratch / "cache").symlink_to(kept, target_is_directory=True)


def _records(folder: Path) -> dict[str, Sequence[Mapping[str, Any]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a last line that was cut short
        found = {schema.file_name: Store(folder, schema).records(skip_bad=True) for schema in (RUNS, MEASUREMENTS)}
    return {name: records for name, records in found.items() if records}


def _files(folder: Path) -> dict[str, bytes]:
    """What runs left for the store, and the log."""
    paths = [*folder.glob("runs/*/**/*"), *folder.glob("sweeps/*.log")]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(paths)
        if path.is_file() and not path.is_symlink() and not _OF_TRAINING.fullmatch(path.name)
    }
