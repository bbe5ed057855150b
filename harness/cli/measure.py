"""``harness measure`` and ``harness count``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import processes
from harness.cli.options import ListOptions, model_options, require_unlike, results_option
from harness.cli.root import cli, say, show
from harness.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from harness.measurement.request import Request

MIB = 2**20


@cli.command("measure", cls=ListOptions)
@click.option("--model", "models", multiple=True, required=True, help="Registered names or package.module:attribute.")
@click.option("--frames", type=int, multiple=True, help="T, one or more.  [default: 9 27 81 243]")
@click.option("--in-channels", type=int, help="2 or 3.  [default: as each model is published]")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the models.")
@click.option("--batch", "batches", multiple=True, default=("1",), show_default=True,
              help="Clips, or auto: the most that run within memory, --batch-seconds and --batch-limit.")  # fmt: skip
@click.option("--batch-limit", type=int, help="Of --batch auto: at most so many clips.  [default: 256]")
@click.option("--batch-seconds", type=float, help="Of --batch auto: a forward as short as this.  [default: 2]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:0.")
@click.option("--threads", type=int, multiple=True, help="CPU threads, one or more.  [default: torch's]")
@click.option(
    "--precision", "precisions", multiple=True, default=("fp32",), show_default=True, help="fp32, bf16, fp16."
)
@click.option("--compile", "compiled", multiple=True, default=("no",), show_default=True,
              type=click.Choice(["no", "yes"]), help="torch.compile.")  # fmt: skip
@click.option("--attention", multiple=True, help="sdpa, explicit.  [default: each model's]")
@click.option("--scan-backend", "scan_backends", multiple=True, help="native, chunked …  [default: each model's]")
@click.option("--streaming", is_flag=True, help="One new frame a call, of causal lifters.")
@click.option("--quick", is_flag=True, help="A coarse answer in about a minute for each model.")
@click.option("--rounds", type=int, help="Fresh processes for each point.  [default: 3; quick: 1]")
@click.option("--samples", type=int, help="At least so many a round.  [default: 10]")
@click.option("--seconds", type=float, help="At least so long a round.  [default: 1; quick: 0.3]")
@click.option("--max-seconds", type=float, help="A round ends then, whatever it has.  [default: 30; quick: 6]")
@click.option("--memory-limit", type=float, help="MiB for a process.  [default: what is available]")
@click.option("--timeout", "timeout_s", type=float, help="Seconds for a process.  [default: 900; quick: 60]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, clips and the order of points.")
@click.option("--dry-run", is_flag=True, help="Say what would be measured and about how long it takes.")
@click.option("--again", is_flag=True, help="Measure also what is stored.")
@results_option
def measure_command(models: tuple[str, ...], dry_run: bool, results: Path, **given: Any) -> None:
    """Measure latency, memory and operations of lifters as the sequence grows; what is stored is not done again."""
    from harness.measurement import plan, survey
    from harness.reporting import cost_table, selection

    processes.require_alone("measure")
    for flag, values in (("--model", models), ("--frames", given["frames"]), ("--batch", given["batches"])):
        require_unlike(flag, values)
    request = requested(models, **given)
    if dry_run:
        plan.plan(request, results, say)
        return
    rows = survey.measure(request, results, say)
    show(cost_table.text(selection.in_order(models, rows)))
    if bad := [row for row in rows if row["status"] in survey.BAD]:
        raise RunFailed(f"{len(bad)} of {len(rows)} passes failed; the first: {bad[0]['id']}: {bad[0]['error']}")


def requested(
    models: tuple[str, ...], *, pairs: tuple[str, ...], compiled: tuple[str, ...], rounds: int | None,
    samples: int | None, seconds: float | None, max_seconds: float | None, memory_limit: float | None, quick: bool,
    batch_limit: int | None, batch_seconds: float | None, **given: Any,
) -> Request:  # fmt: skip
    """What the command line asks for. Raises BadInput; ``Request.resolved`` checks the rest."""
    from harness import options
    from harness.measurement.request import Request
    from harness.measurement.timing import Protocol

    protocol = (Protocol.quick() if quick else Protocol()).changed(
        rounds=rounds, min_samples=samples, min_seconds=seconds, max_seconds=max_seconds
    )
    searched: dict[str, Any] = {"batch_limit": batch_limit, "batch_seconds": batch_seconds}
    return Request(
        models=models,
        options=options.split(pairs),
        compiled=[word == "yes" for word in compiled],
        memory_limit_bytes=None if memory_limit is None else _bytes(memory_limit),
        quick=quick,
        protocol=protocol,
        **{name: value for name, value in searched.items() if value is not None},
        **given,
    )


def _bytes(memory_limit_mib: float) -> int:
    if not math.isfinite(memory_limit_mib):
        raise BadInput(f"--memory-limit {memory_limit_mib}: not a number of MiB; leave it out for no limit")
    return int(memory_limit_mib * MIB)


@cli.command("count")
@click.argument("name", metavar="MODEL")
@model_options
@click.option("--json", "as_json", is_flag=True, help="Every figure, for programs.")
def count_command(
    name: str, frames: int | None, in_channels: int | None, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Parameters and operations of a model under every convention, by kind of work, and what each leaves out."""
    from harness import cost_card, options

    counted = cost_card.count(name, frames, in_channels, options.split(pairs))
    if as_json:
        click.echo(json.dumps(counted, indent=2))
    else:
        show(cost_card.text(name, counted))
