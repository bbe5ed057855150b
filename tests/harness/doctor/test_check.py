"""Every check becomes a finding, and what it does to its process is nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.doctor.check import Check, Need, finding_of, finding_of_own_process
from tests.harness.doctor import sick

ROOT = Path(__file__).resolve().parents[3]


def check(examine: Callable[[Path], str], need: Need = Need.IF_HERE) -> Check:
    return Check("part", "it", "what it is for", examine, need, "reinstall it")


@pytest.mark.parametrize(
    ("examine", "state", "found", "remedy"),
    [
        (sick.well, "ok", "version 1 in here", ""),
        (sick.absent, "missing", "it is not installed", "pip install it"),
        (sick.broken, "broken", "it adds 1 and 1 to 3", "reinstall it"),
        (sick.left_aside, "broken", "it does not load", "build it"),
        (sick.failing, "broken", "OSError: libit.so: undefined symbol", "reinstall it"),
    ],
)
def test_what_is_found(examine: Callable[[Path], str], state: str, found: str, remedy: str) -> None:
    finding = finding_of(check(examine), Path("here"))
    assert (finding.state, finding.found, finding.remedy) == (state, found, remedy)
    assert (finding.part, finding.name, finding.meaning) == ("part", "it", "what it is for")


@pytest.mark.parametrize(
    ("examine", "stopped_where"),
    [
        (sick.well, set()),
        (sick.absent, {Need.ALWAYS}),
        (sick.broken, {Need.ALWAYS, Need.IF_HERE}),
        (sick.failing, {Need.ALWAYS, Need.IF_HERE}),
        (sick.left_aside, set()),
    ],
)
def test_what_stops_the_harness(examine: Callable[[Path], str], stopped_where: set[Need]) -> None:
    assert {need for need in Need if finding_of(check(examine, need), Path("here")).stops} == stopped_where


def test_the_process_of_a_check_may_end_anyhow() -> None:
    assert finding_of_own_process(check(sick.well), Path("here")) == finding_of(check(sick.well), Path("here"))
    crashed = finding_of_own_process(check(sick.crashing), Path("here"))
    assert (crashed.state, crashed.found) == ("broken", "the process crashed with SIGABRT")
    assert (crashed.remedy, crashed.stops) == ("reinstall it", True)
    hung = finding_of_own_process(check(sick.hanging, Need.NEVER), Path("here"), timeout_s=1.0)
    assert (hung.state, hung.found, hung.stops) == ("broken", "it does not end; given up after 1 s", False)


#: In a process of its own, since one of the whole process serves all checks.
PROGRAM = """
from pathlib import Path
from harness.doctor.check import Check, Need, finding_of_own_process
from tests.harness.doctor import sick
for examine in (sick.importing_torch, sick.well):
    print(finding_of_own_process(Check("part", "it", "is for", examine, Need.ALWAYS), Path("here")).found)
"""


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("raise OSError('libcudnn.so.9: cannot open')", "OSError: libcudnn.so.9: cannot open"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the process crashed with SIGSEGV"),
        # What a failed import leaves behind must not change what the next one says.
        (
            "import sys, builtins\nif hasattr(builtins, 'half'): raise RuntimeError('it is there already')\n"
            "builtins.half = 1; raise ImportError('undefined symbol')",
            "ImportError: undefined symbol",
        ),
    ],
    ids=["raises", "crashes", "is half imported"],
)
def test_a_torch_that_cannot_be_imported_spoils_no_other_check(content: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(content)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == ([found, "version 1 in here"], "")
