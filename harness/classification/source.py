"""Classification data by name: ``shapes``, ``modelnet40:PATH``, ``scanobjectnn:PATH``."""

from __future__ import annotations

from pathlib import Path

from harness.classification import modelnet40, scanobjectnn, shapes
from harness.classification.cloud_set import CloudSet
from harness.errors import BadInput, suggestion
from harness.progress import ProgressLine

FORMS = (shapes.NAME, *(f"{name}:PATH" for name in (modelnet40.NAME, *scanobjectnn.VERSIONS)))


def default_points(spec: str) -> int:
    """P under which figures on the data are published. Raises BadInput for unknown data."""
    kind, _ = _parts(spec)
    if kind in scanobjectnn.VERSIONS:
        return scanobjectnn.DEFAULT_POINTS
    return modelnet40.DEFAULT_POINTS if kind == modelnet40.NAME else shapes.DEFAULT_POINTS


def load(spec: str, points: int, seed: int, cache: Path | None) -> CloudSet:
    """The set that ``spec`` names; ``seed`` is that of the made shapes, ``cache`` a folder kept between runs.

    Raises BadInput for unknown data, and for missing or wrong files.
    """
    kind, folder = _parts(spec)
    if kind == shapes.NAME:
        return shapes.load(points, seed)
    line = ProgressLine(f"sampling farthest points of {kind}")
    try:
        if kind == modelnet40.NAME:
            return modelnet40.load(folder, points, cache, line.update)
        return scanobjectnn.load(kind, folder, points, cache, line.update)
    finally:
        line.close()


def _parts(spec: str) -> tuple[str, Path]:
    kind, _, argument = spec.partition(":")
    known = {form.partition(":")[0]: form for form in FORMS}
    if kind not in known:
        raise BadInput(f"unknown data {spec!r}. {suggestion(kind, known)}All: {', '.join(FORMS)}")
    if bool(argument) != (":" in known[kind]):
        raise BadInput(f"--data {spec}: write it as {known[kind]}")
    return kind, Path(argument).expanduser()
