"""``harness run`` and ``harness evaluate``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import processes
from harness.cli.options import (
    ListOptions,
    data_options,
    precision_option,
    protocol_options,
    require_unlike,
    results_option,
)
from harness.cli.processes import devices_options
from harness.cli.root import cli, say, show
from harness.errors import BadInput

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.sweep.point import Point
    from harness.world import World


@cli.command("run", cls=ListOptions)
@click.option("--model", "names", multiple=True, required=True, help="Registered name or package.module:attribute.")
@data_options("auto", 0)
@click.option("--frames", type=int, default=27, show_default=True, help="T, frames of a clip.")
@click.option("--in-channels", type=int, default=3, show_default=True, help="2: x, y; 3: with the confidence.")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the model.")
@click.option("--recipe", default="common", show_default=True, help="common, published, or a family's name.")
@click.option("--epochs", type=int, help="Budget in epochs.")
@click.option("--steps", type=int, help="Budget in steps.")
@click.option("--minutes", type=float, help="Budget in minutes of training.  [default: the recipe's, else 17 minutes]")
@click.option(
    "--core-minutes", type=float, help="Budget in minutes of processor time, all threads together: for shared machines."
)
@click.option("--batch-size", type=int, help="Clips a step.  [default: the recipe's]")
@click.option("--learning-rate", type=float, help="Peak learning rate.  [default: the recipe's]")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0,), show_default=True, help="One run for each.")
@click.option("--space", default="auto", show_default=True, help="What it learns to put out: camera, image.")
@click.option("--flip/--no-flip", "flip_test", default=True, help="Average with the mirrored input at test time.")
@click.option("--protocol", "protocol_name", default="auto", help="See harness list protocols.  [default: the data's]")
@protocol_options
@precision_option
@click.option(
    "--activation-checkpointing",
    is_flag=True,
    help="Train in less memory, a step in more time: each block is computed anew in the backward pass.",
)
@click.option("--accumulate", type=int, default=1, show_default=True, help="Parts that a step's batch is taken in.")
@click.option(
    "--training-precision",
    default="fp32",
    show_default=True,
    help="Of the forward pass in training: fp32, bf16, or fp16 with scaled gradients.",
)
@click.option("--compile", "compiled", is_flag=True, help="Train by torch.compile.")
@devices_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:0.")
@click.option("--threads", type=int, help="CPU threads.  [default: torch's]")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done and how long it takes.")
@click.option("--tensorboard", is_flag=True, help="Log the training in RESULTS/runs/ID/tensorboard, too.")
@click.option("--again", is_flag=True, help="Repeat a run that is already finished, from the start.")
@click.option(
    "--timeout",
    "timeout_minutes",
    type=click.FloatRange(min=0, min_open=True, max=1e6),
    help="Minutes after which a run is ended.",
)
@results_option
@click.pass_context
def run_command(
    ctx: click.Context,
    names: tuple[str, ...],
    data: str | None,
    pairs: tuple[str, ...],
    recipe: str,
    epochs: int | None,
    steps: int | None,
    minutes: float | None,
    core_minutes: float | None,
    seeds: tuple[int, ...],
    dry_run: bool,
    tensorboard: bool,
    again: bool,
    results: Path,
    devices: int | None,
    max_restarts: int,
    timeout_minutes: float | None,
    **given: Any,
) -> None:
    """Train, evaluate and measure each model once for each seed, and store one record each.

    Several runs have a process each, so that one that crashes or hangs does not take the others along.
    """
    from harness import config, models, run
    from harness.comparison.group import group
    from harness.reporting import table
    from harness.sweep import in_turn, own_process
    from harness.training import tensorboard_log

    if tensorboard:
        tensorboard_log.require_available()
    require_unlike("--model", names)
    require_unlike("--seed", seeds)
    here = processes.place(devices, max_restarts, given["device"])
    if data is None:
        data = config.DEFAULT_DATA
        processes.say_once("no --data given: using the built-in synthetic motion (--data motion:PATH for real motion)")
    configs = configs_of(
        names, seeds, data=data, pairs=pairs, recipe=recipe, epochs=epochs, steps=steps, minutes=minutes,
        core_minutes=core_minutes, **given,
    )  # fmt: skip
    if len(configs) > 1:
        # So that the last model's mistake does not wait for the first one's training. A third party's may be a crash.
        for planned in configs:
            if ":" in planned.model:
                models.factory_of(planned.model)
            else:
                run.build(planned)
    if dry_run:
        world = dataclasses.replace(here, size=devices or here.size)
        for planned in configs if here.is_first else ():
            run.plan(run.prepare(planned, results, say, world), say, world.size)
        return
    if timeout_minutes is not None and not here.is_alone:
        raise BadInput("--timeout ends processes that it started; under torchrun or srun use theirs")

    apart = here.is_alone and (len(configs) > 1 or timeout_minutes is not None)
    timeout_s = None if timeout_minutes is None else timeout_minutes * 60

    def run_one(planned: RunConfig, world: World) -> dict[str, Any]:
        if apart:
            return own_process.run(point_of(ctx, planned), results, timeout_s)
        return run.run(planned, results, say, again, tensorboard, world)

    def work(world: World) -> None:
        # Of several processes one that went on by itself would be waited for by the others.
        stop = not world.is_alone
        records, error = in_turn.run_all(configs, lambda planned: run_one(planned, world), say, stop)
        if made := [record for record in records if record]:
            show(table.text(group(made)))
        if error is not None:
            raise error

    if apart:
        work(here)  # a process of its own starts those that share its run
    else:
        processes.share(ctx, here, devices, max_restarts, given["device"], work)


def point_of(ctx: click.Context, planned: RunConfig) -> Point:
    """The command of ``planned`` alone, of all that the one in ``ctx`` asks for."""
    from harness.sweep.point import Point

    words = ["run", "--model", planned.model, "--seed", str(planned.seed)]
    settled = {"data": planned.data, "device": planned.device, "threads": planned.threads}
    for option in ctx.command.params:
        assert isinstance(option, click.Option)
        if option.name not in ("names", "seeds", "results", "timeout_minutes"):
            words += _words(option, settled.get(option.name, ctx.params[option.name]))
    return Point(planned.run_id(), tuple(words), planned, cores=planned.threads)


def _words(option: click.Option, value: Any) -> list[str]:
    flag = option.opts[-1]
    if option.is_flag:
        return [flag] if value else list(option.secondary_opts)
    values = value if option.multiple else [] if value is None else [value]
    return [word for one in values for word in (flag, str(one))]


def configs_of(
    names: Sequence[str], seeds: Sequence[int], *, pairs: Sequence[str], recipe: str, epochs: int | None,
    steps: int | None, minutes: float | None, core_minutes: float | None, **given: Any,
) -> list[RunConfig]:  # fmt: skip
    """The configs of each model and seed, from what the command line says. Raises BadInput as config.resolve."""
    from harness import config, options
    from harness.training.budget import Budget

    budget = None
    seconds, core_seconds = (None if given is None else given * 60 for given in (minutes, core_minutes))
    if (epochs, steps, seconds, core_seconds) != (None, None, None, None):
        budget = Budget(epochs, steps, seconds, core_seconds)
    return [
        config.resolve(name, options=options.split(pairs), recipe_name=recipe, budget=budget, seed=seed, **given)
        for name in names
        for seed in seeds
    ]


@cli.command("evaluate")
@click.option("--run", "run_id", help="Score the weights of this finished run (see harness list runs).")
@click.option("--model", "name", help="Score this model with --weights, or name what a run of your own model imports.")
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint: ours or the authors'.")
@data_options(None, None, before="the run's, else ")
@click.option("--frames", type=int, help="T.  [default: the run's, else the model's]")
@click.option("--in-channels", type=int, help="2 or 3.  [default: the run's, else the model's]")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the model.")
@click.option("--space", help="What the weights put out: camera or image.  [default: the run's, else the authors']")
@click.option("--flip/--no-flip", "flip_test", default=True, help="Average with the mirrored input at test time.")
@click.option("--protocol", help="See harness list protocols.  [default: the run's, else the data's]")
@click.option("--root", default="zeroed", show_default=True, help="The predicted pelvis: zeroed or subtracted.")
@protocol_options
@precision_option
@devices_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:0.")
@click.option("--threads", type=int, help="CPU threads.  [default: torch's]")
@results_option
@click.pass_context
def evaluate_command(
    ctx: click.Context, run_id: str | None, name: str | None, weights: Path | None, results: Path,
    pairs: tuple[str, ...], devices: int | None, max_restarts: int, **given: Any,
) -> None:  # fmt: skip
    """Score a trained run or an imported checkpoint on any data, and store a record of it."""
    from harness import evaluating, options
    from harness.comparison.group import group
    from harness.progress import warnings_said
    from harness.reporting import table
    from harness.store.store import Store

    request = evaluating.Request(run_id=run_id, model=name, weights=weights, options=options.split(pairs), **given)

    def work(world: World) -> None:
        record = evaluating.evaluate(request, results, say, world)
        if not world.is_first:
            return
        with warnings_said(lambda line: None):  # the same as before the evaluation
            stored = Store(results).latest()
        # Beside the training of these weights, which decides what is different about this scoring.
        show(table.text(group(stored, only={record["id"]})))

    here = processes.place(devices, max_restarts, given["device"])
    processes.share(ctx, here, devices, max_restarts, given["device"], work)
