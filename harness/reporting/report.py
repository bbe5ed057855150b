"""The report of stored runs: one self-contained HTML page, the table as Markdown and CSV, and the figures as files.

A function of the records alone: the same records give the same bytes, on any machine and on any day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from harness import atomic_file
from harness.reporting import palette, plots, table
from harness.reporting.figure import to_png, to_svg
from harness.reporting.group import Group
from harness.reporting.neighbours import Neighbours, compare, conditions
from harness.reporting.quantity import decimal, with_spread
from harness.reporting.table import Row, Table
from harness.store.schema import Record, look_up

TEMPLATES = Path(__file__).parent / "templates"
TITLE = "Pose lifters compared"
#: Parts of a record that the page lists field by field, with what is drawn elsewhere left out.
_PARTS = ("config", "training", "data", "cost", "weights", "environment", "signature", "floors")
_DRAWN = ("training.curve", "signature.fields")
#: Colours of the figures that follow the page's light or dark scheme.
_SCHEME = {palette.INK: "var(--ink)", palette.MUTED: "var(--muted)", palette.LINE: "var(--line)", palette.PAPER: "none"}


@dataclass(frozen=True)
class Drawing:
    """A figure of one group as it stands in the page and as it is stored."""

    name: str
    caption: str
    svg_file: bytes
    png_file: bytes

    @property
    def inline_svg(self) -> Markup:
        """For the page: without prologue and fixed size, with names of its own, and in the page's colours."""
        source = self.svg_file.decode()
        source = re.sub(r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", source, flags=re.DOTALL)
        source = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{self.name}-", source)
        for colour, variable in _SCHEME.items():
            source = source.replace(colour, variable)
        _, root, inside = re.split(r"(<svg [^>]*>)", source, maxsplit=1)
        width_points, box = re.findall(r'width="([\d.]+)pt"|viewBox="([^"]*)"', root)
        opening = f'<svg role="img" viewBox="{box[1]}" style="max-width:{width_points[0]}pt"'
        return Markup(f'{opening} aria-label="{escape(self.caption)}">{inside}')


@dataclass(frozen=True)
class Run:
    """One record as it is listed: its headline, and its parts field by field."""

    id: str
    status: str
    figure: str
    error: str
    parts: Sequence[tuple[str, Sequence[tuple[str, str]]]]


@dataclass(frozen=True)
class Section:
    """What the page says about one group."""

    group: Group
    table: Table
    drawings: Sequence[Drawing]
    neighbours: Sequence[Neighbours]

    @property
    def heading(self) -> str:
        """What sets the group apart from the others of the page."""
        if self.group.protocol is None:
            return "Runs that were not scored"
        return " · ".join(f"{field} {value}" for field, value in self.group.differs.items())

    @property
    def headline(self) -> str:
        """The answer in one sentence: which is best, by how much, and whether it has learned anything."""
        if not self.group.scored:
            return "No run of this group finished."
        best = self.group.scored[0]
        said = f"{best.title} has the lowest error: P1 {with_spread(best.p1_mm, best.p1_sd_mm)} mm"
        floors = [floor["p1_mm"] for floor in self.group.floors.values()]
        if not floors or best.p1_mm is None:
            return f"{said}."
        if best.p1_mm >= min(floors):
            return f"{said}. The best floor, {min(floors):.1f} mm, is no higher: nothing here has learned to lift."
        return f"{said}, {min(floors) - best.p1_mm:.1f} mm below what can be had without a network."

    @property
    def rows(self) -> list[tuple[Row, list[str]]]:
        return list(zip(self.table.rows, self.table.cells(), strict=True))

    @property
    def conditions(self) -> str:
        return conditions(self.neighbours)

    @property
    def runs(self) -> list[Run]:
        records = [record for entry in self.group.entries for record in (*entry.runs, *entry.gaps)]
        return [_run(record) for record in records]


def write(records: Iterable[Record], folder: Path, title: str = TITLE) -> list[Path]:
    """Write report.html, table.md, table.csv and figures/*.svg and *.png into ``folder``; returns their paths.

    Raises CannotWrite naming the path. A file is replaced only by a whole new one.
    """
    records = list(records)
    sections = [_section(members) for members in table.build(records)]
    files: dict[str, bytes] = {
        "report.html": _page(records, sections, title).encode(),
        "table.md": table.markdown(records).encode(),
        "table.csv": table.csv(records).encode(),
    }
    for section in sections:
        for drawing in section.drawings:
            files[f"figures/{drawing.name}.svg"] = drawing.svg_file
            files[f"figures/{drawing.name}.png"] = drawing.png_file
    for name, content in files.items():
        atomic_file.write(folder / name, content)
    return [folder / name for name in files]


def _section(members: Table) -> Section:
    drawings = []
    for plot in plots.PLOTS:
        figure = plot.draw(members.group)
        if figure is not None:
            name = f"{members.group.name}-{plot.name}"
            drawings.append(Drawing(name, plot.caption, to_svg(figure), to_png(figure)))
    return Section(members.group, members, drawings, compare(members.group))


def _page(records: Sequence[Record], sections: Sequence[Section], title: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=title,
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        summary=_summary(records),
        groups=_why_groups(sections),
        sections=sections,
    )


def _summary(records: Sequence[Record]) -> str:
    """How much there is, and from when: the newest run's time, never the time of writing."""
    newest = {record["id"]: record for record in records}
    finished = sum(record["status"] == "ok" for record in newest.values())
    data = list(dict.fromkeys(str(record["config"].get("data")) for record in newest.values()))
    last = max((str(record["finished"]) for record in newest.values() if record.get("finished")), default="")
    parts = [f"{finished} of {len(newest)} runs finished", f"data {', '.join(data)}"]
    return " · ".join(parts + ([f"newest run {last.replace('T', ' ').replace('+00:00', ' UTC')}"] if last else []))


def _why_groups(sections: Sequence[Section]) -> str:
    """Why there are several tables; empty where there is one."""
    fields = list(dict.fromkeys(field for section in sections for field in section.group.differs))
    if not fields:
        return ""
    return f"Figures are ranked only under one protocol on one test set. These groups differ in: {', '.join(fields)}."


def _run(record: Record) -> Run:
    p1_mm = look_up(record, "accuracy.p1_mm")
    parts = [(name, list(_rows(record[name], name))) for name in _PARTS if record.get(name)]
    times = [(name, str(record[name])) for name in ("seed", "started", "finished", "config_hash") if name in record]
    return Run(
        id=record["id"],
        status=record["status"],
        figure="" if p1_mm is None else f"P1 {decimal(p1_mm)} mm",
        error=record.get("error") or "",
        parts=[("run", times), *parts],
    )


def _rows(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(dotted field below the part, value) of everything in a part of a record."""
    if path in _DRAWN:
        return
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _rows(below, f"{path}.{name}")
    else:
        yield path.partition(".")[2], _shown(value)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
