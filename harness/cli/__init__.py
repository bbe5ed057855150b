"""The command line: parses and calls, nothing else. Results go to stdout, progress and messages to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback

import click

from harness import termination, threads
from harness.cli import (  # noqa: F401  (each adds its commands)
    check,
    classify,
    compare,
    data,
    doctor,
    export,
    listing,
    measure,
    plot,
    processes,
    run,
    sweep,
)
from harness.cli.root import cli, say
from harness.errors import ERRORS_TO, FIRST_ENDS_SECONDS, FirstFailed, HarnessError, Interrupted

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script; the exit codes are those of harness.errors."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
        sys.stderr.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    threads.sleep_while_waiting()
    words = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(words))


def _run(words: list[str]) -> int:
    try:
        with termination.as_interrupt():
            ended = cli.main(args=words, prog_name="harness", standalone_mode=False, obj={"words": words})
    except FirstFailed as error:
        time.sleep(FIRST_ENDS_SECONDS)  # its own code is that of the run
        return error.exit_code
    except HarnessError as error:
        if "--debug" in words:
            traceback.print_exc()
        if not isinstance(error, Interrupted) or not processes.is_helper():
            _say_last(f"harness: {processes.speaker()}{error}")
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        if not processes.is_helper():
            _say_last("harness: interrupted")
        return 130
    except (Exception, SystemExit) as error:  # a third party's code may leave by SystemExit, with code 0 at that
        if "--debug" in words:
            traceback.print_exc()
        _say_last(f"harness: {type(error).__name__}: {error} (harness --debug shows where)")
        return 1
    # click hands back the code of ctx.exit; a command that ends by itself gives nothing.
    return ended if isinstance(ended, int) else 0


def _say_last(message: str) -> None:
    """To whoever started this, be it another command that only passes on what is said on the way."""
    say(message)
    if path := os.environ.get(ERRORS_TO):
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8", errors="replace") as file:
            file.write(message + "\n")
