"""``harness data``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from harness.cli.options import results_option
from harness.cli.root import cli, say, show
from harness.errors import BadInput


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
    return results_option(command)


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

    show(inspection.describe(_loaded(spec, **given), spec))


@data_.command("validate")
@_set_options
def data_validate(spec: str, **given: Any) -> None:
    """Check that a data set is complete, finite, of one piece in 2D and 3D, and left where left is."""
    from harness.data import validation

    findings = validation.validate(_loaded(spec, **given), spec)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        show(f"{finding.verdict:4}  {finding.name:{width}}  {finding.detail}")
    show(validation.summary(findings))
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
    show(f"{spec}: {inspection.storage(dataset)}; opened in {time.perf_counter() - start:.2f} s")


@data_.command("plot")
@_set_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Picture to write: .png, .svg or .pdf.")
@click.option("--sequences", type=int, default=6, show_default=True, help="Rows of the sheet.")
def data_plot(spec: str, out: Path, sequences: int, **given: Any) -> None:
    """Draw a sheet of poses with their 2D, to look at."""
    from harness.reporting import pose_sheet

    pose_sheet.draw(_loaded(spec, **given), out, sequences)
    show(out)
