"""Several runs of one command: one that fails does not keep the others from being run, and what finished is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from harness.errors import BadInput, CannotWrite, HarnessError, Interrupted, ResultsBusy, RunFailed, left_by
from harness.progress import Say


class Config(Protocol):
    """Of one run."""

    def run_id(self) -> str: ...


Planned = TypeVar("Planned", bound=Config)


def run_all(
    configs: Sequence[Planned], run_one: Callable[[Planned], dict[str, Any]], say: Say, stop: bool = False
) -> tuple[list[dict[str, Any]], BaseException | None]:
    """One run after the other: the records of those that finished, and what to raise when these have been shown.

    What ends one run, its folder being busy and a damaged checkpoint of it among that, does not end the others; an
    interruption and a folder that cannot be written do, and with ``stop`` everything does.
    Of one run the error is its own, and so it is where all fail of the same; else it is one that names each, of the
    kind of the first (RunFailed where any was started and failed).
    """
    records: list[dict[str, Any]] = []
    failures: dict[str, Exception] = {}
    for config in configs:
        try:
            records.append(run_one(config))
        except (CannotWrite, Interrupted, KeyboardInterrupt) as error:
            return records, error
        except SystemExit as error:
            failures[config.run_id()] = RunFailed(f"{config.run_id()}: {left_by(error)}")
        except Exception as error:
            failures[config.run_id()] = error
        if failures and stop:
            return records, failures.popitem()[1]
        if config.run_id() in failures and len(configs) > 1:
            say(f"{_line(config.run_id(), failures[config.run_id()])}. The others go on")
    return records, _error(failures, len(configs)) if failures else None


def _error(failures: dict[str, Exception], runs: int) -> Exception:
    first, *others = failures.values()
    alike = isinstance(first, HarnessError) and all(str(error) == str(first) for error in others)
    if runs == 1 or (len(failures) == runs and alike):
        return first
    refused = all(isinstance(error, (BadInput, ResultsBusy)) for error in failures.values())
    lines = "; ".join(_line(run_id, error) for run_id, error in failures.items())
    return (type(first) if refused else RunFailed)(f"{len(failures)} of {runs} runs failed: {lines}")


def _line(run_id: str, error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if text.startswith(run_id) else f"{run_id}: {text}"
