"""TensorBoard's view of a training: loss and learning rate of every step, the scores after it, the choices made.

The log is a by-product: it draws no random numbers, is no part of the record, and a disk that refuses it stops nothing.
It is written with tensorboard's own record format and messages, and needs neither TensorFlow nor torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import BadInput
from harness.progress import Say

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

#: TensorBoard takes a file for a log by this part of its name; the number behind it says which one is the newest.
FILE_NAME = "events.out.tfevents"
#: A session's choices belong to no step.
_CHOICES_STEP = 0


def require_available() -> None:
    """Raises BadInput where tensorboard is missing."""
    try:
        from tensorboard.compat.proto import event_pb2  # noqa: F401
    except ImportError as error:
        command = "pip install tensorboard (or pip install '.[tensorboard]' in the clone)"
        raise BadInput(f"--tensorboard needs tensorboard ({error}): {command}") from error


class TensorBoardLog:
    """The log of one run in ``folder``; ``choices`` is its configuration, ``say`` gets the reason if it cannot be kept.

    A training that goes on from a checkpoint may repeat steps that it had logged before: the first step of this
    process throws away what earlier ones logged from that step on, so that every step is there once.
    """

    def __init__(self, folder: Path, choices: Mapping[str, Any], say: Say) -> None:
        self._folder, self._say = folder, say
        self._choices = dict(_scalars("", choices))
        self._path: Path | None = None
        self._failed = False

    def step(self, step: int, loss: float, learning_rate: float) -> None:
        """After optimiser step ``step``, counted from 1."""
        self._write(step, {"train/loss": loss, "train/learning_rate": learning_rate})

    def scores(self, steps: int, values: Mapping[str, float | None]) -> None:
        """After the evaluation of a training of so many steps; those that are None are left out."""
        if self._path is None:
            # The training had ended before this process began, so that nothing of it is to be thrown away.
            self._attempt(lambda: self._open(steps + 1))
        self._write(steps, {name: value for name, value in values.items() if value is not None})

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        def write() -> None:
            if self._path is None:
                self._open(step)
            self._append(_event(step, _summary(values)))

        self._attempt(write)

    def _attempt(self, action: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            action()
        except Exception as error:
            # Whatever it is: hours of training are worth more than their log.
            self._failed = True
            self._say(f"note: TensorBoard's log in {self._folder} is not kept any longer: {error}")

    def _open(self, first_step: int) -> None:
        """Start a file with what earlier ones hold of the steps before ``first_step``, and remove those."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        self._folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(self._folder.glob(f"{FILE_NAME}.*"))
        kept = {_key(event): event for path in earlier for event in _events(path) if event.step < first_step}
        choices = _event(_CHOICES_STEP, hparams_pb(self._choices))
        kept[_key(choices)] = choices
        number = 1 + max((int(path.suffix[1:]) for path in earlier if path.suffix[1:].isdigit()), default=0)
        self._path = self._folder / f"{FILE_NAME}.{number:06}"
        self._append(_version(), *sorted(kept.values(), key=lambda event: int(event.step)))
        for path in earlier:
            path.unlink()

    def _append(self, *events: Event) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        assert self._path is not None
        # Opened for every step: nothing is lost in a buffer when the process is killed, and nothing needs closing.
        with self._path.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())


def _scalars(path: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a configuration; what TensorBoard has no type for is text."""
    if isinstance(tree, Mapping):
        for name, entry in tree.items():
            yield from _scalars(f"{path}.{name}" if path else str(name), entry)
    elif tree is not None:
        yield path, tree if isinstance(tree, (bool, int, float, str)) else str(tree)


def _event(step: int, summary: Summary) -> Event:
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=time.time(), step=step, summary=summary)


def _version() -> Event:
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=time.time(), file_version="brain.Event:2")


def _summary(values: Mapping[str, float]) -> Summary:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


def _key(event: Event) -> tuple[int, tuple[str, ...]]:
    return int(event.step), tuple(value.tag for value in event.summary.value)


def _events(path: Path) -> Iterator[Event]:
    """What a file holds, up to where it is cut short."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    return (event for event in LegacyEventFileLoader(str(path)).Load() if event.HasField("summary"))
