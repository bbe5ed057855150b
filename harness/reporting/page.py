"""What the page says, before any of it is written as HTML: a section for each group of runs, and its chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.comparison.group import Entry, Group
from harness.reporting import facts, plots, ranking, table
from harness.reporting.breakdown import Breakdown, breakdowns
from harness.reporting.command import commands, notes
from harness.reporting.drawing import Drawing
from harness.reporting.evidence import Evidence
from harness.reporting.facts import Fact
from harness.reporting.hardest import HardTake, hardest
from harness.reporting.headline import headline
from harness.reporting.missing import Gap, damaged, gaps, shortfalls
from harness.reporting.neighbours import Neighbours, compare, conditions
from harness.reporting.ranking import RankedRow
from harness.reporting.run_listing import RunListing, listing
from harness.reporting.still import Still, stills
from harness.reporting.table import Table
from harness.reporting.viewer import Viewer, viewer
from harness.store.schema import Record, look_up

#: Figure of the first screen.
FIRST = "accuracy-cost"


@dataclass(frozen=True)
class Chapter:
    """A part of a section; ``name`` is its anchor, ``figures`` are names in PLOTS in the order they stand in."""

    name: str
    title: str
    link: str
    figures: tuple[str, ...] = ()


#: In the order of the page. Those without anything to show are left out; what is missing says why.
CHAPTERS = (
    Chapter("seeds", "Seeds, intervals and floors", "seeds and floors", ("accuracy",)),
    Chapter("actions-joints", "By action and by joint", "actions and joints", ("per-action", "skeleton", "per-joint")),
    Chapter("time", "Error over time", "over time", ("error-over-time",)),
    Chapter("distribution", "Distribution of errors and PCK", "distribution", ("distribution",)),
    Chapter("worst", "Worst sequences", "worst sequences"),
    Chapter("learning", "Learning curves", "learning", ("learning-curves",)),
    Chapter("growth", "Growth of cost with T", "growth", ("growth",)),
    Chapter("published", "Published against counted", "published", ("published",)),
    Chapter("more", "More figures", "more"),
    Chapter("missing", "What is missing, and what to know", "missing"),
    Chapter("reproduce", "How to reproduce", "reproduce"),
    Chapter("runs", "Environment and configuration of every run", "every run"),
)
_PLACED = {FIRST, *(name for chapter in CHAPTERS for name in chapter.figures)}


@dataclass(frozen=True)
class Recipe:
    """How to make the runs of one configuration again.

    ``commits`` are (identifier, whether there were changes beside it) of its runs, none where they are not known;
    ``notes`` say what will not be as it was.
    """

    title: str
    commands: Sequence[str]
    commits: Sequence[tuple[str, bool]]
    notes: Sequence[str]


@dataclass(frozen=True)
class Section:
    """What the page says about one group."""

    group: Group
    table: Table
    drawings: Mapping[str, Drawing]
    neighbours: Sequence[Neighbours]
    viewer: Viewer | None
    recipes: Sequence[Recipe]
    damaged: Sequence[str]

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def heading(self) -> str:
        """What sets the group apart from the others of the page."""
        if self.group.protocol is None:
            return "Runs that were not scored"
        return " · ".join(f"{field} {value}" for field, value in self.group.differs.items())

    @property
    def headline(self) -> str:
        return headline(self.group, self.neighbours)

    @cached_property
    def facts(self) -> list[Fact]:
        return facts.facts(self.group)

    @property
    def bodies(self) -> list[tuple[str, list[RankedRow]]]:
        return ranking.bodies(self.table)

    @property
    def first(self) -> list[Drawing]:
        """Of the first screen."""
        return [self.drawings[FIRST]] if FIRST in self.drawings else []

    @property
    def first_notes(self) -> list[str]:
        """What the figure of the first screen says of these runs, to be read without opening anything."""
        return [drawing.notes for drawing in self.first if drawing.notes]

    @property
    def notes(self) -> list[str]:
        """The table's, without what the gaps say already."""
        said = {f"{gap.title}, seed {gap.seed}: {gap.status}: {gap.error}" for gap in self.gaps}
        return [note for note in self.table.notes if note not in said]

    @property
    def conditions(self) -> str:
        return conditions(self.neighbours)

    @cached_property
    def breakdowns(self) -> list[Breakdown]:
        return breakdowns(self.group)

    @cached_property
    def stills(self) -> list[Still]:
        """Poses of the best model of which any were kept."""
        return stills(self.viewer.shown[0]) if self.viewer else []

    @cached_property
    def hardest(self) -> list[HardTake]:
        return hardest(self.group)

    @property
    def gaps(self) -> list[Gap]:
        return gaps(self.group)

    @property
    def shortfalls(self) -> list[str]:
        return shortfalls(self.group, self.drawings.keys(), self.viewer is not None, self.damaged)

    @property
    def runs(self) -> list[RunListing]:
        return [listing(record) for record in facts.runs(self.group)]

    @property
    def chapters(self) -> list[Chapter]:
        """Those that have anything to show."""
        return [chapter for chapter in CHAPTERS if self.figures(chapter) or self._has(chapter.name)]

    def figures(self, chapter: Chapter) -> list[Drawing]:
        """Of a chapter, those that could be drawn; "more" has what no other has."""
        names = [name for name in self.drawings if name not in _PLACED] if chapter.name == "more" else chapter.figures
        return [self.drawings[name] for name in names if name in self.drawings]

    def _has(self, chapter: str) -> bool:
        """Whether there is more than figures to show."""
        beside_figures: Mapping[str, object] = {
            "actions-joints": self.breakdowns,
            "worst": self.viewer or self.hardest,
            "missing": self.gaps or self.shortfalls or self.notes,
            "reproduce": self.recipes,
            "runs": True,
        }
        return bool(beside_figures.get(chapter))


@dataclass(frozen=True)
class Page:
    """The whole of it; ``about`` are paragraphs by whoever made the runs."""

    title: str
    summary: str
    about: Sequence[str]
    why_groups: str
    sections: Sequence[Section]


def page(evidence: Evidence, title: str) -> Page:
    """Everything is drawn and compared here."""
    sections = [_section(members, evidence, place) for place, members in enumerate(table.build(evidence.groups))]
    return Page(title, _summary(sections), evidence.about, _why_groups(sections), sections)


def _section(members: Table, evidence: Evidence, place: int) -> Section:
    group = members.group
    drawings, shown = _drawings(group, evidence, place), viewer(group, evidence)
    return Section(
        group=group,
        table=members,
        drawings=drawings,
        neighbours=compare(group),
        viewer=shown,
        recipes=[_recipe(entry, evidence.records) for entry in group.entries],
        # Known only now that everything was asked for.
        damaged=damaged(group, evidence),
    )


def _drawings(group: Group, evidence: Evidence, place: int) -> dict[str, Drawing]:
    figures = ((plot, plot.draw(group, evidence)) for plot in plots.PLOTS)
    return {
        plot.name: Drawing(
            f"{group.name}-{plot.name}",
            plot.caption,
            figure,
            notes=" ".join(plot.notes(group, evidence)),
            prefix=f"f{place}-{number}",
        )
        for number, (plot, figure) in enumerate(figures)
        if figure is not None
    }


def _recipe(entry: Entry, stored: Sequence[Record]) -> Recipe:
    records = [*entry.runs, *entry.gaps]
    commits = [look_up(record, "environment.commit") or {} for record in records]
    known = [(str(commit["id"]), bool(commit.get("dirty"))) for commit in commits if commit.get("id")]
    return Recipe(entry.title, commands(records, stored), list(dict.fromkeys(known)), notes(records))


def _summary(sections: Sequence[Section]) -> str:
    """Finished runs where there are several groups, and the newest run's time: never that of writing."""
    records = [record for section in sections for record in facts.runs(section.group)]
    finished = sum(record["status"] == "ok" for record in records)
    last = max((str(record["finished"]) for record in records if record.get("finished")), default="")
    counted = [] if len(sections) == 1 else [f"{finished} of {len(records)} runs finished"]
    return " · ".join(counted + ([f"newest run {last.replace('T', ' ').replace('+00:00', ' UTC')}"] if last else []))


def _why_groups(sections: Sequence[Section]) -> str:
    """Why there are several tables, or what sets the one that is shown apart; empty where there is but one group."""
    fields = list(dict.fromkeys(field for section in sections for field in section.group.differs))
    if not fields:
        return ""
    if len(sections) == 1:
        return (
            f"Of several groups of the store, which are not ranked against each other, this is: {sections[0].heading}."
        )
    return f"Figures are ranked only under one protocol on one test set. These groups differ in: {', '.join(fields)}."
