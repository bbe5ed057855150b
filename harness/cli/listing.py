"""``harness list`` and ``harness show``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import model_options, results_option, skip_bad_option
from harness.cli.root import cli, say, show


@cli.group("list")
def list_() -> None:
    """Show what there is."""


@list_.command("models")
def list_models() -> None:
    """Registered lifters, and classifiers of point clouds; any other is named package.module:attribute."""
    from harness.models import CLASSIFIERS, MODELS

    _table(
        ("name", "kind", "year", "paper", "T", "parameters", "answers for", ""),
        [
            (name, entry.kind, str(entry.year), entry.paper, " ".join(map(str, entry.frames)),
             f"{entry.parameters:,}", f"{entry.answers} frame", entry.note)
            for name, entry in MODELS.items()
        ],
    )  # fmt: skip
    show("\nclassifiers of point clouds: harness classify")
    _table(
        ("name", "kind", "year", "paper", "points", "parameters", ""),
        [
            (name, entry.kind, str(entry.year), entry.paper, " ".join(map(str, entry.points)),
             f"{entry.parameters:,}", entry.note)
            for name, entry in CLASSIFIERS.items()
        ],
    )  # fmt: skip


def _table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """In columns, numbers to the right; the last column is a note."""
    rows = [heading, *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, note in rows:
        columns = zip(cells, widths[:-1], strict=True)
        padded = [cell.rjust(width) if "," in cell else cell.ljust(width) for cell, width in columns]
        show("  ".join([*padded, note]).rstrip())


@list_.command("protocols")
def list_protocols() -> None:
    """Rules that accuracy figures are made by."""
    from harness.evaluation.protocol import PROTOCOLS

    for name, protocol in PROTOCOLS.items():
        show(f"{name:12}  {protocol.summary}")


@cli.command("show")
@click.argument("name", metavar="MODEL")
@model_options
def show_command(name: str, frames: int | None, in_channels: int | None, pairs: tuple[str, ...]) -> None:
    """One registered lifter: configuration, contract, our counts, the published figures with their sources."""
    from harness import model_card, options

    show(model_card.card(name, frames, in_channels, options.split(pairs)))


@list_.command("runs")
@results_option
@skip_bad_option
def list_runs(results: Path, skip_bad: bool) -> None:
    """Stored runs, the oldest first."""
    from harness.progress import warnings_said
    from harness.quantity import MISSING
    from harness.store.schema import look_up
    from harness.store.store import Store

    with warnings_said(say):
        records = Store(results).latest(skip_bad)
    if not records:
        say(f"nothing is stored in {results} yet")
    for record in records:
        p1_mm, spec = look_up(record, "accuracy.p1_mm"), look_up(record, "data.spec") or MISSING
        error_mm = " " * 10 if p1_mm is None or record["status"] != "ok" else f"{p1_mm:7.1f} mm"
        show(f"{record['id']:44}  {record['status']:11}  {error_mm}  {spec}")
