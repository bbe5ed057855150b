"""``harness classify`` and ``harness compare classify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli import processes
from harness.cli.compare import compare
from harness.cli.options import ListOptions, require_unlike, results_option
from harness.cli.root import cli, say, show
from harness.errors import BadInput


@cli.command("classify", cls=ListOptions)
@click.option("--model", "names", multiple=True, required=True, help="Registered name or package.module:attribute.")
@click.option("--data", help="shapes, modelnet40:PATH, scanobjectnn[-objbg|-objonly]:PATH.  [default: shapes]")
@click.option("--data-seed", type=int, default=0, show_default=True, help="Seed of the made shapes.")
@click.option("--points", type=int, help="P, points of a cloud.  [default: 1024; scanobjectnn 2048]")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the model.")
@click.option("--epochs", type=int, help="Budget in epochs.")
@click.option("--steps", type=int, help="Budget in steps.")
@click.option("--minutes", type=float, help="Budget in minutes of training.  [default: 10]")
@click.option("--batch-size", type=int, help="Clouds a step.  [default: 32]")
@click.option("--learning-rate", type=float, help="Peak learning rate.  [default: 0.001]")
@click.option("--weight-decay", type=float, help="Of AdamW.  [default: 0.05]")
@click.option("--label-smoothing", type=float, help="Of the training's targets.  [default: 0.1]")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0,), show_default=True, help="One run for each.")
@click.option("--cost-points", type=int, multiple=True, help="P of latency and memory.  [default: 256 512 … 4096]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:0.")
@click.option("--threads", type=int, help="CPU threads.  [default: torch's]")
@click.option("--again", is_flag=True, help="Repeat a run that is already finished, from the start.")
@results_option
def classify_command(
    names: tuple[str, ...],
    pairs: tuple[str, ...],
    epochs: int | None,
    steps: int | None,
    minutes: float | None,
    seeds: tuple[int, ...],
    again: bool,
    results: Path,
    **given: Any,
) -> None:
    """Train, evaluate and measure point-cloud models once for each seed, and store one record each."""
    from functools import lru_cache

    from harness import options
    from harness.classification import config, run, source, table
    from harness.sweep import in_turn
    from harness.training.budget import Budget

    processes.require_alone("classify")
    for flag, values in (("--model", names), ("--seed", seeds), ("--cost-points", given["cost_points"])):
        require_unlike(flag, values)
    if given["data"] is None:
        say("no --data given: using made shapes (--data modelnet40:PATH, scanobjectnn:PATH for real ones)")
    budget = None
    if (epochs, steps, minutes) != (None, None, None):
        budget = Budget(epochs, steps, None if minutes is None else minutes * 60)
    configs = [
        config.resolve(name, options=options.split(pairs), budget=budget, seed=seed, **given)
        for name in names
        for seed in seeds
    ]
    # So that the last model's mistake does not wait for the first one's training.
    for planned in {planned.model: planned for planned in configs}.values():
        run.require_buildable(planned)
    load = lru_cache(maxsize=1)(source.load)  # the data of all these runs are the same
    records, error = in_turn.run_all(configs, lambda planned: run.run(planned, results, say, again, load), say)
    if records:
        show(table.text(records))
    if error is not None:
        raise error


@compare.command("classify", cls=ListOptions)
@click.option("--model", "names", multiple=True, help="These alone.  [default: all that are stored]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the files.  [default: RESULTS/classification]")
@results_option
def compare_classify(names: tuple[str, ...], out: Path | None, results: Path) -> None:
    """Write classification.md, .csv and the figure of what harness classify has stored, and print the tables."""
    from harness import atomic_file
    from harness.classification import plot, table
    from harness.errors import suggestion
    from harness.progress import warnings_said
    from harness.store.classification import CLASSIFICATIONS
    from harness.store.store import Store

    records = Store(results, CLASSIFICATIONS).latest()
    if not records:
        raise BadInput(f"nothing is classified in {results} yet; start with: harness classify --model mamba3d-xs")
    known = list(dict.fromkeys(record["config"]["model"] for record in records))
    for name in names:
        if name not in known:
            raise BadInput(f"no run of {name!r} is stored. {suggestion(name, known)}There are: {', '.join(known)}")
    records = [record for record in records if not names or record["config"]["model"] in names]
    with warnings_said(say):
        figures = plot.draw(records, say)
    show(table.text(records))
    folder = out or results / "classification"
    files = {"classification.md": table.markdown(records).encode(), "classification.csv": table.csv(records).encode()}
    for file, content in {**files, **figures}.items():
        atomic_file.write(folder / file, content)
        show(folder / file)
