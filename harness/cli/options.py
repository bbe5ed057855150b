"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.errors import BadInput


class ListOptions(click.Command):
    """A command whose repeatable options may be given once with several values: ``--model A B C``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        lists = {flag for option in self.params if getattr(option, "multiple", False) for flag in option.opts}
        spread: list[str] = []
        flag = ""
        for word in args:
            if word.startswith("-") and not _is_value(word):
                flag = word if word in lists else ""
                spread.append(word)
            else:
                follows_flag = bool(spread) and spread[-1] == flag
                spread += [word] if follows_flag or not flag else [flag, word]
        return super().parse_args(ctx, spread)


def _is_value(word: str) -> bool:
    """Whether a word that begins with a minus sign is none of an option: that sign alone, or a number."""
    try:
        float(word)
    except ValueError:
        return word == "-"
    return True


def results_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--results",
        type=click.Path(path_type=Path),
        default=Path("results"),
        show_default=True,
        help="Folder of the store: records, weights, caches, reports.",
    )(command)


def skip_bad_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--skip-bad", is_flag=True, help="Leave out lines that are no records, with a note.")(command)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--frames, --in-channels and -o of a registered model, as it is published where they are left out."""
    for option in (
        click.option("-o", "--option", "pairs", multiple=True, metavar="NAME=VALUE", help="An option of the model."),
        click.option("--in-channels", type=int, help="2 or 3.  [default: as published]"),
        click.option("--frames", type=int, help="T.  [default: as published]"),
    ):
        command = option(command)
    return command


def data_options(detector: str | None, seed: int | None, before: str = "") -> Callable[..., Any]:
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


def protocol_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--xy", default="predicted", show_default=True, help="input: score the ground-truth 2D's x and y."
        ),
        click.option("--windows", default="auto", show_default=True, help="auto, overlap-last, sliding or whole."),
    ):
        command = option(command)
    return command


def precision_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--precision",
        default="fp32",
        show_default=True,
        help="Of inference where it is scored and timed: fp32, bf16, fp16.",
    )(command)


def require_no_result(out: Path) -> None:
    """Raises BadInput where ``out`` is a file that holds results: a store, or what a run left in a store's folder."""
    from harness.exporting.table import KINDS

    stores = {kind.schema.file_name for kind in KINDS.values()}
    path = out.resolve()
    is_of_run = any(
        path.is_relative_to(folder / "runs") and any((folder / name).is_file() for name in stores)
        for folder in path.parents
    )
    if path.exists() and (path.name in stores or is_of_run):
        raise BadInput(f"--out {out} is a store, or a file of its runs, which would be lost; name another file")


def require_unlike(flag: str, values: tuple[Any, ...]) -> None:
    """Raises BadInput for a value given twice."""
    repeated = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    if repeated:
        raise BadInput(f"{flag} {repeated[0]} is given twice")
