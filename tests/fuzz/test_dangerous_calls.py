"""The source tree calls nothing that would run what a file holds; the exceptions are listed with their reasons."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("harness", "posemamba", "baselines", "benchmarks", "setup.py", "docs")

#: (file, what it does): why it may.
ALLOWED: dict[tuple[str, str], str] = {
    ("harness/data/unpickle.py", "pickle"): "the unpickler that names what it takes and refuses all else",
}

#: Modules whose very purpose is to run, or to build objects of, what they read.
_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "jsonpickle"}
#: Built-in functions by their bare names: model.eval() and re.compile() are others.
_BUILT_IN = {"eval", "exec", "compile", "__import__"}
_SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
_UNPACKERS = {"extract", "extractall", "unpack_archive"}


def findings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what is done there) for all that needs a reason."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((node.lineno, name) for name in _imported(node) & _MODULES)
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _dangers(node))


def _imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.split(".")[0] for name in names}


def _dangers(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    given = {word.arg: word.value for word in call.keywords}
    if name in _BUILT_IN:
        yield name
    if name in _SHELLS or not _is(given.get("shell"), False, None):
        yield "shell"
    if name == "torch.load" and not _is(given.get("weights_only"), True):
        yield "torch.load"
    if not _is(given.get("allow_pickle"), False, None):
        yield "allow_pickle"
    if name in ("np.load", "numpy.load") and not _is(given.get("allow_pickle"), False):
        yield "np.load"
    if last in _UNPACKERS:
        yield "unpack"


def _is(value: ast.expr | None, *constants: bool | None) -> bool:
    """Whether this is one of the constants, None for a keyword that is not given."""
    if value is None:
        return None in constants
    return isinstance(value, ast.Constant) and any(value.value is constant for constant in constants)


def sources() -> list[Path]:
    return [path for part in PARTS for path in ([ROOT / part] if part.endswith(".py") else (ROOT / part).rglob("*.py"))]


def test_nothing_runs_what_a_file_holds() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), what): line
        for path in sources()
        for line, what in findings(ast.parse(path.read_text(encoding="utf-8")))
    }
    unexplained = {f"{path}:{line} {what}" for (path, what), line in found.items() if (path, what) not in ALLOWED}
    assert not unexplained
    assert not ALLOWED.keys() - found.keys(), "a reason for what is no longer there"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pickle", "pickle"),
        ("from yaml import load", "yaml"),
        ("eval('1')", "eval"),
        ("exec(text)", "exec"),
        ("torch.load(path)", "torch.load"),
        ("torch.load(path, weights_only=False)", "torch.load"),
        ("torch.load(path, weights_only=flag)", "torch.load"),
        ("np.load(path)", "np.load"),
        ("np.load(path, allow_pickle=True)", "np.load"),
        ("npy.read_array(file, allow_pickle=wanted)", "allow_pickle"),
        ("subprocess.run(words, shell=True)", "shell"),
        ("os.system('ls')", "shell"),
        ("archive.extractall(folder)", "unpack"),
    ],
)
def test_what_would_be_seen(code: str, what: str) -> None:
    assert what in [danger for _, danger in findings(ast.parse(code))]


@pytest.mark.parametrize(
    "code",
    [
        "model.eval()",
        "re.compile('x')",
        "torch.load(path, weights_only=True)",
        "np.load(path, mmap_mode='r', allow_pickle=False)",
        "subprocess.run(words, check=True)",
        "weights.load(model, path)",
    ],
)
def test_what_is_harmless(code: str) -> None:
    assert not list(findings(ast.parse(code)))
