"""The real checks on the machine that the tests run on, and the command around them."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.doctor import disk, examination
from harness.doctor.check import Check, Need, finding_of
from harness.doctor.examination import CHECKS
from tests.harness.cli.command import harness
from tests.harness.doctor import sick

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.part}-{check.name}")
def test_nothing_that_is_needed_is_broken_here(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LEAST_FREE_BYTES", 1)
    finding = finding_of(check, tmp_path)
    assert not finding.stops, finding
    assert finding.state == "ok" or check.need is not Need.ALWAYS
    assert finding.found
    assert list(tmp_path.iterdir()) == []


def test_every_check_says_what_it_is_for() -> None:
    names = [(check.part, check.name) for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.meaning for check in CHECKS)
    assert all(check.remedy for check in CHECKS if check.need is Need.ALWAYS and check.name != "python")


def requirements() -> tuple[set[str], set[str]]:
    """Packages that setup.py requires, and those of the extras that are for users."""
    call = next(
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    given: dict[str, Any] = {
        word.arg: ast.literal_eval(word.value)
        for word in call.keywords
        if word.arg in ("install_requires", "extras_require")
    }
    extras = [line for name, lines in given["extras_require"].items() if name != "dev" for line in lines]
    return tuple({line.partition(">")[0] for line in lines} for lines in (given["install_requires"], extras))  # type: ignore[return-value]


def test_every_package_of_the_setup_is_examined() -> None:
    needed, optional = requirements()
    always = {check.name for check in CHECKS if check.need is Need.ALWAYS}
    # click runs the command, causal-conv1d comes with mamba-ssm; Python 3.11 and later reads TOML itself.
    assert needed - {"click", "tomli"} <= always
    assert ("tomli" in always) == (sys.version_info < (3, 11))
    assert optional - {"causal-conv1d"} <= {check.name for check in CHECKS} - always


def checks(*examined: Any, need: Need = Need.ALWAYS) -> tuple[Check, ...]:
    return tuple(Check("part", one.__name__, f"uses of {one.__name__}", one, need, "mend it") for one in examined)


def test_the_command_ends_with_1_where_something_needed_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examination, "CHECKS", checks(sick.well, sick.broken))
    code, out, err = harness("doctor", "--results", tmp_path, capsys=capsys)
    assert code == 1
    assert f"ok      well                    version 1 in {tmp_path.name}" in out
    assert "broken  broken                  it adds 1 and 1 to 3" in out
    assert "it is for: uses of broken\n          remedy: mend it" in out
    assert "does not run rightly here until this is mended: part: broken." in out
    assert err == "harness: not everything works that is needed: part: broken; the remedies are above\n"


def test_the_command_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examination, "CHECKS", checks(sick.well, sick.absent, sick.broken, need=Need.NEVER))
    code, out, err = harness("doctor", "--json", "--results", tmp_path, capsys=capsys)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["runs"], told["results"]) == (True, str(tmp_path))
    assert [one["state"] for one in told["findings"]] == ["ok", "missing", "broken"]
    assert told["findings"][1] == {
        "part": "part",
        "name": "absent",
        "state": "missing",
        "found": "it is not installed",
        "meaning": "uses of absent",
        "remedy": "pip install it",
        "stops": False,
    }
