"""``harness run`` and ``harness evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import (
    ListOptions,
    data_options,
    precision_option,
    protocol_options,
    require_unlike,
    results_option,
)
from harness.cli.root import cli, say, show


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
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:0.")
@click.option("--threads", type=int, help="CPU threads.  [default: torch's]")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done and how long it takes.")
@click.option("--tensorboard", is_flag=True, help="Log the training in RESULTS/runs/ID/tensorboard, too.")
@click.option("--again", is_flag=True, help="Repeat a run that is already finished, from the start.")
@results_option
def run_command(
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
    **given: Any,
) -> None:
    """Train, evaluate and measure each model once for each seed, and store one record each."""
    from harness import config, options, run, sweep
    from harness.comparison.group import group
    from harness.reporting import table
    from harness.training import tensorboard_log
    from harness.training.budget import Budget

    if tensorboard:
        tensorboard_log.require_available()
    require_unlike("--model", names)
    require_unlike("--seed", seeds)
    if data is None:
        data = config.DEFAULT_DATA
        say("no --data given: using the built-in synthetic motion (--data motion:PATH for real motion)")
    budget = None
    seconds, core_seconds = (None if given is None else given * 60 for given in (minutes, core_minutes))
    if (epochs, steps, seconds, core_seconds) != (None, None, None, None):
        budget = Budget(epochs, steps, seconds, core_seconds)
    configs = [
        config.resolve(
            name, options=options.split(pairs), recipe_name=recipe, budget=budget, data=data, seed=seed, **given
        )
        for name in names
        for seed in seeds
    ]
    if len(configs) > 1:
        # So that the last model's mistake does not wait for the first one's training.
        for planned in configs:
            run.build(planned)
    if dry_run:
        for planned in configs:
            run.plan(run.prepare(planned, results, say), say)
        return
    records, error = sweep.run_all(configs, lambda planned: run.run(planned, results, say, again, tensorboard), say)
    if records:
        show(table.text(group(records)))
    if error is not None:
        raise error


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
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:0.")
@click.option("--threads", type=int, help="CPU threads.  [default: torch's]")
@results_option
def evaluate_command(
    run_id: str | None, name: str | None, weights: Path | None, results: Path, pairs: tuple[str, ...], **given: Any
) -> None:
    """Score a trained run or an imported checkpoint on any data, and store a record of it."""
    from harness import evaluating, options
    from harness.comparison.group import group
    from harness.progress import warnings_said
    from harness.reporting import table
    from harness.store.store import Store

    request = evaluating.Request(run_id=run_id, model=name, weights=weights, options=options.split(pairs), **given)
    record = evaluating.evaluate(request, results, say)
    with warnings_said(lambda line: None):  # the same as before the evaluation
        stored = Store(results).latest()
    # Beside the training of these weights, which decides what is different about this scoring.
    show(table.text(group(stored, only={record["id"]})))
