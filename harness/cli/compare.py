"""``harness compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import ListOptions, results_option
from harness.cli.root import cli, say
from harness.errors import BadInput


@cli.group("compare")
def compare() -> None:
    """Set stored runs side by side."""


@compare.command("report")
@click.argument("runs", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report.  [default: RESULTS/report]")
@results_option
def compare_report(runs: tuple[str, ...], out: Path | None, results: Path) -> None:
    """Write report.html, table.md, table.csv and the figures of what is stored (or of RUNS), and print the table."""
    from harness.reporting import report, table
    from harness.store.store import Store

    records = _chosen(Store(results).latest(), runs)
    written = report.write(records, out or results / "report")
    click.echo(table.text(records))
    for path in written:
        click.echo(path)


def _chosen(records: list[dict[str, Any]], runs: tuple[str, ...]) -> list[dict[str, Any]]:
    from harness.errors import suggestion

    if not records:
        raise BadInput("nothing is stored yet; start with: harness run --model posemamba-xs")
    known = [record["id"] for record in records]
    for run_id in runs:
        if run_id not in known:
            raise BadInput(f"no run {run_id!r} is stored. {suggestion(run_id, known)}All: harness list runs")
    return [record for record in records if not runs or record["id"] in runs]


@compare.command("published")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the table.  [default: RESULTS]")
@results_option
def compare_published(out: Path | None, results: Path) -> None:
    """Count every published lifter again: the printed figure, ours under its convention, and what everything costs."""
    from harness import atomic_file, reproduction

    found = reproduction.compare(say=say)
    click.echo(reproduction.text(found))
    folder = out or results
    for name, content in (
        ("published.md", reproduction.markdown(found)),
        ("published.csv", reproduction.csv(found)),
        ("published.json", reproduction.json(found)),
    ):
        atomic_file.write(folder / name, content.encode())
        click.echo(folder / name)


@compare.command("cost", cls=ListOptions)
@click.option("--model", "models", multiple=True, help="These alone.  [default: all that are stored]")
@click.option("--from-frames", "minimum", type=int, help="Fit exponents from this T on.  [default: the upper half]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the tables.  [default: RESULTS/cost]")
@results_option
def compare_cost(models: tuple[str, ...], minimum: int | None, out: Path | None, results: Path) -> None:
    """What is stored of harness measure: points, growth with T, crossovers, shares of the machine's peaks."""
    from harness import atomic_file
    from harness.models import MODELS
    from harness.reporting import cost_table, selection
    from harness.store.measurement import MEASUREMENTS
    from harness.store.store import Store

    rows = Store(results, MEASUREMENTS).latest()
    if not rows:
        raise BadInput(
            f"nothing is measured in {results} yet; start with: harness measure --model posemamba-xs --quick"
        )
    selection.require_known(models, rows, str(results))
    rows = selection.in_order(models or tuple(MODELS), selection.of_models(models, rows))
    click.echo(cost_table.text(rows, minimum=minimum))
    folder = out or results / "cost"
    files = {"cost.md": cost_table.markdown(rows, minimum=minimum)}
    files |= {f"{table}.csv": cost_table.csv(rows, table, minimum=minimum) for table in cost_table.TABLES}
    for name, content in files.items():
        atomic_file.write(folder / name, content.encode())
        click.echo(folder / name)
