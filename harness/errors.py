"""What can go wrong, and the exit code each kind ends the command with.

Every message says what is wrong, where (file, sequence, frame, key), and what to do about it.
The command line prints the message alone; the traceback needs ``--debug``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """A failure the harness understands; the base class of all its errors."""

    exit_code = 1


class BadInput(HarnessError):
    """What the user gave cannot be used: a name, an option, a file."""

    exit_code = 2


class RunFailed(HarnessError):
    """A run started and could not be finished, such as a loss that is no longer finite."""

    exit_code = 1


class ProcessLost(RunFailed):
    """Of the processes of one run another is gone; the same command goes on from the last checkpoint."""


class FirstFailed(HarnessError):
    """Of the processes of one run the first ended it, and has said why."""


class ResultsBusy(HarnessError):
    """Another process holds the run's folder."""

    exit_code = 3


class CannotWrite(HarnessError):
    """The results folder cannot be written: read-only, full, or not a folder."""

    exit_code = 4


class Interrupted(HarnessError):
    """The user or the scheduler asked to stop; what was done is saved and the same command goes on."""

    exit_code = 130


#: Names a file in the environment to which the command line appends the error that it ends with.
ERRORS_TO = "HARNESS_ERRORS_TO"

#: So long the other processes of a run wait where the first has ended it: whoever started them takes the first code.
FIRST_ENDS_SECONDS = 2.0
#: How torch's allocators, glibc, C++, oneDNN and CUDA libraries put it; on a CPU it is a RuntimeError with such a text.
_OUT_OF_MEMORY = (
    "can't allocate memory", "not enough memory", "cannot allocate memory", "out of memory", "std::bad_alloc",
    "could not create a memory object", "status_alloc_failed",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was exhausted, whichever of the many ways it is said in."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def left_by(error: SystemExit) -> str:
    """What to say of code of others that ended the process, as it thought."""
    return f"the model left by SystemExit: {error.code}; a model may raise an error, and not end the process"


def suggestion(name: str, known: Iterable[str]) -> str:
    """``"Did you mean: a, b? "`` for the known names nearest to ``name``, or ``""``."""
    nearest = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"Did you mean: {', '.join(nearest)}? " if nearest else ""
