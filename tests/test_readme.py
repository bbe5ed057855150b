"""The README's tables of figures against the committed results that they are taken from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HEAD = "| lifter | T | printed |"


def published_table() -> list[list[str]]:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(HEAD))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_published_figures_are_those_of_the_committed_table() -> None:
    stored = json.loads((ROOT / "results" / "published.json").read_text(encoding="utf-8"))
    computed = {
        (row["system"], str(row["frames"]), f"{row['printed']} {row['label']}"): row
        for row in stored
        if row["metric"] == "compute"
    }
    table = published_table()
    assert len(table) > 20
    for system, frames, printed, counted_by, ours, match, everything, _, _ in table:
        row = computed[system, frames, printed]
        matched = row["verdict"] != "not matched"
        assert counted_by == (row["counted_by"] if matched else "?"), system
        assert ours == f"{row['ours']:.4g}", system
        assert everything == f"{row['everything']:.4g}", system
        assert (match != "**no**") == matched, system


def test_parameters_are_those_of_the_committed_table() -> None:
    stored = json.loads((ROOT / "results" / "published.json").read_text(encoding="utf-8"))
    sizes = [row for row in stored if row["metric"] == "parameters"]
    for system, frames, _, _, _, _, _, printed, everything in published_table():
        of_system = [row for row in sizes if (row["system"], str(row["frames"])) == (system, frames)]
        if everything:
            assert everything in {f"{row['everything']:.4g} M" for row in of_system}, system
        if printed:
            assert printed in {f"{row['printed']} M" for row in of_system}, system


def test_the_stream_that_it_shows_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert scope["pose"].shape == (1, 17, 3)
