"""``harness export``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import require_no_result, results_option, skip_bad_option
from harness.cli.root import cli, say
from harness.errors import BadInput

if TYPE_CHECKING:
    from harness.exporting.table import Kind
    from harness.store.schema import Record


@cli.group("export")
def export() -> None:
    """Stored records for other programs; docs/records.md says what is in them."""


def _chosen_records(command: Callable[..., Any]) -> Callable[..., Any]:
    """RUN ..., --what, --results and --skip-bad."""
    for option in (
        skip_bad_option,
        results_option,
        click.option("--what", default="runs", show_default=True, help="runs, measurements or classifications."),
        click.argument("runs", nargs=-1, metavar="[RUN]..."),
    ):
        command = option(command)
    return command


def _table_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "records, sequences, actions, joints, curve, …: see docs/records.md."
    return click.option("--table", "table_name", default="records", show_default=True, help=text)(command)


def _out_option(required: bool) -> Callable[..., Any]:
    text = "File to write." if required else "File to write.  [default: stdout]"
    return click.option("--out", type=click.Path(path_type=Path), required=required, help=text)


@export.command("csv")
@_chosen_records
@_table_option
@_out_option(required=False)
def export_csv(
    runs: tuple[str, ...], what: str, table_name: str, results: Path, out: Path | None, skip_bad: bool
) -> None:
    """A table of what is stored (or of RUNs), a row for each record or each of its entries."""
    from harness.exporting.csv_text import csv_text
    from harness.exporting.sheet import sheet
    from harness.exporting.table import kind

    chosen = kind(what)
    table = chosen.table(table_name)
    _put(csv_text(sheet(_records(chosen, results, runs, skip_bad), chosen, table)).encode(), out)


@export.command("parquet")
@_chosen_records
@_table_option
@_out_option(required=True)
def export_parquet(runs: tuple[str, ...], what: str, table_name: str, results: Path, out: Path, skip_bad: bool) -> None:
    """The same table as Parquet, which keeps the type of every column."""
    from harness.exporting.parquet_file import parquet_file, require_available
    from harness.exporting.sheet import sheet
    from harness.exporting.table import kind

    require_available()
    chosen = kind(what)
    table = chosen.table(table_name)
    _put(parquet_file(sheet(_records(chosen, results, runs, skip_bad), chosen, table)), out)


@export.command("jsonl")
@_chosen_records
@_out_option(required=False)
def export_jsonl(runs: tuple[str, ...], what: str, results: Path, out: Path | None, skip_bad: bool) -> None:
    """The newest record of every id (or of RUNs) as it is stored, one JSON object a line."""
    from harness.exporting.table import kind
    from harness.store.store import line

    chosen = kind(what)
    content = b"".join(map(line, _records(chosen, results, runs, skip_bad)))
    _put(content, out)


@export.command("schema")
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@click.option("--what", default=None, help="Of these alone.  [default: all in Markdown, runs in JSON]")
def export_schema(form: str, what: str | None) -> None:
    """What a record holds, field by field: docs/records.md, or a JSON Schema (draft 2020-12)."""
    from harness.exporting.field_page import field_page
    from harness.exporting.json_schema import json_schema
    from harness.exporting.table import KINDS, kind

    if form == "json":
        click.echo(json.dumps(json_schema(kind(what or "runs")), indent=2, ensure_ascii=False))
    else:
        click.echo(field_page([kind(what)] if what else list(KINDS.values())), nl=False)


def _records(kind: Kind, results: Path, runs: tuple[str, ...], skip_bad: bool) -> list[Record]:
    """The newest record of every id, validated. Raises BadInput where there is none, or not that of a run."""
    from harness.errors import suggestion
    from harness.progress import warnings_said
    from harness.store.store import Store

    store = Store(results, kind.schema)
    with warnings_said(say):
        records = store.latest(skip_bad)
    if not records:
        raise BadInput(f"no {kind.name} are stored in {results}: there is nothing in {store.path.name}")
    known = {record["id"] for record in records}
    for run_id in runs:
        if run_id not in known:
            raise BadInput(f"no record {run_id!r} is in {store.path}. {suggestion(run_id, sorted(known))}".strip())
    return _valid([record for record in records if not runs or record["id"] in runs], kind, skip_bad)


def _valid(records: list[Record], kind: Kind, skip_bad: bool) -> list[Record]:
    valid = []
    for record in records:
        try:
            kind.schema.validate(record)
        except BadInput as error:
            if not skip_bad:
                raise BadInput(f"{error} Leave it out with --skip-bad") from error
            say(f"note: left out: {error}")
        else:
            valid.append(record)
    return valid


def _put(content: bytes, out: Path | None) -> None:
    """To the file, or to stdout, whose reader (``head``) may have seen enough before the end."""
    from harness import atomic_file

    if out is not None:
        require_no_result(out)
        atomic_file.write(out, content)
        return
    try:
        click.echo(content, nl=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
