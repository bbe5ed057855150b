"""The report of stored runs: a self-contained HTML page with its figures as files, and the table in other formats.

A function of the evidence alone: the same records give the same bytes, on any machine and on any day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness import atomic_file
from harness.errors import BadInput, suggestion
from harness.reporting import table
from harness.reporting.evidence import Evidence
from harness.reporting.grid import quoted
from harness.reporting.page import page
from harness.reporting.rendering import render

TITLE = "Pose lifters compared"
PAGE = "report.html"
#: How the page names its figures; their files are called the same.
_FIGURE = re.compile(r'aria-label="Figure: ([\w-]+)"')


def write(evidence: Evidence, folder: Path, formats: Sequence[str] | None = None, title: str = TITLE) -> list[Path]:
    """Write each of ``formats``, all of FORMATS where none is given, into ``folder``; returns the files' paths.

    html: report.html and figures/*.svg and *.png; md: table.md; latex: table.tex; csv: table.csv.
    Raises BadInput for an unknown format, and CannotWrite naming the path. A file is replaced only by a whole new one.
    """
    chosen = FORMATS if formats is None else formats
    for name in chosen:
        if name not in FORMATS:
            raise BadInput(f"no such format {name!r}. {suggestion(name, FORMATS)}One of: {', '.join(FORMATS)}")
    files: dict[str, bytes] = {}
    for name in dict.fromkeys(chosen):
        files |= _WRITERS[name](evidence, title)
    if PAGE in files:
        _remove_figures_of_earlier_page(folder, files)
    for name, content in files.items():
        atomic_file.write(folder / name, content)
    return [folder / name for name in files]


def _remove_figures_of_earlier_page(folder: Path, files: Mapping[str, bytes]) -> None:
    """Those that the page has and this one has not: another store's figures are not to lie beside it.

    Before the page is replaced, since it alone says which they are.
    """
    if not (folder / PAGE).is_file():
        return
    earlier = (folder / PAGE).read_text(encoding="utf-8", errors="replace")
    for name in sorted(set(_FIGURE.findall(earlier))):
        for path in (f"figures/{name}.svg", f"figures/{name}.png"):
            if path not in files:
                (folder / path).unlink(missing_ok=True)


def _html(evidence: Evidence, title: str) -> dict[str, bytes]:
    model = page(evidence, title)
    files = {PAGE: render(model).encode()}
    for drawing in (drawing for section in model.sections for drawing in section.drawings.values()):
        files[f"figures/{drawing.name}.svg"] = drawing.svg_file
        files[f"figures/{drawing.name}.png"] = drawing.png_file
    return files


def _markdown(evidence: Evidence, title: str) -> dict[str, bytes]:
    about = "".join(f"{quoted(paragraph)}\n\n" for paragraph in evidence.about)
    return {"table.md": f"{about}{table.markdown(evidence.groups)}".encode()}


def _latex(evidence: Evidence, title: str) -> dict[str, bytes]:
    return {"table.tex": table.latex(evidence.groups).encode()}


def _csv(evidence: Evidence, title: str) -> dict[str, bytes]:
    return {"table.csv": table.csv(evidence.groups).encode()}


_WRITERS: Mapping[str, Callable[[Evidence, str], dict[str, bytes]]] = {
    "html": _html,
    "md": _markdown,
    "latex": _latex,
    "csv": _csv,
}
FORMATS: tuple[str, ...] = tuple(_WRITERS)
