"""The ``harness`` command itself, which the others hang on, and its voice."""

from __future__ import annotations

import click

from harness.printable import printable


def say(message: str) -> None:
    """One line to the person at the terminal."""
    click.echo(printable(message), err=True)


def show(result: object) -> None:
    """A result, on stdout: what names in it hold beside letters is spelled out."""
    click.echo(printable(str(result)))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="pose-lifting-harness")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Train, evaluate and measure 2D-to-3D human pose lifters on one pipeline."""
    ctx.obj = {**(ctx.obj or {}), "debug": debug}
