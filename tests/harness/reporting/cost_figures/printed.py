"""Rows like those of ``harness.reproduction.Comparison.as_dict``, made up."""

from __future__ import annotations

from typing import Any


def row(model: str = "posemamba-s", metric: str = "compute", **fields: Any) -> dict[str, Any]:
    """One printed figure and our counts of it; ``fields`` replace what is usual."""
    size = metric == "parameters"
    usual = {
        "model": model,
        "system": model,
        "frames": 243,
        "options": "",
        "answers": "every",
        "metric": metric,
        "unit": "M" if size else "G",
        "printed": 0.86 if size else 3.6,
        "label": None if size else "MACs",
        "convention": "thop parameters" if size else "thop MACs",
        "counted_by": "thop parameters" if size else "thop MACs",
        "ours": 0.859651 if size else 3.587,
        "verdict": "matched",
        "why": "",
        "everything": 1.470211 if size else 7.3,
        "flops_exact": None if size else 16.0,
        "times": 1.7 if size else 2.0,
        "kind": "paper",
        "source": "posemamba",
        "where": "Table 3",
    }
    return {**usual, **fields}


def typical() -> list[dict[str, Any]]:
    """Two lifters with both metrics, one of them printed wrong elsewhere, and one printed per output frame."""
    return [
        row(),
        row(metric="parameters"),
        row("mixste", printed=278.0, label="FLOPs", counted_by="2 x thop MACs", ours=278.1, flops_exact=300.0),
        row("mixste", printed=900.0, verdict="not matched", why="Nobody knows.", source="elsewhere", flops_exact=300.0),
        row("mixste", "parameters", printed=33.6, ours=33.61, everything=33.78),
        row("mixste", "compute per output frame", unit="M", printed=645),
    ]
