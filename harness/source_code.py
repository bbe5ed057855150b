"""Digests of the code that a stored figure comes from: when it has changed, the figure is taken again.

Not the commit, and not comments and docstrings: a change of a text must not make every measurement a stranger.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
#: Packages here that lifters are made of.
_LIFTERS = ("posemamba", "baselines")
#: Takes its implementation when it runs, and the built one is no import: who uses it depends on all of its files.
_SCAN = "posemamba.scan"
_SCAN_FILES = ("posemamba/scan/**/*.py", "posemamba/csrc/*.?pp", "posemamba/*.so")
#: Files of harness/measurement that say which points there are and in which order: no figure depends on them.
_NOT_MEASURING = ("survey", "plan", "request")
#: What is measured is run in it.
_PRECISION = "harness/precision.py"


def of_model(module: str) -> str | None:
    """Digest of the code of the lifter in ``module``, one of ours or a third party's; None where it has no file.

    Of the module and, step by step, of those that it imports from the packages of lifters here and from its own.
    """
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None or not Path(found.origin).is_file():
        return None
    origin, own = Path(found.origin), module.partition(".")[0]
    inside = origin.parent if origin.stem == "__init__" else origin
    roots = {own: inside.parents[module.count(".")], **dict.fromkeys(_LIFTERS, _ROOT)}
    files = {module: origin}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for imported in _imports(name, files[name]):
            root = roots.get(imported.partition(".")[0])
            path = _source(root, imported) if root else None
            if path is not None and imported not in files:
                files[imported] = path
                waiting.append(imported)
    if any(name == _SCAN or name.startswith(f"{_SCAN}.") for name in files):
        scan = (path for pattern in _SCAN_FILES for path in _ROOT.glob(pattern))
        files.update({path.relative_to(_ROOT).as_posix(): path for path in scan})
    return _digest(files)


def of_measurement() -> str:
    """Digest of the code that counts and measures."""
    files = (_ROOT / "harness" / "measurement").glob("*.py")
    measuring = {path.name: path for path in files if path.stem not in _NOT_MEASURING}
    return _digest({**measuring, _PRECISION: _ROOT / _PRECISION})


def _source(root: Path, module: str) -> Path | None:
    path = root.joinpath(*module.split("."))
    return next((one for one in (path / "__init__.py", path.with_name(f"{path.name}.py")) if one.is_file()), None)


def _imports(module: str, path: Path) -> Iterator[str]:
    """Dotted names that may be modules, of every import in ``module``, also those inside functions."""
    if path.suffix != ".py":
        return
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))


def _digest(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0".encode() + hashlib.sha256(_code(files[name])).digest())
    return digest.hexdigest()[:16]


def _code(path: Path) -> bytes:
    """What is in a file; of Python its syntax tree, which has no comments and no layout, without docstrings."""
    if path.suffix != ".py":
        return path.read_bytes()
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = list(_without_docstring(node.body))
    return ast.dump(tree).encode()


def _without_docstring(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for index, statement in enumerate(body):
        text = statement.value if index == 0 and isinstance(statement, ast.Expr) else None
        if not (isinstance(text, ast.Constant) and isinstance(text.value, str)):
            yield statement
