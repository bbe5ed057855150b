"""The ranked table as the page shows it: cell by cell, with the style each is shown in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.reporting.grid import Grid
from harness.reporting.table import Table


@dataclass(frozen=True)
class Cell:
    """``classes`` are those of the style sheet."""

    text: str
    classes: str


@dataclass(frozen=True)
class RankedRow:
    """A gap has no figures."""

    cells: Sequence[Cell]
    is_gap: bool


def bodies(table: Table) -> list[tuple[str, list[RankedRow]]]:
    """(kind, rows): those of models by rank, and those of floors."""
    grid = table.grid()
    rows = [(row.kind, _row(table, grid, index)) for index, row in enumerate(table.rows)]
    return [(kind, [shown for own, shown in rows if own == kind]) for kind in dict.fromkeys(kind for kind, _ in rows)]


def _row(table: Table, grid: Grid, index: int) -> RankedRow:
    row = table.rows[index]
    cells = []
    for place, (column, text) in enumerate(zip(table.columns, grid.cells[index], strict=True)):
        where = (index, place)
        # The name of the best stands out, too.
        is_best = where in grid.strong or (place == 0 and row.rank == 1)
        classes = {"number": column.number, "best": is_best, "second": where in grid.second}
        cells.append(Cell(text, " ".join(name for name, holds in classes.items() if holds)))
    return RankedRow(cells, row.kind == "model" and row.p1_mm is None)
