"""``harness check``."""

from __future__ import annotations

import click

from harness.cli.options import ListOptions
from harness.cli.root import cli, show
from harness.errors import BadInput


@cli.command("check", cls=ListOptions)
@click.option("--model", "names", multiple=True, required=True, help="Registered name or package.module:attribute.")
@click.option("--frames", type=int, default=27, show_default=True, help="T, frames of a clip.")
@click.option("--in-channels", type=int, default=3, show_default=True, help="2 or 3.")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the model.")
def check_command(names: tuple[str, ...], frames: int, in_channels: int, pairs: tuple[str, ...]) -> None:
    """Check a lifter, your own for instance, against the harness's contract before training it."""
    from harness import contract, models, options

    failed = []
    for name in names:
        model = models.build(name, frames, in_channels, **options.split(pairs))
        for finding in contract.check(model, name, frames, in_channels):
            show(f"{'ok  ' if finding.holds else 'FAIL'}  {name}  {finding.name}: {finding.detail}")
            failed += [] if finding.holds else [f"{name}: {finding.name}"]
    if failed:
        raise BadInput(f"the contract is broken: {'; '.join(failed)}")
