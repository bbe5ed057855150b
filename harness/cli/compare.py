"""``harness compare``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import ListOptions, results_option, skip_bad_option
from harness.cli.root import cli, say, show
from harness.errors import BadInput, HarnessError, suggestion
from harness.evaluation.statistics import WORTH_HAVING_MM

if TYPE_CHECKING:
    from harness.comparison.regression import Limits, Regression
    from harness.store.schema import Record


@cli.group("compare")
def compare() -> None:
    """Set stored runs side by side."""


@compare.command("report", cls=ListOptions)
@click.argument("runs", nargs=-1)
@click.option("--group", "groups", multiple=True, metavar="NAME", help="These groups alone, by the report's names.")
@click.option("--format", "formats", multiple=True, help="html, md, latex, csv, by commas or repeated.  [default: all]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report.  [default: RESULTS/report]")
@results_option
@skip_bad_option
def compare_report(
    runs: tuple[str, ...],
    groups: tuple[str, ...],
    formats: tuple[str, ...],
    out: Path | None,
    results: Path,
    skip_bad: bool,
) -> None:
    """Write the report of what is stored (or of RUNS) as a page, tables and figures, and print the table."""
    from harness.comparison.choice import chosen_groups
    from harness.comparison.group import group
    from harness.progress import warnings_said
    from harness.reporting import report, table
    from harness.reporting.evidence import Evidence

    records = _stored(results, skip_bad)
    # Of the whole store first: what a configuration is called, and what weights were trained on, depends on all of it.
    chosen = chosen_groups(group(records, _known_ids(records, runs)), groups)
    names = list(dict.fromkeys(name for given in formats for name in given.split(",")))
    evidence = Evidence.of(results, records, chosen)
    with warnings_said(say):
        written = report.write(evidence, out or results / "report", names or report.FORMATS)
    show(table.text(chosen))
    for path in written:
        show(path)


def _stored(results: Path, skip_bad: bool) -> list[Record]:
    from harness.comparison.stored_runs import stored_runs

    return stored_runs(results, say, skip_bad)


def _known_ids(records: list[Record], runs: tuple[str, ...]) -> set[str] | None:
    """The ids that were asked for, None where all are meant. Raises BadInput for one that is not stored."""
    known = [record["id"] for record in records]
    for run_id in runs:
        if run_id not in known:
            raise BadInput(f"no run {run_id!r} is stored. {suggestion(run_id, known)}All: harness list runs")
    return set(runs) or None


def _worth_having_option(default: float, help_text: str) -> Callable[..., Any]:
    return click.option(
        "--worth-having", metavar="MM", type=click.FloatRange(min=0), default=default, show_default=True, help=help_text
    )


_json_option = click.option("--json", "as_json", is_flag=True, help="For a program.")
_group_option = click.option(
    "--group", "group_name", metavar="NAME", help="Where a configuration was scored under several: in this group."
)


@compare.command("runs")
@click.argument("a")
@click.argument("b")
@_worth_having_option(WORTH_HAVING_MM, "Smallest difference in P1 worth having.")
@_group_option
@_json_option
@results_option
@skip_bad_option
def compare_runs(
    a: str, b: str, worth_having: float, group_name: str | None, as_json: bool, results: Path, skip_bad: bool
) -> None:
    """Set A against B: ids of runs, or configurations or models as the report prints them (then all their seeds).

    The difference is paired by take, with its interval and p-value, over all and action by action.
    """
    from harness.comparison import pair
    from harness.comparison.choice import chosen_pair
    from harness.reporting import pair_text

    found = pair.compare(*chosen_pair(_stored(results, skip_bad), a, b, str(results), group_name))
    if as_json:
        click.echo(pair_text.as_json(found, worth_having))
    else:
        show(pair_text.text(found, worth_having))


@compare.command("regress")
@click.argument("base")
@click.argument("new")
@_worth_having_option(0.0, "A rise of P1 below this is none.")
@click.option(
    "--tolerated-slowdown", metavar="PERCENT", type=click.FloatRange(min=0), default=5.0, show_default=True,
    help="A slower forward up to this is none: processes of one code differ by more than a process's interval says.",
)  # fmt: skip
@click.option("--require-speed", is_flag=True, help="End with 2 where a speed cannot be judged.")
@_group_option
@_json_option
@results_option
@skip_bad_option
@click.pass_context
def compare_regress(
    ctx: click.Context,
    base: str,
    new: str,
    worth_having: float,
    tolerated_slowdown: float,
    require_speed: bool,
    group_name: str | None,
    as_json: bool,
    results: Path,
    skip_bad: bool,
) -> None:
    """Check whether NEW is worse than BASE: two results folders, or two runs or configurations of --results.

    Of two folders every configuration that both have is compared, under every protocol and on every test set. Ends with
    1 where a seed no longer finishes, where accuracy got worse (the interval over takes above zero, p < 0.05 by Holm
    over all configurations, and from three seeds on beyond their spread) or where speed did, beyond both intervals and
    the tolerated slowdown (on one machine, where both timings are STABLE); with 2 where accuracies cannot be compared,
    or nothing can be said at all; else 0.
    """
    from harness.comparison.regression import Limits
    from harness.reporting import regression_text

    limits = Limits(worth_having, tolerated_slowdown, require_speed)
    try:
        found = _regression(base, new, group_name, results, limits, skip_bad)
        if as_json:
            click.echo(regression_text.as_json(found, limits))
        else:
            show(regression_text.text(found, limits))
    except HarnessError:
        raise
    except Exception as error:
        # Ending with 1 would say that something got worse.
        problem = f"the comparison broke off, so that nothing can be said: {type(error).__name__}: {error}"
        raise BadInput(f"{problem} (harness --debug shows where)") from error
    ctx.exit(found.exit_code)


def _regression(
    base: str, new: str, group_name: str | None, results: Path, limits: Limits, skip_bad: bool
) -> Regression:
    """Of two folders, or of two names in ``results``."""
    from harness.comparison import regression
    from harness.comparison.choice import chosen_pair

    folders = [Path(name) for name in (base, new)]
    is_folder = [folder.is_dir() for folder in folders]
    if all(is_folder):
        if group_name:
            raise BadInput("--group is for two runs or configurations of --results; folders are compared whole")
        return regression.of_stores(_stored(folders[0], skip_bad), _stored(folders[1], skip_bad), limits)
    for name, exists in zip((base, new), is_folder, strict=True):
        if not exists and (any(is_folder) or "/" in name):
            raise BadInput(f"there is no folder {name}. Give two results folders, or two names of runs in --results")
    stored = _stored(results, skip_bad)
    return regression.of_entries(*chosen_pair(stored, base, new, str(results), group_name), limits)


@compare.command("published")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the table.  [default: RESULTS]")
@results_option
def compare_published(out: Path | None, results: Path) -> None:
    """Count every published lifter again: the printed figure, ours under its convention, and what everything costs."""
    from harness import atomic_file, reproduction

    found = reproduction.compare(say=say)
    show(reproduction.text(found))
    folder = out or results
    for name, content in (
        ("published.md", reproduction.markdown(found)),
        ("published.csv", reproduction.csv(found)),
        ("published.json", reproduction.json(found)),
    ):
        atomic_file.write(folder / name, content.encode())
        show(folder / name)


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
    show(cost_table.text(rows, minimum=minimum))
    folder = out or results / "cost"
    files = {"cost.md": cost_table.markdown(rows, minimum=minimum)}
    tables = {table: cost_table.csv(rows, table, minimum=minimum) for table in cost_table.TABLES}
    files |= {f"{table}.csv": content for table, content in tables.items() if content}  # some need several T
    for name, content in files.items():
        atomic_file.write(folder / name, content.encode())
        show(folder / name)
