"""The import graph as the code has it: arrows only point down the house, and there is no circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("harness", "posemamba", "baselines")

#: What the modules of a part may import; a part is the longest prefix here. Everything may import its own part,
#: and everything in harness may import the leaves (errors, progress).
ALLOWED: dict[str, set[str]] = {
    "posemamba": set(),
    "baselines": {"posemamba.scan"},
    "harness.errors": set(),
    "harness.progress": set(),
    "harness.atomic_file": set(),
    "harness.traces": set(),
    "harness.npy_array": set(),
    "harness.zip_members": set(),
    "harness.options": set(),
    "harness.models": {"harness.options"},
    "harness.published": set(),
    "harness.model_card": {
        "harness.contract", "harness.models", "harness.published", "harness.data", "harness.measurement",
        "harness.reporting", "harness.training",
    },
    "harness.data": set(),
    "harness.evaluation": {"harness.data", "harness.precision", "harness.world"},
    "harness.foreign": set(),
    "harness.checkpoint_file": {"harness.foreign"},
    "harness.recognition": {"harness.models", "harness.checkpoint_file"},
    "harness.weights": {"harness.checkpoint_file", "harness.recognition"},
    "harness.contract": {"harness.data"},
    "harness.training": {
        "harness.data", "harness.evaluation", "harness.checkpoint_file", "harness.precision", "harness.world",
    },
    "harness.world": set(),
    "harness.placement": {"harness.world"},
    "harness.process_group": {"harness.world", "harness.placement"},
    "harness.launch": set(),
    "harness.measurement": {"harness.data", "harness.allocator"},
    "harness.measurement.worker": {
        "harness.measurement", "harness.models", "harness.contract", "harness.allocator", "harness.data",
        "harness.precision",
    },
    "harness.measurement.fvcore": {"harness.measurement", "harness.data", "posemamba.scan"},
    "harness.measurement.machine": {"harness.measurement", "posemamba.scan"},
    "harness.measurement.request": {
        "harness.measurement", "harness.models", "harness.options", "harness.devices", "harness.precision",
    },
    "harness.measurement.survey": {
        "harness.measurement", "harness.environment", "harness.store", "harness.lock", "harness.models",
        "harness.source_code", "harness.termination",
    },
    "harness.measurement.plan": {"harness.measurement", "harness.models", "harness.store"},
    "harness.complexity": {
        "harness.store", "harness.measurement.samples", "harness.measurement.point", "harness.measurement.kind",
    },
    "harness.store": set(),
    "harness.quantity": set(),
    "harness.printable": set(),
    "harness.spreadsheet": {"harness.printable"},
    "harness.comparison": {
        "harness.store", "harness.evaluation", "harness.measurement.samples",
        "harness.complexity.student",
    },
    "harness.reporting": {
        "harness.comparison", "harness.store", "harness.evaluation", "harness.data", "harness.complexity",
        "harness.measurement.kind", "harness.measurement.samples", "harness.measurement.point", "harness.models",
        "harness.published",
    },
    "harness.exporting": {"harness.store", "harness.data"},
    "harness.cost_card": {"harness.measurement", "harness.models", "harness.options", "harness.reporting"},
    "harness.reproduction": {
        "harness.contract", "harness.models", "harness.published", "harness.measurement", "harness.reporting",
    },
    "harness.lock": set(),
    "harness.source_code": set(),
    "harness.devices": set(),
    "harness.precision": set(),
    "harness.threads": set(),
    "harness.environment": {"harness.threads"},
    "harness.allocator": set(),
    "harness.config": {
        "harness.devices", "harness.models", "harness.training", "harness.data", "harness.evaluation", "harness.store",
        "harness.precision",
    },
    "harness.assessment": {
        "harness.config", "harness.contract", "harness.models", "harness.data", "harness.evaluation",
        "harness.measurement", "harness.precision", "harness.world",
    },
    "harness.classification": {
        "harness.recorded_run", "harness.determinism",
        "harness.models", "harness.options", "harness.devices", "harness.environment", "harness.allocator",
        "harness.lock", "harness.data", "harness.training", "harness.measurement", "harness.store",
        "harness.reporting",
    },
    "harness.termination": set(),
    "harness.sweep": {
        "harness.config", "harness.models", "harness.measurement", "harness.store", "harness.source_code",
        "harness.assessment", "harness.run", "harness.data", "harness.evaluation", "harness.training",
        "harness.environment", "harness.termination", "harness.complexity.summary",
    },
    "harness.recorded_run": {
        "harness.store", "harness.training", "harness.termination", "harness.determinism",
    },
    "harness.run": {
        "harness.recorded_run", "harness.determinism",
        "harness.config", "harness.contract", "harness.models", "harness.environment", "harness.assessment",
        "harness.data", "harness.evaluation", "harness.training", "harness.measurement", "harness.store",
        "harness.allocator", "harness.lock", "harness.world", "harness.precision",
    },
    "harness.evaluating": {
        "harness.recorded_run", "harness.determinism",
        "harness.config", "harness.contract", "harness.models", "harness.environment", "harness.assessment",
        "harness.data", "harness.training", "harness.store", "harness.weights", "harness.precision", "harness.world",
    },
    "harness.determinism": set(),
    "harness.doctor": {
        "harness.measurement", "harness.models", "harness.environment", "harness.lock", "harness.training", "posemamba",
    },
    "harness.cli": {
        "harness.doctor", "harness.sweep", "harness.termination",
        "harness.run", "harness.evaluating", "harness.config", "harness.contract", "harness.options",
        "harness.models", "harness.reporting", "harness.comparison", "harness.store", "harness.training",
        "harness.data", "harness.threads", "harness.evaluation", "harness.model_card", "harness.measurement",
        "harness.cost_card", "harness.reproduction", "harness.classification", "harness.exporting",
        "harness.world", "harness.placement", "harness.process_group", "harness.launch", "harness.devices",
        "harness.environment",
    },
    "harness.__main__": {"harness.cli"},
    "harness": set(),
}  # fmt: skip
LEAVES = {
    "harness.errors", "harness.progress", "harness.atomic_file", "harness.traces", "harness.quantity",
    "harness.printable", "harness.spreadsheet", "harness.npy_array", "harness.zip_members",
}  # fmt: skip
#: Parts that must work, and start fast, without torch.
WITHOUT_TORCH = (
    "harness.published",
    "harness.store",
    "harness.reporting",
    "harness.exporting",
    "harness.complexity",
    "harness.data",
    "harness.cli",
    "harness.doctor",
    "harness.sweep",
    "harness.errors",
)


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in MODULES else node.module)
    return names


def part_of(module: str) -> str:
    return max((part for part in ALLOWED if module == part or module.startswith(part + ".")), key=len)


def imports_of(module: str) -> set[str]:
    return imported(ast.parse(MODULES[module].read_text(encoding="utf-8")))


def is_within(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_arrow_points_down(module: str) -> None:
    part = part_of(module)
    allowed = ALLOWED[part] | {part} | (LEAVES if part.startswith("harness") else set())
    wrong = {
        name
        for name in imports_of(module)
        if name in MODULES and not any(is_within(name, target) for target in allowed if target != "harness")
    }
    assert not wrong, f"{module} imports {sorted(wrong)}; {part} may import {sorted(allowed)}"


def test_there_is_no_circle() -> None:
    graph = {module: {name for name in imports_of(module) if name in MODULES} - {module} for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"circle: {' -> '.join((*path, module))}"
        if module not in done:
            for name in graph[module]:
                visit(name, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("part", WITHOUT_TORCH)
def test_parts_that_stay_free_of_torch(part: str) -> None:
    for module in MODULES:
        if is_within(module, part):
            body = ast.parse(MODULES[module].read_text(encoding="utf-8")).body
            names = set().union(*(imported(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom))))
            assert not {name for name in names if name.split(".")[0] == "torch"}, f"{module} imports torch"


def test_a_wrong_arrow_would_be_seen() -> None:
    tree = ast.parse("from harness.errors import BadInput\nimport harness.data.clips")
    assert {name for name in imported(tree) if name in MODULES} == {"harness.errors", "harness.data.clips"}
