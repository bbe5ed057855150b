"""Commands whose work several processes share: started here for ``--devices``, or recognised as one of torchrun's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from harness.cli.root import say
from harness.errors import BadInput

if TYPE_CHECKING:
    from harness.world import World


def devices_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--devices and --max-restarts."""
    for option in (
        click.option(
            "--max-restarts", type=int, default=0, show_default=True,
            help="With --devices: start again from the last checkpoint so many times where a process is lost.",
        ),
        click.option(
            "--devices", type=int, help="So many GPUs of this machine, or processes on its CPU, share the work.  "
            "[default: 1; under torchrun or srun: as there are processes]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def place(devices: int | None, max_restarts: int, device: str) -> World:
    """This process's among those that work on the command. Raises BadInput for numbers that make no sense."""
    from harness import placement

    here = placement.here()
    require_possible(here, devices, max_restarts, device)
    if not here.is_first:
        # What there is to know the first one says.
        warnings.simplefilter("ignore")
    return here


def share(
    ctx: click.Context,
    here: World,
    devices: int | None,
    max_restarts: int,
    device: str,
    work: Callable[[World], None],
) -> None:
    """Do ``work`` as one process of as many as are wanted, after starting them where nobody has.

    Leaves with the exit code that they end with where they were started here. Raises what ``harness.launch`` and
    ``work`` raise.
    """
    from harness import devices as kinds
    from harness import launch, process_group

    if devices is not None and devices > 1 and here.is_alone:
        if code := launch.launch(ctx.obj["words"], devices, max_restarts):
            ctx.exit(code)
        return
    launch.end_with_agent()
    with process_group.joined(here, kinds.resolve(device)):
        work(here)


def say_once(message: str) -> None:
    """By the first process alone."""
    if not is_helper():
        say(message)


def require_possible(here: World, devices: int | None, max_restarts: int, device: str) -> None:
    """Raises BadInput for numbers of processes and restarts that make no sense in ``here``, or for ``device``."""
    if devices is not None and devices < 1:
        raise BadInput(f"--devices {devices} is out of range; it must be at least 1")
    if max_restarts < 0:
        raise BadInput(f"--max-restarts {max_restarts} is out of range; it must be at least 0")
    if max_restarts and not (devices is not None and devices > 1):
        raise BadInput("--max-restarts is of --devices 2 and more; under torchrun give it to torchrun")
    wanted = here.size if devices is None else devices
    if not here.is_alone and wanted != here.size:
        raise BadInput(f"--devices {devices} in one of {here.size} processes that were started already; leave it out")
    if wanted > 1 and device not in ("auto", "cpu", "cuda"):
        raise BadInput(f"--device {device} is one device, and --devices {wanted} are wanted; use --device cuda or cpu")


def require_alone(command: str) -> None:
    """Raises BadInput in one of several processes that torchrun or srun started."""
    from harness import placement

    if not (here := placement.here()).is_alone:
        raise BadInput(
            f"harness {command} is the work of one process, and this is one of {here.size}; start it without torchrun"
        )


def is_helper() -> bool:
    """Whether the first process of several says what there is to say."""
    return not _here().is_first


def speaker() -> str:
    """Begins what one of several processes says, unless it is the first."""
    return f"[process {_here().rank + 1} of {_here().size}] " if is_helper() else ""


def _here() -> World:
    """For whoever only speaks: numbers that make no sense have been refused."""
    from harness import placement
    from harness.world import ALONE

    try:
        return placement.here()
    except BadInput:
        return ALONE
