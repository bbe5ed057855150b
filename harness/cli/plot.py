"""``harness plot``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import ListOptions, results_option
from harness.cli.root import cli, say, show


@cli.command("plot", cls=ListOptions)
@click.argument("kind", metavar="KIND")
@click.option("--model", "models", multiple=True, help="These alone.  [default: all that are stored]")
@click.option("--frames", type=int, help="T of the roofline, or of the runs.  [default: the longest, or all]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the figures.  [default: RESULTS/figures]")
@results_option
def plot_command(kind: str, models: tuple[str, ...], frames: int | None, out: Path | None, results: Path) -> None:
    """Draw complexity, accuracy-cost, memory, roofline, published, or all of them, from what is stored."""
    from harness.progress import warnings_said
    from harness.reporting import cost_plots

    folder = out or results / "figures"
    with warnings_said(say):
        written = cost_plots.write(kind, cost_plots.stored(results), folder, models=models, frames=frames, say=say)
    for path in written:
        show(path)
