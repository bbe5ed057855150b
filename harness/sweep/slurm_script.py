"""A sweep as one script for sbatch, for sites where nothing but Slurm is to be relied on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import BadInput
from harness.sweep.slurm_array import Array, SlurmOptions, arrays
from harness.sweep.task import Task

_HEAD = """\
#!/bin/bash
# {points} points of a sweep. Submit them all:  bash THIS_FILE
# Each is a command of the harness by itself, so that after any end the same goes on: what is finished is passed over,
# and a training that was stopped goes on from its checkpoint.
set -euo pipefail
this=$(readlink -f -- "$0")
cd -- {here}
"""
_LIST = """
# {count} points: {needs}
{name}() {{
    cat <<'POINTS'
{commands}
POINTS
}}
"""
_SUBMIT = """
if [[ -z "${{SLURM_ARRAY_TASK_ID:-}}" ]]; then
    mkdir -p -- {logs}
    measuring=
{submissions}
    exit
fi
"""
_WORK = """
# In a job of an array: its index, from 0, is the line of its command in the list that the first argument names.
command=$("$1" | sed -n "$((SLURM_ARRAY_TASK_ID + 1))p")
echo "$command"
{setup}srun --ntasks=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" bash -c "exec $command"
"""


def text(tasks: Sequence[Task], results: Path, options: SlurmOptions, here: Path) -> str:
    """The script. Its jobs work in the folder ``here`` and store in ``results``, which every node sees.

    Raises BadInput where neither the points nor ``options`` limit the time of a job, and for a command with a line
    break in it, as each is a line of the script.
    """
    named = [(f"points_{number}", array) for number, array in enumerate(arrays(tasks), start=1)]
    logs = shlex.quote(str(results / "sweeps" / "slurm"))
    submissions = "\n".join(_submission(name, array, logs, options) for name, array in named)
    return "".join(
        (
            _HEAD.format(points=len(tasks), here=shlex.quote(str(here))),
            *(_list(name, array, results) for name, array in named),
            _SUBMIT.format(logs=logs, submissions=submissions),
            _WORK.format(setup=f"{options.setup}\n" if options.setup else ""),
        )
    )


def _list(name: str, array: Array, results: Path) -> str:
    needs = f"{array.cores} CPUs, {array.gpus} GPUs" + (", a node for itself" if array.exclusive else "")
    commands = "\n".join(_command(task, results) for task in array.tasks)
    return _LIST.format(count=len(array.tasks), needs=needs, name=name, commands=commands)


def _command(task: Task, results: Path) -> str:
    command = shlex.join([sys.executable, "-m", "harness", *task.words, "--results", str(results)])
    if "\n" in command:
        raise BadInput(f"{task.id}: a line break in its command, {command!r}, which --print cannot write; leave it out")
    return command


def _submission(name: str, array: Array, logs: str, options: SlurmOptions) -> str:
    """Measurements one after the other, also those of different arrays: they share a file that two cannot write."""
    flags = {
        "array": f"0-{len(array.tasks) - 1}%{1 if array.exclusive else options.at_once}",
        **options.flags(array, margin=0),  # the limit is the timeout: Slurm sends SIGTERM then
    }
    given = [
        f"--{flag.replace('_', '-')}" + (f"={shlex.quote(value)}" if value else "") for flag, value in flags.items()
    ]
    words = " ".join([*given, f"--output={logs.replace('%', '%%')}/%A_%a.log"])
    if not array.exclusive:
        return f'    sbatch {words} "$this" {name}'
    after = "${measuring:+--dependency=afterany:$measuring}"
    submitted = f'    measuring=$(sbatch --parsable {after} {words} "$this" {name})'
    return f"{submitted}\n    measuring=${{measuring%%;*}}"  # it may be NUMBER;CLUSTER
