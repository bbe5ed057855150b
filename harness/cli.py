"""The command line: parses and calls, nothing else. Results go to stdout, progress and messages to stderr."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness import threads
from harness.errors import BadInput, HarnessError

#: Options that take several values after one flag: ``--model A B C``.
_LISTS = ("--model", "--seed")


class _ListOptions(click.Command):
    """A command whose ``_LISTS`` options may be given once with several values."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        flag = ""
        for word in args:
            if word.startswith("-") and word != "-":
                flag = word if word in _LISTS else ""
                spread.append(word)
            else:
                follows_flag = bool(spread) and spread[-1] == flag
                spread += [word] if follows_flag or not flag else [flag, word]
        return super().parse_args(ctx, spread)


def say(message: str) -> None:
    """One line to the person at the terminal."""
    click.echo(message, err=True)


def _results_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--results",
        type=click.Path(path_type=Path),
        default=Path("results"),
        show_default=True,
        help="Folder of the store: records, weights, caches, reports.",
    )(command)


def _data_options(detector: str | None, seed: int | None, before: str = "") -> Callable[..., Any]:
    """--data, --detector and --data-seed; ``before`` says in words what comes before the built-in defaults."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for flag, default, kind, text, shown in (
            ("--data-seed", seed, int, "Seed of the simulated detections.", "0"),
            (
                "--detector",
                detector,
                str,
                "2D keypoints: those of the files, or simulated gt, sh, cpn, wild.",
                "the data's first",
            ),
            ("--data", None, str, "h36m:PATH, 3dhp:PATH, 3dpw:PATH, motion:PATH or synthetic.", "synthetic"),
        ):
            help_text = f"{text}  [default: {before}{shown}]"
            command = click.option(flag, default=default, type=kind, help=help_text)(command)
        return command

    return add


def _protocol_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--xy", default="predicted", show_default=True, help="input: score the ground-truth 2D's x and y."
        ),
        click.option("--windows", default="auto", show_default=True, help="Test clips: auto, overlap-last or sliding."),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="pose-lifting-harness")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Train, evaluate and measure 2D-to-3D human pose lifters on one pipeline."""
    ctx.obj = {"debug": debug}


@cli.command("run", cls=_ListOptions)
@click.option("--model", "names", multiple=True, required=True, help="Registered name or package.module:attribute.")
@_data_options("auto", 0)
@click.option("--frames", type=int, default=27, show_default=True, help="T, frames of a clip.")
@click.option("--in-channels", type=int, default=3, show_default=True, help="2: x, y; 3: with the confidence.")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the model.")
@click.option("--recipe", default="common", show_default=True, help="common, published, or a family's name.")
@click.option("--epochs", type=int, help="Budget in epochs.")
@click.option("--steps", type=int, help="Budget in steps.")
@click.option("--minutes", type=float, help="Budget in minutes of training.  [default: the recipe's, else 17 minutes]")
@click.option("--batch-size", type=int, help="Clips a step.  [default: the recipe's]")
@click.option("--learning-rate", type=float, help="Peak learning rate.  [default: the recipe's]")
@click.option("--seed", "seeds", type=int, multiple=True, default=(0,), show_default=True, help="One run for each.")
@click.option("--space", default="auto", show_default=True, help="What it learns to put out: camera, image.")
@click.option("--flip/--no-flip", "flip_test", default=True, help="Average with the mirrored input at test time.")
@click.option("--protocol", "protocol_name", default="auto", help="See harness list protocols.  [default: the data's]")
@_protocol_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:0.")
@click.option("--threads", type=int, help="CPU threads.  [default: torch's]")
@click.option("--dry-run", is_flag=True, help="Check everything, say what would be done and how long it takes.")
@click.option("--again", is_flag=True, help="Repeat a run that is already finished, from the start.")
@_results_option
def run_command(
    names: tuple[str, ...],
    data: str | None,
    pairs: tuple[str, ...],
    recipe: str,
    epochs: int | None,
    steps: int | None,
    minutes: float | None,
    seeds: tuple[int, ...],
    dry_run: bool,
    again: bool,
    results: Path,
    **given: Any,
) -> None:
    """Train, evaluate and measure each model once for each seed, and store one record each."""
    from harness import config, options, run
    from harness.reporting import table
    from harness.training.budget import Budget

    _require_unlike("--model", names)
    _require_unlike("--seed", seeds)
    if data is None:
        data = config.DEFAULT_DATA
        say("no --data given: using the built-in synthetic motion (--data motion:PATH for real motion)")
    budget = None
    if (epochs, steps, minutes) != (None, None, None):
        budget = Budget(epochs, steps, None if minutes is None else minutes * 60)
    configs = [
        config.resolve(
            name, options=options.split(pairs), recipe_name=recipe, budget=budget, data=data, seed=seed, **given
        )
        for name in names
        for seed in seeds
    ]
    if len(configs) > 1:
        # So that the last model's mistake does not wait for the first one's training.
        for planned in configs:
            run.build(planned)
    if dry_run:
        for planned in configs:
            run.plan(run.prepare(planned, results, say), say)
        return
    records = [run.run(planned, results, say, again) for planned in configs]
    click.echo(table.text(records))


def _require_unlike(flag: str, values: tuple[Any, ...]) -> None:
    repeated = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    if repeated:
        raise BadInput(f"{flag} {repeated[0]} is given twice")


@cli.command("evaluate")
@click.option("--run", "run_id", help="Score the weights of this finished run (see harness list runs).")
@click.option("--model", "name", help="Score this model with --weights.")
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint: ours or the authors'.")
@_data_options(None, None, before="the run's, else ")
@click.option("--frames", type=int, help="T.  [default: the run's, else the model's]")
@click.option("--in-channels", type=int, help="2 or 3.  [default: the run's, else the model's]")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the model.")
@click.option("--space", help="What the weights put out: camera or image.  [default: the run's, else the authors']")
@click.option("--flip/--no-flip", "flip_test", default=True, help="Average with the mirrored input at test time.")
@click.option("--protocol", help="See harness list protocols.  [default: the run's, else the data's]")
@click.option("--root", default="zeroed", show_default=True, help="The predicted pelvis: zeroed or subtracted.")
@_protocol_options
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:0.")
@click.option("--threads", type=int, help="CPU threads.  [default: torch's]")
@_results_option
def evaluate_command(
    run_id: str | None, name: str | None, weights: Path | None, results: Path, pairs: tuple[str, ...], **given: Any
) -> None:
    """Score a trained run or an imported checkpoint on any data, and store a record of it."""
    from harness import evaluating, options
    from harness.reporting import table

    request = evaluating.Request(run_id=run_id, model=name, weights=weights, options=options.split(pairs), **given)
    click.echo(table.text([evaluating.evaluate(request, results, say)]))


@cli.group("compare")
def compare() -> None:
    """Set stored runs side by side."""


@compare.command("report")
@click.argument("runs", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report.  [default: RESULTS/report]")
@_results_option
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


@cli.group("list")
def list_() -> None:
    """Show what there is."""


@list_.command("models")
def list_models() -> None:
    """Registered lifters; any other is named package.module:attribute."""
    from harness.models import MODELS

    rows = [("name", "kind", "year", "paper", "T", "parameters", "answers for", "")]
    rows += [
        (name, entry.kind, str(entry.year), entry.paper, " ".join(map(str, entry.frames)), f"{entry.parameters:,}",
         f"{entry.answers} frame", entry.note)
        for name, entry in MODELS.items()
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, note in rows:
        columns = zip(cells, widths[:-1], strict=True)
        padded = [cell.rjust(width) if "," in cell else cell.ljust(width) for cell, width in columns]
        click.echo("  ".join([*padded, note]).rstrip())


@list_.command("protocols")
def list_protocols() -> None:
    """Rules that accuracy figures are made by."""
    from harness.evaluation.protocol import PROTOCOLS

    for name, protocol in PROTOCOLS.items():
        click.echo(f"{name:12}  {protocol.summary}")


@cli.command("show")
@click.argument("name", metavar="MODEL")
@click.option("--frames", type=int, help="T.  [default: as published]")
@click.option("--in-channels", type=int, help="2 or 3.  [default: as published]")
@click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the model.")
def show_command(name: str, frames: int | None, in_channels: int | None, pairs: tuple[str, ...]) -> None:
    """One registered lifter: configuration, contract, our counts, the published figures with their sources."""
    from harness import model_card, options

    click.echo(model_card.card(name, frames, in_channels, options.split(pairs)))


@list_.command("runs")
@_results_option
def list_runs(results: Path) -> None:
    """Stored runs, the oldest first."""
    from harness.store.store import Store

    records = Store(results).latest()
    if not records:
        say(f"nothing is stored in {results} yet")
    for record in records:
        error_mm = f"{record['accuracy']['p1_mm']:7.1f} mm" if record["status"] == "ok" else " " * 10
        click.echo(f"{record['id']:44}  {record['status']:11}  {error_mm}  {record['data']['spec']}")


@cli.group("data")
def data_() -> None:
    """Look at a data set, check it, convert it, show it."""


def _set_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The data set of a ``harness data`` command, and what it is to be loaded with."""
    for option in (
        click.option("--data-seed", type=int, default=0, show_default=True, help="Seed of the simulated detections."),
        click.option("--detector", default="auto", help="2D keypoints.  [default: the data's first]"),
        click.argument("spec", metavar="DATA"),
    ):
        command = option(command)
    return _results_option(command)


def _loaded(spec: str, detector: str, data_seed: int, results: Path) -> Any:
    from harness import data
    from harness.progress import warnings_said

    with warnings_said(say):
        return data.load(spec, detector=detector, seed=data_seed, cache=results / "cache")


@data_.command("inspect")
@_set_options
def data_inspect(spec: str, **given: Any) -> None:
    """What a data set consists of: parts, people, actions, cameras, where its truth and its arrays are."""
    from harness.data import inspection

    click.echo(inspection.describe(_loaded(spec, **given), spec))


@data_.command("validate")
@_set_options
def data_validate(spec: str, **given: Any) -> None:
    """Check that a data set is complete, finite, of one piece in 2D and 3D, and left where left is."""
    from harness.data import validation

    findings = validation.validate(_loaded(spec, **given), spec)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        click.echo(f"{finding.verdict:4}  {finding.name:{width}}  {finding.detail}")
    click.echo(validation.summary(findings))
    if failed := validation.failed(findings):
        raise BadInput(f"{spec} is not as it should be: {'; '.join(failed)}")


@data_.command("convert")
@_set_options
def data_convert(spec: str, **given: Any) -> None:
    """Convert a data set to arrays that are mapped into memory from then on, as its first use would."""
    import time

    from harness.data import inspection

    _loaded(spec, **given)
    start = time.perf_counter()
    dataset = _loaded(spec, **given)
    click.echo(f"{spec}: {inspection.storage(dataset)}; opened in {time.perf_counter() - start:.2f} s")


@data_.command("plot")
@_set_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Picture to write: .png, .svg or .pdf.")
@click.option("--sequences", type=int, default=6, show_default=True, help="Rows of the sheet.")
def data_plot(spec: str, out: Path, sequences: int, **given: Any) -> None:
    """Draw a sheet of poses with their 2D, to look at."""
    from harness.reporting import pose_sheet

    pose_sheet.draw(_loaded(spec, **given), out, sequences)
    click.echo(out)


@cli.command("check", cls=_ListOptions)
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
            click.echo(f"{'ok  ' if finding.holds else 'FAIL'}  {name}  {finding.name}: {finding.detail}")
            failed += [] if finding.holds else [f"{name}: {finding.name}"]
    if failed:
        raise BadInput(f"the contract is broken: {'; '.join(failed)}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script; the exit codes are those of harness.errors."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
        sys.stderr.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    threads.sleep_while_waiting()
    words = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(words))


def _run(words: list[str]) -> int:
    try:
        cli.main(args=words, prog_name="harness", standalone_mode=False)
    except HarnessError as error:
        if "--debug" in words:
            traceback.print_exc()
        say(f"harness: {error}")
        return error.exit_code
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        say("harness: interrupted")
        return 130
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        say(f"harness: {type(error).__name__}: {error} (harness --debug shows where)")
        return 1
    return 0
