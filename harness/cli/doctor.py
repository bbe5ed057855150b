"""``harness doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import results_option
from harness.cli.root import cli
from harness.errors import RunFailed


@cli.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For a program: every finding with all of its fields.")
@results_option
def doctor_command(as_json: bool, results: Path) -> None:
    """What works on this machine, what does not, and the command that mends it; 1 where something needed is broken.

    Everything is tried on a small case of which the answer is known; nothing is installed, changed or left behind.
    """
    from harness.doctor import report
    from harness.doctor.examination import examine
    from harness.doctor.finding import Finding

    findings: list[Finding] = []
    for finding in examine(results):
        if not as_json:
            click.echo("\n".join(report.lines(finding, findings[-1] if findings else None)))
        findings.append(finding)
    click.echo(report.as_json(findings, results) if as_json else f"\n{report.verdict(findings)}")
    if stopping := report.names_that_stop(findings):
        raise RunFailed(f"not everything works that is needed: {', '.join(stopping)}; the remedies are above")
