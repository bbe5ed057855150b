"""``harness sweep``."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import processes
from harness.cli.options import results_option
from harness.cli.root import cli, say, show
from harness.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from harness.sweep.executor import Executor
    from harness.sweep.point import Point

LOCAL, RAY, SLURM = "local", "ray", "slurm"


@cli.command("sweep")
@click.argument("grid_file", metavar="GRID.toml", type=click.Path(path_type=Path))
@click.option("--executor", type=click.Choice([LOCAL, RAY, SLURM]), default=LOCAL, show_default=True,
              help="Processes here, tasks of Ray, or jobs of Slurm.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), help="Points at once, locally.  [default: as cores or GPUs allow]")
@click.option(
    "--retries", type=click.IntRange(min=0), help="How often a point that failed is tried again.  [default: 1]"
)
@click.option("--timeout", "timeout_minutes", type=click.FloatRange(min=0, min_open=True, max=1e6),
              help="Minutes after which a point is ended.")  # fmt: skip
@click.option("--address", help="Of the Ray cluster: HOST:PORT, or auto.  [default: RAY_ADDRESS, else one of its own]")
@click.option("--shared", is_flag=True, help="Every node of the Ray cluster sees the results folder.")
@click.option("--slurm", "slurm_pairs", multiple=True, metavar="KEY=VALUE", help="An option of sbatch: partition=gpu.")
@click.option("--longest-first", is_flag=True, help="Start points by their durations as --dry-run estimates them.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, where the time goes and how long it takes.")
@click.option("--print", "as_script", is_flag=True, help="With slurm: print a script for sbatch, and start nothing.")
@results_option
def sweep_command(
    grid_file: Path, executor: str, jobs: int | None, retries: int | None, timeout_minutes: float | None,
    address: str | None, shared: bool, slurm_pairs: tuple[str, ...], longest_first: bool, dry_run: bool,
    as_script: bool, results: Path,
) -> None:  # fmt: skip
    """Do all the runs and measurements of a grid; what is finished is skipped, so that the same command goes on.

    Keys of GRID.toml are the long options of harness run, each with a value or a list of them; [options],
    [options.MODEL], [measure] and [[also]] are explained in harness/sweep/grid.py.
    """
    from harness.cli import sweep_points
    from harness.store.store import Store
    from harness.sweep import forecast
    from harness.sweep.conductor import Conductor, Rules
    from harness.sweep.finished import finished

    processes.require_alone("sweep")
    _require_of_executor(executor, jobs=jobs, address=address, shared=shared, slurm=slurm_pairs, print=as_script)
    if timeout_minutes is not None and math.isnan(timeout_minutes):
        raise BadInput("--timeout nan is no number of minutes; leave it out for no limit")
    if as_script and retries is not None:
        raise BadInput("--retries has no effect on a script, whose jobs Slurm runs by itself; leave it out")
    points = sweep_points.planned(grid_file, elsewhere=executor != LOCAL)
    timeout_s = None if timeout_minutes is None else timeout_minutes * 60
    rules = Rules(1 if retries is None else retries, timeout_s, measure_in_store=executor == LOCAL)
    if not (dry_run or as_script):
        Store(results).preflight()
    skipped = finished(points, results, say, elsewhere=executor != LOCAL)
    to_do = [point for point in points if point.id not in skipped]
    slots = _slots(executor, to_do, jobs, slurm_pairs)
    if dry_run:
        forecast.say_plan(points, executor, slots, results, say, skipped=skipped)
        return
    if longest_first:
        to_do = forecast.longest_first(to_do, executor, results, say)
        points = [*(point for point in points if point.id in skipped), *to_do]
    if as_script:
        _print_script(to_do, timeout_s, results, slurm_pairs)
        return
    say(f"{len(points)} points, {len(skipped)} of them finished")
    failed: dict[str, str] = {}
    if to_do:
        later = " when it has ended" * (executor == RAY and not shared)
        say(f"what each point prints is in {results / 'sweeps'}/ID.log{later}")
        engine = _engine(executor, to_do, jobs, address, shared, slurm_pairs, results)
        conductor = Conductor(points, engine, results, say, rules=rules, skipped=skipped, at_once=slots)
        try:
            failed = conductor.conduct().failed
        finally:
            _show_finished(points, results)
    else:
        _show_finished(points, results)
    if failed:
        for point_id, why in failed.items():
            say(f"  {point_id}: {why}")
        raise RunFailed(f"{len(failed)} of {len(points)} points failed; the same command tries them again")


def _require_of_executor(executor: str, **given: object) -> None:
    """Raises BadInput for an option of another executor, which would be without effect."""
    for name, theirs in (("jobs", LOCAL), ("address", RAY), ("shared", RAY), ("slurm", SLURM), ("print", SLURM)):
        if given[name] and executor != theirs:
            raise BadInput(f"--{name} is of --executor {theirs}; leave it out, or choose that")


def _slots(executor: str, points: Sequence[Point], jobs: int | None, slurm_pairs: Collection[str]) -> int | None:
    """How many points are worked on at once, as far as it is known before."""
    from harness.sweep.slurm_array import AT_ONCE, SlurmOptions

    if executor == SLURM:
        at_once = SlurmOptions.parsed(slurm_pairs).at_once
        return None if at_once == AT_ONCE else at_once  # the default says nothing of the cluster
    if executor == RAY:
        return None
    if jobs is not None:
        return jobs
    gpus = sum(point.gpus > 0 for point in points)
    if gpus and gpus == len(points):
        return max(1, len(_gpus()) // max(point.gpus for point in points))
    return max(1, _cores() // max((point.cores for point in points if not point.gpus), default=1))


def _engine(
    executor: str, points: Sequence[Point], jobs: int | None, address: str | None, shared: bool,
    slurm_pairs: tuple[str, ...], results: Path,
) -> Executor:  # fmt: skip
    if executor == RAY:
        from harness.sweep.ray_cluster import RayCluster

        return RayCluster(address, say, shared=shared)
    if executor == SLURM:
        from harness.sweep.slurm import Slurm
        from harness.sweep.slurm_array import SlurmOptions

        return Slurm(results / "sweeps" / "slurm", SlurmOptions.parsed(slurm_pairs))
    from harness.sweep.local import Local

    return Local(_cores(), _gpus() if any(point.gpus for point in points) else (), jobs)


def _cores() -> int:
    from harness import environment

    return environment.usable_cores() or 1


def _gpus() -> tuple[str, ...]:
    """Names of the GPUs that may be used here."""
    import torch

    from harness.sweep.local import VISIBLE

    if (named := os.environ.get(VISIBLE)) is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip())
    return tuple(map(str, range(torch.cuda.device_count())))


def _print_script(
    points: Sequence[Point], timeout_s: float | None, results: Path, slurm_pairs: tuple[str, ...]
) -> None:  # fmt: skip
    from harness.sweep import slurm_script
    from harness.sweep.slurm_array import SlurmOptions

    if not points:
        raise BadInput(f"every point is finished in {results}: there is nothing to submit")
    folder = Path(os.path.abspath(results))
    tasks = [point.task(timeout_s, str(folder)) for point in points]
    click.echo(slurm_script.text(tasks, folder, SlurmOptions.parsed(slurm_pairs), Path.cwd()), nl=False)


def _show_finished(points: Sequence[Point], results: Path) -> None:
    """The tables of what is finished, whatever has become of the rest."""
    from harness.comparison.group import group
    from harness.progress import warnings_said
    from harness.reporting import cost_table, selection, table
    from harness.store.measurement import MEASUREMENTS
    from harness.store.store import Store

    ids = {point.id for point in points if point.config is not None}
    keys = {measured.key() for point in points if point.request for measured, _ in point.request.points()}
    with warnings_said(lambda warning: None):  # said before
        records = [record for record in Store(results).latest() if record["id"] in ids and record["status"] == "ok"]
        rows = Store(results, MEASUREMENTS).latest() if keys else []
    if records:
        show(table.text(group(records)))
    environments = {row["environment_key"] for row in rows if row.get("point_key") in keys}
    if environments:
        machines = [row for row in rows if row["pass"] == "machine" and row["environment_key"] in environments]
        mine = [row for row in rows if row.get("point_key") in keys]
        models = list(dict.fromkeys(point.model for point in points))
        show(cost_table.text(selection.in_order(models, [*machines, *mine])))
