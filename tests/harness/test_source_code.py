"""Which changes of the code make a stored figure one to take again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import models, source_code

TREE = {
    "baselines/__init__.py": "",
    "baselines/one.py": "from baselines import part\n",
    "baselines/other.py": "def build(config):\n    from posemamba.scan import selective_scan\n",
    "baselines/part.py": "import baselines.deeper\n",
    "baselines/deeper.py": "A = 1\n",
    "posemamba/__init__.py": "from posemamba.model import build\n",
    "posemamba/model.py": "from posemamba.scan import selective_scan\n",
    "posemamba/scan/__init__.py": "selective_scan = None\n",
    "posemamba/scan/lazy.py": "A = 1\n",
    "posemamba/csrc/recurrence.hpp": "int a = 1;",
    "posemamba/built.so": "1",
    "harness/measurement/worker.py": "import baselines.one\n",
    "harness/measurement/survey.py": "A = 1\n",
    "harness/precision.py": "A = 1\n",
    "harness/errors.py": "A = 1\n",
}
SCANNING = {"baselines.other", "posemamba"}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository in place of this one."""
    monkeypatch.setattr(source_code, "_ROOT", tmp_path)
    for name, content in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)

    def spec(module: str) -> Any:
        return SimpleNamespace(origin=str(source_code._source(tmp_path, module)))

    monkeypatch.setattr(source_code.importlib.util, "find_spec", spec)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "content", "changed"),
    [
        ("baselines/one.py", TREE["baselines/one.py"] + "A = 1\n", {"baselines.one"}),
        ("baselines/part.py", TREE["baselines/part.py"] + "A = 1\n", {"baselines.one"}),
        ("baselines/deeper.py", "A = 2\n", {"baselines.one"}),
        ("baselines/deeper.py", '"""Of what it is."""\n\n# Why it is so.\nA = (1)\n', set()),
        ("baselines/new.py", "A = 1\n", set()),
        ("posemamba/model.py", TREE["posemamba/model.py"] + "A = 1\n", {"posemamba"}),
        ("posemamba/scan/lazy.py", "A = 2\n", SCANNING),
        ("posemamba/csrc/recurrence.hpp", "int a = 2;", SCANNING),
        ("posemamba/built.so", "2", SCANNING),
        ("harness/measurement/worker.py", "A = 1\n", set()),
    ],
)
def test_a_lifters_code_is_what_it_is_made_of(tree: Path, name: str, content: str, changed: set[str]) -> None:
    modules = ("baselines.one", "baselines.other", "posemamba")
    before = {module: source_code.of_model(module) for module in modules}
    assert len(set(before.values()) | {None}) == 4
    (tree / name).write_text(content)
    assert {module for module in modules if source_code.of_model(module) != before[module]} == changed


@pytest.mark.parametrize(
    ("name", "content", "changes"),
    [
        ("worker", "A = 1\n", True),
        ("worker", "# a word\nimport  baselines.one\n", False),
        ("new", "A = 1\n", True),
        ("survey", "A = 2\n", False),
        ("../precision", "A = 2\n", True),
        ("../errors", "A = 2\n", False),
    ],
)
def test_the_code_that_measures(tree: Path, name: str, content: str, changes: bool) -> None:
    before = source_code.of_measurement()
    (tree / "harness" / "measurement" / f"{name}.py").write_text(content)
    assert (source_code.of_measurement() != before) is changes


def test_every_lifter_here_has_code() -> None:
    families = {entry.module for entry in models.MODELS.values()}
    assert len({source_code.of_model(family) for family in families} | {None}) == len(families) + 1


def test_the_code_of_a_third_partys_model_is_that_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "their_lifters").mkdir()
    files = {name: tmp_path / "their_lifters" / f"{name}.py" for name in ("__init__", "model", "block", "unused")}
    files["__init__"].write_text("")
    files["model"].write_text("from . import block\nfrom .. import nothing\nimport torch\n")
    files["block"].write_text("A = 1\n")
    digests = [source_code.of_model("their_lifters.model")]
    for name, content in (("unused", "A = 1\n"), ("block", "A = 2\n"), ("model", "from .block import A\nB = 1\n")):
        files[name].write_text(content)
        digests.append(source_code.of_model("their_lifters.model"))
    assert digests[0] == digests[1]
    assert len({*digests, None}) == 4
    assert source_code.of_model("sys") is None
