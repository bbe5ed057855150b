"""``harness compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import results_option
from harness.cli.root import cli
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
