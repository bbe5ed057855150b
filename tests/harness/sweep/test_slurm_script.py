"""The script for sbatch: as bash reads it, and run with a stand-in for Slurm's commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.sweep import slurm_script
from harness.sweep.slurm_array import SlurmOptions
from harness.sweep.task import Task

#: Notes its words, one a line, and says the job's number, and its cluster where a site has several.
_SBATCH = '#!/bin/bash\nprintf "%s\\n" "$PWD" "$@" END >> "$NOTES"\necho "17;here"\n'
#: Notes its words, and runs the command.
_SRUN = '#!/bin/bash\nprintf "%s\\n" "$@" END >> "$NOTES"\nshift 2\nexec "$@"\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space and a sign of Slurm's in its name, and commands called as Slurm's."""
    site = tmp_path / "a %j site"
    commands = site / "bin"
    commands.mkdir(parents=True)
    for name, text in (("sbatch", _SBATCH), ("srun", _SRUN)):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(site / "notes"))
    return site


def written(site: Path, tasks: list[Task], *pairs: str) -> Path:
    path = site / "sweep.sh"
    options = SlurmOptions.parsed(["time=30", *pairs])
    path.write_text(slurm_script.text(tasks, site / "results", options, site))
    subprocess.run(["bash", "-n", str(path)], check=True)
    return path


def notes(site: Path) -> list[list[str]]:
    text = (site / "notes").read_text()
    return [part.strip("\n").split("\n") for part in text.split("END\n") if part]


def test_it_submits_one_array_for_each_kind(site: Path, tmp_path: Path) -> None:
    runs = [Task(f"run {seed}", ("run", "--seed", str(seed)), cores=2) for seed in range(3)]
    measurements = [Task(f"m {cores}", ("measure",), exclusive=True, cores=cores) for cores in (1, 1, 4)]
    script = written(site, [*runs, *measurements], "partition=g p", "at_once=2")
    subprocess.run(["bash", str(script.relative_to(tmp_path))], check=True, cwd=tmp_path)
    first, second, third = notes(site)
    assert first == [
        str(site), "--array=0-2%2", "--job-name=harness", "--cpus-per-task=2", "--time=30", "--partition=g p",
        f"--output={tmp_path}/a %%j site/results/sweeps/slurm/%A_%a.log", str(script), "points_1",
    ]  # fmt: skip
    assert second[1:3] == ["--parsable", "--array=0-1%1"]
    assert "--exclusive" in second
    assert second[-1] == "points_2"
    assert third[1:4] == ["--parsable", "--dependency=afterany:17", "--array=0-0%1"], "measurements take turns"
    assert (site / "results" / "sweeps" / "slurm").is_dir(), "Slurm does not make the folder of its logs"


def test_a_command_is_a_line(site: Path) -> None:
    with pytest.raises(BadInput, match=r"a run: a line break in its command, .*title=two\\nlines"):
        written(site, [Task("a run", ("run", "-o", "title=two\nlines"))])


def test_a_job_is_the_command_of_its_index(site: Path) -> None:
    listing = [("list", "models"), ("show", "martinez"), ("run", "--model", "it's no model; $HOME")]
    script = written(site, [Task(" ".join(words), words) for words in listing], "setup=export LEFT=behind")
    results = ["--results", str(site / "results")]

    def job(index: int) -> subprocess.CompletedProcess[str]:
        told = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_CPUS_PER_TASK": "2"}
        return subprocess.run(
            ["bash", str(script), "points_1"],
            env={**os.environ, **told}, cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip

    shown, refused = job(1), job(2)
    # `harness show` knows no --results, which says that it was given
    assert (shown.returncode, refused.returncode) == (2, 2)
    assert "No such option" in shown.stderr
    assert "--results" in shown.stderr
    assert 'harness: Unknown model "it\'s no model; $HOME"' in refused.stderr
    assert [words[:2] for words in notes(site)] == [["--ntasks=1", "--cpus-per-task=2"]] * 2
    assert f"{sys.executable} -m harness show martinez {results[0]}" in shown.stdout
